"""Heroku's own command line and its AI plugin buy, show and call our models, with a stand-in Heroku before us."""

import json
from collections.abc import Iterator

import pytest

from local.watcher import Watcher
from tests.inference import examples
from tests.inference.conftest import EU_HOST, Gateway
from tests.support.heroku_cli import HerokuCli, https_for_the_plugin

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def heroku(
    gateway: Gateway, watcher: Watcher, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HerokuCli]:
    """A developer's CLI with the AI plugin."""
    home = tmp_path_factory.mktemp("developer")
    gateway.start_sandbox()
    with https_for_the_plugin(home, host=EU_HOST, url=gateway.web_url, watcher=watcher) as variables:
        variables |= {
            "HEROKU_INFERENCE_ADDON": "inference",
            "CURL_CA_BUNDLE": variables["NODE_EXTRA_CA_CERTS"],
        }
        cli = HerokuCli(home, sandbox_url=gateway.sandbox_url, environment=variables)
        cli.link_ai_plugin()
        yield cli


@pytest.fixture
def app(gateway: Gateway) -> str:
    """A fresh app in Europe."""
    answer = gateway.customer("POST", "/apps", {"region": "eu"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["name"])


def test_the_models_for_sale_are_listed(heroku: HerokuCli) -> None:
    rows = [line.split() for line in heroku("ai:models:list").splitlines()]
    assert ["nova-pro", "text-to-text", "us,", "eu"] in rows
    assert ["kimi-k2-thinking", "text-to-text", "us"] in rows
    assert ["cohere-rerank-3-5", "text-to-ranking", "us,", "eu"] in rows


def test_a_model_is_created_shown_called_and_destroyed(heroku: HerokuCli, gateway: Gateway, app: str) -> None:
    created = heroku("ai:models:create", "nova-pro", "-a", app, "--as", "WRITER")
    assert "Resource alias: WRITER" in created
    (addon,) = gateway.customer("GET", f"/apps/{app}/addons").json()

    info = heroku("ai:models:info", "WRITER", "-a", app)
    assert "nova-pro" in info
    assert addon["id"] in info
    assert "Ready:             Yes" in info
    assert addon["id"] in heroku("ai:models:info", "-a", app)

    said = heroku(
        "ai:models:call", "WRITER", "-a", app, "-p", "What is a boat?", "--opts", '{"max_tokens": 12}'
    )
    assert len(said.split()) > 2
    (metered,) = gateway.rows(
        "SELECT u.* FROM inference_usageevent u JOIN provisioning_resource r ON r.id = u.resource_id "
        "WHERE r.uuid = %s",
        addon["id"],
    )
    assert metered["output_tokens"] == 12

    heroku("ai:models:destroy", "WRITER", "-a", app, "--confirm", app)
    assert gateway.customer("GET", f"/apps/{app}/config-vars").json() == {}


def test_a_call_s_whole_answer_is_printed_as_json(heroku: HerokuCli, app: str) -> None:
    heroku("ai:models:create", "nova-lite", "-a", app)
    told = json.dumps({"say": "Ahoy"})
    answer = json.loads(heroku("ai:models:call", "INFERENCE", "-a", app, "-p", told, "--json"))
    assert answer["choices"][0]["message"]["content"] == "Ahoy"
    assert answer["model"] == "nova-lite"


def test_refusals_are_printed_in_our_words(heroku: HerokuCli, app: str) -> None:
    assert "kimi-k3" in heroku("ai:models:create", "kimi-k3", "-a", app, fails=True)
    heroku("ai:models:create", "nova-lite", "-a", app)
    refused = heroku(
        "ai:models:call", "INFERENCE", "-a", app, "-p", "Hi", "--opts", '{"beam_width": 3}', fails=True
    )
    assert "beam_width" in refused
    assert "HTTP Error" not in refused


@pytest.mark.parametrize(
    ("page", "field"),
    [(examples.NOVA_PRO_CARD, "choices"), (examples.COHERE_CARD, "results")],
    ids=["chat", "rerank"],
)
def test_a_model_s_page_is_followed_word_by_word(heroku: HerokuCli, app: str, page: str, field: str) -> None:
    printed = heroku.shell(page.replace("-a example-app", "-a $APP_NAME"), APP_NAME=app)
    answer = json.loads(next(line for line in printed.splitlines() if line.startswith('{"')))
    assert answer[field]
