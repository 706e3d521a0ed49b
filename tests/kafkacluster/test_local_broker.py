"""The broker of one machine: in the way of another program, or without what it needs."""

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.kafka import Kafka
from local.kafka_jars import Jars, KafkaError
from local.ports import PortTakenError
from local.watcher import Watcher
from tests.support.folders import server_folder
from tests.support.kafka import JARS


@pytest.fixture
def folder() -> Iterator[Path]:
    with server_folder() as made:
        yield made


def test_a_taken_port_is_named(folder: Path, watcher: Watcher) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        broker = Kafka(folder / "kafka", jars=Jars(JARS), port=other.getsockname()[1], watcher=watcher)
        with pytest.raises(PortTakenError, match=f"taken by process {os.getpid()}"):
            broker.claim()
        broker.release()


@pytest.mark.parametrize(
    ("present", "missing"), [((), "Java 17 or newer is needed"), (("java",), "Maven .* is needed")]
)
def test_what_the_machine_lacks_is_named_in_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, present: tuple[str, ...], missing: str
) -> None:
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: which(name) if name in present else None)
    told = Jars(folder / "jars").missing()
    assert told is not None
    assert "\n" not in told
    with pytest.raises(KafkaError, match=missing):
        raise KafkaError(told)


def test_an_old_java_is_named_with_its_version(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = folder / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    assert Jars(folder / "jars").missing() == "Java 17 or newer is needed for Apache Kafka: found 11"


def test_a_failed_fetch_leaves_no_half_and_says_why(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = folder / "mvn"
    broken.write_text("#!/bin/sh\necho '[ERROR] no route to the repository'\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    told = Jars(folder / "here" / "jars", say=lambda _: None).missing()
    assert told == "Maven could not fetch Apache Kafka: [ERROR] no route to the repository"
    assert list((folder / "here").iterdir()) == []
