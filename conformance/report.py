"""The report for people and the one for machines."""

import json
import textwrap
from collections import Counter
from typing import Any, TextIO

from conformance.catalogue import CHECKS, Check, Level
from conformance.exchange import Masker
from conformance.runner import Outcome, Result, Run

_COLOURS = {
    Outcome.PASSED: "32",
    Outcome.FAILED: "1;31",
    Outcome.BLOCKED: "1;31",
    Outcome.NOT_RUN: "33",
    Outcome.SKIPPED: "33",
}
_ADVICE_COLOUR = "1;33"
_WIDTH = 110
_INDENT = " " * 10


class TextReport:
    """Writes each result as it comes, and counts at the end. Colours only where `colours` says so."""

    def __init__(self, stream: TextIO, *, colours: bool) -> None:
        self.stream, self.colours = stream, colours
        self._group = ""

    def begin(self, title: str) -> None:
        """The first line."""
        self._line(title)

    def tell(self, result: Result, masker: Masker) -> None:
        """One result; failures with what was asked and answered."""
        check = result.check
        if check.group != self._group:
            self._group = check.group
            self._line(f"\n{check.group}")
        late = f"   ({result.seconds:.1f} s)" if result.seconds >= 1 else ""
        aside = f"   {result.reason}" if result.outcome in (Outcome.NOT_RUN, Outcome.SKIPPED) else late
        self._line(f"  {self._word(result)} {check.id}{aside}")
        if not result.counts_as_failed:
            return
        self._wrapped(f"{check.level.value}: {check.requirement}")
        self._wrapped(f"[{check.sureness}]")
        self._wrapped(masker.text(result.reason))
        for exchange in result.exchanges:
            self._exchange(masker.show(exchange))

    def end(self, run: Run) -> None:
        """The counts by level, and what was left behind."""
        self._line("")
        for level in Level:
            of_level = [result.outcome for result in run.results if result.check.level is level]
            counts = Counter(of_level)
            words = ", ".join(f"{counts[outcome]} {outcome.value}" for outcome in Outcome if counts[outcome])
            self._line(f"{level.value:<9} {words or 'none'}")
        unasked = [result.reason for result in run.results if result.outcome is Outcome.NOT_RUN]
        for reason, number in Counter(unasked).most_common():
            self._line(f"not run   {number} {'check' if number == 1 else 'checks'}: {reason}")
        if run.left_behind:
            self._line(f"LEFT BEHIND, deprovision failed: {', '.join(run.left_behind)}")
        if run.interrupted:
            self._line("interrupted: the remaining checks did not run")
        self._line(f"{len(run.results)} checks in {run.seconds:.1f} s")

    def _word(self, result: Result) -> str:
        advice = result.counts_as_failed and result.check.level is Level.ADVICE
        word = "advice" if advice and result.outcome is Outcome.FAILED else result.outcome.value
        text = f"{word.upper() if result.counts_as_failed else word:<7}"
        if not self.colours:
            return text
        return f"\x1b[{_ADVICE_COLOUR if advice else _COLOURS[result.outcome]}m{text}\x1b[0m"

    def _exchange(self, shown: dict[str, Any]) -> None:
        request, answer = shown["request"], shown["answer"]
        self._line(f"{_INDENT}> {request['method']} {request['url']}")
        self._part(">", request)
        outcome = f"{answer['status']}" if answer["status"] else answer["error"]
        self._line(f"{_INDENT}< {outcome} after {answer['seconds']} s")
        self._part("<", answer)

    def _part(self, mark: str, part: dict[str, Any]) -> None:
        for name, value in part["headers"].items():
            self._line(_printable(f"{_INDENT}{mark} {name}: {value}"))
        for line in part["body"].splitlines():
            self._line(_printable(f"{_INDENT}{mark} {line}"))

    def _wrapped(self, text: str) -> None:
        for line in textwrap.wrap(text, _WIDTH - len(_INDENT)):
            self._line(_printable(_INDENT + line))

    def _line(self, text: str) -> None:
        print(text, file=self.stream, flush=True)


def _printable(text: str) -> str:
    """The text without control characters: what a provider answers must not steer the terminal."""
    return "".join(c if c.isprintable() else "�" for c in text)


def as_json(run: Run, *, exit_code: int) -> dict[str, Any]:
    """The whole run as plain data, secrets masked."""
    return {
        "target": {
            "base_url": run.target.base_url,
            "sso_url": run.target.sso_url,
            "slug": run.target.slug,
            "plan": run.target.plan,
            "asynchronous": run.target.asynchronous,
        },
        "exit_code": exit_code,
        "interrupted": run.interrupted,
        "left_behind": run.left_behind,
        "seconds": round(run.seconds, 3),
        "counts": {
            level.value: {
                outcome.value: sum(r.outcome is outcome and r.check.level is level for r in run.results)
                for outcome in Outcome
            }
            for level in Level
        },
        "checks": [_result(run, result) for result in run.results],
    }


def _result(run: Run, result: Result) -> dict[str, Any]:
    return {
        **describe(result.check),
        "outcome": result.outcome.value,
        "reason": run.masker.text(result.reason),
        "seconds": round(result.seconds, 3),
        "exchanges": [run.masker.show(exchange) for exchange in result.exchanges],
    }


def describe(check: Check) -> dict[str, str]:
    """A check in words."""
    return {
        "id": check.id,
        "group": check.group,
        "level": check.level.value,
        "requirement": check.requirement,
        "certainty": check.certainty.value,
        "source": check.source,
    }


def list_checks(stream: TextIO) -> None:
    """Every check with its level, its requirement, and how sure that is."""
    for check in CHECKS.values():
        print(f"{check.id}  ({check.level.value})", file=stream)
        for line in (check.requirement, f"[{check.sureness}]"):
            print(textwrap.indent(textwrap.fill(line, _WIDTH - 4), "    "), file=stream)


def write_json(run: Run, stream: TextIO, *, exit_code: int) -> None:
    """The JSON report."""
    json.dump(as_json(run, exit_code=exit_code), stream, indent=2, ensure_ascii=False)
    stream.write("\n")
