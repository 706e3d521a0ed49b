"""Calls to Heroku's Platform API about one resource, and what its answers mean.

Sources: Heroku's Platform API reference (statuses, headers) and its published schema (paths, bodies).
"""

import time
from typing import Any

import requests
from django.conf import settings

from provisioning import access, heroku_calls
from provisioning.heroku_http import TIMEOUT, error_id, retry_after, session
from provisioning.models import Resource
from provisioning.services import Fault, Unrecoverable

MEDIA_TYPE = "application/vnd.heroku+json; version=3"
ResourceGone = access.ResourceGone


def read_addon(resource: Resource) -> dict[str, Any]:
    """The add-on as Heroku has it: `state`, `plan.name`, `app` …"""
    found = _call("GET", f"/addons/{resource.uuid}", resource=resource)
    if not isinstance(found, dict):
        raise Fault("the add-on that Heroku answered is no object")
    return found


def read_config(resource: Resource) -> dict[str, str]:
    """The config vars that Heroku holds for the resource, by full name."""
    pairs = _call("GET", f"/addons/{resource.uuid}/config", resource=resource)
    try:
        return {pair["name"]: pair["value"] for pair in pairs if pair.get("value") is not None}
    except (TypeError, KeyError, AttributeError):
        raise Fault("the config vars that Heroku answered are no list of names and values") from None


def write_config(resource: Resource, config: dict[str, str]) -> None:
    """Replace the config vars by `config`, the complete set: whether Heroku keeps omitted names is not documented."""
    body = {"config": [{"name": name, "value": value} for name, value in sorted(config.items())]}
    _call("PATCH", f"/addons/{resource.uuid}/config", resource=resource, json=body)


def mark_provisioned(resource: Resource) -> None:
    """Tell Heroku that an asynchronous provision has finished."""
    _call("POST", f"/addons/{resource.uuid}/actions/provision", resource=resource)


def mark_deprovisioned(resource: Resource) -> None:
    """Tell Heroku that an asynchronous provision has failed and the resource is gone."""
    _call("POST", f"/addons/{resource.uuid}/actions/deprovision", resource=resource)


def read_log_inputs(resource: Resource) -> list[str]:
    """The secret address of each attachment at which lines for its app's log are taken; of a gone attachment none."""
    attachments = _call("GET", f"/addons/{resource.uuid}/addon-attachments", resource=resource)
    try:
        return [each["log_input_url"] for each in attachments if each.get("log_input_url")]
    except (TypeError, AttributeError):
        raise Fault("the attachments that Heroku answered are no list of objects") from None


def read_app(resource: Resource, app: str) -> dict[str, Any]:
    """One app by id or name."""
    found: dict[str, Any] = _call("GET", f"/apps/{app}", resource=resource)
    return found


def read_collaborators(resource: Resource, app: str) -> list[dict[str, Any]]:
    """Who has access to an app, with `role` and `user.email`."""
    found: list[dict[str, Any]] = _call("GET", f"/apps/{app}/collaborators", resource=resource)
    return found


def read_team_members(resource: Resource, team: str) -> list[dict[str, Any]]:
    """The members of a team, with `role` and `email`; a scope that does not cover them is a ResourceGone."""
    found: list[dict[str, Any]] = _call("GET", f"/teams/{team}/members", resource=resource)
    return found


def _call(method: str, path: str, *, resource: Resource, json: Any = None) -> Any:
    """One call with the resource's token; a 401 refreshes it once.

    Raises ResourceGone on 403, 404 and 410, Fault on 429, 5xx (with Heroku's Retry-After), a redirect, an answer that
    cannot be read and when nothing answers, Unrecoverable on any other refusal. No exception holds a token or a body.
    """
    token = access.usable_token(resource)
    response = _send(method, path, resource=resource, token=token, json=json)
    if response.status_code == 401:
        token = access.refreshed_token(resource, stale=token)
        response = _send(method, path, resource=resource, token=token, json=json)
    status = response.status_code
    if status in (403, 404, 410):
        raise ResourceGone(f"{method} {path}: {status}")
    if status in (401, 408, 429) or status >= 500 or 300 <= status < 400:
        raise Fault(f"{method} {path}: {status}", retry_after=retry_after(response))
    if status >= 400:
        raise Unrecoverable(f"{method} {path}: {status} {error_id(response)}")
    try:
        return response.json() if response.content else None
    except ValueError:
        raise Fault(f"{method} {path}: {status} without JSON") from None


def _send(method: str, path: str, *, resource: Resource, token: str, json: Any) -> requests.Response:
    started = time.monotonic()

    def note(status: int, error: str) -> None:
        heroku_calls.note(
            resource, method=method, path=path, status=status, error=error, seconds=time.monotonic() - started
        )

    try:
        response = session.request(
            method,
            settings.HEROKU_API_URL + path,
            json=json,
            headers={
                "Accept": MEDIA_TYPE,
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json",
            },
            timeout=TIMEOUT,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        note(0, type(error).__name__)
        raise Fault(f"{method} {path}: {type(error).__name__}") from None
    note(response.status_code, error_id(response) if response.status_code >= 400 else "")
    return response
