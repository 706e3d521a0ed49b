"""Provision: the request in all its forms, and the answer."""

import uuid as uuids
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from conformance.case import Case, Made, expect, expect_message, expect_refusal, expect_status, expect_success
from conformance.catalogue import Certainty, Level, NotRun, check, register
from conformance.exchange import Exchange

REQUIRED, ADVICE = Level.REQUIRED, Level.ADVICE
REFERENCE = "Partner API Reference"
EXTRA_FIELDS: dict[str, Any] = {
    "a_field_of_tomorrow": "text",
    "nested": {"space": {"id": None}, "list": [1, 2.5, True, None, {"deep": ["er"]}]},
}


@check(
    "provision.status",
    REQUIRED,
    Certainty.CODE,
    "A provision is answered 200, or 202 when it is asynchronous.",
)
def _status(case: Case) -> None:
    answer = case.partner.provision(case.partner.body())
    if case.target.asynchronous:
        expect_status(answer, 202)
    else:
        hint = " (give --async for a provider that answers 202)" if answer.status == 202 else ""
        # Heroku's old checker takes 201 as well.
        expect(answer.status in (200, 201), f"{answer.answered}, expected 200{hint}", answer)


@check("provision.id", REQUIRED, Certainty.DOCUMENTED, "The answer has an 'id': a text.", source=REFERENCE)
def _id(case: Case) -> None:
    made = case.made()
    expect(isinstance(made.id, str) and made.id, f"'id' is {made.id!r}", made.exchange)


@check(
    "provision.unique_id",
    REQUIRED,
    Certainty.DOCUMENTED,
    "Two resources have two 'id's.",
    source="legacy Partner API Reference",
)
def _unique_id(case: Case) -> None:
    one, other = case.made(), case.made()
    expect(one.id != other.id, f"both have the id {one.id!r}", one.exchange, other.exchange)


@check(
    "provision.message",
    ADVICE,
    Certainty.CODE,
    "The answer has a 'message' that the customer is shown.",
    source="the CLI prints it",
)
def _message(case: Case) -> None:
    made = case.made()
    message = made.exchange.object.get("message")
    expect(isinstance(message, str) and message.strip(), f"'message' is {message!r}", made.exchange)


# --- config vars ----------------------------------------------------------------------------------------------
def check_config(case: Case, config: object, *exchanges: Exchange) -> dict[str, str]:
    """Failed unless `config` is an object of texts; the object."""
    expect(isinstance(config, dict), f"'config' is {type(config).__name__}, expected an object", *exchanges)
    assert isinstance(config, dict)  # noqa: S101 - said above, for the type checker
    wrong = [name for name, value in config.items() if not isinstance(value, str)]
    expect(not wrong, f"config vars that are no texts: {', '.join(wrong)}", *exchanges)
    return config


def check_declared(case: Case, config: object, *exchanges: Exchange) -> None:
    """Failed when a name is not in the manifest's `config_vars`; NotRun without a manifest."""
    declared = case.target.api.get("config_vars")
    if not isinstance(declared, list):
        raise NotRun("needs --manifest with 'api.config_vars'")
    names = config if isinstance(config, dict) else {}
    wrong = sorted(set(names) - set(declared))
    expect(not wrong, f"not among the manifest's config_vars: {', '.join(wrong)}", *exchanges)


def check_urls(config: object, *exchanges: Exchange) -> None:
    """Failed when the value of a `*_URL` has no scheme or no host."""
    pairs = config.items() if isinstance(config, dict) else ()
    wrong = [n for n, value in pairs if n.endswith("_URL") and isinstance(value, str) and not _is_url(value)]
    expect(not wrong, f"no scheme or no host: {', '.join(wrong)}", *exchanges)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return bool(parts.scheme and parts.hostname)
    except ValueError:
        return False


def _synchronous(case: Case) -> tuple[Made, Any]:
    case.needs_synchronous()
    made = case.made()
    if made.exchange.status == 202:
        raise NotRun("the provider answered 202, which carries no config")
    return made, made.exchange.object.get("config", {})


@check(
    "provision.config",
    REQUIRED,
    Certainty.CODE,
    "The answer's 'config' is an object whose values are texts.",
    source="kensa",
)
def _config(case: Case) -> None:
    made, config = _synchronous(case)
    check_config(case, config, made.exchange)


@check(
    "provision.config_declared",
    REQUIRED,
    Certainty.CODE,
    "Every config var is declared in the manifest.",
    source="kensa",
)
def _config_declared(case: Case) -> None:
    made, config = _synchronous(case)
    check_declared(case, config, made.exchange)


@check(
    "provision.config_urls",
    REQUIRED,
    Certainty.CODE,
    "The value of every config var that ends in _URL has a scheme and a host.",
    source="kensa",
)
def _config_urls(case: Case) -> None:
    made, config = _synchronous(case)
    check_urls(config, made.exchange)


@check(
    "provision.log_drain_url",
    REQUIRED,
    Certainty.DOCUMENTED,
    "A service whose manifest requires syslog_drain answers a 'log_drain_url': https or syslog.",
    source="Log Drains, kensa",
)
def _log_drain_url(case: Case) -> None:
    if "syslog_drain" not in case.target.requires:
        raise NotRun("the manifest does not require syslog_drain")
    made, _ = _synchronous(case)
    url = made.exchange.object.get("log_drain_url")
    right = isinstance(url, str) and urlsplit(url).scheme in ("https", "syslog") and urlsplit(url).hostname
    expect(right, f"'log_drain_url' is {url!r}", made.exchange)


