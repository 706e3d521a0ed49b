"""What no answer may contain. Looks at every answer of the run, and provokes some itself."""

import re
from collections.abc import Iterator

from conformance import login
from conformance.case import Case, expect
from conformance.catalogue import Certainty, Failed, Level, check
from conformance.exchange import Exchange
from conformance.partner import NO_PAIR

_TRACES = re.compile(
    r"Traceback \(most recent call last\)"
    r"|File \"[^\"\n]+\", line \d+"
    r"|\b[A-Za-z_.]*[a-z](?:Error|Exception)\b(?:: |\(|\n)"
    r"|\n\s+at [\w$.<>]+\([^)\n]*:\d+"
    r"|\.rb:\d+:in [`']"
    r"|\bgoroutine \d+ \["
    r"|\bSQLSTATE\b|\bduplicate key value violates\b|\bsyntax error at or near\b"
)
_PROVOKING = (
    b'{"uuid": ',
    b"[]",
    b'{"uuid": 1e999, "plan": {"a": []}}',
    b"\xff\xfe\x00",
    b'{"plan": "\\u0000"}',
)


def _answers(case: Case) -> Iterator[Exchange]:
    partner = case.partner
    made = case.made()
    for raw in _PROVOKING:
        partner.call("POST", raw=raw)
        partner.call("PUT", made.uuid, raw=raw)
    partner.call("PUT", "not-a-uuid", body={"plan": case.target.plan})
    partner.call("DELETE", "not-a-uuid")
    partner.provision(partner.body(plan="no-such-plan'; --"))
    partner.provision(partner.body(), pair=NO_PAIR)
    if case.target.sso_url and case.target.sso_salt:
        browser = case.browser()
        browser.post(login.form(case.target, made.uuid, salt="not-the-salt"))
        browser.post({**login.form(case.target, made.uuid), "timestamp": "9" * 400, "resource_id": "\0"})
    return iter(list(case.journal.exchanges))


@check(
    "leak.secret",
    Level.ADVICE,
    Certainty.INFERRED,
    "No answer has a password, the SSO salt, a client secret, a grant's code or the log input's token in it.",
)
def _secret(case: Case) -> None:
    texts = [(answer, f"{answer.body}{dict(answer.headers)}") for answer in _answers(case)]
    # There are hundreds of both, so they are first looked at together.
    everything = "\n".join(text for _, text in texts)
    for secret, what in case.journal.secrets.items():
        if secret in everything:
            found = [answer for answer, text in texts if secret in text]
            raise Failed(f"{len(found)} answers have {what} in them", *found[:2])


@check(
    "leak.exception",
    Level.ADVICE,
    Certainty.PRACTICE,
    "No answer has the text or the trace of an exception in it: Heroku shows messages word for word.",
    source="one well-known add-on did",
)
def _exception(case: Case) -> None:
    for answer in _answers(case):
        found = _TRACES.search(answer.body)
        expect(not found, f"an answer has {found[0].strip()!r} in it" if found else "", answer)
