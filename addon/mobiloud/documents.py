"""Reading text as a configuration: JSON that is small and shallow, then the schema, then what a schema cannot say."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError

from provisioning.safe_fetch import AddressRefused, check_url
from provisioning.services import Refusal

LARGEST_BYTES = 100_000
DEEPEST = 20
_PROBLEMS_SHOWN = 50
_LINK_SCHEMES = ("mailto:", "tel:")
_LINK_CHARACTERS = 500
_EMPTY, _NO_ICON = "This cannot be empty.", "Pick an icon."

Configuration = dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """What is wrong at one place: a JSON pointer (RFC 6901), its line from 1 where known, and a sentence."""

    path: str
    message: str
    line: int | None = None

    def as_json(self) -> dict[str, Any]:
        """For the page's script."""
        return {"path": self.path, "message": self.message, "line": self.line}


class Unfit(Refusal):
    """A configuration that cannot be saved; `problems` tells each place."""

    def __init__(self, problems: list[Problem]) -> None:
        """The first problem is the message."""
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        place = f"{first.path}: " if first.path else ""
        super().__init__(f"{place}{first.message}{more}", code="configuration_unfit")
        self.problems = problems


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema that forms, editor and API share."""
    content: dict[str, Any] = json.loads((Path(__file__).parent / "configuration.schema.json").read_text())
    return content


def schema_at(pointer: str) -> dict[str, Any]:
    """The part of the schema for a place such as `menu.tabs.label`, with `$ref` filled in."""
    found = schema()
    for name in pointer.split("."):
        found = found.get("items", found)["properties"][name]
    if reference := found.get("$ref"):
        found = {**schema()["$defs"][reference.rpartition("/")[2]], **found}
    return found


_formats = FormatChecker(formats=())


def _is_web_address(value: object) -> bool:
    if isinstance(value, str):
        check_url(value)
    return True


def _is_link_address(value: object) -> bool:
    if isinstance(value, str) and value.lower().startswith(_LINK_SCHEMES):
        rest = value.partition(":")[2]
        if not rest or len(value) > _LINK_CHARACTERS or any(ord(c) < 33 or c in '<>"\\' for c in value):
            raise AddressRefused("That is not an e-mail address or telephone number.")
        return True
    return _is_web_address(value)


_formats.checks("web-address", raises=AddressRefused)(_is_web_address)
_formats.checks("link-address", raises=AddressRefused)(_is_link_address)


def parse(text: str) -> Configuration:
    """The JSON object that `text` is; Unfit with the line for what is no JSON, too large, too deep or ambiguous."""
    found = parse_value(text)
    if not isinstance(found, dict):
        raise Unfit([Problem("", "The configuration has to be a JSON object, in braces.", line=1)])
    return found


def parse_value(text: str) -> Any:
    """As `parse`, for any JSON value."""
    if len(text.encode(errors="surrogatepass")) > LARGEST_BYTES:
        raise Unfit([Problem("", f"The configuration is larger than {LARGEST_BYTES // 1000} kB.")])
    _check_depth(text)
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise Unfit(
            [Problem("", f"This is not JSON: {error.msg} (column {error.colno}).", line=error.lineno)]
        ) from None
    except _Ambiguous as error:
        raise Unfit([Problem("", str(error))]) from None
    except (ValueError, RecursionError):
        raise Unfit([Problem("", "A number in it is too large.")]) from None


def check(configuration: Configuration) -> None:
    """Raise Unfit with every problem unless the configuration can be saved. Unknown keys are no problem."""
    text = dump(configuration)
    if len(text.encode(errors="surrogatepass")) > LARGEST_BYTES:
        raise Unfit([Problem("", f"The configuration is larger than {LARGEST_BYTES // 1000} kB.")])
    _check_depth(text)
    found = [*_bad_text(configuration, "")]
    if not found:
        validator = Draft202012Validator(schema(), format_checker=_formats)
        for number, error in enumerate(validator.iter_errors(configuration)):
            if number == _PROBLEMS_SHOWN:
                break
            found.append(Problem(pointer(error.absolute_path), _in_words(error)))
        found += _beyond_schema(configuration)
    if found:
        # What is empty is nothing else as well.
        empty = {problem.path for problem in found if problem.message in (_EMPTY, _NO_ICON)}
        told = (each for each in found if each.path not in empty or each.message in (_EMPTY, _NO_ICON))
        raise Unfit(sorted(told, key=lambda problem: problem.path))


def dump(configuration: Configuration) -> str:
    """The text that is stored and shown: the order of keys is kept."""
    return json.dumps(configuration, ensure_ascii=False, indent=2)


def pointer(path: Any) -> str:
    """A JSON pointer from keys and positions."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def differences(was: Any, now: Any, path: str = "") -> Iterator[dict[str, Any]]:
    """What changed, place by place: `{"path", "was", "now"}`; a side that did not exist is left out."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in [*was, *(key for key in now if key not in was)]:
            yield from _difference_at(was, now, key, key in was, key in now, path)
    elif isinstance(was, list) and isinstance(now, list):
        for number in range(max(len(was), len(now))):
            yield from _difference_at(was, now, number, number < len(was), number < len(now), path)
    elif was != now or type(was) is not type(now):
        yield {"path": path, "was": was, "now": now}


def _difference_at(
    was: Any, now: Any, key: Any, before: bool, after: bool, path: str
) -> Iterator[dict[str, Any]]:
    here = path + pointer([key])
    if before and after:
        yield from differences(was[key], now[key], here)
    elif before:
        yield {"path": here, "was": was[key]}
    else:
        yield {"path": here, "now": now[key]}


class _Ambiguous(ValueError):
    """Text that two readers would read differently."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Ambiguous(f"The key {key[:60]!r} stands twice in one object.")
        found[key] = value
    return found


