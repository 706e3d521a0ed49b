"""The Platform API for Partners: what a provider may do with a resource's access token."""

from __future__ import annotations

from typing import Any

from sandbox import apps, resources, shapes, webhooks
from sandbox.errors import invalid, not_found
from sandbox.records import Addon, App, attachments_of, attachments_on, find_app, reread
from sandbox.web_api import Call, Reply


def own_addon(call: Call) -> Addon:
    """The resource the token belongs to, if the path names it (id or name). Raises ApiError 404.

    Re-read, because the state may have changed since the call came in.
    """
    if call.partner is None:
        raise LookupError("a partner call without a partner")
    row = reread(call.sandbox.store, call.partner)
    if call.path("addon") not in (row.id, row.name) or row.deleted_at is not None:
        raise not_found("add-on")
    return row


def own_app(call: Call) -> App:
    """The app of the path, if the token's resource is attached to it. Raises ApiError 404."""
    row = find_app(call.sandbox.store, call.path("app"))
    if row is None or call.partner is None:
        raise not_found("app")
    attached = {attachment.app_id for attachment in attachments_of(call.sandbox.store, call.partner.id)}
    if row.id not in attached | {call.partner.app_id}:
        raise not_found("app")
    return row


async def show_addon(call: Call) -> Any:
    """``GET /addons/<uuid>``."""
    return shapes.addon(call.sandbox, own_addon(call), expand=call.expand)


async def list_addons(call: Call) -> Any:
    """``GET /addons`` and ``GET /apps/<app>/addons``: the token's resource."""
    if call.partner is None:
        raise LookupError("a partner call without a partner")
    if "app" in call.request.match_info and own_app(call).id != call.partner.app_id:
        return []
    return [shapes.addon(call.sandbox, call.partner, expand=call.expand)]


async def config(call: Call) -> Any:
    """``GET /addons/<uuid>/config``."""
    return shapes.config_list(own_addon(call).config_values)


async def update_config(call: Call) -> Any:
    """``PATCH /addons/<uuid>/config`` with ``{config: [{name, value}]}``; answers the whole config."""
    row, entries = own_addon(call), call.body.get("config")
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict) and "name" in entry for entry in entries
    ):
        raise invalid("config must be a list of {name, value}.")
    changes = {str(entry["name"]): entry.get("value") for entry in entries}
    return shapes.config_list(resources.patch_config(call.sandbox, row, changes))


async def provision(call: Call) -> Any:
    """``POST /addons/<uuid>/actions/provision``."""
    return shapes.addon(call.sandbox, resources.provision_action(call.sandbox, own_addon(call)))


async def deprovision(call: Call) -> Any:
    """``POST /addons/<uuid>/actions/deprovision``."""
    return shapes.addon(call.sandbox, resources.deprovision_action(call.sandbox, own_addon(call)))


async def list_apps(call: Call) -> Any:
    """``GET /apps``: those the resource is attached to."""
    if call.partner is None:
        raise LookupError("a partner call without a partner")
    ids = dict.fromkeys(
        [call.partner.app_id, *(a.app_id for a in attachments_of(call.sandbox.store, call.partner.id))]
    )
    found = (find_app(call.sandbox.store, app_id) for app_id in ids)
    return [shapes.app(row) for row in found if row is not None]


async def show_app(call: Call) -> Any:
    """``GET /apps/<app>``."""
    return shapes.app(own_app(call))


async def collaborators(call: Call) -> Any:
    """``GET /apps/<app>/collaborators``."""
    row = own_app(call)
    return [shapes.collaborator(row, one) for one in apps.collaborators_of(call.sandbox, row)]


async def attachments(call: Call) -> Any:
    """``GET /addons/<uuid>/addon-attachments``, and on an app those of this resource."""
    if "addon" in call.request.match_info:
        rows = attachments_of(call.sandbox.store, own_addon(call).id)
    else:
        on = own_app(call)
        rows = [
            row
            for row in attachments_on(call.sandbox.store, on.id)
            if call.partner and row.addon_id == call.partner.id
        ]
    return [shapes.attachment(call.sandbox, row, partner=True) for row in rows]


async def create_webhook(call: Call) -> Any:
    """``POST /addons/<uuid>/webhooks``; a secret made here is shown once, in a header."""
    row, secret = webhooks.subscribe(call.sandbox, own_addon(call), call.body)
    return Reply(webhooks.as_json(row), 201, {"Heroku-Webhook-Secret": secret} if secret else {})


async def list_webhooks(call: Call) -> Any:
    """``GET /addons/<uuid>/webhooks``."""
    return [webhooks.as_json(row) for row in webhooks.of_addon(call.sandbox, own_addon(call))]


async def show_webhook(call: Call) -> Any:
    """``GET /addons/<uuid>/webhooks/<id>``."""
    return webhooks.as_json(webhooks.find(call.sandbox, own_addon(call), call.path("webhook")))


async def update_webhook(call: Call) -> Any:
    """``PATCH /addons/<uuid>/webhooks/<id>``."""
    return webhooks.as_json(webhooks.change(call.sandbox, own_addon(call), call.path("webhook"), call.body))


async def delete_webhook(call: Call) -> Any:
    """``DELETE /addons/<uuid>/webhooks/<id>``."""
    row = webhooks.find(call.sandbox, own_addon(call), call.path("webhook"))
    webhooks.unsubscribe(call.sandbox, row["addon_id"], row["id"])
    return webhooks.as_json(row)
