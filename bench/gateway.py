"""How much the inference gateway costs: `python -m bench.gateway`.

An instant model server is called directly, through a bare pass-through of the same stack, and through ours with keys,
limits and metering on, by 100 add-ons. The load and all servers share this machine's cores, so the ratios say more than
the numbers. Memory is that of the web processes before and after.
"""

import json
import os
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil
import psycopg
import requests

from bench.partner_api import PROJECT, WORKERS, Request, Result, Server, running_server
from local.ports import free_port
from local.program import Program, RunningProgram
from local.watcher import Watcher

KEYS = 100
CALLS = {1: 500, 16: 3_000, 64: 3_000}
STREAMED_SHARE = 3
PATH = "/v1/chat/completions"


def main() -> None:
    """Measure and print one table."""
    print(f"{WORKERS} web processes, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start")
    instant, bare = free_port(), free_port()
    instant_url = f"http://127.0.0.1:{instant}"
    # Read by the web process: where every chat model runs.
    os.environ["INFERENCE_UPSTREAMS"] = json.dumps({"chat": {"url": f"{instant_url}/v1", "model": "instant"}})
    with (
        served("application", instant, {}),
        served("passthrough", bare, {"INSTANT_URL": instant_url}),
        running_server() as ours,
    ):
        measure_all(ours, direct=Server(instant_url, {}), bare=Server(f"http://127.0.0.1:{bare}", {}))


def measure_all(ours: Server, *, direct: Server, bare: Server) -> None:
    """Every kind of answer at every concurrency."""
    print(f"\n{'':<9}{'at once':>8}{'direct/s':>10}{'bare/s':>9}{'ours/s':>9}", end="")
    print(f"{'ours:bare':>10}{'bare p50':>9}{'ours p50':>9}{'ours p99':>9}{'added p50 ms':>13}")
    keys, before = provisioned(ours), memory(ours)
    for streamed in (False, True):
        for concurrency, whole in CALLS.items():
            number = whole // STREAMED_SHARE if streamed else whole
            asked = prepared(keys, number, streamed=streamed)
            for server in (direct, bare, ours):
                server.measure(asked[: number // 10], concurrency=concurrency, expected=200)
            found = [
                server.measure(asked, concurrency=concurrency, expected=200)
                for server in (direct, bare, ours)
            ]
            row("50 parts" if streamed else "whole", concurrency, *found)
    print(f"\nMemory of the web: {before:.0f} MB before, {memory(ours):.0f} MB after")
    print(f"Metered: {metered(ours):,} answers")


def row(kind: str, concurrency: int, direct: Result, bare: Result, ours: Result) -> None:
    """One line of the table."""
    print(
        f"{kind:<9}{concurrency:>8}{direct.per_second:>10.0f}{bare.per_second:>9.0f}{ours.per_second:>9.0f}"
        f"{ours.per_second / bare.per_second:>10.2f}{bare.p50:>9.2f}{ours.p50:>9.2f}{ours.p99:>9.2f}"
        f"{ours.p50 - direct.p50:>13.2f}",
        flush=True,
    )


def prepared(keys: list[str], number: int, *, streamed: bool) -> list[Request]:
    """Completions, the keys in turn."""
    message = {"role": "user", "content": "What should I build today?"}
    body = json.dumps({"model": "nova-lite", "messages": [message], "max_tokens": 64, "stream": streamed})
    return [
        ("POST", PATH, {"Authorization": f"Bearer {keys[each % len(keys)]}"}, body) for each in range(number)
    ]


def provisioned(server: Server) -> list[str]:
    """The keys of 100 fresh add-ons, on a plan whose limits are out of the way but still counted."""
    keys = []
    for method, path, headers, body in server.provisions([str(uuid.uuid4()) for _ in range(KEYS)]):
        answer = requests.request(method, server.origin + path, headers=headers, data=body, timeout=30)
        answer.raise_for_status()
        keys.append(answer.json()["config"]["INFERENCE_KEY"])
    with psycopg.connect(server.database_url, autocommit=True) as connection:
        limits = '{"model_kind": "chat", "requests_per_minute": 1000000, "tokens_per_minute": 1000000000}'
        connection.execute(
            "UPDATE provisioning_plan SET limits = %s WHERE slug = 'nova-lite' AND service = 'inference'",
            [limits],
        )
    return keys


def metered(server: Server) -> int:
    """How many answers have a row."""
    with psycopg.connect(server.database_url) as connection:
        found = connection.execute("SELECT count(*) FROM inference_usageevent").fetchone()
    return int(found[0]) if found else 0


def memory(server: Server) -> float:
    """Megabytes of the web's worker processes."""
    port = server.origin.rpartition(":")[2]
    workers = [
        process
        for process in psutil.process_iter(["cmdline"])
        if "addon.asgi:application" in (process.info["cmdline"] or ())
        and process.environ().get("PORT") == port
    ]
    return sum(process.memory_info().rss for process in workers) / 1_000_000


@contextmanager
def served(name: str, port: int, environment: dict[str, str]) -> Iterator[None]:
    """One of `bench.instant`'s applications, served as the web is."""
    workers = 1 if name == "application" else WORKERS
    program = Program(
        name=name,
        argv=[sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", f"bench.instant:{name}"],
        environment={**environment, "PORT": str(port), "WEB_CONCURRENCY": str(workers)},
        folder=PROJECT,
    )
    with ExitStack() as cleaning:
        running = RunningProgram(program, watcher=cleaning.enter_context(Watcher()))
        cleaning.callback(running.stop)
        url = f"http://127.0.0.1:{port}{PATH}"
        for _ in range(200):
            try:
                if name != "application" or requests.post(url, json={}, timeout=2).status_code == 200:
                    break
            except requests.ConnectionError:
                pass
            time.sleep(0.1)
        yield


if __name__ == "__main__":
    main()
