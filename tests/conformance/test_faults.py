"""The suite can fail: a provider that is wrong in one way fails exactly the checks that ask for it."""

import pytest

from conformance.catalogue import CHECKS
from conformance.runner import Outcome, Run
from tests.conformance.conftest import suite
from tests.conformance.faults import MANIFEST_FAULTS, PROVIDER_FAULTS, Fault, ManifestFault
from tests.conformance.wrong_provider import WrongProvider, right_manifest


def ended(run: Run, outcome: Outcome) -> dict[str, str]:
    """The checks that ended so, with why."""
    return {result.check.id: result.reason for result in run.results if result.outcome is outcome}


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_right_provider_passes_every_check_and_nothing_of_the_run_is_left(
    provider: WrongProvider, *, asynchronous: bool
) -> None:
    with suite(provider, asynchronous=asynchronous) as run:
        result = run(legacy=True)
    assert ended(result, Outcome.FAILED) == {}
    assert ended(result, Outcome.BLOCKED) == {}
    assert provider.live() == []
    assert result.left_behind == []


def test_between_a_synchronous_and_an_asynchronous_provider_every_check_runs(provider: WrongProvider) -> None:
    asked: set[str] = set()
    passed: set[str] = set()
    for asynchronous in (False, True):
        with suite(provider, asynchronous=asynchronous) as run:
            groups = ("provision", "repeat", "async", "grant", "plan_change", "session", "manifest")
            result = run(only=groups)
            passed |= set(ended(result, Outcome.PASSED))
            asked |= {each.check.id for each in result.results}
    assert asked - passed == set()


@pytest.mark.parametrize("fault", PROVIDER_FAULTS, ids=lambda fault: fault.name)
def test_a_provider_with_one_fault_fails_exactly_the_checks_that_ask_for_it(
    provider: WrongProvider, fault: Fault
) -> None:
    with suite(provider, fault.name, asynchronous=fault.asynchronous, flow_seconds=fault.flow_seconds) as run:
        result = run(only=fault.only)
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
