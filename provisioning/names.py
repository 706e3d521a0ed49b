"""What Heroku calls an add-on and its app: names change on its side at any time, so the last ones read are kept."""

from collections.abc import Mapping
from typing import Any

from provisioning.models import Resource


def keep_names(
    resource: Resource, *, addon: Mapping[str, Any] | None = None, app: Mapping[str, Any] | None = None
) -> None:
    """Keep the names in what the Platform API answered for the add-on, for its app, or both.

    `app` defaults to the app inside of `addon`. What an answer leaves out stays as it is.
    """
    addon = addon or {}
    inside = addon.get("app")
    app = app or (inside if isinstance(inside, Mapping) else {})
    fresh = {
        "name": str(addon.get("name") or resource.name)[:200],
        "app_id": str(app.get("id") or resource.app_id)[:60],
        "app_name": str(app.get("name") or resource.app_name)[:200],
    }
    changed = [key for key, value in fresh.items() if getattr(resource, key) != value]
    if changed:
        for key in changed:
            setattr(resource, key, fresh[key])
        resource.save(update_fields=changed)
