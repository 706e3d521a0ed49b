"""Numbers as the inference pages write them."""

from datetime import datetime

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()
NOTHING = "\N{EN DASH}"


@register.filter
def count(number: int) -> str:
    """`1,234,567`."""
    return f"{number:,}"


@register.filter
def compact(number: int) -> str:
    """`987`, `12.3k`, `4.56M`: for large figures; the exact one stands beside or in the title."""
    size = float(number)
    for unit in ("", "k", "M", "G"):
        if size < 999.5 or unit == "G":
            return f"{number}" if unit == "" else f"{size:.3g}{unit}"
        size /= 1000
    raise AssertionError("unreachable")


@register.filter
def milliseconds(value: float | None) -> str:
    """`85 ms`, `1.24 s`, `2 min 5 s`; a dash for None."""
    if value is None:
        return NOTHING
    if value < 999.5:
        return f"{value:.0f} ms"
    seconds = value / 1000
    if seconds < 99.95:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


@register.filter
def percentage(value: float | None) -> str:
    """`0.4 %`; a dash for None. Anything above nothing is never shown as nothing."""
    if value is None:
        return NOTHING
    if 0 < value < 0.1:
        return "< 0.1 %"
    return f"{value:.0f} %" if value in (0, 100) else f"{value:.1f} %"


@register.filter
def clock(at: datetime) -> SafeString:
    """The exact time in UTC: `21 Nov 11:46:03`, with the whole of it as title."""
    return format_html(
        '<time datetime="{}" title="{} UTC">{}</time>',
        at.isoformat(),
        f"{at:%Y-%m-%d %H:%M:%S.%f}"[:-3],
        f"{at.day} {at:%b %H:%M:%S}",
    )