# --- requests in all their forms --------------------------------------------------------------------------------
def _accepts(case: Case, **changes: Any) -> None:
    expect_success(case.partner.provision(case.partner.body(**changes)))


@check(
    "provision.unknown_fields",
    REQUIRED,
    Certainty.DOCUMENTED,
    "Fields that are not documented are ignored.",
    source=REFERENCE,
)
def _unknown_fields(case: Case) -> None:
    _accepts(case, **EXTRA_FIELDS)


_NULLS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("null_grant", {"oauth_grant": None}, "'oauth_grant' may be null"),
    ("null_options", {"options": None}, "'options' may be null"),
    (
        "null_fields",
        {"name": None, "callback_url": None, "log_input_url": None},
        "other optional fields may be null",
    ),
)
for _name, _changes, _words in _NULLS:
    register(
        f"provision.{_name}",
        level=ADVICE,
        certainty=Certainty.INFERRED,
        source="providers in production have types for it",
        requirement=f"In a provision request {_words}.",
        run=partial(_accepts, **_changes),
    )


@check(
    "provision.absent_fields",
    ADVICE,
    Certainty.INFERRED,
    "A provision request may lack whatever is optional: name, options, grant and callback_url.",
)
def _absent_fields(case: Case) -> None:
    body = case.partner.body()
    expect_success(case.partner.provision({name: body[name] for name in ("uuid", "plan", "region")}))


@check(
    "provision.grant_time",
    REQUIRED,
    Certainty.CODE,
    "The grant's 'expires_at' may have an offset without a colon, as in 2016-03-03T18:01:31-0800.",
    source="README of sudo-sandwich, and seen by providers",
)
def _grant_time(case: Case) -> None:
    body = case.partner.body()
    body["oauth_grant"]["expires_at"] = "2099-03-03T18:01:31-0800"
    expect_success(case.partner.provision(body))


@check(
    "provision.unknown_options",
    ADVICE,
    Certainty.DOCUMENTED,
    "Options that the service does not know are ignored.",
    source="Accepting Custom Options on Provision",
)
def _unknown_options(case: Case) -> None:
    _accepts(case, options={"an-option-of-nobody": "value", "other": "true"})


@check(
    "provision.boolean_options",
    ADVICE,
    Certainty.INFERRED,
    'A bare switch among the options may come as true instead of "true".',
    source="the CLI sends a boolean to Heroku",
)
def _boolean_options(case: Case) -> None:
    _accepts(case, options={"a-switch-of-nobody": True})


# --- refusals -------------------------------------------------------------------------------------------------
@check(
    "provision.unknown_plan",
    REQUIRED,
    Certainty.DOCUMENTED,
    "A plan that the service does not sell is refused, not accepted and no fault.",
    source="legacy Partner API Reference: what cannot be fulfilled is answered 422",
)
def _unknown_plan(case: Case) -> None:
    expect_refusal(case.partner.provision(case.partner.body(plan="no-such-plan")))


@check(
    "provision.unknown_plan_message",
    ADVICE,
    Certainty.DOCUMENTED,
    "The refusal of an unknown plan is a 422 with a 'message' for the customer.",
    source="legacy Partner API Reference, SHOULD",
)
def _unknown_plan_message(case: Case) -> None:
    expect_message(case.partner.provision(case.partner.body(plan="no-such-plan")))


@check(
    "provision.unknown_region",
    ADVICE,
    Certainty.INFERRED,
    "An unknown region is a 422 with a 'message', or taken for a default.",
    source="Supporting Private Spaces asks for 422 where a region is not supported",
)
def _unknown_region(case: Case) -> None:
    answer = case.partner.provision(case.partner.body(region="another-cloud::moon-1"))
    expect(answer.ok or answer.refused, f"{answer.answered}, expected 422 or 2xx", answer)
    if answer.refused:
        expect_message(answer)


def _bad_body(case: Case, *, without: str = "", raw: bytes | None = None, **changes: Any) -> None:
    body = {name: value for name, value in case.partner.body(**changes).items() if name != without}
    if raw is None:
        expect_refusal(case.partner.provision(body))
    else:
        expect_refusal(case.partner.call("POST", raw=raw))


_BAD_BODIES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("not_json", "that is no JSON", {"raw": b'{"uuid": "'}),
    ("not_object", "that is no JSON object", {"raw": b"[1, 2]"}),
    ("no_uuid", "without a 'uuid'", {"without": "uuid"}),
    ("bad_uuid", "whose 'uuid' is none", {"uuid": "not-a-uuid"}),
    ("no_plan", "without a 'plan'", {"without": "plan"}),
)
for _name, _words, _arguments in _BAD_BODIES:
    register(
        f"provision.{_name}",
        level=ADVICE,
        certainty=Certainty.INFERRED,
        requirement=f"A provision request {_words} is refused (4xx), no fault (5xx).",
        run=partial(_bad_body, **_arguments),
    )


@check(
    "provision.odd_values",
    ADVICE,
    Certainty.INFERRED,
    "Long, nested and odd values in optional fields are accepted or refused, no fault (5xx).",
    source="Heroku validates no options",
)
def _odd_values(case: Case) -> None:
    for options in (
        {"a": "x" * 20_000},
        {"a": {"b": ["c"]}},
        {"nul": "a\0b"},
        {"half": "\ud83d"},
        ["no", "object"],
    ):
        answer = case.partner.provision(case.partner.body(uuid=str(uuids.uuid4()), options=options))
        expect(answer.ok or answer.refused, f"{answer.answered}, expected 2xx or 4xx", answer)
