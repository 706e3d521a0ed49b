"""Reading Heroku's request bodies: strict on what is needed, lenient on everything else.

Only `uuid` and `plan` are always there. Unknown fields are ignored, optional ones may be absent or null, and the bodies
that Heroku's old checker sends (`heroku_id`, no `oauth_grant`, no `name`) are read as well.
"""

import json
import math
import re
import uuid as uuids
from datetime import UTC, datetime
from typing import Any

from django.http import Http404

from provisioning.masking import mask_value
from provisioning.resources import ProvisionRequest
from provisioning.services import Refusal

_DEEPEST = 50
_SLUG_LONGEST = 200
_OPTIONS_MOST = 50
_OPTION_NAME_LONGEST = 100
_OPTION_VALUE_LONGEST = 2_000
_STORED_TEXT_LONGEST = 500
_SECRET_FIELDS = {"oauth_grant", "log_input_url", "log_drain_token", "logplex_token"}
_OFFSET = re.compile(r"([+-]\d{2})(\d{2})$")


def read_json(raw: bytes) -> Any:
    """The JSON of a body in a form that Postgres takes; ValueError or RecursionError when it is none or too deep.

    JSON can say what neither UTF-8 nor Postgres can: half surrogate pairs are replaced, numbers that are none (NaN)
    or lie beyond every range become texts. They stand in fields that nobody needs, and must not fail the call.
    """
    return _encodable(json.loads(raw, parse_constant=str, parse_float=_finite))


def _finite(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _encodable(value: Any, *, depth: int = 0) -> Any:
    if depth > _DEEPEST:
        raise ValueError("nested too deep")
    match value:
        case str():
            return value.encode(errors="replace").decode()
        case dict():
            return {_encodable(name): _encodable(item, depth=depth + 1) for name, item in value.items()}
        case list():
            return [_encodable(item, depth=depth + 1) for item in value]
    return value


def read_uuid(text: str) -> uuids.UUID:
    """The uuid of a path; Http404 for anything else."""
    try:
        return uuids.UUID(text)
    except ValueError:
        raise Http404 from None


def read_provision(body: dict[str, Any]) -> ProvisionRequest:
    """A provision request; Refusal names the field that does not fit."""
    raw_uuid = body.get("uuid")
    try:
        uuid = uuids.UUID(raw_uuid) if isinstance(raw_uuid, str) else None
    except ValueError:
        uuid = None
    if uuid is None:
        raise Refusal("The field 'uuid' is missing or not a UUID.", code="invalid_uuid")
    grant = body.get("oauth_grant")
    grant = grant if isinstance(grant, dict) else {}
    return ProvisionRequest(
        uuid=uuid,
        plan=read_plan_change(body),
        name=_text(body.get("name"), longest=200),
        region=_text(body.get("region"), longest=200) or None,
        options=_options(body.get("options")),
        grant_code=_text(grant.get("code"), longest=500) or None,
        grant_expires_at=read_time(grant.get("expires_at")),
        log_input_url=_text(body.get("log_input_url"), longest=2_000) or None,
        stored=_storable(body),
    )


def read_plan_change(body: dict[str, Any]) -> str:
    """The plan's slug; Refusal when there is none."""
    plan = body.get("plan")
    if not isinstance(plan, str) or not plan or len(plan) > _SLUG_LONGEST or "\0" in plan:
        raise Refusal("The field 'plan' is missing or not a plan's name.", code="invalid_plan")
    return plan


def read_time(value: Any) -> datetime | None:
    """A time of Heroku's, also with an offset that lacks its colon (`-0800`); None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(_OFFSET.sub(r"\1:\2", value.strip()))
        # In UTC at once: what lies outside of the calendar there could be stored, but never read again.
        return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _text(value: Any, *, longest: int) -> str:
    """A text without NUL (which Postgres does not take), or an empty one for whatever else came."""
    return value.replace("\0", "")[:longest] if isinstance(value, str) else ""


def _options(value: Any) -> dict[str, str]:
    """Options of `addons:create` as texts: a bare switch may come as true or "true"."""
    if not isinstance(value, dict):
        return {}
    if len(value) > _OPTIONS_MOST:
        raise Refusal(f"At most {_OPTIONS_MOST} options can be given.", code="options_unsupported")
    options = {}
    for name, item in value.items():
        text = {True: "true", False: "false"}.get(item, item) if isinstance(item, bool) else item
        text = str(text) if isinstance(text, int | float) else text
        if text is None:
            continue
        if not isinstance(text, str) or len(name) > _OPTION_NAME_LONGEST or len(text) > _OPTION_VALUE_LONGEST:
            raise Refusal(
                f"The option '{name[:_OPTION_NAME_LONGEST]}' has to be a text of at most {_OPTION_VALUE_LONGEST} "
                "characters.",
                code="options_unsupported",
            )
        options[name.replace("\0", "")] = text.replace("\0", "")
    return options


def _storable(body: dict[str, Any]) -> dict[str, Any]:
    """The request for later inspection: flat values and their names, shortened, secrets left out."""
    kept: dict[str, Any] = {}
    for name, value in list(body.items())[:50]:
        if name in _SECRET_FIELDS:
            continue
        masked = mask_value(value, name=name)  # before it is flattened, while the names inside can be seen
        flat = masked if isinstance(masked, int | float | bool | None) else str(masked).replace("\0", "")
        flat = flat[:_STORED_TEXT_LONGEST] if isinstance(flat, str) else flat
        kept[name.replace("\0", "")[:_OPTION_NAME_LONGEST]] = flat
    return kept
