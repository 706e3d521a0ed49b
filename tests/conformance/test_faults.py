"""The suite can fail: a provider that is wrong in one way fails exactly the checks that ask for it."""

import os

import pytest

from conformance.catalogue import CHECKS
from conformance.runner import Outcome, Run
from tests.conformance.acme import right_manifest
from tests.conformance.conftest import suite
from tests.conformance.faults import MANIFEST_FAULTS, PROVIDER_FAULTS, Fault, ManifestFault
from tests.conformance.wrong_provider import WrongProvider

EVERY_GROUP = bool(os.environ.get("CONFORMANCE_EVERY_GROUP"))
"""Also run the checks of the groups that should notice nothing: takes five times as long."""


def ended(run: Run, outcome: Outcome) -> dict[str, str]:
    """The checks that ended so, with why."""
    return {result.check.id: result.reason for result in run.results if result.outcome is outcome}


def test_a_right_provider_passes_every_check_and_nothing_of_the_run_is_left(provider: WrongProvider) -> None:
    passed: set[str] = set()
    for asynchronous in (False, True):
        with suite(provider, asynchronous=asynchronous) as run:
            result = run(legacy=True)
        assert ended(result, Outcome.FAILED) == {}
        assert ended(result, Outcome.BLOCKED) == {}
        assert provider.live() == []
        assert result.left_behind == []
        passed |= set(ended(result, Outcome.PASSED))
    # What one kind of provider is not asked, the other is.
    assert passed == set(CHECKS)


@pytest.mark.parametrize("fault", PROVIDER_FAULTS, ids=lambda fault: fault.name)
def test_a_provider_with_one_fault_fails_exactly_the_checks_that_ask_for_it(
    provider: WrongProvider, fault: Fault
) -> None:
    with suite(
        provider,
        fault.name,
        asynchronous=fault.asynchronous,
        flow_seconds=fault.flow_seconds,
        answer_goal=fault.answer_goal,
        answer_limit=fault.answer_limit,
    ) as run:
        result = run(only=fault.only if EVERY_GROUP else fault.near)
    assert set(ended(result, Outcome.FAILED)) == fault.fails, ended(result, Outcome.FAILED)
    assert set(ended(result, Outcome.BLOCKED)) == fault.blocks, ended(result, Outcome.BLOCKED)
    assert result.left_behind == []


@pytest.mark.parametrize("fault", MANIFEST_FAULTS, ids=lambda fault: fault.name)
def test_a_manifest_with_one_fault_fails_exactly_the_checks_that_ask_for_it(
    provider: WrongProvider, fault: ManifestFault
) -> None:
    manifest = right_manifest()
    fault.change(manifest)
    with suite(provider, manifest=manifest) as run:
        result = run(only=("manifest", "legacy.manifest"))
    assert set(ended(result, Outcome.FAILED)) == fault.fails, ended(result, Outcome.FAILED)


def test_there_is_a_fault_for_every_check() -> None:
    failing = {name for fault in PROVIDER_FAULTS for name in fault.fails}
    failing |= {name for fault in MANIFEST_FAULTS for name in fault.fails}
    assert failing == set(CHECKS)
