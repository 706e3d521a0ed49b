"""The mails of this floor."""

from collections.abc import Iterable

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse

from billing.models import LimitNotice
from mail.contacts import Person
from mail.outbox import Letter
from provisioning.services import service_of
from sso.templatetags.dashboard import exact_money, quantity


def amount(value: int, unit: str) -> str:
    """`$12.50` for cents, otherwise the quantity with its unit."""
    return exact_money(value) if unit == "cents" else quantity(value, unit)


def headline(notice: LimitNotice) -> str:
    """What happened, as a title."""
    if notice.threshold == "pace":
        return f"{notice.label}: half of the month's used in its first week"
    if notice.threshold == "100":
        return f"{notice.label}: the limit is reached"
    return f"{notice.label}: {notice.threshold} % of the limit used"


def details(notice: LimitNotice) -> str:
    """The numbers, as a sentence."""
    return f"{amount(notice.used, notice.unit)} of {amount(notice.limit, notice.unit)}."


def limit_letters(notice: LimitNotice, people: Iterable[Person]) -> list[Letter]:
    """A letter for each person; a second call makes the same ones, by their keys."""
    resource = notice.resource
    service = service_of(resource)
    name = resource.name or service.name
    values = {
        "notice": notice,
        "resource": resource,
        "service": service,
        "name": name,
        "headline": headline(notice),
        "details": details(notice),
        # Dashboards open through Heroku only: the plain address says so to whoever is not signed in.
        "url": f"{settings.BASE_URL}{reverse('billing:overview', args=[resource.uuid])}",
        "heroku_url": f"{settings.HEROKU_DASHBOARD_URL}/apps/{resource.app_name}/resources"
        if resource.app_name
        else settings.HEROKU_DASHBOARD_URL,
    }
    text = render_to_string("billing/mail/limit.txt", values)
    html = render_to_string("billing/mail/limit.html", values)
    return [
        Letter(
            key=f"limit:{notice.pk}:{person.address}"[:200],
            to=person.email,
            subject=f"{name}: {headline(notice)}",
            text=text,
            html=html,
            kind="limit",
            reply_to=service.support_email,
        )
        for person in people
    ]
