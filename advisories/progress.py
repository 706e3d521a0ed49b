"""How far an advisory is: counts for the operator, and the evidence as CSV."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q

from advisories.models import Advisory, Affected, Delivery, Version
from mail.models import REACHED_STATES, MailState

COLUMNS = (
    "advisory", "version", "occasion", "recipient", "reason", "service", "resource", "name", "app", "late",
    "message_id", "mail_state", "queued_at", "sent_at", "settled_at", "error", "acknowledged_at", "acknowledged_by",
    "mitigated_at", "mitigated_by",
)  # fmt: skip


@dataclass(frozen=True)
class Progress:
    """Numbers of one version's mails and of the advisory's resources."""

    mails: dict[str, int]
    affected: int
    late: int
    acknowledged: int
    mitigated: int
    unreached: int
    rotations_wanted: int
    rotations_done: int
    rotation_problems: int

    @property
    def total(self) -> int:
        """Mails of the version, reminders left out."""
        return sum(self.mails.values())

    @property
    def sent(self) -> int:
        """Those accepted or delivered."""
        return sum(self.mails.get(state, 0) for state in REACHED_STATES)

    def share(self, number: int, of: int) -> int:
        """A percentage, 100 only when it is all of them."""
        return 100 * number // of if of else 0

    @property
    def sent_share(self) -> int:
        """Percent accepted by the provider."""
        return self.share(self.sent, self.total)

    @property
    def delivered_share(self) -> int:
        """Percent that the provider says were delivered."""
        return self.share(self.mails.get(MailState.DELIVERED, 0), self.total)

    @property
    def acknowledged_share(self) -> int:
        """Percent of resources somebody acknowledged for."""
        return self.share(self.acknowledged, self.affected)

    @property
    def mitigated_share(self) -> int:
        """Percent of resources that are mitigated."""
        return self.share(self.mitigated, self.affected)


def progress_of(advisory: Advisory, version: Version | None) -> Progress:
    """The numbers as they are now."""
    mails = (
        version.deliveries.exclude(occasion__startswith="reminder")
        .values_list("mail__state")
        .annotate(n=Count("pk"))
        if version
        else []
    )
    counted = advisory.affected.aggregate(
        affected=Count("pk"),
        late=Count("pk", filter=Q(is_late=True)),
        acknowledged=Count("pk", filter=Q(acknowledged_at__isnull=False)),
        mitigated=Count("pk", filter=Q(mitigated_at__isnull=False)),
        unreached=Count("pk", filter=Q(is_unreached=True)),
        rotations_wanted=Count("pk", filter=Q(rotation_wanted_at__isnull=False)),
        rotations_done=Count("pk", filter=Q(rotation__state="succeeded")),
        rotation_problems=Count("pk", filter=~Q(rotation_problem="")),
    )
    return Progress(mails=dict(mails), **counted)


class _Line:
    """What `csv` writes to, to have each line back."""

    def write(self, line: str) -> str:
        return line


def evidence(advisory: Advisory) -> Iterator[str]:
    """CSV lines: each mail and each resource it told of, with what became of both."""
    writer = csv.writer(_Line())
    yield writer.writerow(COLUMNS)
    told: set[int] = set()
    deliveries = (
        Delivery.objects.filter(version__advisory=advisory)
        .select_related("version", "recipient", "mail")
        .prefetch_related("recipient__concerns__affected__resource")
        .order_by("pk")
        .iterator(chunk_size=1000)
    )
    for delivery in deliveries:
        mail = delivery.mail
        for concern in delivery.recipient.concerns.all():
            told.add(concern.affected_id)
            yield writer.writerow(
                [
                    advisory.number,
                    delivery.version.number,
                    delivery.occasion,
                    _cell(delivery.recipient.email),
                    concern.reason,
                    *_about(concern.affected),
                    mail.message_id,
                    mail.state,
                    *map(_time, (mail.created_at, mail.sent_at, mail.settled_at)),
                    _cell(mail.last_error),
                    *_answers(concern.affected),
                ]
            )
    for row in advisory.affected.exclude(pk__in=told).select_related("resource").iterator(chunk_size=1000):
        blank = [""] * 6
        yield writer.writerow(
            [advisory.number, "", "nobody to write to", "", "", *_about(row), *blank, *_answers(row)]
        )


def _about(row: Affected) -> list[object]:
    resource = row.resource
    late = "yes" if row.is_late else "no"
    return [resource.service, resource.uuid, _cell(resource.name), _cell(resource.app_name), late]


def _answers(row: Affected) -> list[str]:
    return [
        _time(row.acknowledged_at),
        _cell(row.acknowledged_by),
        _time(row.mitigated_at),
        _cell(row.mitigated_by),
    ]


def _time(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment else ""


def _cell(text: str) -> str:
    """A spreadsheet must not take a customer's text for a formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" and text else text
