"""Every quick start of the dashboard, executed as it is printed, with the values of an add-on."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from addon.inference.quickstart import Sample, samples
from provisioning.models import Plan
from provisioning.services import all_services
from tests.inference.conftest import Addon, Gateway
from tests.support.stack import PROJECT

PLANS = {spec.slug: spec for spec in all_services()["inference"].plans}
LANGUAGES = ("curl", "python", "javascript", "ruby")
PROGRAMS = {
    "curl": "bash",
    "python": sys.executable,
    "javascript": "node",
    "ruby": "ruby",
}


def printed(plan: str, language: str) -> Sample:
    """What the page of that plan prints."""
    return samples(Plan(slug=plan, limits=dict(PLANS[plan].limits)))[language]


def run(
    addon: Addon, sample: Sample, folder: Path, *, key: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Do as the page says in an empty folder: export the values, save the file, run the command."""
    program = shutil.which(PROGRAMS[sample.slug])
    if program is None:
        pytest.fail(
            f"The {sample.label} quick start needs {PROGRAMS[sample.slug]}: run `apt-get install -y {sample.slug}`.",
            pytrace=False,
        )
    if sample.file:
        (folder / sample.file).write_text(sample.code + "\n")
        # What `npm install` of the page would do, with the packages that are installed.
        (folder / "node_modules").symlink_to(PROJECT / "frontend" / "node_modules")
        command = [program, *sample.run.split()[1:]]
    else:
        command = [program, "-c", sample.code]
    return subprocess.run(
        command,
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "INFERENCE_URL": addon.url,
            "INFERENCE_KEY": key or addon.key,
            "INFERENCE_MODEL_ID": addon.model,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_chat_quick_start_gets_an_answer(gateway: Gateway, tmp_path: Path, language: str) -> None:
    addon = gateway.provision("nova-lite")
    done = run(addon, printed("nova-lite", language), tmp_path)
    assert done.returncode == 0, done.stderr
    # The scripted model's words for a prompt that is no script.
    assert "Hello there, friend" in done.stdout
    rows = gateway.usage(addon)
    assert [(row["model"], row["outcome"]) for row in rows] == [("nova-lite", "complete")]
    assert rows[0]["streamed"] is (language in ("python", "javascript"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_rerank_quick_start_puts_the_right_document_first(
    gateway: Gateway, tmp_path: Path, language: str
) -> None:
    addon = gateway.provision("cohere-rerank-3-5")
    done = run(addon, printed("cohere-rerank-3-5", language), tmp_path)
    assert done.returncode == 0, done.stderr
    if language == "curl":
        assert '"results":[{"index":0,' in done.stdout
    else:
        first, second = done.stdout.strip().splitlines()
        assert "Choose Forgot password" in first
        assert "Our offices" in second
    assert [row["search_units"] for row in gateway.usage(addon)] == [1]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("plan", ["nova-lite", "cohere-rerank-3-5"])
def test_with_a_wrong_key_a_quick_start_says_why(
    gateway: Gateway, tmp_path: Path, plan: str, language: str
) -> None:
    addon = gateway.provision(plan)
    done = run(addon, printed(plan, language), tmp_path, key="inf-wrong")
    assert "Invalid API key" in done.stdout + done.stderr
    assert (done.returncode == 0) is (language == "curl")
