"""One gateway of two processes for all of these tests, before a scripted upstream and the small local models."""

import json
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests
from openai import OpenAI

from local.ports import answers_200, free_port
from local.program import Program, RunningProgram
from local.redis import Redis
from local.watcher import Watcher
from tests.inference.bedrock import ACCESS_KEY, API_KEY, SECRET_KEY, BedrockStandIn
from tests.inference.upstream import ScriptedUpstream
from tests.support.databases import migrated_database
from tests.support.folders import server_folder
from tests.support.partner import provision_body
from tests.support.stack import PROJECT, Stack, until


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of this folder on one worker, where they share the gateway."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("inference"))


@cache
def open_client(url: str, key: str) -> OpenAI:
    """One client for each key; the session's end closes them all."""
    client = OpenAI(api_key=key, base_url=url + "/v1/", max_retries=0, timeout=300)
    _clients.append(client)
    return client


_clients: list[OpenAI] = []


@dataclass(frozen=True)
class Addon:
    """A provisioned add-on, by its config vars."""

    uuid: str
    url: str
    key: str
    model: str

    @property
    def client(self) -> OpenAI:
        """OpenAI's client as the document sets it up; it tries once."""
        return open_client(self.url, self.key)

    def post(self, path: str, body: Any, **changes: Any) -> requests.Response:
        """One bare request, on a connection of its own."""
        headers = {"Authorization": f"Bearer {self.key}", **changes.pop("headers", {})}
        return requests.post(self.url + path, json=body, headers=headers, timeout=300, **changes)

    def say(self, script: Any = "hi", **fields: Any) -> requests.Response:
        """One completion with a script for the upstream."""
        text = script if isinstance(script, str) else json.dumps(script)
        body = {"model": self.model, "messages": [{"role": "user", "content": text}], **fields}
        return self.post("/v1/chat/completions", body)


EU_HOST = "eu.inference.example"
"""In this region the API has an address as in production: https, and a host alone."""


class Gateway(Stack):
    """The web alone: inference is provisioned in the request."""

    upstream: ScriptedUpstream
    bedrock: BedrockStandIn

    def start(self) -> None:
        """Load the plans into the migrated database, start the web."""
        self.manage("sync_plans")
        self.start_part("web")
        until(lambda: self._answers(f"{self.web_url}/healthz"))

    def start_sandbox(self) -> None:
        """Put a stand-in Heroku before the web."""
        self.services_file.write_text(self.manage("registration"))
        self.start_part("sandbox")
        until(lambda: self._answers(f"{self.sandbox_url}/sandbox/health"))

    def provision(self, plan: str, *, region: str = "us-east-1") -> Addon:
        """A fresh add-on of the plan for an app in AWS's `region`, by Heroku's own call."""
        body = provision_body(
            "inference", plan=plan, uuid=str(uuid.uuid4()), region=f"amazon-web-services::{region}"
        )
        answer = self.partner("inference", "POST", "", body)
        assert answer.status_code == 200, answer.text
        config = answer.json()["config"]
        # The origin of the eu is another name for the same web.
        return Addon(body["uuid"], self.web_url, config["INFERENCE_KEY"], config["INFERENCE_MODEL_ID"])

    def usage(self, addon: Addon) -> list[dict[str, Any]]:
        """What was metered for the add-on, oldest first."""
        return self.rows(
            "SELECT u.* FROM inference_usageevent u JOIN provisioning_resource r ON r.id = u.resource_id "
            "WHERE r.uuid = %s ORDER BY u.at",
            addon.uuid,
        )

    def open_streams(self, addon: Addon) -> list[dict[str, Any]]:
        """The add-on's streams that are noted as under way."""
        return self.rows(
            "SELECT o.* FROM inference_openstream o JOIN provisioning_resource r ON r.id = o.resource_id "
            "WHERE r.uuid = %s",
            addon.uuid,
        )


SIGNED = {"access_key_id": ACCESS_KEY, "secret_access_key": SECRET_KEY, "session_token": "token=/+"}


def bedrock_settings(stand_in: BedrockStandIn, aws_region: str, **more: str) -> dict[str, str]:
    """The stand-in as Bedrock in one of AWS's regions."""
    url = f"http://127.0.0.1:{stand_in.port}"
    return {"kind": "bedrock", "aws_region": aws_region, "url": url, **more}


@pytest.fixture(scope="session")
def gateway() -> Iterator[Gateway]:
    """The gateway, up: nova-pro and the rerankers at the local models, every other model in the eu at Bedrock.

    What is left runs at the scripted upstream.
    """
    with ExitStack() as cleaning:
        database_url = cleaning.enter_context(migrated_database())
        folder = cleaning.enter_context(server_folder())
        watcher = cleaning.enter_context(Watcher())
        server = cleaning.enter_context(Redis(folder / "redis", watcher=watcher))
        upstream = ScriptedUpstream()
        cleaning.callback(upstream.close)
        bedrock = BedrockStandIn()
        cleaning.callback(bedrock.close)
        models_port = free_port()
        models = RunningProgram(
            Program(
                name="models",
                argv=[sys.executable, "-m", "local.models", "--port", str(models_port)],
                folder=PROJECT,
                log=folder / "models.log",
                stop_seconds=5,
            ),
            watcher=watcher,
        )
        cleaning.callback(models.stop)
        running = Gateway(
            folder,
            watcher=watcher,
            server=server,
            database_url=database_url,
        )
        running.upstream, running.bedrock = upstream, bedrock
        local = {"url": f"http://127.0.0.1:{models_port}/v1", "model": "small", "stand_in": "SmolLM2-135M"}
        running.environment["INFERENCE_URL_EU"] = f"https://{EU_HOST}"
        running.environment["INFERENCE_UPSTREAMS"] = json.dumps(
            {
                "chat": {"url": f"http://127.0.0.1:{upstream.port}/v1"},
                "nova-pro": local,
                "rerank": {**local, "stand_in": "all-MiniLM-L6-v2"},
                "nova-2-lite@eu": bedrock_settings(bedrock, "eu-west-1", api_key=API_KEY),
                "chat@eu": bedrock_settings(bedrock, "eu-central-1", **SIGNED),
                "rerank@eu": bedrock_settings(bedrock, "eu-central-1", **SIGNED),
            }
        )
        cleaning.callback(running.stop)
        running.start()
        until(lambda: answers_200(models_port, "/health"))
        yield running
        for client in _clients:
            client.close()


@pytest.fixture(scope="module")
def addon(gateway: Gateway) -> Addon:
    """A chat model at the scripted upstream."""
    return gateway.provision("nova-lite")
