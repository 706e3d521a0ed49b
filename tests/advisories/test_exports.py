"""CSAF and OSV by their schemas, the feed, and security.txt."""

import json
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from django.test import Client
from django.utils import timezone
from jsonschema import Draft202012Validator, FormatChecker
from pytest_django import Settings
from referencing import Registry
from referencing import Resource as Document
from referencing.jsonschema import DRAFT7

from advisories import exports
from advisories.models import Advisory
from tests.advisories.conftest import SAID

pytestmark = pytest.mark.django_db

SCHEMAS = Path(sys.prefix) / "models"
CSAF = SCHEMAS / "csaf" / "csaf" / "v20" / "schema"
FOUR = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"


def csaf_validator() -> Draft202012Validator:
    """OASIS's schema with those it refers to, found without the network."""
    schema = json.loads((CSAF / "csaf.json").read_text())
    registry: Registry[Any] = Registry().with_resources(
        [
            (
                f"https://www.first.org/cvss/{path.name}",
                Document.from_contents(json.loads(path.read_text()), default_specification=DRAFT7),
            )
            for path in (CSAF / "referenced").glob("cvss-*.json")
        ]
    )
    return Draft202012Validator(schema, registry=registry, format_checker=FormatChecker())


def osv_validator() -> Draft202012Validator:
    """OpenSSF's schema, which lists the series of ids that are registered there: ours is added to them."""
    text = (SCHEMAS / "osv" / "osv-schema" / "validation" / "schema.json").read_text()
    schema = json.loads(text)
    prefix = schema["$defs"]["prefix"]
    assert prefix["pattern"].startswith("^(")
    prefix["pattern"] = prefix["pattern"].replace("^(", "^(ADW|", 1)
    return Draft202012Validator(schema, format_checker=FormatChecker())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"cvss_vector": FOUR, "timeline": [], "what_we_did": ""},
        {"cvss_vector": "", "about": {"cves": ["CVE-2026-12345", "CVE-2026-12346"]}},
    ],
)
def test_csaf_and_osv_hold_against_their_schemas(
    sent: Callable[..., Advisory], changes: dict[str, Any]
) -> None:
    advisory = sent(**changes)
    csaf, osv = exports.csaf(advisory), exports.osv(advisory)
    assert list(csaf_validator().iter_errors(csaf)) == []
    assert list(osv_validator().iter_errors(osv)) == []
    assert csaf["document"]["tracking"]["id"] == osv["id"] == advisory.number
    assert [one["product_id"] for one in csaf["product_tree"]["full_product_names"]] == ["inference"]
    if changes.get("about"):
        assert [one["cve"] for one in csaf["vulnerabilities"]] == osv["aliases"] == changes["about"]["cves"]


def test_the_schemas_would_tell(sent: Callable[..., Advisory]) -> None:
    csaf, osv = exports.csaf(sent()), exports.osv(Advisory.objects.get())
    del csaf["document"]["tracking"]["revision_history"]
    osv["severity"] = [{"type": "CVSS_V3", "score": "7.5"}]
    assert list(csaf_validator().iter_errors(csaf))
    assert list(osv_validator().iter_errors(osv))


def test_only_what_is_cleared_is_public(sent: Callable[..., Advisory], client: Client) -> None:
    advisory = sent()
    paths = [f"/advisories/{advisory.number}/{end}" for end in ("", "csaf.json", "osv.json")]
    assert {client.get(path).status_code for path in paths} == {404}
    assert advisory.number not in client.get("/advisories/").content.decode()
    Advisory.objects.update(is_public=True)
    assert {client.get(path).status_code for path in paths} == {200}
    assert SAID["title"] in client.get("/advisories/").content.decode()
    feed = ET.fromstring(client.get("/advisories/feed.atom").content)  # noqa: S314 - our own
    names = {"a": "http://www.w3.org/2005/Atom"}
    assert [one.text for one in feed.findall("a:entry/a:title", names)] == [
        f"{advisory.number}: {SAID['title']}"
    ]
    for needed in ("a:id", "a:title", "a:updated", "a:author/a:name", "a:entry/a:id", "a:entry/a:updated"):
        assert feed.findtext(needed, namespaces=names)


def test_security_txt_says_where_to_report_and_until_when_it_holds(
    client: Client, settings: Settings
) -> None:
    settings.SECURITY_POLICY_URL = "https://example.com/policy"
    answer = client.get("/.well-known/security.txt")
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    fields = dict(line.split(": ", 1) for line in answer.content.decode().splitlines())
    assert fields["Contact"] == f"mailto:{settings.SECURITY_CONTACT}"
    assert fields["Policy"] == "https://example.com/policy"
    assert fields["Canonical"].endswith("/.well-known/security.txt")
    expires = datetime.fromisoformat(fields["Expires"])
    assert timedelta(days=90) < expires - timezone.now() < timedelta(days=365)
