"""Asynchronous provisioning: 202, PATCH config, actions/provision, against the suite's Platform API."""

import time

from conformance.case import Case, expect, expect_status, expect_success, is_provisioned, said
from conformance.catalogue import Blocked, Certainty, Failed, Level, check
from conformance.checks.provision import check_config, check_declared, check_urls
from conformance.exchange import Exchange
from conformance.platform_api import Addon, Call

REQUIRED, ADVICE = Level.REQUIRED, Level.ADVICE
ARTICLE = "Asynchronous Provisioning of Add-ons"
_GRACE_SECONDS = 1.0
"""A call that was on its way when the DELETE was answered is no fault."""


def _flow(case: Case) -> tuple[Exchange, Addon]:
    """One provision that went through to the end, or as far as it came in time: the same for all who only look."""
    case.needs_asynchronous()
    platform = case.platform
    if case.journal.flow is None:
        made = case.made()
        if case.wait_until_provisioned(made.uuid, platform):
            # A PATCH that comes too late is still one to look at.
            platform.wait_for(
                made.uuid, lambda a: a.made("PATCH", "/config"), seconds=case.target.watch_seconds
            )
        case.journal.flow = made.uuid, made.exchange
    uuid, answer = case.journal.flow
    return answer, platform.addons[uuid]


@check(
    "async.no_config",
    ADVICE,
    Certainty.DOCUMENTED,
    "A 202 carries no 'config': it follows by PATCH.",
    source=ARTICLE,
)
def _no_config(case: Case) -> None:
    case.needs_asynchronous()
    made = case.made()
    expect("config" not in made.exchange.object, "the 202 has a 'config'", made.exchange)


@check(
    "async.completed",
    REQUIRED,
    Certainty.DOCUMENTED,
    "The provider says that the provision is done: POST /addons/<uuid>/actions/provision.",
    source=ARTICLE,
)
def _completed(case: Case) -> None:
    answer, addon = _flow(case)
    expect(is_provisioned(addon), f"not within {case.target.flow_seconds:g} s; {said(addon.calls)}", answer)


@check(
    "async.media_type",
    REQUIRED,
    Certainty.DOCUMENTED,
    "Every call to the Platform API accepts application/vnd.heroku+json; version=3.",
    source="Platform API Reference",
)
def _media_type(case: Case) -> None:
    _, addon = _flow(case)
    wrong = [call for call in addon.calls if call.status == 406]
    expect(not wrong, f"{said(wrong)} with Accept: {wrong[0].accept if wrong else ''}")


@check(
    "async.token",
    REQUIRED,
    Certainty.DOCUMENTED,
    "Every call to the Platform API carries the resource's access token.",
    source="Platform API for Partners",
)
def _token(case: Case) -> None:
    _, addon = _flow(case)
    wrong = [call for call in addon.calls if call.status == 401 and call.path != "/oauth/token"]
    expect(not wrong, said(wrong))


def _patches(addon: Addon) -> list[Call]:
    calls = [call for call in addon.calls if call.method == "PATCH" and call.path.endswith("/config")]
    if not calls:
        raise Blocked(f"no PATCH of the config came; {said(addon.calls)}")
    return calls


@check(
    "async.config_form",
    REQUIRED,
    Certainty.CODE,
    "The config is set by PATCH with a list of names and values, which are texts or null.",
    source="published Platform API schema",
)
def _config_form(case: Case) -> None:
    _, addon = _flow(case)
    wrong = [call for call in _patches(addon) if call.status == 422]
    expect(not wrong, f'not of the form {{"config": [{{"name", "value"}}]}}; {said(wrong)}')


@check(
    "async.config_declared",
    REQUIRED,
    Certainty.CODE,
    "Every config var that is set is declared in the manifest.",
    source="kensa, for config in the answer",
)
def _config_declared(case: Case) -> None:
    _, addon = _flow(case)
    check_declared(case, addon.config)


@check(
    "async.config_urls",
    REQUIRED,
    Certainty.CODE,
    "The value of every config var that ends in _URL has a scheme and a host.",
    source="kensa, for config in the answer",
)
def _config_urls(case: Case) -> None:
    _, addon = _flow(case)
    check_urls(addon.config)


