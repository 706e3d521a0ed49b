"""Every delivered answer is metered once, whoever hangs up or dies; a key that ended opens nothing."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.inference.conftest import Addon, Gateway
from tests.support.stack import until


def stream(addon: Addon, script: object) -> requests.Response:
    body = {
        "model": addon.model,
        "stream": True,
        "messages": [{"role": "user", "content": json.dumps(script)}],
    }
    return addon.post("/v1/chat/completions", body, stream=True)


def test_a_client_that_hangs_up_is_metered_for_what_was_produced_and_the_model_is_stopped(
    gateway: Gateway,
) -> None:
    addon = gateway.provision("nova-lite")
    stopped = gateway.upstream.hung_up
    with stream(addon, {"say": "word " * 200, "delay": 0.03}) as answer:
        lines = answer.iter_lines()
        read = [next(lines) for _ in range(10)]
        identity = answer.headers["x-request-id"]
    assert sum(line.startswith(b"data:") for line in read) == 5
    rows = until(lambda: gateway.usage(addon), seconds=5)
    assert [str(row["id"]) for row in rows] == [identity]
    assert rows[0]["outcome"] == "hung_up"
    assert rows[0]["estimated"]
    assert 5 <= rows[0]["output_tokens"] < 100
    until(lambda: gateway.upstream.hung_up > stopped, seconds=5)


def test_a_whole_answer_is_metered_although_its_client_left(gateway: Gateway) -> None:
    addon = gateway.provision("nova-lite")
    body = {
        "model": addon.model,
        "messages": [{"role": "user", "content": json.dumps({"delay": 0.6, "prompt": 7})}],
    }
    with pytest.raises(requests.ReadTimeout):
        requests.post(
            f"{addon.url}/v1/chat/completions",
            json=body,
            headers={"Authorization": f"Bearer {addon.key}"},
            timeout=0.2,
        )
    rows = until(lambda: gateway.usage(addon), seconds=5)
    assert (len(rows), rows[0]["input_tokens"], rows[0]["estimated"]) == (1, 7, False)


def test_what_was_not_delivered_is_not_metered(gateway: Gateway) -> None:
    addon = gateway.provision("nova-lite")
    assert addon.say({"status": 500}).status_code == 500
    assert addon.say(temperature=9).status_code == 400
    assert addon.say().status_code == 200
    assert len(gateway.usage(addon)) == 1


def test_every_complete_answer_is_metered_once_although_processes_are_killed_under_load(
    gateway: Gateway,
) -> None:
    addons = [gateway.provision("nova-lite") for _ in range(8)]
    complete: list[str] = []
    over = threading.Event()

    def load(number: int) -> int:
        addon, broken = addons[number % len(addons)], 0
        for _ in range(70):
            if over.is_set():
                break
            try:
                if number < 8:
                    answer = addon.say({"delay": 0.03})
                    done = answer.status_code == 200
                else:
                    answer = stream(addon, {"say": "a b c d", "delay": 0.01})
                    done = answer.content.endswith(b"data: [DONE]\n\n")
            except requests.RequestException:
                broken += 1
                time.sleep(0.05)
                continue
            if done:
                complete.append(answer.headers["x-request-id"])
            else:
                broken += 1
        return broken

    with ThreadPoolExecutor(16) as pool:
        running = [pool.submit(load, number) for number in range(16)]
        try:
            for _ in range(3):
                time.sleep(0.7)
                gateway.processes_below("web")[0].kill()
            time.sleep(0.7)
        finally:
            over.set()
        broken = sum(each.result() for each in running)
    until(lambda: len(gateway.processes_below("web")) == 2)
    metered = [str(row["id"]) for addon in addons for row in gateway.usage(addon)]
    assert len(complete) > 50
    assert broken > 0
    assert len(metered) == len(set(metered))
    assert set(complete) <= set(metered)
    # An answer that was metered and then lost on its last step is a broken one.
    assert len(metered) - len(complete) <= broken


def refused_everywhere_after(addon: Addon) -> float:
    """Seconds until no process lets the key in."""
    began, last, refused = time.monotonic(), time.monotonic(), 0
    while refused < 20:
        # Every request is a new connection: over twenty of them both processes are met.
        answer = requests.get(
            f"{addon.url}/v1/models", headers={"Authorization": f"Bearer {addon.key}"}, timeout=10
        )
        if answer.status_code == 401:
            refused += 1
        else:
            refused, last = 0, time.monotonic()
            assert last - began < 10
    return last - began


def use_in_every_process(addon: Addon) -> None:
    """Make every process keep the key."""
    for _ in range(20):
        requests.get(
            f"{addon.url}/v1/models", headers={"Authorization": f"Bearer {addon.key}"}, timeout=10
        ).raise_for_status()


def test_a_revoked_key_is_refused_by_every_process_within_a_second(gateway: Gateway) -> None:
    addon = gateway.provision("nova-lite")
    use_in_every_process(addon)
    gateway.rows(
        "UPDATE provisioning_credential SET state = 'revoked', revoked_at = now(), secret = NULL "
        "WHERE resource_id = (SELECT id FROM provisioning_resource WHERE uuid = %s) RETURNING 1",
        addon.uuid,
    )
    assert refused_everywhere_after(addon) < 1.0


def test_the_key_of_a_removed_addon_is_refused_by_every_process_within_a_second(gateway: Gateway) -> None:
    addon = gateway.provision("nova-lite")
    use_in_every_process(addon)
    removed = gateway.partner("inference", "DELETE", f"/{addon.uuid}")
    assert removed.status_code in (202, 204), removed.text
    assert refused_everywhere_after(addon) < 1.0


def test_a_suspended_key_is_refused_with_the_reason_by_every_process_and_works_again(
    gateway: Gateway,
) -> None:
    addon = gateway.provision("nova-lite")
    use_in_every_process(addon)
    gateway.manage("suspend", addon.uuid, "--reason", "Unusual traffic.")
    time.sleep(1.0)
    refused = [addon.say() for _ in range(10)]
    assert {answer.status_code for answer in refused} == {403}
    assert refused[0].json()["error"]["code"] == "addon_suspended"
    assert "Unusual traffic." in refused[0].json()["message"]
    gateway.manage("resume", addon.uuid)
    time.sleep(1.0)
    assert {addon.say().status_code for _ in range(10)} == {200}


def test_an_overridden_limit_reaches_every_process_and_ends_at_its_time(gateway: Gateway) -> None:
    addon = gateway.provision("nova-lite")
    use_in_every_process(addon)
    gateway.rows(
        "INSERT INTO provisioning_limitoverride (resource_id, name, value, reason, created_by, ends_at) "
        "SELECT id, 'requests_per_minute', 7, 'test', 'test', now() + interval '1 day' "
        "FROM provisioning_resource WHERE uuid = %s RETURNING id",
        addon.uuid,
    )
    time.sleep(1.0)
    told = [addon.say().headers["x-ratelimit-limit-requests"] for _ in range(5)]
    assert told == ["7"] * 5
    gateway.rows("UPDATE provisioning_limitoverride SET ends_at = now() RETURNING id")
    time.sleep(1.0)
    assert [addon.say().headers["x-ratelimit-limit-requests"] for _ in range(5)] == ["150"] * 5


def test_a_changed_plan_reaches_every_process_within_a_second(gateway: Gateway) -> None:
    addon = gateway.provision("nova-lite")
    use_in_every_process(addon)
    changed = gateway.partner("inference", "PUT", f"/{addon.uuid}", {"plan": "qwen3-235b"})
    assert changed.status_code == 200, changed.text
    time.sleep(1.0)
    moved = Addon(addon.uuid, addon.url, addon.key, "qwen3-235b")
    assert [moved.say().status_code for _ in range(10)] == [200] * 10
