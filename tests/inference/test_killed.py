"""Streams whose gateway process is killed are metered once, for what it last wrote down of them."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psycopg
import requests

from addon.inference.interrupted import SETTLE
from addon.inference.models import Outcome
from tests.inference.conftest import Addon, Gateway
from tests.support.stack import until

WORDS = 250
WORD_SECONDS = 0.01
SILENT_SECONDS = 3.0


@dataclass
class Seen:
    """What one client got of a stream."""

    id: str = ""
    words: int = 0
    done: bool = False


def read(addon: Addon, *, over: threading.Event) -> Seen:
    """Read one stream until it ends or breaks."""
    script = {"say": "w " * WORDS, "delay": WORD_SECONDS, "prompt": 40, "completion": WORDS}
    messages = [{"role": "user", "content": json.dumps(script)}]
    seen = Seen()
    try:
        with addon.post(
            "/v1/chat/completions", {"model": addon.model, "stream": True, "messages": messages}, stream=True
        ) as answer:
            assert answer.status_code == 200, answer.text
            seen.id = answer.headers["x-request-id"]
            for line in answer.iter_lines(chunk_size=64):
                seen.words += b'"content":' in line
                seen.done = seen.done or line == b"data: [DONE]"
    except requests.RequestException:
        time.sleep(0.05)
    return seen


def settle(gateway: Gateway) -> int:
    """What beat's task does, with less patience; how many streams it settled."""
    with psycopg.connect(gateway.database_url, autocommit=True) as connection:
        return connection.execute(SETTLE, [SILENT_SECONDS, Outcome.INTERRUPTED.value]).rowcount


def test_streams_cut_by_kill_are_metered_once_for_what_their_clients_got(gateway: Gateway) -> None:
    addons = [gateway.provision("nova-lite") for _ in range(6)]
    over = threading.Event()
    seen: list[Seen] = []

    def load(number: int) -> None:
        while not over.is_set():
            seen.append(read(addons[number % len(addons)], over=over))

    with ThreadPoolExecutor(12) as pool:
        running = [pool.submit(load, number) for number in range(12)]
        try:
            for _ in range(2):
                time.sleep(2.0)
                for process in gateway.processes_below("web")[:1]:
                    process.kill()
        finally:
            time.sleep(1.0)
            over.set()
        for future in running:
            future.result()
    until(lambda: len(gateway.processes_below("web")) == 2)
    cut = [each for each in seen if each.id and not each.done]
    # How many a process had just then is chance; that both kills cut some is not.
    assert len(cut) >= 2
    assert any(each.done for each in seen)
    # Not the streams of the living: they are written down every second.
    time.sleep(SILENT_SECONDS + 0.5)
    with ThreadPoolExecutor(2) as pool:
        settled = sum(pool.map(settle, [gateway, gateway]))
    assert settled >= len(cut)

    rows = [row for addon in addons for row in gateway.usage(addon)]
    metered = {str(row["id"]): row for row in rows}
    assert len(metered) == len(rows)
    begun = {each.id: each for each in seen if each.words}
    assert begun.keys() <= metered.keys()
    for identity, each in begun.items():
        row = metered[identity]
        if each.done:
            assert (row["outcome"], row["input_tokens"], row["output_tokens"]) == ("complete", 40, WORDS)
            assert not row["estimated"]
        else:
            assert row["outcome"] == "interrupted"
            assert row["estimated"]
            # Written down every second: what came in the last one is not charged.
            assert 1 <= row["output_tokens"] <= each.words + 2
            assert row["output_tokens"] >= each.words - 1.7 / WORD_SECONDS
    nobody_s = [row for identity, row in metered.items() if identity not in begun]
    assert all(row["output_tokens"] <= 3 for row in nobody_s)
    assert not gateway.rows("SELECT 1 FROM inference_openstream WHERE seen_at < now() - interval '5 seconds'")


def test_a_living_stream_is_left_alone_and_its_truth_wins_over_a_hasty_settlement(gateway: Gateway) -> None:
    addon = gateway.provision("nova-lite")
    over = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read, addon, over=over)
        until(lambda: gateway.rows("SELECT 1 FROM inference_openstream WHERE output_tokens > 20"), seconds=5)
        assert settle(gateway) == 0
        # A process that could not write for a while is taken for dead.
        gateway.rows("UPDATE inference_openstream SET seen_at = now() - interval '1 hour' RETURNING 1")
        assert settle(gateway) == 1
        assert [row["outcome"] for row in gateway.usage(addon)] == ["interrupted"]
        assert reading.result().done
    (row,) = gateway.usage(addon)
    assert (row["outcome"], row["output_tokens"], row["estimated"]) == ("complete", WORDS, False)
    until(lambda: not gateway.open_streams(addon))
