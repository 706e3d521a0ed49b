"""Media types: what Heroku may send, and what it has to be able to read."""

import json
from collections.abc import Iterator
from functools import partial

from conformance.case import Case, expect
from conformance.catalogue import Certainty, Failed, Level, check, register
from conformance.exchange import Exchange
from conformance.partner import NO_PAIR, VENDOR

REQUIRED, ADVICE = Level.REQUIRED, Level.ADVICE
ACCEPTS = (VENDOR, "application/json", "*/*", None)
CONTENT_TYPES = (VENDOR, "application/json; charset=utf-8")


def _answers(
    case: Case, verb: str, *, accept: str | None = VENDOR, content_type: str = "application/json"
) -> Exchange:
    made = case.made() if verb != "post" else None
    if made is None:
        return case.partner.provision(case.partner.body(), accept=accept, content_type=content_type)
    if verb == "put":
        return case.partner.change_plan(made.uuid, case.target.plan, accept=accept, content_type=content_type)
    return case.partner.deprovision(made.uuid, accept=accept)


def _any_accept(case: Case, *, verb: str) -> None:
    for accept in ACCEPTS:
        answer = _answers(case, verb, accept=accept)
        expect(answer.status != 406, f"answered 406 to Accept: {accept}", answer)


def _any_content_type(case: Case, *, verb: str) -> None:
    for content_type in CONTENT_TYPES:
        answer = _answers(case, verb, content_type=content_type)
        expect(answer.status not in (400, 415), f"{answer.answered} to Content-Type: {content_type}", answer)


for _verb, _method in {"post": "POST", "put": "PUT", "delete": "DELETE"}.items():
    register(
        f"media.accept.{_verb}",
        level=REQUIRED,
        certainty=Certainty.DOCUMENTED,
        source="Migrating to v3 names the vendor type; kensa sends application/json",
        requirement=f"A {_method} is never answered 406: its Accept may be the vendor type, JSON, any type or none.",
        run=partial(_any_accept, verb=_verb),
    )

for _verb, _method in {"post": "POST", "put": "PUT"}.items():
    register(
        f"media.content_type.{_verb}",
        level=ADVICE,
        certainty=Certainty.INFERRED,
        requirement=f"A {_method} is read also when its Content-Type is the vendor type or names a charset.",
        run=partial(_any_content_type, verb=_verb),
    )


def _tour(case: Case) -> Iterator[Exchange]:
    """One answer of each common kind."""
    partner = case.partner
    made = case.made()
    yield made.exchange
    yield partner.provision(made.body)
    yield partner.change_plan(made.uuid, case.target.plan)
    yield partner.provision(partner.body(plan="no-such-plan"))
    yield partner.provision(partner.body(), pair=NO_PAIR)
    yield partner.deprovision(made.uuid)
    yield partner.deprovision(made.uuid)


@check(
    "media.type",
    ADVICE,
    Certainty.INFERRED,
    "Every body's Content-Type is application/json or Heroku's vendor type.",
    source="v3 announces the vendor type",
)
def _type(case: Case) -> None:
    for answer in _tour(case):
        if answer.body:
            found = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            expect(
                found in ("application/json", VENDOR.partition(";")[0]), f"Content-Type is {found!r}", answer
            )


@check(
    "media.json",
    REQUIRED,
    Certainty.DOCUMENTED,
    "Every body that is answered is valid JSON.",
    source="Partner API Reference, text of v1",
)
def _is_json(case: Case) -> None:
    for answer in _tour(case):
        if answer.body:
            try:
                json.loads(answer.body)
            except (ValueError, RecursionError):
                raise Failed(f"the body of the {answer.status} is no JSON", answer) from None
