"""Is everything there that this provider depends on, and if not, what is to be done?"""

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from urllib.parse import urlsplit

import redis
import requests
from django.conf import settings
from django.core.checks import ERROR, WARNING, run_checks
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from operators.models import Account
from provisioning import sweep
from provisioning.models import Heartbeat, Operation, Plan, PlatformAccess
from provisioning.sealing import SealingError, sealed_columns
from provisioning.services import all_services
from provisioning.states import ACTIVE_OPERATION_STATES, LIVE_STATES, AccessState

QUEUES = ("grants", "operations", "notices", "usage", "maintenance")
LONG_QUEUE = 1000
_SEALED_LOOKED_AT = 20


@dataclass(frozen=True)
class Finding:
    """What one check found. `bad`: something does not work; `warning`: it will not for long, or not for all."""

    check: str
    state: Literal["ok", "warning", "bad"]
    text: str
    advice: str = ""


Check = Callable[[], Iterator[Finding]]
_checks: dict[str, Check] = {}


def register(name: str, check: Check) -> None:
    """Let an app add a check of what it depends on."""
    _checks[name] = check


def examine() -> Iterator[Finding]:
    """Every check's findings. A check that breaks is a finding itself, and the others go on."""
    for name, check in _checks.items():
        try:
            yield from check()
        except DatabaseError as error:
            yield Finding(
                name, "bad", f"the database refused: {type(error).__name__}", "Look at the check “database”."
            )
        except Exception as error:  # noqa: BLE001 - whatever breaks here is what somebody wants to know
            yield Finding(
                name, "bad", f"the check broke: {type(error).__name__}: {error}", "Tell the developers."
            )


def _database() -> Iterator[Finding]:
    began = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        version = cursor.fetchone()[0]
    yield Finding("database", "ok", f"PostgreSQL {version}, {(time.monotonic() - began) * 1000:.0f} ms")
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        yield Finding("migrations", "bad", f"{len(missing)} are not applied", "Run manage.py migrate.")
    else:
        yield Finding("migrations", "ok", "all applied")


def _redis() -> Iterator[Finding]:
    client = redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2, socket_timeout=2)
    try:
        client.ping()
    except redis.RedisError as error:
        yield Finding(
            "redis",
            "bad",
            type(error).__name__,
            "Is REDIS_URL right, and the server up? Nothing is lost meanwhile.",
        )
        return
    yield Finding("redis", "ok", "answers")
    for queue in QUEUES:
        length = int(client.llen(queue))
        if length > LONG_QUEUE:
            yield Finding(
                "queues", "warning", f"{queue} holds {length} messages", "Start more workers of this queue."
            )


def _sweeper() -> Iterator[Finding]:
    beat = Heartbeat.objects.filter(name=sweep.HEARTBEAT).first()
    age = (timezone.now() - beat.at).total_seconds() if beat else None
    if age is None or age > 60:
        told = "has never run" if age is None else f"ran {age:.0f} s ago"
        yield Finding("sweeper", "bad", told, "Start a beat, and a worker for the queue maintenance.")
    else:
        yield Finding("sweeper", "ok", f"ran {age:.0f} s ago")


def _operations() -> Iterator[Finding]:
    before = timezone.now() - sweep.ALARM_AFTER
    old = list(Operation.objects.filter(state__in=ACTIVE_OPERATION_STATES, created_at__lt=before)[:5])
    for operation in old:
        yield Finding(
            "operations",
            "warning",
            f"{operation} is older than 15 minutes, at “{operation.step}”",
            f"See {settings.BASE_URL}/admin/operations/{operation.pk}/",
        )
    lost = PlatformAccess.objects.filter(state=AccessState.LOST, resource__state__in=LIVE_STATES)[:1000]
    if number := len(lost):
        yield Finding(
            "access",
            "warning",
            f"Heroku does not let us into {number} resources",
            "See access.lost in docs/operate.md.",
        )
    if not old:
        yield Finding("operations", "ok", "none is older than 15 minutes")


def _settings() -> Iterator[Finding]:
    found = [
        each
        for each in run_checks(include_deployment_checks=True)
        if each.level >= WARNING and not each.is_silenced()
    ]
    for each in found:
        yield Finding(
            "settings", "bad" if each.level >= ERROR else "warning", f"{each.id}: {each.msg}", each.hint or ""
        )
    if not found:
        yield Finding("settings", "ok", "every system check passes")


def _catalogue() -> Iterator[Finding]:
    for slug, service in all_services().items():
        stored = set(Plan.objects.filter(service=slug, withdrawn_at=None).values_list("slug", flat=True))
        if stored != {plan.slug for plan in service.plans}:
            yield Finding(
                "catalogue",
                "bad",
                f"{slug}: the plans are not those of plans.toml",
                "Run manage.py sync_plans.",
            )
        else:
            yield Finding("catalogue", "ok", f"{slug}: {len(stored)} plans")


def _sealing() -> Iterator[Finding]:
    broken = 0
    for model, columns in sealed_columns().items():
        for column in columns:
            for row in model._default_manager.exclude(**{column: None}).order_by("-pk")[:_SEALED_LOOKED_AT]:
                try:
                    row.get_sealed(column)
                except SealingError:
                    broken += 1
    if broken:
        yield Finding(
            "sealing",
            "bad",
            f"{broken} stored secrets do not open",
            "A key is missing from SEALING_KEYS: put it back.",
        )
    else:
        yield Finding("sealing", "ok", "stored secrets open")


def _heroku() -> Iterator[Finding]:
    for name, url in (("HEROKU_API_URL", settings.HEROKU_API_URL), ("HEROKU_ID_URL", settings.HEROKU_ID_URL)):
        host = urlsplit(url).hostname or ""
        try:
            socket.getaddrinfo(host, None)
            with requests.Session() as session:
                session.trust_env = False
                session.get(url, timeout=(3, 5), allow_redirects=False)
        except (OSError, requests.RequestException) as error:
            yield Finding(
                "heroku", "bad", f"{host}: {type(error).__name__}", f"Is {name} right, and the network open?"
            )
        else:
            yield Finding("heroku", "ok", f"{host} answers")


def _operators() -> Iterator[Finding]:
    if not Account.objects.filter(confirmed_at__isnull=False, user__is_active=True).exists():
        yield Finding(
            "operators",
            "warning",
            "nobody can sign in at /admin/",
            "Run manage.py create_operator NAME, and sign in.",
        )
        return
    idle = Account.objects.filter(
        user__is_active=True, user__last_login__lt=timezone.now() - timedelta(days=90)
    ).count()
    if idle:
        yield Finding(
            "operators", "warning", f"{idle} have not signed in for 90 days", "Make their accounts inactive."
        )
    else:
        yield Finding("operators", "ok", "at least one can sign in")


for _name, _check in (
    ("database", _database),
    ("redis", _redis),
    ("sweeper", _sweeper),
    ("operations", _operations),
    ("settings", _settings),
    ("catalogue", _catalogue),
    ("sealing", _sealing),
    ("heroku", _heroku),
    ("operators", _operators),
):
    register(_name, _check)
