"""How long answers take. Looks at every answer of the run, and makes some itself."""

from collections.abc import Iterator

from conformance.case import Case, expect
from conformance.catalogue import Certainty, Level, check
from conformance.exchange import Exchange

SOURCE = "legacy Partner API Reference"


def _partner_calls(case: Case) -> Iterator[Exchange]:
    made = case.made()
    case.partner.provision(made.body)
    case.partner.change_plan(made.uuid, case.target.plan)
    case.partner.deprovision(made.uuid)
    return (exchange for exchange in list(case.journal.exchanges) if exchange.partner)


@check(
    "latency.limit",
    Level.REQUIRED,
    Certainty.DOCUMENTED,
    "Every call is answered within 25 s; later answers count as failures.",
    source=f"{SOURCE}, MUST; Heroku may lower the limit",
)
def _limit(case: Case) -> None:
    limit = case.target.answer_limit
    late = [call for call in _partner_calls(case) if call.seconds >= limit]
    expect(not late, f"{len(late)} calls took {limit:g} s or longer", *late[:2])


@check(
    "latency.goal",
    Level.ADVICE,
    Certainty.DOCUMENTED,
    "Every call is answered within 3 s.",
    source=f"{SOURCE}, SHOULD",
)
def _goal(case: Case) -> None:
    goal = case.target.answer_goal
    slow = sorted(
        (call for call in _partner_calls(case) if call.seconds > goal and not call.burst),
        key=lambda call: -call.seconds,
    )
    worst = f", the slowest {slow[0].seconds:.1f} s" if slow else ""
    expect(not slow, f"{len(slow)} calls took longer than {goal:g} s{worst}", *slow[:2])