def _no_constant(name: str) -> None:
    raise _Ambiguous(f"{name} is not JSON.")


def _check_depth(text: str) -> None:
    """Before anything is parsed: parsers recurse."""
    depth, line, inside, escaped = 0, 1, False, False
    for character in text:
        if character == "\n":
            line += 1
        if inside:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                inside = False
        elif character == '"':
            inside = True
        elif character in "[{":
            depth += 1
            if depth > DEEPEST:
                raise Unfit(
                    [Problem("", f"The configuration is nested deeper than {DEEPEST} levels.", line=line)]
                )
        elif character in "]}":
            depth -= 1


def _bad_text(value: Any, path: str) -> Iterator[Problem]:
    """Characters that no database or browser keeps as they are."""
    if isinstance(value, str):
        if "\0" in value or any(0xD800 <= ord(character) <= 0xDFFF for character in value):
            yield Problem(path, "There is a character in it that is not text.")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _bad_text(key, path)
            yield from _bad_text(item, path + pointer([key]))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _bad_text(item, f"{path}/{number}")


@cache
def icons() -> dict[str, str]:
    """The icons of tabs by name, with the words that find them; the front end's build draws the same ones."""
    found: dict[str, str] = json.loads(
        (settings.BASE_DIR / "frontend" / "src" / "tab-icons.json").read_text()
    )
    return found


def _beyond_schema(configuration: Configuration) -> Iterator[Problem]:
    menu = configuration.get("menu")
    tabs = menu.get("tabs") if isinstance(menu, dict) else None
    for number, tab in enumerate(tabs if isinstance(tabs, list) else []):
        icon = tab.get("icon") if isinstance(tab, dict) else None
        if isinstance(icon, str) and icon and icon not in icons():
            yield Problem(
                f"/menu/tabs/{number}/icon", f"There is no icon called {icon[:60]}. Pick one in Menu."
            )
    seen: dict[str, int] = {}
    notifications = configuration.get("notifications")
    categories = notifications.get("categories") if isinstance(notifications, dict) else None
    for number, category in enumerate(categories if isinstance(categories, list) else []):
        identity = category.get("id") if isinstance(category, dict) else None
        if not isinstance(identity, str):
            continue
        if identity in seen:
            yield Problem(
                f"/notifications/categories/{number}/id",
                f"The ID {identity} is already that of category {seen[identity] + 1}.",
            )
        seen.setdefault(identity, number)


def _in_words(error: ValidationError) -> str:
    title = error.schema.get("title") if isinstance(error.schema, dict) else None
    subject = str(title) if title else "This"
    instance: Any = error.instance
    wanted: Any = error.validator_value
    match error.validator:
        case "format":
            return str(error.cause) if error.cause else f"{subject} is not an address."
        case "required":
            missing = [name for name in wanted if name not in instance]
            return f"{', '.join(missing)} is missing."
        case "maxItems":
            return f"There can be at most {wanted}, not {len(instance)}."
        case "minLength":
            return _NO_ICON if subject == "Icon" else _EMPTY
        case "maxLength":
            return f"At most {wanted} characters."
        case "enum":
            return f"Has to be one of {', '.join(map(str, wanted))}."
        case "const":
            return f"Has to be {wanted}."
        case "type":
            return f"Has to be {_TYPES.get(str(wanted), str(wanted))}."
        case "pattern" if "A-Fa-f" in str(wanted):
            return "A color is written #RRGGBB, such as #0B6B5D."
        case "pattern":
            return "Lower-case letters, digits and dashes only."
    return "This does not fit the schema."


_TYPES = {"object": "an object, in braces", "array": "a list, in brackets", "string": "a text, in quotes"}
