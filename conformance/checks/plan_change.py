"""Plan change: done, repeated, refused."""

from functools import partial

from conformance.case import Case, Made, expect, expect_message, expect_refusal, expect_status, expect_success
from conformance.catalogue import Blocked, Certainty, Level, NotRun, check
from conformance.checks.provision import EXTRA_FIELDS, check_config, check_declared
from conformance.exchange import Exchange

REQUIRED, ADVICE = Level.REQUIRED, Level.ADVICE
LEGACY_REFERENCE = "legacy Partner API Reference"
BEST_PRACTICES = "Technical Best Practices"
_AT_ONCE = 8


def _changed(case: Case) -> tuple[Made, Exchange]:
    plan = case.other_plan
    made = case.ready()
    answer = case.partner.change_plan(made.uuid, plan)
    if not answer.ok:
        raise Blocked(f"the plan change this check begins with was {answer.answered}", answer)
    return made, answer


@check(
    "plan_change.success", REQUIRED, Certainty.CODE, "A plan change is answered 200, or 202.", source="kensa"
)
def _success(case: Case) -> None:
    plan = case.other_plan
    made = case.ready()
    answer = case.partner.change_plan(made.uuid, plan)
    expect_status(answer, 200, 202)


@check(
    "plan_change.config",
    REQUIRED,
    Certainty.CODE,
    "If the answer has a 'config', it is an object whose values are texts.",
    source="as at provision",
)
def _config(case: Case) -> None:
    _, answer = _changed(case)
    check_config(case, answer.object.get("config", {}), answer)


@check(
    "plan_change.config_declared",
    REQUIRED,
    Certainty.CODE,
    "If the answer has a 'config', its names are declared in the manifest.",
    source="as at provision",
)
def _config_declared(case: Case) -> None:
    _, answer = _changed(case)
    check_declared(case, answer.object.get("config", {}), answer)


@check(
    "plan_change.same_plan",
    REQUIRED,
    Certainty.DOCUMENTED,
    "A change to the plan that the resource has is a success.",
    source=BEST_PRACTICES,
)
def _same_plan(case: Case) -> None:
    made = case.ready()
    expect_success(case.partner.change_plan(made.uuid, case.target.plan))


@check(
    "plan_change.repeat",
    REQUIRED,
    Certainty.DOCUMENTED,
    "The same plan change again is a success.",
    source=f"Partner API Reference: endpoints are idempotent; {BEST_PRACTICES}",
)
def _repeat(case: Case) -> None:
    made, _ = _changed(case)
    expect_success(case.partner.change_plan(made.uuid, case.other_plan))


@check(
    "plan_change.at_once",
    REQUIRED,
    Certainty.DOCUMENTED,
    "The same plan change several times at the same instant ends in no fault, and at least once in a success.",
    source="Partner API Reference: endpoints are idempotent",
)
def _at_once(case: Case) -> None:
    plan = case.other_plan
    made = case.ready()
    call = partial(case.partner.change_plan, made.uuid, plan, burst=True)
    answers = case.partner.at_once([call] * _AT_ONCE)
    faults = [answer for answer in answers if not answer.ok and not answer.refused]
    expect(
        not faults,
        f"{len(faults)} of {len(answers)} at once: {faults[0].answered if faults else ''}",
        *faults[:2],
    )
    expect(any(answer.ok for answer in answers), "none of them was a success", *answers[:2])


@check(
    "plan_change.unknown_fields",
    REQUIRED,
    Certainty.DOCUMENTED,
    "Fields that are not documented are ignored.",
    source="Partner API Reference",
)
def _unknown_fields(case: Case) -> None:
    made = case.ready()
    body = {"plan": case.target.plan, "uuid": made.uuid, **EXTRA_FIELDS}
    expect_success(case.partner.call("PUT", made.uuid, body=body))


@check(
    "plan_change.unknown_plan",
    REQUIRED,
    Certainty.DOCUMENTED,
    "A change to a plan that the service does not sell is refused, not accepted and no fault.",
    source=LEGACY_REFERENCE,
)
def _unknown_plan(case: Case) -> None:
    made = case.ready()
    expect_refusal(case.partner.change_plan(made.uuid, "no-such-plan"))


@check(
    "plan_change.unknown_plan_message",
    ADVICE,
    Certainty.DOCUMENTED,
    "The refusal of an unknown plan is a 422 with a 'message' for the customer.",
    source=f"{LEGACY_REFERENCE}, SHOULD",
)
def _unknown_plan_message(case: Case) -> None:
    made = case.ready()
    expect_message(case.partner.change_plan(made.uuid, "no-such-plan"))


def _refused(case: Case) -> tuple[Made, str, Exchange]:
    if case.target.refused_plan_change is None:
        raise NotRun("needs --refused-plan-change")
    former, wanted = case.target.refused_plan_change
    made = case.ready(plan=former)
    return made, wanted, case.partner.change_plan(made.uuid, wanted)


@check(
    "plan_change.refused",
    REQUIRED,
    Certainty.DOCUMENTED,
    "A change that is not possible is refused.",
    source=LEGACY_REFERENCE,
)
def _is_refused(case: Case) -> None:
    _, _, answer = _refused(case)
    expect_refusal(answer)


@check(
    "plan_change.refused_message",
    ADVICE,
    Certainty.DOCUMENTED,
    "The refusal is a 422 with a 'message' for the customer.",
    source=f"{LEGACY_REFERENCE}, SHOULD",
)
def _refused_message(case: Case) -> None:
    _, _, answer = _refused(case)
    expect_message(answer)


@check(
    "plan_change.refused_unchanged",
    ADVICE,
    Certainty.INFERRED,
    "A refused change has changed nothing: it is refused again.",
    source="for Heroku nothing has happened",
)
def _refused_unchanged(case: Case) -> None:
    made, wanted, answer = _refused(case)
    if not answer.refused:
        raise Blocked(f"the plan change was {answer.answered}", answer)
    again = case.partner.change_plan(made.uuid, wanted)
    expect(again.refused, f"first {answer.answered}, then {again.answered}", answer, again)


@check(
    "plan_change.unknown_uuid",
    ADVICE,
    Certainty.PRACTICE,
    "A plan change of a resource that never was is answered 404 or 410.",
)
def _unknown_uuid(case: Case) -> None:
    uuid = case.partner.body()["uuid"]
    expect_status(case.partner.change_plan(uuid, case.target.plan), 404, 410)


@check(
    "plan_change.deprovisioned",
    ADVICE,
    Certainty.PRACTICE,
    "A plan change of a deprovisioned resource is answered 410 or 404.",
)
def _deprovisioned(case: Case) -> None:
    made = case.removed()
    expect_status(case.partner.change_plan(made.uuid, case.target.plan), 404, 410)


@check(
    "plan_change.not_json",
    ADVICE,
    Certainty.INFERRED,
    "A plan change whose body is no JSON is refused (4xx), no fault (5xx).",
)
def _not_json(case: Case) -> None:
    made = case.made()
    expect_refusal(case.partner.call("PUT", made.uuid, raw=b'{"plan": '))
