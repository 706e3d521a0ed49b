"""What people type into the dashboard, read into the units of Kafka; what does not fit is a Refusal in words."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeVar

from django import forms
from django.http import QueryDict

from addon.kafkacluster.groups import Position
from addon.kafkacluster.limits import HOUR_MS
from addon.kafkacluster.topic_settings import NO_BOUND, POLICIES, Settings
from provisioning.services import Refusal

_LARGEST = 10**15
F = TypeVar("F", bound=forms.Form)


def read(form: type[F], data: QueryDict) -> F:
    """The form with its cleaned values; Refusal tells the first thing that does not fit."""
    filled = form(data)
    for name, problems in filled.errors.items():
        label = filled.fields[name].label if name in filled.fields else ""
        raise Refusal(f"{label}: {problems[0]}" if label else str(problems[0]), code="form")
    return filled


class SettingsForm(forms.Form):
    """A topic's settings, all of them optional: what is empty is left to the plan or as it is."""

    retention_hours = forms.DecimalField(
        required=False, label="Keep records for", max_value=_LARGEST, max_digits=30, decimal_places=6
    )
    retention_mb = forms.DecimalField(
        required=False, label="Keep at most", min_value=0, max_value=_LARGEST, max_digits=30, decimal_places=6
    )
    cleanup_policy = forms.ChoiceField(required=False, label="Cleanup policy", choices=list(POLICIES.items()))
    max_message_kb = forms.DecimalField(
        required=False, label="Largest message", max_value=_LARGEST, max_digits=30, decimal_places=3
    )
    min_insync_replicas = forms.IntegerField(required=False, label="Minimum in-sync replicas", max_value=1000)

    def settings(self) -> dict[str, str]:
        """The settings that were given, by Kafka's names. A retention of 0 MB is no bound."""
        given: Mapping[str, Any] = self.cleaned_data
        values: dict[str, str] = {}
        if given["retention_hours"] is not None:
            values["retention.ms"] = str(int(given["retention_hours"] * HOUR_MS))
        if given["retention_mb"] is not None:
            values["retention.bytes"] = str(int(given["retention_mb"] * 1_000_000) or NO_BOUND)
        if given["cleanup_policy"]:
            values["cleanup.policy"] = given["cleanup_policy"]
        if given["max_message_kb"] is not None:
            values["max.message.bytes"] = str(int(given["max_message_kb"] * 1000))
        if given["min_insync_replicas"] is not None:
            values["min.insync.replicas"] = str(given["min_insync_replicas"])
        return values


class NewTopicForm(SettingsForm):
    """A topic to be made."""

    name = forms.CharField(label="Name", max_length=300)
    partitions = forms.IntegerField(label="Partitions", min_value=1, max_value=100_000)


class PartitionsForm(forms.Form):
    """How many partitions a topic is to have."""

    partitions = forms.IntegerField(label="Partitions", max_value=100_000)


class ConfirmationForm(forms.Form):
    """The name of what is to be destroyed, typed by hand."""

    confirmation = forms.CharField(required=False, label="Name", max_length=300)


def confirm(data: QueryDict, *, name: str, prefix: str) -> None:
    """Raise Refusal unless the name, with or without its prefix, was typed."""
    typed = read(ConfirmationForm, data).cleaned_data["confirmation"].strip()
    if typed not in (name, name.removeprefix(prefix)):
        raise Refusal(f"Type {name.removeprefix(prefix)} to confirm.", code="not_confirmed")


def shown(settings: Settings) -> dict[str, str]:
    """A topic's settings as its form shows them."""
    return {
        "retention_hours": ""
        if settings.retention_ms < 0
        else _plain(Decimal(settings.retention_ms) / HOUR_MS),
        "retention_mb": ""
        if settings.retention_bytes < 0
        else _plain(Decimal(settings.retention_bytes) / 1_000_000),
        "cleanup_policy": settings.cleanup_policy,
        "max_message_kb": _plain(Decimal(settings.max_message_bytes) / 1000),
        "min_insync_replicas": str(settings.min_insync_replicas),
    }


def _plain(number: Decimal) -> str:
    return f"{number.quantize(Decimal('0.000001')).normalize():f}"


class PositionForm(forms.Form):
    """Where a group is to continue."""

    position = forms.ChoiceField(
        label="Position", choices=[(kind, kind) for kind in ("earliest", "latest", "time", "offset")]
    )
    at = forms.DateTimeField(required=False, label="Time")
    offset = forms.IntegerField(required=False, label="Offset", min_value=0, max_value=2**62)
    partition = forms.IntegerField(required=False, label="Partition", min_value=0, max_value=2**31)

    def as_position(self) -> Position:
        """The position; Refusal when what its kind needs is missing."""
        given = self.cleaned_data
        if given["position"] == "time" and given["at"] is None:
            raise Refusal("Time: say from when on, in UTC.", code="form")
        if given["position"] == "offset" and given["offset"] is None:
            raise Refusal("Offset: say from which one on.", code="form")
        return Position(
            kind=given["position"], at=given["at"], offset=given["offset"] or 0, partition=given["partition"]
        )


class NewGroupForm(PositionForm):
    """A consumer group to be registered."""

    name = forms.CharField(label="Name", max_length=300)


class GroupForm(forms.Form):
    """A consumer group, and a topic of its offsets, by their whole names."""

    group = forms.CharField(label="Consumer group", max_length=1000)
    topic = forms.CharField(required=False, label="Topic", max_length=300)


class LookForm(forms.Form):
    """What of a topic's messages to show; everything has a default."""

    topic = forms.CharField(required=False, label="Topic", max_length=300)
    partition = forms.IntegerField(required=False, label="Partition", min_value=0, max_value=2**31)
    start = forms.ChoiceField(
        required=False,
        label="From",
        choices=[(kind, kind) for kind in ("newest", "earliest", "offset", "time")],
    )
    offset = forms.IntegerField(required=False, label="Offset", min_value=0, max_value=2**62)
    at = forms.DateTimeField(required=False, label="Time")

    def as_position(self) -> Position | None:
        """Where to begin; None for the newest."""
        given = self.cleaned_data
        kind = given["start"]
        if kind in ("", "newest"):
            return None
        if kind == "time" and given["at"] is None:
            raise Refusal("Time: say from when on, in UTC.", code="form")
        return Position(kind=kind, at=given["at"], offset=given["offset"] or 0)


class MessageForm(forms.Form):
    """A test message, as text. An empty key is none; an empty value is none where a tombstone is wanted."""

    topic = forms.CharField(label="Topic", max_length=300)
    partition = forms.IntegerField(required=False, label="Partition", min_value=0, max_value=2**31)
    key = forms.CharField(required=False, label="Key", strip=False)
    value = forms.CharField(required=False, label="Value", strip=False)
    tombstone = forms.BooleanField(required=False)
    headers = forms.CharField(required=False, label="Headers")

    def clean_headers(self) -> list[tuple[str, bytes]]:
        """`name: value` on each line."""
        found = []
        for line in filter(str.strip, self.cleaned_data["headers"].splitlines()):
            name, colon, value = line.partition(":")
            if not colon or not name.strip():
                raise forms.ValidationError("Write each header on a line of its own, name: value.")
            found.append((name.strip(), value.strip().encode()))
        return found


class ExportForm(forms.Form):
    """Where an export continues; from the beginning without it."""

    partition = forms.IntegerField(required=False, label="Partition", min_value=0, max_value=2**31)
    offset = forms.IntegerField(required=False, label="Offset", min_value=0, max_value=2**62)
