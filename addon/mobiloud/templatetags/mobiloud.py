"""Template tags of the configuration's forms: each field follows from the JSON Schema."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from addon.mobiloud.documents import schema_at

register = template.Library()
_EMPTY = mark_safe("")


@register.simple_tag
def config_field(pointer: str, kind: str = "text", hint: str = "") -> SafeString:
    """A labelled input for a place of the configuration such as `menu.main_url`.

    Its script finds it by `data-key`: the last part of the pointer.
    """
    part = schema_at(pointer)
    key = pointer.rpartition(".")[2]
    help_text = hint or ("" if kind == "cell" else part.get("description", ""))
    shown = (
        format_html('<span class="muted" id="help-{}">{}</span>', pointer.replace(".", "-"), help_text)
        if help_text
        else _EMPTY
    )
    described = format_html(' aria-describedby="help-{}"', pointer.replace(".", "-")) if help_text else _EMPTY
    mode = "url" if part.get("format") == "web-address" else "text"
    return format_html(
        '<label class="field"><span>{}</span><input data-key="{}" inputmode="{}" maxlength="{}" required'
        ' autocomplete="off" autocapitalize="none" spellcheck="false"{}>{}</label>',
        part["title"],
        key,
        mode,
        part["maxLength"],
        described,
        shown,
    )


@register.simple_tag
def color_field(pointer: str) -> SafeString:
    """A colour as a picker and as text, side by side; the text is what counts."""
    part = schema_at(pointer)
    key = pointer.rpartition(".")[2]
    return format_html(
        '<div class="color-field"><div class="field"><label for="color-{0}">{1}</label>'
        '<span class="color-inputs"><input type="color" data-picks="color-{0}" aria-label="{1}: pick">'
        '<input id="color-{0}" data-key="{0}" maxlength="7" required autocomplete="off" autocapitalize="none"'
        ' spellcheck="false" aria-describedby="color-help-{0}" placeholder="#RRGGBB"></span>'
        '<span class="muted" id="color-help-{0}">{2}</span></div>'
        '<p class="contrast" data-contrast="{0}" role="status"></p></div>',
        key,
        part["title"],
        part["description"],
    )
