"""A complete submission form, for tests."""

import json
from typing import Any

from addon.mobiloud.models import Answer
from addon.mobiloud.submission_fields import agreement_digest
from tests.mobiloud.conftest import Customer
from tests.support.website import png

COMPLETE = {
    "contact_name": "Ada Lovelace",
    "contact_email": "ada.apps@example.com",
    "company": "Fine Teas Ltd",
    "country": "Ireland",
    "website_url": "https://www.example.com/",
    "platforms": "both",
    "site_kind": "shopify",
    "push_provider": "firebase",
    "app_name": "Fine Teas",
    "short_description": "Leaves from everywhere.",
    "description": "Tea.\nMore tea.",
    "category": "shopping",
    "privacy_url": "https://www.example.com/privacy",
    "support_url": "https://www.example.com/help",
    "legal_name": "Ada Lovelace",
    "legal_role": "Director",
    "agrees": "yes",
}


def start(customer: Customer) -> None:
    """Begin the form."""
    assert customer.post("publish/start").status_code == 200


def version_of(customer: Customer, name: str) -> int:
    """The version of a field as it is stored."""
    found = Answer.objects.filter(submission__site=customer.site, name=name).first()
    return found.version if found else 0


def save(customer: Customer, answers: dict[str, str], *, base: int | None = None) -> Any:
    """Save fields over what is stored, or over `base`."""
    changes = {
        name: {"value": value, "base": version_of(customer, name) if base is None else base}
        for name, value in answers.items()
    }
    return customer.post("publish/save", changes=json.dumps(changes))


def sign(customer: Customer, **fields: str) -> Any:
    """Sign the agreement that is shown."""
    return customer.post("publish/sign", **{"digest": agreement_digest(), **fields})


def upload(customer: Customer, kind: str, content: bytes, name: str = "icon.png") -> Any:
    """Send a file."""
    from django.core.files.uploadedfile import SimpleUploadedFile

    return customer.post("publish/upload", kind=kind, file=SimpleUploadedFile(name, content))


def fill(customer: Customer) -> None:
    """Everything that a submission needs."""
    start(customer)
    assert save(customer, COMPLETE).json()["problems"] == {}
    assert upload(customer, "app_icon", png(1024, 1024)).status_code == 200
    assert sign(customer).status_code == 200


def submit(customer: Customer) -> Any:
    """Hand it over."""
    return customer.post("publish/submit")
