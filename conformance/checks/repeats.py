"""Heroku delivers at least once: the same provision request in sequence and at the same instant."""

from functools import partial

from conformance.case import Case, expect, expect_success
from conformance.catalogue import Certainty, Level, NotRun, check
from conformance.partner import VENDOR

REQUIRED, ADVICE = Level.REQUIRED, Level.ADVICE
IDEMPOTENT = "Partner API Reference: endpoints are idempotent, several POSTs make one resource"


@check(
    "repeat.sequence",
    REQUIRED,
    Certainty.DOCUMENTED,
    "The same provision request again is a success with the same 'id'.",
    source=IDEMPOTENT,
)
def _sequence(case: Case) -> None:
    made = case.made()
    for _ in range(2):
        again = case.partner.provision(made.body)
        expect_success(again)
        expect(again.object.get("id") == made.id, "the repeat has another 'id'", made.exchange, again)


@check(
    "repeat.same_config",
    ADVICE,
    Certainty.PRACTICE,
    "A repeat is answered with the config of the first answer.",
)
def _same_config(case: Case) -> None:
    case.needs_synchronous()
    made = case.made()
    again = case.partner.provision(made.body)
    if not again.ok:
        raise NotRun("the repeat is refused (repeat.sequence)")
    same = again.object.get("config") == made.exchange.object.get("config")
    expect(same, "the repeat has another 'config'", made.exchange, again)


@check(
    "repeat.at_once",
    REQUIRED,
    Certainty.DOCUMENTED,
    "The same provision request many times at the same instant is one resource: every answer a success, one 'id'.",
    source=IDEMPOTENT,
)
def _at_once(case: Case) -> None:
    body = case.partner.body()
    call = partial(case.partner.provision, body, accept=VENDOR, burst=True)
    answers = case.partner.at_once([call] * case.target.burst)
    wrong = [answer for answer in answers if not answer.ok]
    statuses = sorted({answer.answered for answer in wrong})
    expect(not wrong, f"{len(wrong)} of {len(answers)} at once: {', '.join(statuses)}", *wrong[:2])
    ids = {str(answer.object.get("id")) for answer in answers}
    expect(len(ids) == 1, f"{len(ids)} different ids for one uuid", *answers[:2])


@check(
    "repeat.new_grant",
    ADVICE,
    Certainty.INFERRED,
    "A repeat may carry another grant: a code lives five minutes, repeats may come later.",
)
def _new_grant(case: Case) -> None:
    made = case.made()
    grant = case.partner.body()["oauth_grant"]
    if case.has_platform:
        case.platform.expect(made.uuid, plan=case.target.plan, code=grant["code"])
    expect_success(case.partner.provision({**made.body, "oauth_grant": grant}))


@check(
    "repeat.other_parameters",
    ADVICE,
    Certainty.INFERRED,
    "A repeat with another plan is no second resource and no fault: the same 'id', or a refusal.",
)
def _other_parameters(case: Case) -> None:
    plan, made = case.other_plan, case.made()
    again = case.partner.provision({**made.body, "plan": plan})
    expect(again.ok or again.refused, f"{again.answered}, expected 2xx or 4xx", again)
    expect(
        again.refused or again.object.get("id") == made.id,
        "the repeat has another 'id'",
        made.exchange,
        again,
    )
