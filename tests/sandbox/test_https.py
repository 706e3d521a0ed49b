"""The sandbox's https before a provider: a proxy to the named hosts and to nothing else."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from local.ports import free_port
from local.watcher import Watcher
from tests.sandbox.fake_provider import FakeProvider
from tests.sandbox.support import ROOT
from tests.support.heroku_cli import https_for_the_plugin

HOST = "inference.example"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the certificate is."""
    return tmp_path_factory.mktemp("https")


@pytest.fixture(scope="module")
def proxy(folder: Path, provider: FakeProvider, watcher: Watcher) -> Iterator[str]:
    """The proxy before the provider, by its address."""
    url = f"http://127.0.0.1:{provider.port}"
    with https_for_the_plugin(folder, host=HOST, url=url, watcher=watcher) as variables:
        assert variables["HEROKU_INFERENCE_HOST"] == HOST
        assert variables["NODE_EXTRA_CA_CERTS"] == str(folder / "authority.pem")
        yield variables["HTTPS_PROXY"]


def get(url: str, proxy: str, **more: object) -> requests.Response:
    """One request through the proxy."""
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, proxies={"https": proxy}, timeout=10, **more)  # type: ignore[arg-type]


def test_a_host_answers_by_https_with_a_certificate_of_its_own(proxy: str, folder: Path) -> None:
    answer = get(f"https://{HOST}/nothing-here", proxy, verify=str(folder / "authority.pem"))
    assert (answer.status_code, answer.text) == (404, "404: Not Found")
    with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        get(f"https://{HOST}/nothing-here", proxy)


@pytest.mark.parametrize("place", ["elsewhere.example", f"{HOST}:8443"])
def test_nothing_else_can_be_reached(proxy: str, folder: Path, place: str) -> None:
    with pytest.raises(requests.exceptions.ProxyError, match="403"):
        get(f"https://{place}/", proxy, verify=str(folder / "authority.pem"))


def test_it_is_no_proxy_for_plain_http(proxy: str) -> None:
    answer = requests.get(f"{proxy}/anything", timeout=10)
    assert answer.status_code == 405
    assert "CONNECT only" in answer.text


def test_a_caller_that_says_nothing_sensible_is_let_go(proxy: str) -> None:
    with socket.create_connection(("127.0.0.1", int(proxy.rsplit(":", 1)[1])), timeout=10) as caller:
        # It may be let go at any of these steps; a time limit is none of these errors.
        gone = (BrokenPipeError, ConnectionResetError)
        with contextlib.suppress(*gone):
            caller.sendall(b"x" * 200_000)
            assert caller.recv(100) == b""


def test_the_private_key_is_kept_nowhere(proxy: str, folder: Path) -> None:
    kept = [path for path in folder.rglob("*") if path.is_file() and "PRIVATE" in path.read_text("latin-1")]
    assert proxy
    assert kept == []


def test_a_provider_that_is_not_there_is_named(folder: Path, watcher: Watcher) -> None:
    port, place = free_port(), folder / "absent"
    place.mkdir()
    url = f"http://127.0.0.1:{port}"
    with https_for_the_plugin(place, host=HOST, url=url, watcher=watcher) as variables:
        answer = get(f"https://{HOST}/", variables["HTTPS_PROXY"], verify=str(place / "authority.pem"))
    assert answer.status_code == 502
    assert str(port) in answer.text


@pytest.mark.parametrize(
    "entry",
    [
        HOST,
        f"https://{HOST}=http://127.0.0.1:1",
        f"{HOST}=ftp://127.0.0.1:1",
        f"{HOST}=http://127.0.0.1:1/v1",
    ],
)
def test_a_wrong_host_is_refused_with_one_line(entry: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sandbox", "https", entry, "--port", "0", "--data", str(tmp_path)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"sandbox: '{entry}' is not HOST=http://ADDRESS:PORT")
    assert len(done.stderr.splitlines()) == 1