@check(
    "async.config_first",
    ADVICE,
    Certainty.DOCUMENTED,
    "The config is set before the provision is said to be done: later each PATCH restarts the customer's apps.",
    source=ARTICLE,
)
def _config_first(case: Case) -> None:
    answer, addon = _flow(case)
    if not is_provisioned(addon):
        raise Blocked("the provision was not completed (async.completed)", answer)
    done = addon.made("POST", "/actions/provision")[0]
    before = [call for call in addon.made("PATCH", "/config") if call.at <= done.at]
    expect(before, f"actions/provision came before any PATCH; {said(addon.calls)}")


@check(
    "async.once",
    ADVICE,
    Certainty.INFERRED,
    "actions/provision is not called again once it has succeeded.",
    source="what Heroku answers to a second call is not known",
)
def _once(case: Case) -> None:
    case.needs_asynchronous()
    platform, made = case.platform, case.made()
    addon = case.completed(made, platform)
    again = platform.wait_for(
        made.uuid, lambda a: len(a.made("POST", "/actions/provision")) > 1, seconds=case.target.watch_seconds
    )
    expect(not again, said(addon.calls))


@check(
    "async.patient",
    REQUIRED,
    Certainty.DOCUMENTED,
    "Calls that are refused because Heroku has not worked on the answer yet (404) are tried again.",
    source="Add-on Provider API of 2014: the API answers 4xx until the provision request is answered",
)
def _patient(case: Case) -> None:
    case.needs_asynchronous()
    platform, body = case.platform, case.partner.body()
    platform.hold(body["uuid"], seconds=case.target.processing_seconds)
    answer = case.partner.provision(body)
    if not answer.ok:
        raise Blocked(f"the provision request was {answer.answered}", answer)
    came = platform.wait_for(body["uuid"], is_provisioned, seconds=case.target.flow_seconds)
    addon = platform.addons[body["uuid"]]
    expect(came, f"not done within {case.target.flow_seconds:g} s; {said(addon.calls)}", answer)


@check(
    "async.repeat",
    REQUIRED,
    Certainty.DOCUMENTED,
    "The same provision request after the provision is done is a success with the same 'id'.",
    source="endpoints are idempotent; whether with 200 or 202 is not known",
)
def _repeat(case: Case) -> None:
    case.needs_asynchronous()
    made = case.ready()
    again = case.partner.provision(made.body)
    expect_success(again)
    expect(again.object.get("id") == made.id, "the repeat has another 'id'", made.exchange, again)
    if again.status == 200 and "config" in again.object:
        check_config(case, again.object["config"], again)


@check(
    "async.deprovision",
    REQUIRED,
    Certainty.DOCUMENTED,
    "A resource that is still being provisioned can be deprovisioned: the DELETE is a success.",
    source="a provision that is not done after twelve hours is removed",
)
def _deprovision(case: Case) -> None:
    case.needs_asynchronous()
    made = case.made()
    answer = case.partner.deprovision(made.uuid)
    if answer.status in (404, 410):
        raise Failed(f"{answer.answered}, though the resource was there", made.exchange, answer)
    expect_status(answer, 200, 202, 204)


@check(
    "async.cancelled",
    ADVICE,
    Certainty.INFERRED,
    "After a DELETE nothing is called for the resource any more: neither PATCH config nor actions/provision.",
    source="the resource and its authorization are gone",
)
def _cancelled(case: Case) -> None:
    case.needs_asynchronous()
    platform, body = case.platform, case.partner.body()
    # Held back, so that the provision is under way whenever the DELETE comes.
    platform.hold(body["uuid"])
    answer = case.partner.provision(body)
    if not answer.ok:
        raise Blocked(f"the provision request was {answer.answered}", answer)
    # With its token the provider is past the exchange, and tries the calls that come next.
    platform.wait_for(body["uuid"], lambda addon: addon.tokens, seconds=case.target.flow_seconds)
    deleted = case.partner.deprovision(body["uuid"])
    if not deleted.ok:
        raise Blocked(f"the DELETE was {deleted.answered}", deleted)
    since = time.monotonic() + min(_GRACE_SECONDS, case.target.watch_seconds / 2)
    platform.wait_for(body["uuid"], lambda addon: _late(addon, since), seconds=case.target.watch_seconds)
    late = _late(platform.addons[body["uuid"]], since)
    expect(not late, f"after the DELETE {said(late)}", answer, deleted)


def _late(addon: Addon, since: float) -> list[Call]:
    return [
        call
        for call in addon.calls
        if call.at > since and (call.method == "PATCH" or call.path.endswith("/actions/provision"))
    ]
