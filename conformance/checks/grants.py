"""The OAuth grant that comes with a provision request."""

from conformance.case import Case, Made, expect, said
from conformance.catalogue import Blocked, Certainty, Failed, Level, check
from conformance.platform_api import Addon, Call

REQUIRED, ADVICE = Level.REQUIRED, Level.ADVICE
OAUTH = "OAuth article, sudo-sandwich"


def _exchanges(addon: Addon) -> list[Call]:
    return [call for call in addon.calls if call.path == "/oauth/token"]


def _attempted(case: Case) -> tuple[Made, list[Call]]:
    """A new resource, and the calls to the token endpoint until one succeeded."""
    platform = case.platform
    made = case.made()
    succeeded = platform.wait_for(made.uuid, lambda addon: addon.tokens, seconds=case.target.flow_seconds)
    calls = _exchanges(platform.addons[made.uuid])
    if not calls and not succeeded:
        raise Blocked(f"the grant was not exchanged within {case.target.flow_seconds:g} s", made.exchange)
    return made, calls


@check(
    "grant.exchanged",
    ADVICE,
    Certainty.CODE,
    "The grant is exchanged within its five minutes, also by a provider that provisions in the request.",
    source="README of sudo-sandwich: without tokens config can never be changed",
)
def _exchanged(case: Case) -> None:
    platform = case.platform
    made = case.made()
    if not platform.wait_for(made.uuid, lambda addon: addon.tokens, seconds=case.target.flow_seconds):
        calls = platform.addons[made.uuid].calls
        raise Failed(f"no token after {case.target.flow_seconds:g} s; {said(calls)}", made.exchange)


@check(
    "grant.fields",
    REQUIRED,
    Certainty.CODE,
    "The exchange has grant_type=authorization_code, the code and the client secret.",
    source=OAUTH,
)
def _fields(case: Case) -> None:
    _, calls = _attempted(case)
    refused = [call for call in calls if call.status in (400, 401)]
    expect(not refused, f"the token endpoint refused the exchange; {said(refused)}")


@check(
    "grant.in_body",
    ADVICE,
    Certainty.INFERRED,
    "The exchange's fields are in the request's body: an address is written to access logs.",
    source="Heroku's own example uses the address",
)
def _in_body(case: Case) -> None:
    _, calls = _attempted(case)
    in_address = [call for call in calls if "code=" in call.query or "client_secret=" in call.query]
    expect(not in_address, "the address of the token endpoint has the code or the client secret in it")
