"""The Basic pair on every verb."""

from functools import partial

from conformance.case import Case, Made, expect, expect_status
from conformance.catalogue import Blocked, Certainty, Level, NotRun, check, register
from conformance.exchange import Exchange
from conformance.partner import NO_PAIR, NoPair, Pair

REQUIRED, ADVICE = Level.REQUIRED, Level.ADVICE
VERBS = {"post": "POST", "put": "PUT", "delete": "DELETE"}


def _attempt(case: Case, verb: str, pair: Pair | str | NoPair, made: Made | None = None) -> Exchange:
    """One call of a verb with a pair; PUT and DELETE go to a resource that exists."""
    if verb == "post":
        return case.partner.provision(made.body if made else case.partner.body(), pair=pair)
    made = made or case.made()
    if verb == "put":
        return case.partner.change_plan(made.uuid, case.target.other_plan or case.target.plan, pair=pair)
    # Not `deprovision`: a refused call has removed nothing, and the clean-up is to remove it.
    return case.partner.call("DELETE", made.uuid, pair=pair)


def _is_401(case: Case, *, verb: str, kind: str) -> None:
    pairs: dict[str, Pair | str | NoPair] = {
        "missing": NO_PAIR,
        "wrong": (case.target.slug, "wrong-password"),
        "user": ("wrong-user", case.target.password),
        "malformed": "Basic %%%not-base64%%%",
    }
    expect_status(_attempt(case, verb, pairs[kind]), 401)


for _kind, _words in {"missing": "without credentials", "wrong": "with a wrong password"}.items():
    for _verb, _method in VERBS.items():
        register(
            f"auth.{_kind}.{_verb}",
            level=REQUIRED,
            certainty=Certainty.CODE,
            source="kensa asserts exactly 401; the reference demands that credentials are verified",
            requirement=f"A {_method} {_words} is answered 401.",
            run=partial(_is_401, verb=_verb, kind=_kind),
        )

for _kind, _words in {
    "user": "with the right password under another user",
    "malformed": "whose Authorization header cannot be read",
}.items():
    register(
        f"auth.{_kind}",
        level=REQUIRED,
        certainty=Certainty.CODE,
        source="kensa asserts exactly 401; the reference demands that credentials are verified",
        requirement=f"A POST {_words} is answered 401.",
        run=partial(_is_401, verb="post", kind=_kind),
    )


def _other_service(case: Case, *, verb: str) -> None:
    if case.target.other_service is None:
        raise NotRun("needs --other-service and --other-service-password")
    made = case.made()
    answer = _attempt(case, verb, case.target.other_service, made)
    expect(answer.refused, f"{answer.answered}, expected 401 or another 4xx", answer)
    after = case.partner.provision(made.body)
    expect(
        after.ok,
        f"the resource was there; afterwards its provision request was {after.answered}",
        answer,
        after,
    )


for _verb, _method in VERBS.items():
    register(
        f"auth.other_service.{_verb}",
        level=REQUIRED,
        certainty=Certainty.DOCUMENTED,
        source="credentials are per manifest and have to be verified; that services share an address is our case",
        requirement=f"A {_method} with another service's pair does not reach this service's resource.",
        run=partial(_other_service, verb=_verb),
    )


@check(
    "auth.challenge",
    ADVICE,
    Certainty.INFERRED,
    "A 401 asks for Basic credentials in its WWW-Authenticate header.",
    source="HTTP asks for it, RFC 9110",
)
def _challenge(case: Case) -> None:
    answer = _attempt(case, "post", (case.target.slug, "wrong-password"))
    if answer.status != 401:
        raise Blocked(f"{answer.answered}, which is no 401", answer)
    found = answer.headers.get("WWW-Authenticate", "")
    expect(found.lower().startswith("basic"), f"WWW-Authenticate is {found!r}", answer)


@check(
    "auth.before_lookup",
    REQUIRED,
    Certainty.CODE,
    "A DELETE with a wrong password on a resource that is gone is answered 401.",
    source="kensa",
)
def _before_lookup(case: Case) -> None:
    made = case.removed()
    expect_status(case.partner.call("DELETE", made.uuid, pair=(case.target.slug, "wrong-password")), 401)


@check(
    "auth.no_effect",
    REQUIRED,
    Certainty.DOCUMENTED,
    "A DELETE that is answered 401 deletes nothing.",
    source="the reference demands that credentials are verified",
)
def _no_effect(case: Case) -> None:
    made = case.made()
    refused = _attempt(case, "delete", NO_PAIR, made)
    if refused.status != 401:
        raise Blocked(f"{refused.answered}, which is no 401", refused)
    after = case.partner.provision(made.body)
    expect(after.ok, f"afterwards the resource's provision request was {after.answered}", refused, after)
