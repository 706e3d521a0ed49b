"""The tools of a chat completion, and the choice among them."""

import re
from collections.abc import Mapping
from typing import Any

from addon.inference.gateway.catalogue import Model
from addon.inference.gateway.errors import invalid
from addon.inference.gateway.fields import boolean, take

_TOOL_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,128}\Z")


def check_tools(body: Mapping[str, Any], model: Model) -> dict[str, Any]:
    """`tools`, `tool_choice` and `parallel_tool_calls` for an upstream, as far as there are any; ApiError 400."""
    tools, choice = body.get("tools"), body.get("tool_choice")
    parallel = take(body, "parallel_tool_calls", boolean)
    if not tools:
        if tools not in (None, []):
            raise invalid("tools must be an array.", param="tools")
        if choice not in (None, "none", "auto"):
            raise invalid("tool_choice needs tools to choose from.", param="tool_choice")
        return {}
    if not isinstance(tools, list):
        raise invalid("tools must be an array.", param="tools")
    checked = [_tool(number, tool) for number, tool in enumerate(tools)]
    names = {tool["function"]["name"] for tool in checked}
    if len(names) < len(checked):
        raise invalid("Every tool needs a name of its own.", param="tools")
    found = {"tools": checked, "tool_choice": _tool_choice(choice, names)}
    if parallel is not None and model.parallel_tool_calls:
        found["parallel_tool_calls"] = parallel
    return found


def _tool(number: int, tool: Any) -> dict[str, Any]:
    where = f"tools[{number}]"
    if not isinstance(tool, dict) or tool.get("type") != "function":
        raise invalid(f"{where}: tools of type 'function' are supported, no others.", param=f"{where}.type")
    function = tool.get("function")
    if not isinstance(function, dict):
        raise invalid(f"{where}.function is required", param=f"{where}.function")
    name = function.get("name")
    if not isinstance(name, str) or not _TOOL_NAME.match(name):
        raise invalid(
            f"{where}.function.name must be 1 to 128 letters, digits and _.:/-",
            param=f"{where}.function.name",
        )
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    if not isinstance(parameters, dict):
        raise invalid(f"{where}.function.parameters must be a JSON schema.", param=f"{where}.function")
    described = function.get("description")
    found = {
        "name": name,
        "description": described if isinstance(described, str) and described else name,
        "parameters": parameters,
    }
    if isinstance(function.get("strict"), bool):
        found["strict"] = function["strict"]
    return {"type": "function", "function": found}


def _tool_choice(choice: Any, names: set[str]) -> Any:
    if choice is None:
        return "auto"
    if choice in ("none", "auto", "required"):
        return choice
    function = (
        choice.get("function") if isinstance(choice, dict) and choice.get("type") == "function" else None
    )
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        raise invalid(
            "tool_choice must be none, auto, required or {'type': 'function', 'function': {'name': '…'}}.",
            param="tool_choice",
        )
    if name not in names:
        raise invalid(f"tool_choice names '{name[:80]}', which is not among the tools.", param="tool_choice")
    return {"type": "function", "function": {"name": name}}
