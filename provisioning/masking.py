"""Keeping secrets out of everything that people or machines read later."""

import re
from typing import Any

MASK = "[masked]"
_TELLING_NAME = re.compile(
    r"(authorization|password|secret|token|salt|grant|cookie|log_input_url|api_key|_key$|^key$|^code$)",
    re.IGNORECASE,
)
_TELLING_TEXT = re.compile(
    r"(?P<label>\b(?:Basic|Bearer)\s+)[A-Za-z0-9+/=._~-]{8,}"
    r"|\binf-[A-Za-z0-9_-]{12,}"
    r"|\bHRKU-[A-Za-z0-9_-]{8,}"
    r"|\b[td]\.[0-9a-f]{8}-[0-9a-f-]{27}"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
)


def mask_text(text: str) -> str:
    """`text` with everything that looks like a secret of ours or Heroku's replaced by a mask."""
    return _TELLING_TEXT.sub(lambda found: (found.group("label") or "") + MASK, text)


def mask_value(value: Any, *, name: str = "") -> Any:
    """`value` with secrets masked at any depth: all but numbers under telling names, telling texts under any name."""
    if name and isinstance(value, str | bytes | dict | list | tuple) and _TELLING_NAME.search(name):
        return MASK
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, dict):
        return {key: mask_value(item, name=str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [mask_value(item) for item in value]
    return value
