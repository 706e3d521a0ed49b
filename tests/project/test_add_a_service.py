"""The example of the guide is a service like any other: it passes the acceptance tests of every service."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {
    "MORE_SERVICES": "examples.keyvalue.service.KeyValue",
    "KEYVALUE_PASSWORDS": "password-of-the-example-service",
    "KEYVALUE_SSO_SALTS": "salt-of-the-example-service",
    "KEYVALUE_OAUTH_CLIENT_SECRETS": "client-secret-of-the-example-service",
}


@pytest.mark.slow
def test_the_example_passes_the_tests_of_every_service_and_its_own() -> None:
    # A run of its own: which services there are is settled when a process starts.
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "KAFKA_"))}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "tests/contract",
            "examples",
            "-k",
            "keyvalue",
            "-p",
            "no:cacheprovider",
        ],
        cwd=PROJECT,
        env={**own, **ENVIRONMENT, "TESTS_WITHOUT_KAFKA": "not needed here"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
