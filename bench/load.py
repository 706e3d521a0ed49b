"""The client, in a process of its own: sends prepared requests at one concurrency and reports each answer's time.

Reads a job as JSON from standard input: `origin`, `concurrency`, and `requests` (lists of method, path, headers, body).
Writes JSON: `seconds` of the whole, and for each request its `statuses` and `latencies` (in seconds), in order.

It shares the cores with what it measures and stands for callers elsewhere, so it does little for a call: the bytes are
made before the clock starts, and of an answer only the status is kept. The connections are opened one after the other
before that, as those of a router in front have come to be: of those that are opened at one instant, one web process may
take nearly all, and keeps them.
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httptools
import uvloop

WHOLE_SECONDS = 110.0
_PIECE_BYTES = 65_536


class Answer:
    """Takes one answer apart: complete, and with its status, once the parser has seen its end."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self.complete = False
        self.keeps_connection = True
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Take what has come; ConnectionError when the other side has hung up."""
        if not data:
            raise ConnectionError("the server hung up before its answer was complete")
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser, which itself overlooks `Connection: close` of an answer without a body."""
        if name.lower() == b"connection" and value.lower() == b"close":
            self.keeps_connection = False

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self.complete = True

    @property
    def status(self) -> int:
        """The HTTP status."""
        return int(self._parser.get_status_code())


class Connection:
    """Kept from call to call, as long as the server keeps it."""

    def __init__(self, host: str, port: int) -> None:
        """It is opened by the first call."""
        self._address = (host, port)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, request: bytes) -> int:
        """Send the request, wait for the end of the answer and return its status."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
        reader, writer = self._streams
        answer = Answer()
        writer.write(request)
        while not answer.complete:
            answer.feed(await reader.read(_PIECE_BYTES))
        if not answer.keeps_connection:
            writer.close()
            self._streams = None
        return answer.status


def written(request: list[Any], *, host: str) -> bytes:
    """A request as it goes over the wire."""
    method, path, headers, body = request
    content: bytes = body.encode()
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


async def run(job: dict[str, Any]) -> dict[str, Any]:
    """Send every request, `concurrency` of them at any time, each worker on a connection of its own."""
    origin = urlsplit(job["origin"])
    prepared = [written(request, host=origin.netloc) for request in job["requests"]]
    statuses: list[int] = [0] * len(prepared)
    latencies: list[float] = [0.0] * len(prepared)
    numbers: Iterator[int] = iter(range(len(prepared)))

    async def work(connection: Connection) -> None:
        for number in numbers:
            began = time.perf_counter()
            statuses[number] = await connection.call(prepared[number])
            latencies[number] = time.perf_counter() - began

    async with asyncio.timeout(WHOLE_SECONDS):
        connections = [
            Connection(origin.hostname or "", origin.port or 80) for _ in range(job["concurrency"])
        ]
        opening = written(["GET", "/healthz", {}, ""], host=origin.netloc)
        for connection in connections:
            await connection.call(opening)
        started = time.perf_counter()
        await asyncio.gather(*[work(connection) for connection in connections])
    return {"seconds": time.perf_counter() - started, "statuses": statuses, "latencies": latencies}


if __name__ == "__main__":
    given = json.load(sys.stdin)
    gc.disable()  # a pause of the client's would count as the server's
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        json.dump(runner.run(run(given)), sys.stdout)
