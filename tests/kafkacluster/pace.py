"""How fast clients get that go as fast as they may, over a minute, several at once."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

SETTLE_SECONDS = 10.0
"""What a full quota window lets through at once is paid for by then."""

SECONDS = 60.0
WINDOW_SECONDS = 5.0
"""`quota.window.num` times `quota.window.size.seconds` of our brokers."""

OUTSTANDING = 16
"""Records that wait for a partition: enough to keep it busy, few enough that no broker's share waits for another's."""


@dataclass
class Pace:
    """What one client got through: seconds since the beginning, and bytes of payload so far."""

    name: str
    quota: int
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
        tell more or less than what is sustained.
        """
        points = [(at, total) for at, total in self.seen if SETTLE_SECONDS <= at <= SETTLE_SECONDS + SECONDS]
        assert points, f"{self.name}: nothing came through: {self.problems}"
        middle = sum(at for at, _ in points) / len(points)
        spread = sum((at - middle) ** 2 for at, _ in points)
        return sum((at - middle) * total for at, total in points) / spread

    @property
    def in_time(self) -> int:
        """Bytes that came through from the beginning to the end of the minute, the first burst included."""
        return max((total for at, total in self.seen if at <= SETTLE_SECONDS + SECONDS), default=0)

    @property
    def allowed(self) -> float:
        """What the quota lets through in that time at most: its rate all the while, and one full window at once."""
        return self.quota * (SETTLE_SECONDS + SECONDS + WINDOW_SECONDS)

    def __str__(self) -> str:
        return f"{self.name}: {self.sustained:,.0f} of {self.quota:,} bytes/s ({self.sustained / self.quota:.0%})"


Run = Callable[[Pace, float], None]


def run_together(runs: list[tuple[Pace, Run]]) -> list[Pace]:
    """Let every client go at once for the whole time; their paces."""
    began = time.monotonic()

    def guarded(pace: Pace, run: Run) -> None:
        try:
            run(pace, began)
        except Exception as error:  # noqa: BLE001 - a thread's error is told with its pace
            pace.problems.append(repr(error))

    threads = [threading.Thread(target=guarded, args=each) for each in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for pace, _ in runs:
        assert not pace.problems, f"{pace.name}: {pace.problems[:3]}"
    return [pace for pace, _ in runs]


def producer(client: dict[str, Any], topic: str, *, partitions: int, quota: int) -> Run:
    """A client that keeps every partition of a topic busy, with the batches that are recommended for its quota."""
    batch = min(64_000, quota // 2)
    value = b"x" * max(500, batch // 8)

    def run(pace: Pace, began: float) -> None:
        waiting = dict.fromkeys(range(partitions), 0)

        def slowed(event: Any) -> None:
            pace.throttled |= event.throttle_time > 0

        sender = Producer(
            {
                **client,
                "batch.size": batch,
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

        for partition in cycle(range(partitions)):
            if time.monotonic() > over:
                break
            if waiting[partition] < OUTSTANDING:
                waiting[partition] += 1
                sender.produce(topic, value, partition=partition, on_delivery=delivered)
            sender.poll(0 if min(waiting.values()) < OUTSTANDING else 0.02)
        # What still waits for its turn is no longer wanted.
        sender.purge()
        sender.flush(0)

    return run


def consumer(client: dict[str, Any], topic: str, *, partitions: int, group: str, fetch: int) -> Run:
    """A client that reads a topic from its start, fetching so many bytes at once."""

    def run(pace: Pace, began: float) -> None:
        reader = Consumer(
            {
                **client,
                "group.id": group,
                "enable.auto.commit": False,
                "fetch.max.bytes": fetch,
                "max.partition.fetch.bytes": fetch,
                "message.max.bytes": fetch,
                "auto.offset.reset": "earliest",
            }
        )
        reader.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
        while time.monotonic() < began + SETTLE_SECONDS + SECONDS:
            message = reader.poll(0.1)
            if message is None:
                continue
            if error := message.error():
                pace.problems.append(str(error))
                continue
            pace.add(time.monotonic() - began, len(message.value() or b""))
        reader.close()

    return run
