"""Reading the operators' forms."""

import re
from typing import Any

from django.http import QueryDict

from advisories.drafting import deadline
from advisories.models import Kind, Severity
from advisories.scope import service_filters
from provisioning.services import Refusal

_CVE = re.compile(r"^CVE-\d{4}-\d{4,19}$")
_LISTS = ("services", "plans", "regions", "features")
_MOMENTS = (
    "created_from",
    "created_until",
    "used_from",
    "used_until",
    "credentials_from",
    "credentials_until",
)


def read_said(post: QueryDict) -> dict[str, Any]:
    """A version's words; Refusal for what cannot be read."""
    steps = [
        {"text": text.strip()[:2000], "command": command.strip()[:2000], "deadline": deadline(until)}
        for text, command, until in zip(
            post.getlist("step_text"),
            post.getlist("step_command"),
            post.getlist("step_deadline"),
            strict=False,
        )
        if text.strip()
    ]
    severity = post.get("severity", "")
    if severity and severity not in Severity.values:
        raise Refusal("Choose a severity.", code="bad_severity")
    return {
        "title": " ".join(post.get("title", "").split())[:200],
        "summary": _text(post, "summary"),
        "cvss_vector": post.get("cvss_vector", "").strip()[:300],
        "severity": severity,
        "how_to_check": _text(post, "how_to_check"),
        "what_we_did": _text(post, "what_we_did"),
        "change_note": _text(post, "change_note"),
        "contact": post.get("contact", "").strip()[:320],
        "timeline": _timeline(post.get("timeline", "")),
        "steps": steps,
    }


def read_about(post: QueryDict, *, with_scope: bool) -> dict[str, Any]:
    """The advisory's own fields; Refusal for what cannot be read."""
    cves = [cve.upper() for cve in re.split(r"[\s,]+", post.get("cves", "")) if cve]
    for cve in cves:
        if not _CVE.match(cve):
            raise Refusal(f"{cve[:40]} is no CVE id.", code="bad_cve")
    kind = post.get("kind", "")
    if kind not in Kind.values:
        raise Refusal("Choose the kind.", code="bad_kind")
    about: dict[str, Any] = {
        "kind": kind,
        "cves": cves,
        "remedy_is_rotation": bool(post.get("remedy_is_rotation")),
    }
    if with_scope:
        about["scope"] = read_given_scope(post)
    return about


def read_given_scope(post: QueryDict) -> dict[str, Any]:
    """What the scope's fields hold, for `scope.read_scope`."""
    return {
        **{name: post.getlist(name) for name in (*_LISTS, *(one.name for one in service_filters()))},
        **{name: post.get(name, "") for name in _MOMENTS},
        "credentials": re.split(r"[\s,]+", post.get("credentials", "")),
        "uuids": post.get("uuids", ""),
        "include_removed": bool(post.get("include_removed")),
    }


def _timeline(text: str) -> list[dict[str, str]]:
    found = []
    for line in text.splitlines():
        if not line.strip():
            continue
        match = re.match(r"^(\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2})?)\s+(.+)$", line.strip())
        if match is None:
            raise Refusal(
                f"Begin each line of the timeline with a time: {line.strip()[:60]}", code="bad_timeline"
            )
        found.append({"at": match[1].replace("T", " "), "text": match[2]})
    return found


def _text(post: QueryDict, name: str) -> str:
    return post.get(name, "").replace("\r\n", "\n").strip()[:20_000]
