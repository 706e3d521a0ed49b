"""An advisory to many people while workers are killed: how long it takes, and that each gets exactly one mail.

python -m bench.advisories [--recipients 10000] [--kill-every 5]
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack

import psutil

from local.environment import new_secrets
from local.postgres import Postgres
from local.watcher import Watcher
from tests.support.folders import server_folder
from tests.support.mailbox import Provider, running_provider
from tests.support.stack import PROJECT, Stack, running_stack

GOAL_SECONDS = 300.0
SEND = """
import sys
import django
django.setup()
from django.contrib.auth.models import User
from django.db import connection
from advisories import delivery, drafting
from provisioning.models import Plan
from provisioning.wakeups import flush
number = int(sys.argv[1])
plan = Plan.objects.filter(service="mobiloud").first()
with connection.cursor() as cursor:
    cursor.execute(
        "INSERT INTO provisioning_resource "
        "(uuid, service, plan_id, state, name, region, options, request, app_id, app_name) "
        "SELECT gen_random_uuid(), 'mobiloud', %s, 'provisioned', 'mobiloud-' || n, 'us', '{}', '{}', 'app-' || n, "
        "'app-' || n FROM generate_series(1, %s) AS n", [plan.pk, number])
    cursor.execute(
        "INSERT INTO mail_contact (resource_id, email, source, added_by) "
        "SELECT id, 'owner' || id || '@example.com', 'owner', '' FROM provisioning_resource")
    cursor.execute("INSERT INTO mail_contactreading (resource_id, read_at, attempt, last_error, next_attempt_at) "
        "SELECT id, now(), 0, '', now() + interval '1 day' FROM provisioning_resource")
olga, rita = (User.objects.create_user(name, is_staff=True) for name in ("olga", "rita"))
said = {"title": "Keys in a log file", "summary": "Keys were written to a log.", "how_to_check": "All are.",
    "cvss_vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N",
    "steps": [{"text": "Rotate the key.", "command": "heroku addons:open mobiloud", "deadline": "2027-01-01"}]}
advisory = drafting.create_advisory(author=olga, said=said,
    about={"kind": "exposure", "scope": {"services": ["mobiloud"]}})
version = advisory.versions.get()
drafting.submit(version.pk, author=olga)
drafting.review(version.pk, reviewer=rita, approved=True)
delivery.send(version.pk, operator=olga)
flush()
"""


def main() -> int:
    """Run once and print what happened; 1 when somebody got no mail or more than one, or it took too long."""
    parser = argparse.ArgumentParser(prog="python -m bench.advisories", description=__doc__)
    parser.add_argument("--recipients", type=int, default=10_000)
    parser.add_argument("--kill-every", type=float, default=5.0, help="seconds between two kills")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start", flush=True)
    with ExitStack() as cleaning:
        folder = cleaning.enter_context(server_folder())
        watcher = cleaning.enter_context(Watcher())
        postgres = cleaning.enter_context(Postgres(folder / "postgres", fast=True, watcher=watcher))
        os.environ.update({**new_secrets(), "DATABASE_URL": postgres.url})
        provider = cleaning.enter_context(running_provider())
        environment = {**provider.environment, "MAIL_PER_SECOND": "500", "MAIL_LEASE_SECONDS": "20"}
        stack = cleaning.enter_context(running_stack(environment=environment))
        return run(stack, provider, recipients=arguments.recipients, kill_every=arguments.kill_every)


def run(stack: Stack, provider: Provider, *, recipients: int, kill_every: float) -> int:
    """Send, kill, wait for the end, count."""
    # The connection breaks now and then on top of it, and the server refuses for the moment.
    provider.misbehave(drop_after_text=0.002, drop_in_text=0.002, try_later=0.002)
    began, chance, kills = time.monotonic(), random.Random(7), Counter[str]()
    subprocess.run(
        [sys.executable, "-c", SEND, str(recipients)],
        cwd=PROJECT,
        env={**os.environ, **stack.environment},
        check=True,
        timeout=300,
    )
    approved = time.monotonic() - began
    last_kill, accepted_after = time.monotonic(), 0.0
    while not accepted_after:
        time.sleep(0.25)
        if len(provider.counts()) == recipients:
            accepted_after = time.monotonic() - began
        elif time.monotonic() - began > 3 * GOAL_SECONDS:
            break
        elif time.monotonic() - last_kill > kill_every:
            kills[_kill(stack, chance)] += 1
            last_kill = time.monotonic()
    provider.misbehave()
    states = _settled_states(stack, recipients)
    settled = time.monotonic() - began
    counts = Counter(provider.counts().values())
    doubts = stack.rows("SELECT coalesce(sum(doubts), 0) AS n FROM mail_mail WHERE kind = 'advisory'")[0]["n"]
    print(
        f"{recipients} recipients, {sum(kills.values())} kills: {dict(kills)}, {doubts} mails sent again after a doubt"
    )
    print(f"draft, review and sending begun after {approved:.1f} s")
    print(f"every recipient mailed after {accepted_after:.1f} s, every state settled after {settled:.1f} s")
    print(f"mails for each recipient: {dict(counts)}; states: {states}")
    good = (
        counts == {1: recipients}
        and states == {"delivered": recipients}
        and 0 < accepted_after < GOAL_SECONDS
    )
    print(f"Goal: each exactly one within {GOAL_SECONDS:.0f} s: {'met' if good else 'missed'}")
    return 0 if good else 1


def _kill(stack: Stack, chance: random.Random) -> str:
    """End one process of the worker as `kill -9` does, or the whole worker, which is started again."""
    try:
        children = stack.processes_below("worker")
        if not children:
            return "still starting"
        if chance.random() < 0.25:
            stack.kill_part("worker")
            stack.start_part("worker")
            return "whole workers"
        os.kill(chance.choice(children).pid, signal.SIGKILL)
    except (psutil.NoSuchProcess, ProcessLookupError, KeyError):
        return "gone before"
    return "processes"


def _settled_states(stack: Stack, recipients: int) -> dict[str, int]:
    """The mails' states, once none is under way, or after two minutes."""
    end = time.monotonic() + 120
    while True:
        rows = stack.rows("SELECT state, count(*) AS n FROM mail_mail WHERE kind = 'advisory' GROUP BY state")
        states = {str(row["state"]): int(row["n"]) for row in rows}
        if states == {"delivered": recipients} or time.monotonic() > end:
            return states
        time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main())
