"""The web process's ASGI application, driven as a server drives it."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from pytest_django import Settings

from addon import asgi
from addon.urls import handler404, handler500
from addon.urls import urlpatterns as project_urls
from provisioning.models import Resource
from tests.support.partner import Partner, provision_body

together = threading.Barrier(2)


@csrf_exempt
def echo(request: HttpRequest) -> JsonResponse:
    """What arrived."""
    return JsonResponse(
        {
            "method": request.method,
            "body": request.body.decode(),
            "query": request.GET.dict(),
            "headers": dict(request.headers),
            "path": request.path,
            "from": request.META.get("REMOTE_ADDR"),
        }
    )


def stream(request: HttpRequest) -> StreamingHttpResponse:
    """A body of unknown length."""
    return StreamingHttpResponse(iter([b"one ", b"two ", b"three"]), content_type="text/plain")


def crash(request: HttpRequest) -> HttpResponse:
    """Fails."""
    raise RuntimeError("planted-text")


def meet(request: HttpRequest) -> HttpResponse:
    """Answers only when another request is served at the same time."""
    together.wait(timeout=10)
    return HttpResponse("met")


urlpatterns = [
    path("heroku/echo", echo),
    path("heroku/echö", echo),
    path("heroku/stream", stream),
    path("heroku/crash", crash),
    path("heroku/meet", meet),
    *project_urls,
]
__all__ = ["handler404", "handler500", "urlpatterns"]


pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def own_urls(settings: Settings) -> Iterator[None]:
    """This file's views beside the project's own; the pool's threads keep no connection of the test."""
    settings.ROOT_URLCONF = __name__
    settings.ALLOWED_HOSTS = ["testserver"]
    yield
    everyone = threading.Barrier(asgi._threads._max_workers)

    def close() -> None:
        everyone.wait(timeout=10)
        connections.close_all()

    for done in [asgi._threads.submit(close) for _ in range(asgi._threads._max_workers)]:
        done.result()


class Answer:
    """What the application sent."""

    def __init__(self, messages: list[dict[str, Any]]) -> None:
        self.messages = messages
        start = messages[0] if messages else {"status": None, "headers": []}
        self.status = start["status"]
        self.headers = {name.decode(): value.decode() for name, value in start["headers"]}
        self.body = b"".join(message.get("body", b"") for message in messages[1:])

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


async def call(
    method: str,
    target: str,
    *pieces: bytes,
    headers: dict[str, str] | None = None,
    length: bool = True,
    hang_up: bool = False,
) -> Answer:
    """One request; `length` False sends it in chunks without a Content-Length."""
    given = {"host": "testserver", **(headers or {})}
    if length and pieces:
        given["content-length"] = str(sum(map(len, pieces)))
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": target.partition("?")[0],
        "query_string": target.partition("?")[2].encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        "client": ("203.0.113.9", 4711),
        "server": ("testserver", 80),
    }
    waiting: list[dict[str, Any]] = [
        {"type": "http.request", "body": piece, "more_body": number < len(pieces) - 1 or hang_up}
        for number, piece in enumerate(pieces or (b"",))
    ]
    waiting.append({"type": "http.disconnect"})
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await asgi.application(scope, receive, send)  # type: ignore[arg-type]
    return Answer(sent)


def test_a_request_arrives_whole_and_is_answered_in_one_piece() -> None:
    answer = asyncio.run(
        call("POST", "/heroku/echo?a=1&b=%C3%A9", b"hello ", b"w\xc3\xb6rld", headers={"X-Some": "thing"})
    )
    assert answer.status == 200
    assert answer.json["body"] == "hello wörld"
    assert answer.json["query"] == {"a": "1", "b": "é"}
    assert answer.json["headers"]["X-Some"] == "thing"
    assert answer.json["from"] == "203.0.113.9"
    assert len(answer.messages) == 2
    assert int(answer.headers["content-length"]) == len(answer.body)


def test_a_path_beyond_ascii_arrives() -> None:
    assert asyncio.run(call("GET", "/heroku/echö")).json["path"] == "/heroku/echö"


