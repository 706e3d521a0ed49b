"""What the dashboards' templates need beside Django's own tags."""

import re
from datetime import datetime

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince, timeuntil

from provisioning.models import Plan
from provisioning.services import Meter

register = template.Library()
_ICON_NAME = re.compile(r"[a-z0-9-]+")
_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB")


@register.simple_tag
def icon(name: str, css_class: str = "") -> SafeString:
    """A decorative icon from the sprite that the front end's build makes of `frontend/src/icons.json`."""
    if not _ICON_NAME.fullmatch(name):
        raise template.TemplateSyntaxError(f"no icon is called {name!r}")
    return format_html(
        '<svg class="icon {}" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        css_class,
        static("frontend/icons.svg"),
        name,
    )


@register.filter
def money(cents: int) -> str:
    """`$1,234.50` for 123450 cents; whole dollars without decimals."""
    dollars, rest = divmod(abs(cents), 100)
    return f"{'-' if cents < 0 else ''}${dollars:,}" + (f".{rest:02d}" if rest else "")


@register.filter
def exact_money(cents: int) -> str:
    """`$1,234.50`, always with cents."""
    return f"{'-' if cents < 0 else ''}${abs(cents) // 100:,}.{abs(cents) % 100:02d}"


@register.filter
def price(plan: Plan) -> str:
    """A plan's price per month in words."""
    if plan.price_cents:
        return f"{money(plan.price_cents)}/month"
    return "Pay per use" if plan.metered else "Free"


@register.filter
def moment(at: datetime) -> SafeString:
    """`3 minutes ago`, or `in 2 hours`, with the exact time as title."""
    now = timezone.now()
    if abs((now - at).total_seconds()) < 60:
        words = "just now" if at <= now else "in less than a minute"
    elif at <= now:
        words = f"{timesince(at, now, depth=1)} ago"
    else:
        words = f"in {timeuntil(at, now, depth=1)}"
    return format_html(
        '<time datetime="{}" title="{} UTC">{}</time>', at.isoformat(), f"{at:%Y-%m-%d %H:%M:%S}", words
    )


def quantity(value: int, unit: str) -> str:
    """`12 topics`, `3.4 GB`: bytes in decimal units, everything else with thousands separated."""
    if not unit.startswith("bytes"):
        return f"{value:,} {unit}"
    rest, size = unit.removeprefix("bytes"), float(value)
    for name in _BYTE_UNITS:
        if size < 1000 or name == _BYTE_UNITS[-1]:
            return f"{size:.3g} {name}{rest}"
        size /= 1000
    raise AssertionError("unreachable")


@register.filter
def usage(meter: Meter) -> str:
    """`12 of 40 topics`, `3.42 GB of 4 GB`."""
    if meter.used is None or meter.limit is None:
        return ""
    used = quantity(meter.used, meter.unit) if meter.unit.startswith("bytes") else f"{meter.used:,}"
    return f"{used} of {quantity(meter.limit, meter.unit)}"


@register.filter
def percent(meter: Meter) -> int:
    """How much of its limit a meter has used, from 0 to 100."""
    if not meter.limit or meter.used is None:
        return 0
    return min(100, round(100 * meter.used / meter.limit))
