"""Writes `docs/settings.md`, what every variable means, takes and defaults to, from the classes that read them.

python -m addon.settings_reference > docs/settings.md
"""

import types
from collections.abc import Iterable
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from addon.env_example import sections

_HEAD = """\
# Settings

All settings come from the environment. They are read and checked when a process starts: one that does not fit stops
it with the variable's name, and `manage.py check --deploy` says what is weak. `.env.example` holds the same list to be
filled in. This page follows from the code: `python -m addon.settings_reference > docs/settings.md`.

A variable marked **needed** has no default in production; *secret* ones are never written into logs or pages.
"""
_PROCESSES = """
## The processes

Read by the `Procfile` and `gunicorn.conf.py` themselves.

| variable | takes | default | meaning |
| --- | --- | --- | --- |
| `PORT` | whole number | 8000 | Port of the web; Heroku sets it. |
| `WEB_CONCURRENCY` | whole number | 2 | Processes of a web dyno; Heroku sets it by the dyno's size. |
| `WORKER_CONCURRENCY` | whole number | 4 | Tasks that one worker runs at once. |
| `FORWARDED_ALLOW_IPS` | addresses | all on Heroku, else 127.0.0.1 | Proxies whose `X-Forwarded-` headers count. |
| `ADDONWORKS_ENV_FILE` | path | .data/local.env | File that fills in what the environment leaves out; empty: none. |
| `PROMETHEUS_MULTIPROC_DIR` | path | a folder of its own | Where the processes of a web count for `/metrics`. |
"""
_WORDS = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    SecretStr: "*secret* text",
}


def settings_reference() -> str:
    """The whole page."""
    parts = [_HEAD]
    for title, variables in sections():
        rows = "\n".join(_row(variable.name, variable.field) for variable in variables)
        parts.append(
            f"\n## {title}\n\n| variable | takes | default | meaning |\n| --- | --- | --- | --- |\n{rows}\n"
        )
    return "".join([*parts, _PROCESSES])


def _row(name: str, field: FieldInfo) -> str:
    return f"| `{name}` | {_takes(field)} | {_default(field)} | {_cell(field.description or '')} |"


def _takes(field: FieldInfo) -> str:
    words = _type(field.annotation)
    bounds = [
        f"{sign} {getattr(bound, name):,}"
        for bound in field.metadata
        for name, sign in (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below"))
        if hasattr(bound, name)
    ]
    return ", ".join([words, *bounds])


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return _either(f"`{each}`" for each in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_type(each) for each in arguments if each is not type(None))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return _either(f"`{each.value}`" for each in annotation)
    return _WORDS.get(annotation, "JSON")


def _either(values: Iterable[str]) -> str:
    return ", ".join(values)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**needed**"
    value = field.default
    if value is None or isinstance(value, SecretStr) or value == "":
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{_cell(text)}`"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


if __name__ == "__main__":
    print(settings_reference(), end="")  # noqa: T201 - its output is its purpose
