"""The client, in a process of its own: sends prepared requests at one concurrency and reports each answer's time.

Reads a job as JSON from standard input: `origin`, `concurrency`, and `requests` (lists of method, path, headers, body).
Writes JSON: `seconds` of the whole, and for each request its `statuses` and `latencies` (in seconds), in order.
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import aiohttp


async def run(job: dict[str, Any]) -> dict[str, Any]:
    """Send every request, `concurrency` of them at any time, each worker on a connection of its own."""
    prepared = job["requests"]
    statuses: list[int] = [0] * len(prepared)
    latencies: list[float] = [0.0] * len(prepared)
    numbers: Iterator[int] = iter(range(len(prepared)))
    connector = aiohttp.TCPConnector(limit=job["concurrency"])
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(job["origin"], connector=connector, timeout=timeout) as session:

        async def work() -> None:
            for number in numbers:
                method, path, headers, body = prepared[number]
                began = time.perf_counter()
                async with session.request(
                    method, path, data=body, headers=headers, allow_redirects=False
                ) as answer:
                    await answer.read()
                latencies[number] = time.perf_counter() - began
                statuses[number] = answer.status

        started = time.perf_counter()
        await asyncio.gather(*[work() for _ in range(job["concurrency"])])
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "statuses": statuses, "latencies": latencies}


if __name__ == "__main__":
    given = json.load(sys.stdin)
    gc.disable()  # a pause of the client's would count as the server's
    json.dump(asyncio.run(run(given)), sys.stdout)
