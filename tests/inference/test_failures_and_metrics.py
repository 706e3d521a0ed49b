"""What is kept of requests that failed, and what the gateway tells Prometheus."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.inference.conftest import Addon, Gateway
from tests.support.stack import until


def failures(gateway: Gateway, addon: Addon) -> list[dict[str, Any]]:
    """The failed requests that are known of the add-on, oldest first."""
    return gateway.rows(
        "SELECT f.* FROM inference_requestfailure f JOIN provisioning_resource r ON r.id = f.resource_id "
        "WHERE r.uuid = %s ORDER BY f.at",
        addon.uuid,
    )


def metric(gateway: Gateway, name: str, **labels: str) -> float:
    """The value of one metric, all processes together; 0 before the first."""
    answer = requests.get(f"{gateway.web_url}/metrics", timeout=10)
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return 0.0


def test_a_failed_request_is_kept_with_its_id_and_code_and_without_a_word_of_it(gateway: Gateway) -> None:
    addon = gateway.provision("nova-lite")
    refused = addon.say("planted words", temperature=9)
    broken = addon.say({"status": 500})
    elsewhere = addon.post("/v1/chat/completions", {"model": "planted-model"})
    until(lambda: len(failures(gateway, addon)) == 3, seconds=10)
    rows = failures(gateway, addon)
    assert [(str(row["id"]), row["status"], row["code"]) for row in rows] == [
        (refused.headers["x-request-id"], 400, "invalid_request"),
        (broken.headers["x-request-id"], 500, "upstream_error"),
        (elsewhere.headers["x-request-id"], 404, "model_not_found"),
    ]
    assert {row["model"] for row in rows} == {"nova-lite"}
    assert "planted" not in str(rows)


def test_a_storm_of_failures_is_counted_whole_in_few_rows(gateway: Gateway) -> None:
    addon = gateway.provision("nova-lite")
    with ThreadPoolExecutor(8) as pool:
        sent = list(pool.map(lambda _: addon.say(temperature=9).status_code, range(400)))
    assert set(sent) == {400}

    until(lambda: sum(row["repeats"] for row in failures(gateway, addon)) == 400, seconds=10)
    # Two processes, each with its first ones in a minute, and a row a second after that.
    assert len(failures(gateway, addon)) < 200


def test_a_request_without_a_known_key_leaves_no_row(gateway: Gateway) -> None:
    before = gateway.rows("SELECT count(*) FROM inference_requestfailure")
    stranger = Addon("", gateway.web_url, "inf-unknown", "nova-lite")
    assert stranger.say().status_code == 401
    known = gateway.provision("nova-lite")
    known.say(temperature=9)
    until(lambda: failures(gateway, known), seconds=10)
    after = gateway.rows("SELECT count(*) FROM inference_requestfailure")
    assert after[0]["count"] == before[0]["count"] + 1


def test_the_metrics_add_up_both_processes(gateway: Gateway) -> None:
    addon = gateway.provision("kimi-k2-thinking")
    model = {"model": "kimi-k2-thinking"}
    fault = {"upstream": f"http://127.0.0.1:{gateway.upstream.port}/v1", "reason": "500"}
    growth: list[tuple[str, dict[str, str], int]] = [
        ("requests_total", {"status": "200", **model}, 13),
        ("requests_total", {"status": "500", **model}, 1),
        ("answers_total", {"outcome": "complete", **model}, 13),
        ("tokens_total", {"kind": "input", **model}, 125),
        ("tokens_total", {"kind": "output", **model}, 26),
        ("tokens_total", {"kind": "cached", **model}, 39),
        ("answer_seconds_count", model, 13),
        ("first_byte_seconds_count", model, 1),
        ("upstream_faults_total", fault, 1),
    ]

    def values() -> list[float]:
        return [metric(gateway, f"addonworks_inference_{name}", **labels) for name, labels, _ in growth]

    before = values()
    for _ in range(12):
        # A connection each, so that both processes are met.
        assert addon.say({"prompt": 10, "completion": 2}).status_code == 200
    assert addon.say({"say": "a b", "prompt": 5, "completion": 2}, stream=True).status_code == 200
    assert addon.say({"status": 500}).status_code == 500
    grown = [after - value for after, value in zip(values(), before, strict=True)]
    assert grown == [by for _, _, by in growth]
