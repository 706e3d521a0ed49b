"""Single fields of a request's body."""

from collections.abc import Callable, Mapping
from typing import Any

from addon.inference.gateway.errors import invalid


def take(body: Mapping[str, Any], name: str, kind: Callable[[Any], bool]) -> Any:
    """The field `name` if it is of `kind`; None when it is not there or null; ApiError 400 names it."""
    value = body.get(name)
    if value is not None and not kind(value):
        raise invalid(f"{name} must be {_KINDS[kind]}.", param=name)
    return value


def boolean(value: Any) -> bool:
    """Whether it is JSON's true or false."""
    return isinstance(value, bool)


def integer(value: Any) -> bool:
    """Whether it is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def number(value: Any) -> bool:
    """Whether it is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


_KINDS: dict[Callable[[Any], bool], str] = {
    boolean: "true or false",
    integer: "a whole number",
    number: "a number",
}
