"""Advisories for machines: CSAF 2.0 (OASIS), OSV (OpenSSF) and an Atom feed (RFC 4287)."""

from datetime import datetime
from typing import Any
from xml.etree import ElementTree as ET

from django.conf import settings
from django.urls import reverse

from advisories.models import Advisory, AdvisoryState, Purpose, Version, VersionState
from advisories.severity import rate
from provisioning.services import all_services

PUBLISHER = "Addonworks"


def csaf(advisory: Advisory) -> dict[str, Any]:
    """A CSAF 2.0 document of the profile "Security Advisory"; ValueError while nothing was published."""
    versions = _published(advisory)
    newest = versions[-1]
    products = [{"product_id": slug, "name": f"{PUBLISHER} {name}"} for slug, name in _products(advisory)]
    ids = [product["product_id"] for product in products]
    fixed = newest.purpose in (Purpose.ALL_CLEAR, Purpose.WITHDRAWAL)
    vulnerability: dict[str, Any] = {
        "title": newest.title,
        "notes": _notes(newest),
        "product_status": {"fixed" if fixed else "known_affected": ids},
    }
    remediations = [
        {
            "category": "mitigation",
            "details": f"{step['text']}\n{step.get('command', '')}".strip(),
            "product_ids": ids,
        }
        for step in newest.steps
    ]
    if fixed:
        remediations.append({"category": "vendor_fix", "details": newest.summary, "product_ids": ids})
    if remediations:
        vulnerability["remediations"] = remediations
    if newest.cvss_vector:
        rating = rate(newest.cvss_vector)
        if rating.version == "3.1":  # CSAF 2.0 has no place for CVSS 4.0: that one stands in a note
            score = {
                "version": "3.1",
                "vectorString": rating.vector,
                "baseScore": float(rating.score),
                "baseSeverity": rating.severity.upper(),
            }
            vulnerability["scores"] = [{"cvss_v3": score, "products": ids}]
    history = [
        {
            "date": _iso(version.published_at),
            "number": str(version.number),
            "summary": version.change_note or "First published.",
        }
        for version in versions
    ]
    return {
        "document": {
            "category": "csaf_security_advisory",
            "csaf_version": "2.0",
            "title": newest.title,
            "lang": "en",
            "distribution": {"tlp": {"label": "WHITE" if advisory.is_public else "AMBER"}},
            "publisher": {
                "category": "vendor",
                "name": PUBLISHER,
                "namespace": settings.BASE_URL,
                "contact_details": newest.contact,
            },
            "notes": [{"category": "summary", "text": newest.summary}],
            "references": [
                {"category": "self", "summary": advisory.number, "url": page_url(advisory)},
            ],
            "tracking": {
                "id": advisory.number,
                "status": "final",
                "version": str(newest.number),
                "initial_release_date": _iso(versions[0].published_at),
                "current_release_date": _iso(newest.published_at),
                "revision_history": history,
            },
        },
        "product_tree": {"full_product_names": products},
        # One entry for each CVE, as a CSAF entry names at most one.
        "vulnerabilities": [
            {**vulnerability, **named}
            for named in [{"cve": cve} for cve in advisory.cves]
            or [{"ids": [{"system_name": PUBLISHER, "text": advisory.number}]}]
        ],
    }


def osv(advisory: Advisory) -> dict[str, Any]:
    """An OSV record; ValueError while nothing was published."""
    versions = _published(advisory)
    newest = versions[-1]
    record: dict[str, Any] = {
        "schema_version": "1.6.7",
        "id": advisory.number,
        "published": _iso(versions[0].published_at),
        "modified": _iso(newest.published_at),
        "summary": newest.title,
        "details": "\n\n".join(note["text"] for note in _notes(newest)),
        "references": [{"type": "ADVISORY", "url": page_url(advisory)}],
        "database_specific": {
            "services": [slug for slug, _ in _products(advisory)],
            "severity": newest.severity,
            "state": advisory.state,
        },
    }
    if advisory.cves:
        record["aliases"] = list(advisory.cves)
    if newest.cvss_vector:
        kind = "CVSS_V4" if newest.cvss_vector.startswith("CVSS:4") else "CVSS_V3"
        record["severity"] = [{"type": kind, "score": newest.cvss_vector}]
    if advisory.state == AdvisoryState.WITHDRAWN:
        record["withdrawn"] = _iso(newest.published_at)
    return record


def atom(advisories: list[Advisory]) -> bytes:
    """An Atom feed of public advisories, the newest change first."""
    ET.register_namespace("", _ATOM)
    feed = ET.Element(f"{{{_ATOM}}}feed")
    home = settings.BASE_URL + reverse("advisories:public")
    _add(feed, "id", home)
    _add(feed, "title", f"{PUBLISHER} security advisories")
    _add(feed, "updated", max((_changed(one) for one in advisories), default="1970-01-01T00:00:00Z"))
    author = _add(feed, "author")
    _add(author, "name", PUBLISHER)
    _add(feed, "link", href=settings.BASE_URL + reverse("advisories:feed"), rel="self")
    _add(feed, "link", href=home, rel="alternate")
    for advisory in sorted(advisories, key=_changed, reverse=True):
        newest = _published(advisory)[-1]
        entry = _add(feed, "entry")
        _add(entry, "id", page_url(advisory))
        _add(entry, "title", f"{advisory.number}: {newest.title}")
        _add(entry, "updated", _changed(advisory))
        _add(entry, "published", _iso(advisory.published_at))
        _add(entry, "link", href=page_url(advisory), rel="alternate")
        _add(entry, "category", term=newest.severity)
        _add(entry, "summary", newest.summary)
    return bytes(ET.tostring(feed, encoding="utf-8", xml_declaration=True))


_ATOM = "http://www.w3.org/2005/Atom"


def page_url(advisory: Advisory) -> str:
    """Where everybody reads a public advisory."""
    return settings.BASE_URL + reverse("advisories:public-one", args=[advisory.number])


def _add(parent: ET.Element, name: str, text: str = "", **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, f"{{{_ATOM}}}{name}", attributes)
    element.text = text or None
    return element


def _changed(advisory: Advisory) -> str:
    return _iso(advisory.updated_at or advisory.published_at)


def _published(advisory: Advisory) -> list[Version]:
    found = list(advisory.versions.filter(state=VersionState.PUBLISHED).order_by("number"))
    if not found:
        raise ValueError("nothing of this advisory is published yet")
    return found


def _products(advisory: Advisory) -> list[tuple[str, str]]:
    """The services that the scope names; all of ours when it names none."""
    named = set(advisory.scope.get("services", ()))
    named |= {plan.partition(":")[0] for plan in advisory.scope.get("plans", ())}
    services = all_services()
    return [(slug, service.name) for slug, service in services.items() if not named or slug in named]


def _notes(version: Version) -> list[dict[str, str]]:
    notes = [{"category": "description", "title": "What happened", "text": version.summary}]
    if version.how_to_check:
        notes.append({"category": "details", "title": "How to check", "text": version.how_to_check})
    if version.what_we_did:
        notes.append({"category": "details", "title": "What we did", "text": version.what_we_did})
    if version.cvss_vector.startswith("CVSS:4"):
        text = f"{version.cvss_vector} ({version.cvss_score}, {version.severity})"
        notes.append({"category": "other", "title": "CVSS 4.0", "text": text})
    return notes


def _iso(moment: datetime | None) -> str:
    if moment is None:
        raise ValueError("a published version has its time")
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
