"""Deprovision: done, repeated, unknown, and in the wrong order with provision."""

from functools import partial

from conformance.case import Case, expect, expect_status
from conformance.catalogue import Blocked, Certainty, Level, check
from conformance.exchange import Exchange

REQUIRED, ADVICE = Level.REQUIRED, Level.ADVICE
IDEMPOTENT = "Partner API Reference: endpoints are idempotent"
_AT_ONCE = 8


def _no_fault(answer: Exchange) -> None:
    """Failed unless the answer is a success or says that there is nothing."""
    right = answer.ok or answer.status in (404, 410)
    expect(right, f"{answer.answered}, expected 204, 410 or 404", answer)


@check("deprovision.success", REQUIRED, Certainty.CODE, "A deprovision is a success (2xx).", source="kensa")
def _success(case: Case) -> None:
    made = case.made()
    answer = case.partner.deprovision(made.uuid)
    expect(answer.ok, f"{answer.answered}, expected 204", answer)


@check(
    "deprovision.empty",
    ADVICE,
    Certainty.CODE,
    "The answer is an empty 204; 202 is only for those whom Heroku has let in.",
    source="sudo-sandwich; Asynchronous Deprovisioning is by invitation",
)
def _empty(case: Case) -> None:
    made = case.made()
    answer = case.partner.deprovision(made.uuid)
    if not answer.ok:
        raise Blocked(f"the DELETE was {answer.answered}", answer)
    expect_status(answer, 204)


@check(
    "deprovision.repeat",
    REQUIRED,
    Certainty.DOCUMENTED,
    "The same DELETE again is a success, or says that the resource is gone; it is no fault.",
    source=IDEMPOTENT,
)
def _repeat(case: Case) -> None:
    made = case.removed()
    _no_fault(case.partner.deprovision(made.uuid))


@check(
    "deprovision.repeat_status",
    ADVICE,
    Certainty.PRACTICE,
    "The same DELETE again is answered 410 or 204: what Heroku does with a 404 is not known.",
)
def _repeat_status(case: Case) -> None:
    made = case.removed()
    answer = case.partner.deprovision(made.uuid)
    if not answer.ok and not answer.refused:
        raise Blocked(f"the repeat was {answer.answered} (deprovision.repeat)", answer)
    expect_status(answer, 204, 410)


@check(
    "deprovision.unknown",
    REQUIRED,
    Certainty.DOCUMENTED,
    "A DELETE of a resource that never was is a success, or says that it is gone; it is no fault.",
    source=f"{IDEMPOTENT}; a POST may have failed before it reached the provider",
)
def _unknown(case: Case) -> None:
    _no_fault(case.partner.deprovision(case.partner.body()["uuid"]))


@check(
    "deprovision.unknown_status",
    ADVICE,
    Certainty.PRACTICE,
    "A DELETE of a resource that never was is answered 410 or 204: what Heroku does with a 404 is not known.",
)
def _unknown_status(case: Case) -> None:
    answer = case.partner.deprovision(case.partner.body()["uuid"])
    if not answer.ok and not answer.refused:
        raise Blocked(f"it was {answer.answered} (deprovision.unknown)", answer)
    expect_status(answer, 204, 410)


@check(
    "deprovision.at_once",
    REQUIRED,
    Certainty.DOCUMENTED,
    "The same DELETE several times at the same instant ends in no fault, and at least once in a success.",
    source=IDEMPOTENT,
)
def _at_once(case: Case) -> None:
    made = case.made()
    call = partial(case.partner.deprovision, made.uuid, burst=True)
    answers = case.partner.at_once([call] * _AT_ONCE)
    for answer in answers:
        _no_fault(answer)
    expect(any(answer.ok for answer in answers), "none of them was a success", *answers[:2])


@check(
    "deprovision.then_provision",
    REQUIRED,
    Certainty.DOCUMENTED,
    "A provision request for a deprovisioned resource does not make it again, and is no fault.",
    source="Partner API Reference: the uuid tells repeats apart, and requests come at least once",
)
def _then_provision(case: Case) -> None:
    made = case.removed()
    again = case.partner.provision(made.body)
    expect(again.refused, f"{again.answered}, expected 410", made.exchange, again)


@check(
    "deprovision.then_provision_status",
    ADVICE,
    Certainty.PRACTICE,
    "It is answered 410, which ends Heroku's repeats.",
    source="two readings of the reference",
)
def _then_provision_status(case: Case) -> None:
    made = case.removed()
    again = case.partner.provision(made.body)
    if not again.refused:
        raise Blocked(f"it was {again.answered} (deprovision.then_provision)", again)
    expect_status(again, 410)


@check(
    "deprovision.first",
    ADVICE,
    Certainty.INFERRED,
    "A DELETE that overtakes its provision request keeps the resource from being made: the POST is answered 410.",
    source="requests are delivered at least once, in no promised order",
)
def _first(case: Case) -> None:
    body = case.partner.body()
    deleted = case.partner.deprovision(body["uuid"])
    if not deleted.ok and not deleted.refused:
        raise Blocked(f"the DELETE was {deleted.answered} (deprovision.unknown)", deleted)
    late = case.partner.provision(body)
    expect(late.status == 410, f"the late POST was {late.answered}, expected 410", deleted, late)