def test_a_body_sent_in_chunks_without_a_length_is_read() -> None:
    answer = asyncio.run(call("POST", "/heroku/echo", b"hello ", b"", b"world", length=False))
    assert answer.json["body"] == "hello world"


def test_a_wrong_length_does_not_hide_a_part_of_the_body() -> None:
    answer = asyncio.run(
        call("POST", "/heroku/echo", b"hello", headers={"content-length": "2"}, length=False)
    )
    assert answer.json["body"] == "hello"


def test_a_stream_is_sent_piece_by_piece() -> None:
    answer = asyncio.run(call("GET", "/heroku/stream"))
    assert answer.body == b"one two three"
    assert [message.get("body") for message in answer.messages[1:4]] == [b"one ", b"two ", b"three"]
    assert not answer.messages[-1].get("more_body")


def test_a_client_that_hangs_up_while_sending_is_answered_nothing() -> None:
    assert asyncio.run(call("POST", "/heroku/echo", b"hal", hang_up=True)).messages == []


def test_a_body_beyond_every_limit_is_refused_before_it_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "LARGEST_BODY", 100)
    answer = asyncio.run(call("POST", "/heroku/echo", b"x" * 60, b"x" * 60, b"never read"))
    assert answer.status == 413
    assert answer.json["message"]
    assert asyncio.run(call("POST", "/heroku/echo", b"x" * 100)).status == 200


def test_a_header_that_only_looks_like_another_is_dropped() -> None:
    given = {"X_Request_Id": "planted-by-the-caller", "X_Forwarded_Proto": "https", "X-Fine": "1"}
    answer = asyncio.run(call("GET", "/heroku/echo", headers=given))
    assert "X-Forwarded-Proto" not in answer.json["headers"]
    assert answer.json["headers"]["X-Fine"] == "1"
    assert answer.headers["x-request-id"] != "planted-by-the-caller"


def test_a_crash_is_answered_without_its_text() -> None:
    answer = asyncio.run(call("GET", "/heroku/crash"))
    assert answer.status == 500
    assert answer.json["id"] == "internal_error"
    assert b"planted" not in answer.body


def test_an_unknown_host_is_refused() -> None:
    assert asyncio.run(call("GET", "/heroku/echo", headers={"host": "evil.example"})).status == 400


def test_requests_are_served_at_the_same_time() -> None:
    async def both() -> tuple[Answer, Answer]:
        return await asyncio.gather(call("GET", "/heroku/meet"), call("GET", "/heroku/meet"))

    assert [answer.body for answer in asyncio.run(both())] == [b"met", b"met"]


def test_a_burst_is_served_by_a_fixed_number_of_threads() -> None:
    async def many() -> list[Answer]:
        return await asyncio.gather(*[call("GET", "/heroku/echo") for _ in range(100)])

    started = time.monotonic()
    assert {answer.status for answer in asyncio.run(many())} == {200}
    assert time.monotonic() - started < 20
    pool = [thread for thread in threading.enumerate() if thread.name.startswith("django")]
    assert 0 < len(pool) <= asgi._threads._max_workers


def test_heroku_s_calls_pass_through_it(inference: Partner) -> None:
    body = provision_body("inference")
    headers = {"Authorization": inference.authorization or "", "Content-Type": "application/json"}

    async def life() -> list[int]:
        raw = json.dumps(body).encode()
        posts = await asyncio.gather(
            *[call("POST", "/heroku/resources", raw, headers=headers) for _ in range(12)]
        )
        chunked = await call("POST", "/heroku/resources", raw[:20], raw[20:], headers=headers, length=False)
        gone = await call("DELETE", f"/heroku/resources/{body['uuid']}", headers=headers)
        assert gone.body == b""
        return [answer.status for answer in (*posts, chunked, gone)]

    assert asyncio.run(life()) == [200] * 13 + [204]
    assert Resource.objects.get(uuid=body["uuid"]).state == "deprovisioning"


def test_the_server_s_lifespan_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[bool] = []
    monkeypatch.setattr(asgi._threads, "shutdown", lambda wait: ended.append(wait))
    sent: list[dict[str, Any]] = []
    waiting = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(asgi.application({"type": "lifespan"}, receive, send))  # type: ignore[arg-type]
    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert ended == [True]
