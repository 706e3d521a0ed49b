"""What the pages of this dashboard need beside the frame's own tags."""

from typing import Any

from django import template

from addon.kafkacluster.limits import in_hours
from provisioning.services import Meter
from sso.templatetags.dashboard import quantity

register = template.Library()


@register.filter
def filesize_si(number: int) -> str:
    """`3.4 MB`: bytes in decimal units, as the plans count."""
    return quantity(number, "bytes")


@register.filter
def thousands(number: int) -> str:
    """`12,345`."""
    return f"{number:,}"


@register.filter
def kilobytes(number: int) -> str:
    """Bytes in thousands, without a unit."""
    return f"{number / 1000:g}"


@register.filter
def rate(number: int) -> str:
    """`3.4 kB/s`."""
    return quantity(number, "bytes/s")


@register.filter
def delay(milliseconds: int) -> str:
    """`250 ms`, `3.2 s`."""
    return f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


@register.filter
def hours(number: int) -> str:
    """`36 hours`, `7 days`."""
    return in_hours(number)


@register.inclusion_tag("components/meter.html")
def meter_of(label: str, used: int, limit: int, unit: str) -> dict[str, Any]:
    """The frame's meter of one limit."""
    return {"meter": Meter(label, limit, unit, used=used)}
