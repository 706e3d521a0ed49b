"""What the pages about money need beside the dashboards' own filters."""

from typing import Any

from django import template
from django.utils.html import json_script
from django.utils.safestring import SafeString

from sso.templatetags.dashboard import exact_money, quantity

register = template.Library()


@register.filter
def chart_json(chart: dict[str, Any], number: int) -> SafeString:
    """A chart's data as a script element that its own script reads."""
    return json_script(chart, f"use-{number}")


@register.filter
def amount(value: int, unit: str) -> str:
    """`12,000 tokens`, `3.4 GB`."""
    return quantity(value, unit)


@register.filter
def thousands(value: int) -> str:
    """`1,234,567`."""
    return f"{value:,}"


@register.filter
def words(name: str) -> str:
    """`million input tokens` for `million_input_tokens`."""
    return name.replace("_", " ")


@register.filter
def dollars(cents: int) -> str:
    """`1234.50` for 123450: what stands in a field."""
    return f"{cents / 100:.2f}"


@register.filter
def optional_money(cents: int | None) -> str:
    """The amount, or a dash where there is none."""
    return "—" if cents is None else exact_money(cents)


@register.filter
def signed_money(cents: int) -> str:
    """`+$12.00`, `-$3.50`, `$0.00`."""
    return f"+{exact_money(cents)}" if cents > 0 else exact_money(cents)
