"""The command line: what runs, what it says, what its exit code means, and that nothing is left behind."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from conformance.catalogue import CHECKS, Certainty, Level
from conformance.command import main
from local.ports import free_port
from tests.conformance.acme import PASSWORD, PLANS, SALT, SLUG, right_manifest
from tests.conformance.wrong_provider import WrongProvider

PROJECT = Path(__file__).resolve().parents[2]


def arguments(provider: WrongProvider, *more: str) -> list[str]:
    """The options that a newcomer gives."""
    door = ["--base-url", f"{provider.url}/heroku/resources", "--sso-url", f"{provider.url}/sso/login"]
    return [
        *door,
        "--slug",
        SLUG,
        "--password",
        PASSWORD,
        "--sso-salt",
        SALT,
        "--other-plan",
        PLANS[1],
        *more,
    ]


def run(*given: str, environment: dict[str, str] | None = None) -> int:
    """Run the command without this process's environment."""
    return main(list(given), environment=environment or {})


def reported(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The JSON report on standard output."""
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def outcomes(report: dict[str, Any]) -> dict[str, str]:
    """How each check ended."""
    return {check["id"]: check["outcome"] for check in report["checks"]}


def test_a_right_provider_ends_with_exit_code_0_and_a_readable_report(
    provider: WrongProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.begin()
    assert run(*arguments(provider)) == 0
    said = capsys.readouterr().out
    assert "\nauth\n  passed  auth.missing.post\n" in said
    assert "required  " in said
    assert "0 failed" not in said
    assert "\x1b[" not in said
    assert provider.live() == []


def test_a_failed_requirement_ends_with_1_and_shows_request_and_answer_without_secrets(
    provider: WrongProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.begin("auth.wrong.put", "provision.id", "leak.secret", "sso.old")
    assert run(*arguments(provider)) == 1
    said = capsys.readouterr().out
    assert "FAILED  auth.wrong.put\n          required: A PUT with a wrong password is answered 401." in said
    assert "> Authorization: Basic •••" in said
    assert "< 403 after " in said
    assert "          'id' is " in said
    assert "answers have the password in them" in said
    assert '"ACME_LLM_KEY": "•••"' in said
    assert "resource_token=•••" in said
    keys = {resource.key for resource in provider.resources.values()}
    for secret in (PASSWORD, SALT, *keys, *provider.sessions):
        assert secret not in said


def test_failed_advice_alone_ends_with_0_and_with_1_when_strict(
    provider: WrongProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.begin("sso.future")
    assert run(*arguments(provider, "--only", "sso")) == 0
    assert "ADVICE  sso.future" in capsys.readouterr().out
    assert run(*arguments(provider, "--only", "sso", "--strict")) == 1


def test_only_and_skip_take_groups_ids_and_the_first_words_of_ids(
    provider: WrongProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.begin()
    chosen = (
        "--only",
        "auth.missing,session",
        "--only",
        "sso.old",
        "--skip",
        "auth.missing.put,session.cookie",
    )
    assert run(*arguments(provider, *chosen, "--json", "-")) == 0
    assert outcomes(reported(capsys)) == {
        "auth.missing.post": "passed",
        "auth.missing.delete": "passed",
        "sso.old": "passed",
        "session.needed": "passed",
        "session.other_resource": "passed",
        "session.deprovisioned": "passed",
        "auth.missing.put": "skipped",
        "session.cookie": "skipped",
    }


def test_legacy_checks_run_only_when_asked_for(
    provider: WrongProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.begin()
    run(*arguments(provider, "--only", "provision.id", "--json", "-"))
    assert "legacy.provision" not in outcomes(reported(capsys))
    run(*arguments(provider, "--only", "legacy", "--json", "-"))
    found = outcomes(reported(capsys))
    assert found.pop("legacy.manifest") == "not run"
    assert set(found.values()) == {"passed"}


def test_without_a_platform_api_of_its_own_the_flow_is_not_run_and_the_reason_is_given(
    provider: WrongProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.begin(asynchronous=True)
    assert run(*arguments(provider, "--async", "--json", "-")) == 0
    report = reported(capsys)
    ended = {check["id"]: (check["outcome"], check["reason"]) for check in report["checks"]}
    for name in ("async.completed", "grant.exchanged", "plan_change.success"):
        assert ended[name][0] == "not run"
        assert "--listen HOST:PORT" in ended[name][1]
    assert ended["provision.status"] == ("passed", "")
    assert ended["async.deprovision"] == ("passed", "")


def test_with_listen_the_whole_asynchronous_flow_runs(
    provider: WrongProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    provider.begin(asynchronous=True, api_url=f"http://127.0.0.1:{port}")
    listen = ("--listen", f"127.0.0.1:{port}", "--watch-seconds", "0.4")
    assert run(*arguments(provider, "--async", "--only", "async,grant", *listen, "--json", "-")) == 0
    found = outcomes(reported(capsys))
    assert found.pop("async.config_declared") == "not run"  # there is no manifest
    assert set(found.values()) == {"passed"}


def test_a_manifest_names_what_no_option_does(
    provider: WrongProvider, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.begin()
    manifest = tmp_path / "addon-manifest.json"
    manifest.write_text(json.dumps(right_manifest(provider.url)))
    assert run("--manifest", str(manifest), "--json", "-") == 0
    found = outcomes(reported(capsys))
    assert found["sso.form"] == found["provision.config_declared"] == found["manifest.id"] == "passed"
    assert found["manifest.https"] == "not run"  # it is of this machine


def test_secrets_can_come_from_the_environment(provider: WrongProvider) -> None:
    provider.begin()
    door = ("--base-url", f"{provider.url}/heroku/resources", "--slug", SLUG, "--only", "provision.id")
    assert run(*door, environment={"CONFORMANCE_PASSWORD": PASSWORD}) == 0
    assert run(*door, environment={"CONFORMANCE_PASSWORD": "another"}) == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--base-url", "http://127.0.0.1:9/heroku/resources"), "does not answer"),
        (("--base-url", "acme.example.com"), "no address"),
        (("--password", ""), "needs --password"),
        (("--only", "no-such-group"), "no check and no group is called 'no-such-group'"),
        (("--skip", "prov"), "no check and no group is called 'prov'"),
        (("--manifest", "/no/such/file"), "--manifest"),
        (("--refused-plan-change", "large"), "FROM:TO"),
        (("--other-service", "acme-sql"), "belong together"),
        (("--listen", "somewhere"), "HOST:PORT"),
    ],
)
def test_what_cannot_be_run_ends_with_2_and_says_why(
    provider: WrongProvider, capsys: pytest.CaptureFixture[str], wrong: tuple[str, str], said: str
) -> None:
    provider.begin()
    assert run(*arguments(provider, *wrong)) == 2
    assert said in capsys.readouterr().err
    assert provider.resources == {}


def test_every_check_is_listed_with_its_level_and_how_sure_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--list") == 0
    said = capsys.readouterr().out
    for check in CHECKS.values():
        assert f"{check.id}  ({check.level.value})\n" in said
    assert "[found in Heroku's own code (kensa asserts exactly 401" in said


def test_the_list_can_be_cut_short() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "conformance", "--list"],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as listing:
        assert listing.stdout
        assert listing.stderr
        assert listing.stdout.readline() == "manifest.id  (required)\n"
        listing.stdout.close()
        assert listing.stderr.read() == ""


def test_no_requirement_rests_on_less_than_heroku_s_documents_or_code() -> None:
    surenesses = {check.certainty for check in CHECKS.values() if check.level is Level.REQUIRED}
    assert surenesses == {Certainty.DOCUMENTED, Certainty.CODE}


def test_ctrl_c_removes_what_was_made(provider: WrongProvider) -> None:
    provider.begin("latency.limit")
    command = [sys.executable, "-m", "conformance", *arguments(provider, "--only", "media")]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 20
        # The provider dawdles over one answer while a resource of the same check is alive.
        while not provider.delayed and time.monotonic() < end:
            time.sleep(0.02)
        assert len(provider.live()) == 1
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "interrupted" in said
    assert provider.live() == []


def test_what_cannot_be_removed_is_named(provider: WrongProvider, capsys: pytest.CaptureFixture[str]) -> None:
    provider.begin("async.deprovision", asynchronous=True)
    run(*arguments(provider, "--async", "--only", "provision.id", "--json", "-"))
    captured = capsys.readouterr()
    assert json.loads(captured.out)["left_behind"] == provider.live()
    assert f"LEFT BEHIND, deprovision failed: {provider.live()[0]}" in captured.err
