"""How much the inference gateway costs: `python -m bench.gateway`, with `--long` for its memory over 100,000 answers.

An instant model server is called directly, through a bare pass-through of the same stack, through ours with keys,
limits and metering on (by 100 add-ons), and through two other gateways. The load and all servers share this machine's
cores, so the ratios say more than the numbers.
"""

import json
import os
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import psutil
import psycopg
import requests

from bench import peers
from bench.partner_api import PROJECT, WORKERS, Request, Result, Server, running_server
from local.ports import free_port
from local.program import Program, RunningProgram
from local.watcher import Watcher

KEYS = 100
CALLS = {1: 500, 16: 3_000, 64: 3_000}
STREAMED_SHARE = 3
SLOW_SHARE = 10
LONG_ROUNDS, LONG_CALLS = 10, 10_000
PATH = "/v1/chat/completions"
GOALS = {"bare": 0.5, "LiteLLM": 15.0, "Portkey": 2.0}
"""Ours against each, in answers per second at 16 and 64 at once."""
ADDED_GOAL_MILLISECONDS = 0.6


@dataclass(frozen=True)
class Way:
    """One way to the instant server, and what its requests need."""

    name: str
    server: Server
    keys: list[str] = field(default_factory=lambda: ["none"])
    headers: dict[str, str] = field(default_factory=dict)
    share: int = 1
    """It gets one request in so many, so that a slow one does not take all evening."""

    def prepared(self, number: int, *, streamed: bool) -> list[Request]:
        """Completions, the keys in turn."""
        message = {"role": "user", "content": "What should I build today?"}
        body = json.dumps({"model": "nova-lite", "messages": [message], "max_tokens": 64, "stream": streamed})
        return [
            (
                "POST",
                PATH,
                {
                    "Authorization": f"Bearer {self.keys[each % len(self.keys)]}",
                    "Content-Type": "application/json",
                    **self.headers,
                },
                body,
            )
            for each in range(max(1, number // self.share))
        ]

    def processes(self) -> list[psutil.Process]:
        """Its server's processes: those that were told its port, and their children."""
        port, found = self.server.origin.rpartition(":")[2], []
        for process in psutil.process_iter():
            try:
                if process.environ().get("PORT") == port:
                    found.append(process)
            except (psutil.AccessDenied, psutil.NoSuchProcess):
                continue
        return found

    def processor_seconds(self) -> float:
        """What its processes have used so far."""
        return sum(sum(process.cpu_times()[:2]) for process in self.processes())

    def memory(self) -> float:
        """Megabytes of its processes."""
        return sum(process.memory_info().rss for process in self.processes()) / 1_000_000


@dataclass(frozen=True)
class Measured:
    """One way at one concurrency."""

    result: Result
    processor_milliseconds: float


def main() -> None:
    """Measure and print one table, then the ratios that were aimed at."""
    print(f"{WORKERS} web processes, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start")
    instant, bare = free_port(), free_port()
    upstream = f"http://127.0.0.1:{instant}"
    # Read by the web process: where every chat model runs.
    os.environ["INFERENCE_UPSTREAMS"] = json.dumps({"chat": {"url": f"{upstream}/v1", "model": "instant"}})
    with ExitStack() as servers:
        servers.enter_context(served("application", instant, {}))
        servers.enter_context(served("passthrough", bare, {"INSTANT_URL": upstream}))
        provider = servers.enter_context(running_server())
        ours = Way("ours", provider, keys=provisioned(provider))
        if "--long" in sys.argv[1:]:
            measure_memory(ours)
            return
        ways = [
            Way("direct", Server(upstream, {})),
            Way("bare", Server(f"http://127.0.0.1:{bare}", {})),
            ours,
            *others(servers, upstream),
        ]
        tell_ratios(measure_all(ways))
        print(f"\nMetered: {metered(provider):,} answers")


def others(servers: ExitStack, upstream: str) -> Iterator[Way]:
    """The other gateways, as far as they can be had here."""
    for name, start, key, headers in (
        ("LiteLLM", peers.litellm, peers.MASTER_KEY, {}),
        ("Portkey", peers.portkey, "none", peers.portkey_headers(upstream)),
    ):
        try:
            port = servers.enter_context(start(upstream))
        except peers.Unavailable as reason:
            print(f"{name} is not compared: {reason}")
            continue
        yield Way(name, Server(f"http://127.0.0.1:{port}", {}), [key], headers, share=SLOW_SHARE)


def measure_all(ways: list[Way]) -> dict[tuple[str, bool, int], Measured]:
    """Every kind of answer at every concurrency, each way right after the other."""
    found = {}
    print(f"\n{'answers':<10}{'at once':>8}  {'way':<9}{'per s':>8}{'p50 ms':>8}{'p99 ms':>8}", end="")
    print(f"{'added p50':>11}{'added p99':>11}{'CPU ms':>8}{'MB':>6}")
    for streamed in (False, True):
        for concurrency, whole in CALLS.items():
            number = whole // STREAMED_SHARE if streamed else whole
            for way in ways:
                key = (way.name, streamed, concurrency)
                try:
                    found[key] = measure(way, number, streamed=streamed, concurrency=concurrency)
                except SystemExit as wrong:
                    if way.share == 1:
                        raise
                    print(f"{way.name} is left out here: {wrong}")  # another gateway's own trouble
                    continue
                result, direct = found[key].result, found["direct", streamed, concurrency].result
                print(
                    f"{'50 parts' if streamed else 'whole':<10}{concurrency:>8}  {way.name:<9}"
                    f"{result.per_second:>8.0f}{result.p50:>8.2f}{result.p99:>8.2f}"
                    f"{result.p50 - direct.p50:>11.2f}{result.p99 - direct.p99:>11.2f}"
                    f"{found[key].processor_milliseconds:>8.2f}{way.memory():>6.0f}",
                    flush=True,
                )
    return found


def measure(way: Way, number: int, *, streamed: bool, concurrency: int) -> Measured:
    """Warm up, then measure."""
    asked = way.prepared(number, streamed=streamed)
    way.server.measure(asked[: max(1, len(asked) // 10)], concurrency=concurrency, expected=200)
    before = way.processor_seconds()
    result = way.server.measure(asked, concurrency=concurrency, expected=200)
    return Measured(result, (way.processor_seconds() - before) / len(asked) * 1000)


def tell_ratios(found: dict[tuple[str, bool, int], Measured]) -> None:
    """Print ours against each of the others, and whether the goals are met."""
    print()
    for peer, goal in GOALS.items():
        for concurrency in (16, 64):
            for streamed in (False, True):
                if (peer, streamed, concurrency) not in found:
                    continue
                per_second = [found[name, streamed, concurrency].result.per_second for name in ("ours", peer)]
                ratio = per_second[0] / per_second[1]
                print(
                    f"ours : {peer:<8} {'50 parts' if streamed else 'whole':<9} at {concurrency:<3}"
                    f"{ratio:>7.2f}   goal {goal:>5.1f}   {'met' if ratio >= goal else 'missed'}"
                )
    added = found["ours", False, 1].result.p50 - found["direct", False, 1].result.p50
    verdict = "met" if added < ADDED_GOAL_MILLISECONDS else "missed"
    print(f"added p50 at 1: {added:.2f} ms   goal {ADDED_GOAL_MILLISECONDS} ms   {verdict}")


def measure_memory(way: Way) -> None:
    """Print the memory of the web's processes while it gives 100,000 answers."""
    asked = way.prepared(LONG_CALLS, streamed=False)
    print(f"{'answers':>9}{'MB':>8}{'per s':>8}")
    for round_number in range(1, LONG_ROUNDS + 1):
        result = way.server.measure(asked, concurrency=16, expected=200)
        print(f"{round_number * LONG_CALLS:>9,}{way.memory():>8.1f}{result.per_second:>8.0f}", flush=True)


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


@contextmanager
def served(name: str, port: int, environment: dict[str, str]) -> Iterator[None]:
    """One of `bench.instant`'s applications, served as the web is."""
    workers = 1 if name == "application" else WORKERS
    program = Program(
        name=name,
        argv=[
            *(sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py"),
            # One that is replaced in the middle would refuse connections for a moment.
            *("--max-requests", "0", f"bench.instant:{name}"),
        ],
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
