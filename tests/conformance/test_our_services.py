"""Our own services pass every check, required and advised, as a whole deployment with its workers."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.ports import free_port
from tests.support.stack import Stack, running_stack

pytestmark = pytest.mark.xdist_group("conformance")

# The manifest's rules for public addresses do not apply to a provider on this machine, nor does what kensa alone reads.
HERE = ("--skip", "manifest.https")


@pytest.fixture(scope="module")
def heroku() -> str:
    """Where the suite's Platform API will listen."""
    return f"127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def stack(heroku: str) -> Iterator[Stack]:
    """A stack whose Heroku is the suite, and which reads what Heroku's old checker sends."""
    address = f"http://{heroku}"
    legacy = {"SSO_ACCEPT_LEGACY": "true"}
    with running_stack(
        environment={"HEROKU_API_URL": address, "HEROKU_ID_URL": address, **legacy}
    ) as running:
        yield running


@pytest.mark.parametrize(
    ("service", "options", "not_run"),
    [
        ("inference", ("--refused-plan-change", "nova-lite:cohere-rerank-3-5"), {"async", "provision"}),
        ("mobiloud", (), {"async", "provision", "plan_change"}),
        ("kafkacluster", (), {"provision", "repeat", "plan_change"}),
    ],
)
def test_a_service_of_ours_passes_the_whole_suite(
    stack: Stack, heroku: str, tmp_path: Path, service: str, options: tuple[str, ...], not_run: set[str]
) -> None:
    report = tmp_path / "report.json"
    patience = ("--watch-seconds", "1", "--flow-seconds", "300", "--answer-goal", "20")
    arguments = ("--listen", heroku, "--legacy", "--strict", *patience, "--json", str(report))
    stack.manage("conformance", service, *HERE, *arguments, *options)
    found = json.loads(report.read_text())
    assert found["left_behind"] == []
    assert {check["group"] for check in found["checks"] if check["outcome"] == "not run"} == not_run
    live = stack.rows(
        "SELECT uuid FROM provisioning_resource WHERE service = %s AND state IN ('provisioning', 'provisioned')",
        service,
    )
    assert live == []
