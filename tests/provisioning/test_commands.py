"""Management commands: what each prints, and how it ends."""

import json
import os
import re
import subprocess
import sys
import uuid
from io import StringIO
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command, get_commands
from pydantic import SecretStr

from addon.env import PartnerSecrets
from conformance.command import build_parser
from provisioning.management.commands.conformance import known_arguments
from provisioning.models import Operation, Plan
from provisioning.services import all_services
from tests.support.partner import Partner, run_operations

FOLDERS = ("addon", "advisories", "billing", "mail", "operators", "provisioning", "sso")
COMMANDS = sorted(name for name, app in get_commands().items() if str(app).split(".")[0] in FOLDERS)


def run(*arguments: str) -> str:
    """What a command prints."""
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command(command, "--help")
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert f"{command} " in text
    assert len(text.split("\n\n")[1]) > 20
    # That of the conformance suite passes its options on.
    assert command == "conformance" or {"--json", "--dry-run"} <= set(re.findall(r"--[a-z-]+", text))


def manage(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`manage.py` as a process of its own; it reaches the databases of the tests' servers."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=django_settings.BASE_DIR,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_exit_codes_reach_the_shell() -> None:
    assert manage("manifest", "inference").returncode == 0
    wrong = manage("manifest", "no-such-service")
    assert wrong.returncode != 0
    assert "invalid choice" in wrong.stderr


def test_plans_are_loaded_and_reported(plans: None) -> None:
    assert run("sync_plans") == "plans are up to date\n"
    Plan.objects.filter(service="mobiloud", slug="elite").update(price_cents=1)
    assert run("sync_plans", "--dry-run") == "would be changed: mobiloud:elite\n"
    assert Plan.objects.get(service="mobiloud", slug="elite").price_cents == 1
    assert run("sync_plans") == "changed: mobiloud:elite\n"
    assert Plan.objects.get(service="mobiloud", slug="elite").price_cents == 899_900


def test_a_rotation_is_started_and_named(ready: Any) -> None:
    resource = ready("inference")
    text = run("rotate_credentials", str(resource.uuid))
    operation = resource.operations.get(kind="rotation")
    assert text == f"operation {operation.pk} started\n"
    assert (operation.parameters, operation.requested_by) == ({"revoke_now": False}, "operator (command)")
    run_operations(resource)
    run("rotate_credentials", str(resource.uuid), "--revoke-now")
    assert resource.operations.filter(kind="rotation").latest("pk").parameters == {"revoke_now": True}


def test_a_rotation_that_cannot_be_says_why_and_starts_nothing(ready: Any, kafka: Partner) -> None:
    with pytest.raises(CommandError, match="there is no resource"):
        run("rotate_credentials", str(uuid.uuid4()))
    with pytest.raises(CommandError, match="once the resource is provisioned"):
        run("rotate_credentials", str(kafka.provisioned().uuid))
    with pytest.raises(CommandError, match="no credentials to rotate"):
        run("rotate_credentials", str(ready("mobiloud").uuid))
    with pytest.raises(CommandError, match="invalid UUID"):
        run("rotate_credentials", "not-a-uuid")
    assert not Operation.objects.filter(kind="rotation").exists()


def test_a_sweep_by_hand_says_what_it_touched(plans: None) -> None:
    assert json.loads(run("sweep")) == {
        "operations": 0,
        "grants": 0,
        "revocations": 0,
        "alarms": 0,
        "given_up": 0,
        "overrides": 0,
    }


def test_resealing_says_how_much_it_moved(inference: Partner) -> None:
    inference.provisioned()
    assert run("reseal") == "0 values moved to the current key\n"


def test_secrets_that_begin_with_a_hyphen_reach_the_conformance_suite(settings: Any) -> None:
    def hyphened(slug: str) -> PartnerSecrets:
        return PartnerSecrets(
            passwords=SecretStr(f"-{slug}"),
            sso_salts=SecretStr("-salt"),
            oauth_client_secrets=SecretStr("-secret"),
        )

    settings.PARTNER_SECRETS = {slug: hyphened(slug) for slug in all_services()}
    for service in all_services().values():
        read = build_parser().parse_args(known_arguments(service))
        assert read.client_secret == "-secret"
        assert read.other_service_password.startswith("-")
