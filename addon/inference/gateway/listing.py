"""The lists of models, as OpenAI's clients and Heroku's command line read them."""

from typing import Any

from addon.inference.gateway.catalogue import models
from addon.inference.gateway.errors import ApiError
from addon.inference.gateway.keys import Caller

CREATED = 1_764_633_600
"""2 December 2025, the date of the model cards: clients want a number."""


def available_models() -> list[dict[str, Any]]:
    """Every model for sale: `ai:models:list` reads it, with no key of ours."""
    return [
        {"model_id": model.id, "type": [model.cli_type], "regions": list(model.regions)}
        for model in models().values()
    ]


def key_models(caller: Caller) -> dict[str, Any]:
    """The models that the caller's key is for."""
    return {"object": "list", "data": [_entry(caller.plan)] if caller.plan in models() else []}


def key_model(caller: Caller, name: str) -> dict[str, Any]:
    """One of them; ApiError 404."""
    if name != caller.plan or name not in models():
        raise ApiError(404, f"model not found: '{name[:100]}'", code="model_not_found", param="model")
    return _entry(name)


def resource_model(caller: Caller, addon_id: str) -> dict[str, Any]:
    """What `ai:models:info` shows of an add-on; ApiError 404 for any but the key's own."""
    if addon_id.lower() != caller.resource_uuid:
        raise ApiError(404, "There is no such model resource.", code="not_found")
    return {
        "model_id": caller.plan,
        "ready": "Yes",
        "created": CREATED,
        "avg_performance": "-",
        "regions": [caller.region],
        "tokens_per_minute": caller.tokens_per_minute,
        "requests_per_minute": caller.requests_per_minute,
    }


def _entry(model: str) -> dict[str, Any]:
    return {"id": model, "object": "model", "created": CREATED, "owned_by": "addonworks"}
