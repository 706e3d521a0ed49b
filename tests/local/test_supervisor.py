"""The supervisor keeps processes running, stops them in order, and leaves nothing behind."""

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from local.program import STORES, WORKERS
from tests.local.processes import Session, eventually, is_running, kill, session

LAUNCHER = str(Path(__file__).with_name("launcher.py"))

# Prints its id, then how it was asked to end, and takes a moment for it.
POLITE = """
import os, signal, sys, time
def end(number, frame):
    print("asked to end", flush=True); time.sleep(0.3); print("ending", flush=True); sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("at work", os.getpid(), flush=True)
while True: time.sleep(1)
"""
# Ignores every polite word, and has a child that does so too.
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) < 2:
    child = subprocess.Popen([sys.executable, __file__, "child"])
    print("at work", os.getpid(), child.pid, flush=True)
while True: time.sleep(1)
"""


@pytest.fixture
def stubborn(tmp_path: Path) -> list[str]:
    script = tmp_path / "stubborn.py"
    script.write_text(STUBBORN)
    return [sys.executable, str(script)]


POLITE_ARGV = [sys.executable, "-c", POLITE]


@contextmanager
def launched(**parts: dict[str, object]) -> Iterator[Session]:
    with session(LAUNCHER, json.dumps(parts)) as started:
        yield started


def pids(line: str) -> list[int]:
    return [int(word) for word in line.split() if word.isdecimal()]


def test_lines_come_out_whole_under_the_name_of_their_process() -> None:
    script = "import sys, time; sys.stdout.write('one\\ntw'); sys.stdout.flush(); time.sleep(0.3)\n"
    script += "sys.stdout.write('o\\nno newline at the end'); sys.stdout.flush(); time.sleep(60)"
    with launched(chatty={"argv": [sys.executable, "-c", script]}) as launcher:
        assert launcher.until("one") == "chatty     | one"
        assert launcher.until("two") == "chatty     | two"
        launcher.process.send_signal(signal.SIGTERM)
        assert launcher.end() == 0
        assert "chatty     | no newline at the end" in launcher.lines


def test_a_crashed_process_is_started_again_and_said_so() -> None:
    with launched(polite={"argv": POLITE_ARGV}) as launcher:
        (first,) = pids(launcher.until("at work"))
        kill(first)
        assert "ended by SIGKILL" in launcher.until("polite was")
        (second,) = pids(launcher.until("at work"))
        assert second != first
        assert is_running(second)


def test_what_a_crashed_process_leaves_behind_is_cleared_before_it_starts_again(stubborn: list[str]) -> None:
    with launched(stubborn={"argv": stubborn}) as launcher:
        leader, child = pids(launcher.until("at work"))
        kill(leader)
        launcher.until("at work")
        assert not is_running(child)


def test_a_process_that_keeps_crashing_does_not_keep_the_others_from_working() -> None:
    failing: dict[str, object] = {"argv": [sys.executable, "-c", "print('no'); raise SystemExit(3)"]}
    with launched(failing=failing, polite={"argv": POLITE_ARGV}) as launcher:
        launcher.until("at work")
        for _ in range(3):
            assert "failing ended with code 3; starting it again" in launcher.until("failing ended")


def test_a_program_that_does_not_exist_is_named() -> None:
    with launched(absent={"argv": ["/nonexistent/program"]}, polite={"argv": POLITE_ARGV}) as launcher:
        assert "/nonexistent/program" in launcher.until("not found")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_lets_every_process_finish_and_leaves_nothing(number: signal.Signals) -> None:
    with launched(polite={"argv": POLITE_ARGV}) as launcher:
        launcher.until("at work")
        tree = launcher.tree()
        launcher.process.send_signal(number)
        assert launcher.end() == 0
        assert "polite     | ending" in launcher.lines
        assert launcher.lines[-1] == "stopped"
        assert psutil.wait_procs(tree, timeout=5)[1] == []


def test_what_makes_work_stops_before_what_does_it_and_the_stores_stop_last() -> None:
    with launched(
        store={"argv": POLITE_ARGV, "level": STORES},
        worker={"argv": POLITE_ARGV, "level": WORKERS},
        door={"argv": POLITE_ARGV},
    ) as launcher:
        for _ in range(3):
            launcher.until("at work")
        launcher.process.send_signal(signal.SIGTERM)
        assert launcher.end() == 0
        asked = [line.split()[0] for line in launcher.lines if "asked to end" in line or "ending" in line]
        assert asked == ["door", "door", "worker", "worker", "store", "store"]


def test_a_process_that_does_not_stop_in_its_time_is_killed_with_its_children(stubborn: list[str]) -> None:
    with launched(stubborn={"argv": stubborn, "stop_seconds": 0.5}) as launcher:
        leader, child = pids(launcher.until("at work"))
        launcher.process.send_signal(signal.SIGTERM)
        assert launcher.end(seconds=5) == 0
        assert "stubborn did not stop in time: killed" in launcher.text
        assert not is_running(leader)
        assert not is_running(child)


def test_a_second_request_stops_at_once(stubborn: list[str]) -> None:
    with launched(stubborn={"argv": stubborn, "stop_seconds": 60}) as launcher:
        started = pids(launcher.until("at work"))
        launcher.process.send_signal(signal.SIGINT)
        launcher.until("once more to stop at once")
        asked = time.monotonic()
        launcher.process.send_signal(signal.SIGINT)
        assert launcher.end(seconds=10) == 0
        assert time.monotonic() - asked < 2
        assert not any(map(is_running, started))


def test_a_killed_launcher_leaves_nothing_either(stubborn: list[str]) -> None:
    with launched(polite={"argv": POLITE_ARGV}, stubborn={"argv": stubborn, "stop_seconds": 0.5}) as launcher:
        started = pids(launcher.until("at work")) + pids(launcher.until("at work"))
        kill(launcher.process.pid)
        eventually(lambda: not any(map(is_running, started)))


def test_a_killed_watcher_is_replaced_before_the_next_start() -> None:
    with launched(polite={"argv": POLITE_ARGV}, other={"argv": POLITE_ARGV}) as launcher:
        started = pids(launcher.until("at work")) + pids(launcher.until("at work"))
        (watcher,) = [one for one in launcher.tree() if any("watcher.py" in word for word in one.cmdline())]
        watcher.kill()
        kill(started[0])
        again = pids(launcher.until("at work"))
        kill(launcher.process.pid)
        eventually(lambda: not any(map(is_running, started + again)))


def test_what_a_part_lacks_is_named_and_the_rest_runs(capsys: pytest.CaptureFixture[str]) -> None:
    from local.console import Console
    from local.program import Program
    from local.supervisor import Part, Supervisor

    supervisor = Supervisor(console=Console())
    program = Program(name="broker", argv=["/bin/sh", "-c", "sleep 60"])
    lacking = Part(
        name="broker",
        program=lambda: program,
        is_ready=lambda: True,
        needs=lambda: "Java 17 is not installed",
    )
    whole = Part(name="other", program=lambda: program, is_ready=lambda: True)
    try:
        assert not supervisor.add(lacking)
        assert supervisor.add(whole)
        assert supervisor.wait_ready(["other"], seconds=5) == []
    finally:
        supervisor.stop()
    assert "broker is left out: Java 17 is not installed" in capsys.readouterr().out
