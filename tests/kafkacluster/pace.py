"""How fast clients get that go as fast as they may, over a minute, several at once.

They run as a process of their own (`python -m tests.kafkacluster.pace`), which mostly waits for the brokers: tests go
on beside it, and neither's threads hold up the other's. It reads the clients' list from its input and writes what they
got through to its output, both as JSON.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import cycle
from typing import Any, Literal

from confluent_kafka import Consumer, Producer, TopicPartition

from tests.support.stack import PROJECT

SETTLE_SECONDS = 10.0
"""What a full quota window lets through at once is paid for by then."""

SECONDS = 60.0
WINDOW_SECONDS = 5.0
"""What a client that was still may send at once: `quota.window.size.seconds` of our brokers."""

OUTSTANDING = 16
"""Records that wait for a partition: enough to keep it busy, few enough that no broker's share waits for another's."""


@dataclass(frozen=True, kw_only=True)
class Runner:
    """One client: what it does, with which login, and the bytes per second that its plan gives it."""

    name: str
    kind: Literal["produce", "consume"]
    login: dict[str, Any]
    topic: str
    partitions: int
    quota: int
    group: str = ""
    fetch: int = 0
    """A consumer fetches so many bytes at once."""

    @property
    def batch(self) -> int:
        """A producer's batch of one partition in bytes: a second's worth, or three seconds' of one of three brokers.

        Large on purpose: a broker lets a request in whole, and must take all of it back from what comes after.
        """
        return min(64_000, self.quota)

    @property
    def at_once(self) -> int:
        """What one request for all partitions carries: one that begins within the quota is let in whole."""
        return self.partitions * (self.batch if self.kind == "produce" else self.fetch)


@dataclass
class Pace:
    """What one client got through: seconds since the beginning, and bytes of payload so far."""

    name: str
    quota: int
    at_once: int
    seen: list[tuple[float, int]] = field(default_factory=list)
    throttled: bool = False
    problems: list[str] = field(default_factory=list)
    total: int = 0

    def add(self, at: float, size: int) -> None:
        """Note bytes that were acknowledged, or came."""
        self.total += size
        self.seen.append((at, self.total))

    @property
    def sustained(self) -> float:
        """Bytes per second over the minute after the first burst: the slope of the line through all that was seen.

        A slope, because a quota works in bursts of some seconds, and a minute that begins or ends within one would
        tell more or less than what is sustained. 0 when nothing came through.
        """
        points = [(at, total) for at, total in self.seen if SETTLE_SECONDS <= at <= SETTLE_SECONDS + SECONDS]
        if len(points) < 2:
            return 0.0
        middle = sum(at for at, _ in points) / len(points)
        spread = sum((at - middle) ** 2 for at, _ in points)
        return sum((at - middle) * total for at, total in points) / spread

    @property
    def in_time(self) -> int:
        """Bytes that came through from the beginning to the end of the minute, the first burst included."""
        return max((total for at, total in self.seen if at <= SETTLE_SECONDS + SECONDS), default=0)

    @property
    def allowed(self) -> float:
        """What the quota lets through in that time at most: its rate all the while, one full window, one request.

        The window is the first burst; the request is the last one, whose bytes are waited for only after it.
        """
        return self.quota * (SETTLE_SECONDS + SECONDS + WINDOW_SECONDS) + self.at_once

    def __str__(self) -> str:
        return f"{self.name}: {self.sustained:,.0f} of {self.quota:,} bytes/s ({self.sustained / self.quota:.0%})"


class Minute:
    """Clients that have begun, all at once; see `begin`."""

    def __init__(self, runners: list[Runner]) -> None:
        """Start them."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kafkacluster.pace"],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin
        self._process.stdin.write(json.dumps([asdict(runner) for runner in runners]))
        self._process.stdin.close()
        # Read from now on: a process whose output is full would stand still.
        self._output: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout
        with self._process.stdout as output:
            self._output.append(output.read())

    def paces(self) -> list[Pace]:
        """Wait until the minute is over; what each client got through. AssertionError when one met an error."""
        self._reader.join(SETTLE_SECONDS + SECONDS + 60)
        assert self._process.wait(10) == 0
        paces = [Pace(**values) for values in json.loads(self._output[0])]
        for pace in paces:
            assert not pace.problems, f"{pace.name}: {pace.problems[:3]}"
        return paces

    def end(self) -> None:
        """End the clients, wherever they are."""
        self._process.kill()
        self._process.wait()
        self._reader.join(10)


def produce(runner: Runner, pace: Pace, began: float) -> None:
    """Keep every partition of a topic busy."""
    value = b"x" * max(500, runner.batch // 8)
    waiting = dict.fromkeys(range(runner.partitions), 0)

    def slowed(event: Any) -> None:
        pace.throttled |= event.throttle_time > 0

    sender = Producer(
        {
            **runner.login,
            "batch.size": runner.batch,
            "linger.ms": 20,
            "compression.type": "none",
            "throttle_cb": slowed,
        }
    )
    over = began + SETTLE_SECONDS + SECONDS

    def delivered(error: Any, message: Any) -> None:
        waiting[message.partition()] -= 1
        if error is None:
            pace.add(time.monotonic() - began, len(value))
        elif time.monotonic() < over:
            pace.problems.append(str(error))

    for partition in cycle(range(runner.partitions)):
        if time.monotonic() > over:
            break
        if waiting[partition] < OUTSTANDING:
            waiting[partition] += 1
            sender.produce(runner.topic, value, partition=partition, on_delivery=delivered)
        sender.poll(0 if min(waiting.values()) < OUTSTANDING else 0.02)
    # What still waits for its turn is no longer wanted.
    sender.purge()
    sender.flush(0)


def consume(runner: Runner, pace: Pace, began: float) -> None:
    """Read a topic from its start."""
    reader = Consumer(
        {
            **runner.login,
            "group.id": runner.group,
            "enable.auto.commit": False,
            "fetch.max.bytes": runner.fetch,
            "max.partition.fetch.bytes": runner.fetch,
            "message.max.bytes": runner.fetch,
            "auto.offset.reset": "earliest",
        }
    )
    reader.assign([TopicPartition(runner.topic, partition, 0) for partition in range(runner.partitions)])
    while time.monotonic() < began + SETTLE_SECONDS + SECONDS:
        message = reader.poll(0.1)
        if message is None:
            continue
        if error := message.error():
            pace.problems.append(str(error))
            continue
        pace.add(time.monotonic() - began, len(message.value() or b""))
    reader.close()


RUNS: dict[str, Callable[[Runner, Pace, float], None]] = {"produce": produce, "consume": consume}


def run_together(runners: list[Runner]) -> list[Pace]:
    """Let every client go at once for the whole time; their paces."""
    began = time.monotonic()
    paces = [Pace(runner.name, runner.quota, runner.at_once) for runner in runners]

    def guarded(runner: Runner, pace: Pace) -> None:
        try:
            RUNS[runner.kind](runner, pace, began)
        except Exception as error:  # noqa: BLE001 - a thread's error is told with its pace
            pace.problems.append(repr(error))

    threads = [threading.Thread(target=guarded, args=each) for each in zip(runners, paces, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return paces


def main() -> None:
    """Read the clients, let them go, and tell."""
    runners = [Runner(**values) for values in json.load(sys.stdin)]
    json.dump([asdict(pace) for pace in run_together(runners)], sys.stdout)


if __name__ == "__main__":
    main()
