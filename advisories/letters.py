"""The words of an advisory's mails. They hold no secret and no login link: the way in is through Heroku."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.template.loader import get_template

from advisories.models import Advisory, Purpose, Version
from mail.outbox import Letter
from provisioning.models import Resource
from provisioning.services import all_services

_SUBJECTS = {
    Purpose.NOTICE: "Security notice",
    Purpose.UPDATE: "Security notice updated",
    Purpose.ALL_CLEAR: "All clear",
    Purpose.WITHDRAWAL: "Security notice withdrawn",
}


@dataclass(frozen=True)
class Named:
    """A resource as a mail names it."""

    service: str
    name: str
    app: str
    plan: str


def named(resource: Resource) -> Named:
    """How `resource` is named to people."""
    service = all_services().get(resource.service)
    return Named(
        service=service.name if service else resource.service,
        name=resource.name or str(resource.uuid),
        app=resource.app_name,
        plan=resource.plan.name if resource.plan else "",
    )


def write(
    version: Version,
    *,
    key: str,
    to: str,
    resources: Sequence[Resource],
    reminder_hours: int = 0,
    test: bool = False,
) -> Letter:
    """The letter to one person about all of these resources."""
    advisory = version.advisory
    subject = _SUBJECTS[Purpose(version.purpose)]
    if reminder_hours:
        subject = "Reminder: security notice"
    if version.severity in ("critical", "high") and version.purpose in (Purpose.NOTICE, Purpose.UPDATE):
        subject = f"[{version.get_severity_display()}] {subject}"
    context = {
        **_shared(version, advisory),
        "resources": [named(resource) for resource in resources],
        "reminder_hours": reminder_hours,
        "reminder_days": reminder_hours // 24,
        "test": test,
    }
    return Letter(
        key=key,
        to=to,
        kind="advisory",
        subject=f"{'[Test] ' if test else ''}{subject} {advisory.number}: {version.title}",
        text=_template("advisories/mail.txt").render(context),
        html=_template("advisories/mail.html").render(context),
        reply_to=version.contact,
        headers={"X-Advisory": f"{advisory.number} version {version.number}"},
        urgent=True,
    )


@lru_cache(maxsize=4)
def _template(name: str) -> Any:
    return get_template(name)


def _shared(version: Version, advisory: Advisory) -> dict[str, Any]:
    return {
        "advisory": advisory,
        "version": version,
        "is_closing": version.purpose in (Purpose.ALL_CLEAR, Purpose.WITHDRAWAL),
    }
