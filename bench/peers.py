"""Other gateways to compare with, each installed by its own package manager into a folder of its own.

LiteLLM's proxy runs with a master key and as many processes as ours, Portkey's gateway as it starts by itself: one
process. Neither has a database here, so neither meters or limits.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import requests

from bench.partner_api import PROJECT, WORKERS
from local.ports import free_port
from local.program import Program, RunningProgram
from local.watcher import Watcher

LITELLM = "litellm[proxy]==1.106.2"
PORTKEY = "@portkey-ai/gateway@1.15.2"
FOLDER = PROJECT / ".data" / "bench"
MASTER_KEY = "sk-bench"
START_SECONDS = 120.0
INSTALL_SECONDS = 900


class Unavailable(Exception):
    """The gateway cannot be installed or started here; the text says why."""


def _install(folder: Path, version: str, commands: list[list[str]]) -> None:
    """Run the commands in `folder`, once for each version."""
    stamp = folder / "installed"
    if stamp.exists() and stamp.read_text() == version:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for command in commands:
        try:
            subprocess.run(
                command, cwd=folder, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS
            )
        except (OSError, subprocess.SubprocessError) as error:
            said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
            raise Unavailable(said[-1] if said else type(error).__name__) from None
    stamp.write_text(version)


@contextmanager
def _serving(program: Program, answers: Callable[[], bool]) -> Iterator[None]:
    with ExitStack() as cleaning:
        running = RunningProgram(program, watcher=cleaning.enter_context(Watcher()))
        cleaning.callback(running.stop)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and running.is_alive():
            try:
                if answers():
                    break
            except requests.RequestException:
                pass
            time.sleep(0.2)
        else:
            raise Unavailable("it did not start")
        yield


@contextmanager
def litellm(upstream: str) -> Iterator[int]:
    """LiteLLM's proxy before `upstream`; its port. Raises Unavailable."""
    folder, port = FOLDER / "litellm", free_port()
    _install(
        folder,
        LITELLM,
        [[sys.executable, "-m", "venv", "venv"], ["venv/bin/pip", "install", "--quiet", LITELLM]],
    )
    config = folder / "config.yaml"
    config.write_text(
        "model_list:\n"
        "  - model_name: nova-lite\n"
        "    litellm_params:\n"
        "      model: openai/instant\n"
        f"      api_base: {upstream}/v1\n"
        "      api_key: none\n"
        "general_settings:\n"
        f"  master_key: {MASTER_KEY}\n"
    )
    program = Program(
        name="litellm",
        argv=[
            *(str(folder / "venv/bin/litellm"), "--config", str(config)),
            *("--host", "127.0.0.1", "--port", str(port), "--num_workers", str(WORKERS)),
        ],
        environment={"PORT": str(port), "LITELLM_MODE": "PRODUCTION", "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        folder=folder,
        log=folder / "log",
    )
    with _serving(program, lambda: _completes(port, {"Authorization": f"Bearer {MASTER_KEY}"})):
        yield port


@contextmanager
def portkey(upstream: str) -> Iterator[int]:
    """Portkey's gateway, told by each request's headers to call `upstream`; its port. Raises Unavailable."""
    folder, port = FOLDER / "portkey", free_port()
    _install(
        folder,
        PORTKEY,
        [["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", ".", PORTKEY]],
    )
    program = Program(
        name="portkey",
        argv=[
            "node",
            "node_modules/@portkey-ai/gateway/build/start-server.js",
            f"--port={port}",
            "--headless",
        ],
        environment={"PORT": str(port), "NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1"},
        folder=folder,
        log=folder / "log",
    )
    with _serving(program, lambda: _completes(port, portkey_headers(upstream))):
        yield port


def portkey_headers(upstream: str) -> dict[str, str]:
    """What tells Portkey's gateway where to send a request."""
    return {
        "Authorization": "Bearer none",
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": f"{upstream}/v1",
    }


def _completes(port: int, headers: dict[str, str]) -> bool:
    asked = {"model": "nova-lite", "messages": [{"role": "user", "content": "?"}]}
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    return requests.post(url, json=asked, headers=headers, timeout=5).status_code == 200
