"""One stack for all of these tests; those that harm it mend it before they end."""

from collections.abc import Iterator

import pytest

from tests.support.stack import Stack, running_stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of this folder on one worker, where they share the stack."""
    for item in items:
        if "tests/stack" in str(item.path):
            item.add_marker(pytest.mark.xdist_group("stack"))


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The stack, up."""
    with running_stack() as running:
        yield running


@pytest.fixture(autouse=True)
def no_faults_left(stack: Stack) -> Iterator[None]:
    """Let no test's faults reach the next one."""
    yield
    stack.clear_faults()
