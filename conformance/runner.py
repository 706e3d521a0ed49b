"""Runs checks one after the other, and takes away what each has made."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from conformance.case import Case
from conformance.catalogue import Blocked, Check, Failed, Level, NotRun
from conformance.exchange import Exchange, Masker
from conformance.partner import Journal, Partner, basic, new_session, send
from conformance.platform_api import PlatformAPI
from conformance.target import Target

_SECRET_LENGTH_LEAST = 8


class Outcome(Enum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    BLOCKED = "blocked"
    """A call that the check builds on went wrong; counts as failed."""
    NOT_RUN = "not run"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Result:
    """One check's end; `exchanges` are what proves a failure."""

    check: Check
    outcome: Outcome
    reason: str = ""
    exchanges: tuple[Exchange, ...] = ()
    seconds: float = 0.0

    @property
    def counts_as_failed(self) -> bool:
        """Whether the provider did not pass."""
        return self.outcome in (Outcome.FAILED, Outcome.BLOCKED)


@dataclass
class Run:
    """All results, and what could not be taken away."""

    target: Target
    masker: Masker
    results: list[Result] = field(default_factory=list)
    left_behind: list[str] = field(default_factory=list)
    interrupted: bool = False
    seconds: float = 0.0

    def failed(self, level: Level) -> list[Result]:
        """The failures of one level."""
        return [result for result in self.results if result.counts_as_failed and result.check.level is level]


class Unreachable(Exception):
    """Nothing answers at the provider's address."""


def run_checks(
    target: Target,
    *,
    checks: Sequence[Check],
    skipped: Sequence[Check] = (),
    platform: PlatformAPI | None = None,
    tell: Callable[[Result, Masker], None] = lambda _result, _masker: None,
) -> Run:
    """Run the checks; `tell` hears of every result as it comes.

    Everything a check has made is deprovisioned after it, also when the run is interrupted (KeyboardInterrupt), which
    ends the run early and is told by `interrupted`. Unreachable when nothing answers.
    """
    began = time.monotonic()
    journal = Journal(secrets=_shared_secrets(target))
    run = Run(target, Masker(journal.secrets))
    partner = Partner(target, platform=platform, journal=journal)
    _reach(target)
    try:
        for check in checks:
            result = _run_one(Case(target, partner=partner, journal=journal, platform=platform), check)
            run.results.append(result)
            run.masker.secrets.update(journal.secrets)
            tell(result, run.masker)
            partner.clean_up()
    except KeyboardInterrupt:
        run.interrupted = True
    run.left_behind = partner.end()
    for check in skipped:
        result = Result(check, Outcome.SKIPPED, "skipped by name")
        run.results.append(result)
        tell(result, run.masker)
    run.seconds = time.monotonic() - began
    return run


def _run_one(case: Case, check: Check) -> Result:
    began = time.monotonic()
    outcome, reason = Outcome.PASSED, ""
    exchanges: tuple[Exchange, ...] = ()
    try:
        check.run(case)
    except NotRun as why:
        outcome, reason = Outcome.NOT_RUN, str(why)
    except Failed as failure:
        outcome = Outcome.BLOCKED if isinstance(failure, Blocked) else Outcome.FAILED
        reason, exchanges = str(failure), failure.exchanges
    return Result(check, outcome, reason, exchanges, time.monotonic() - began)


def _reach(target: Target) -> None:
    answer = send(new_session(), "GET", target.base_url, limit=target.answer_limit)
    if answer.status is None:
        raise Unreachable(f"{target.base_url} does not answer: {answer.error}")


def _shared_secrets(target: Target) -> dict[str, str]:
    named = {
        target.password: "the password",
        target.sso_salt: "the SSO salt",
        target.client_secret: "the OAuth client secret",
        basic(target.slug, target.password).removeprefix("Basic "): "the encoded Basic pair",
    }
    if target.other_service:
        named[target.other_service[1]] = "another service's password"
    # A short one stands in answers by chance.
    return {value: what for value, what in named.items() if len(value) >= _SECRET_LENGTH_LEAST}
