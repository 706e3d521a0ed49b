"""JSON schemas of tools without references, for servers that do not follow them."""

from collections.abc import Mapping
from typing import Any

from addon.inference.gateway.errors import ApiError, invalid

NODES_MOST = 20_000
"""A few nested references can stand for more than any memory holds."""

_DEFINITIONS = ("$defs", "definitions")


def inlined(schema: Mapping[str, Any]) -> dict[str, Any]:
    """`schema` with every local reference replaced by what it refers to, and without the definitions.

    Where a definition contains itself, its repetition is any object. ApiError 400 for a reference that leads nowhere,
    and for a schema that grows out of all proportion.
    """
    found = _Reader(schema).read({name: schema[name] for name in schema if name not in _DEFINITIONS}, ())
    return found if isinstance(found, dict) else {}


class _Reader:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root, self._nodes = root, 0

    def read(self, node: Any, inside: tuple[str, ...]) -> Any:
        self._nodes += 1
        if self._nodes > NODES_MOST:
            raise _unfit("it is too large")
        if isinstance(node, list):
            return [self.read(each, inside) for each in node]
        if not isinstance(node, dict):
            return node
        reference = node.get("$ref")
        if not isinstance(reference, str):
            return {name: self.read(value, inside) for name, value in node.items()}
        beside = {name: self.read(value, inside) for name, value in node.items() if name != "$ref"}
        if reference in inside:
            return {"type": "object", **beside}
        found = self.read(self._target(reference), (*inside, reference))
        return {**found, **beside} if isinstance(found, dict) else found

    def _target(self, reference: str) -> Any:
        found: Any = self._root
        if not reference.startswith("#/"):
            raise _unfit(f"the reference '{reference[:80]}' does not lead into it")
        for name in reference[2:].split("/"):
            name = name.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or name not in found:
                raise _unfit(f"the reference '{reference[:80]}' leads nowhere")
            found = found[name]
        return found


def _unfit(reason: str) -> ApiError:
    return invalid(f"A tool's parameters are no schema that can be used: {reason}.", param="tools")
