"""The embedded Redis-compatible server can be taken away and brought back under one address."""

import os
import socket
from pathlib import Path

import pytest
import redis

from local.folders import InUseError
from local.ports import PortTakenError
from local.redis import Redis
from local.watcher import Watcher
from tests.local.processes import is_running, kill, session

PROJECT = Path(__file__).resolve().parents[2]


def client(server: Redis) -> "redis.Redis":
    return redis.Redis.from_url(server.url, decode_responses=True)


def test_it_comes_back_under_the_same_address_after_a_stop_and_after_a_kill(own_redis: Redis) -> None:
    address = own_redis.url
    with client(own_redis) as connection:
        connection.set("word", "gone later")
        own_redis.stop()
        with pytest.raises(redis.ConnectionError):
            connection.get("word")
        own_redis.start()
        assert own_redis.url == address
        assert connection.get("word") is None
        own_redis.kill()
        own_redis.start()
        assert own_redis.url == address
        assert connection.ping()


def test_a_persistent_one_keeps_its_data(tmp_path: Path, watcher: Watcher) -> None:
    with Redis(tmp_path / "a folder", persist=True, watcher=watcher) as server, client(server) as connection:
        connection.set("word", "kept")
        server.stop()
        server.start()
        assert connection.get("word") == "kept"
    with Redis(tmp_path / "a folder", persist=True, watcher=watcher) as server, client(server) as connection:
        assert connection.get("word") == "kept"


def test_it_asks_for_its_password(own_redis: Redis) -> None:
    with (
        redis.Redis(host="127.0.0.1", port=own_redis.port) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()
    for name in ("password", "valkey.conf"):
        assert (own_redis.folder / name).stat().st_mode & 0o077 == 0


def test_a_taken_port_is_named_with_its_holder(tmp_path: Path, watcher: Watcher) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"port {port} is taken by process {os.getpid()}"):
            Redis(tmp_path / "redis", port=port, watcher=watcher).start()


def test_two_servers_never_share_a_folder(own_redis: Redis, watcher: Watcher) -> None:
    with pytest.raises(InUseError, match=f"in use by process {os.getpid()}"):
        Redis(own_redis.folder, watcher=watcher).start()


def test_a_server_whose_launcher_and_watcher_were_killed_is_taken_over(
    tmp_path: Path, watcher: Watcher
) -> None:
    script = f"""
import sys, time
sys.path.insert(0, {str(PROJECT)!r})
from pathlib import Path
from local.redis import Redis
server = Redis(Path({str(tmp_path)!r}) / "redis", persist=True)
server.start()
print("serving", server.pid, server._watcher._process.pid, flush=True)
time.sleep(60)
"""
    with session("-c", script) as launcher:
        _, server, its_watcher = launcher.until("serving").split()
        kill(int(its_watcher))
        kill(launcher.process.pid)
        launcher.end()
        assert is_running(int(server))
        with Redis(tmp_path / "redis", persist=True, watcher=watcher) as taken_over:
            assert not is_running(int(server))
            with client(taken_over) as connection:
                assert connection.ping()
