"""CSV files that are sent while they are made, and that no spreadsheet runs."""

import csv
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from typing import cast

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.cache import patch_cache_control

ROWS_AT_ONCE = 500
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


class _Echo:
    """What csv writes into: the written text is the answer."""

    def write(self, text: str) -> str:
        return text


def safe(value: object) -> object:
    """The value as a cell that is never a formula; numbers stay numbers.

    A text that a spreadsheet would take for a formula gets an apostrophe before it (OWASP, "CSV Injection").
    """
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULAS):
        return f"'{value}"
    return "" if value is None else value


def csv_lines(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """The file's lines, some at a time."""
    writer = csv.writer(_Echo())
    written = [writer.writerow(header)]
    for row in rows:
        written.append(writer.writerow([safe(value) for value in row]))
        if len(written) >= ROWS_AT_ONCE:
            yield "".join(written)
            written = []
    if written:
        yield "".join(written)


def csv_response(
    request: HttpRequest, name: str, header: Sequence[str], rows: Iterable[Sequence[object]]
) -> HttpResponse:
    """The answer that downloads as `name`; rows are read from the database while they are sent."""
    lines = csv_lines(header, rows)
    content = _in_threads(lines) if isinstance(request, ASGIRequest) else lines
    response = StreamingHttpResponse(content, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    patch_cache_control(response, no_store=True, private=True)
    return cast("HttpResponse", response)  # what the doors of views are typed by


async def _in_threads(lines: Iterator[str]) -> AsyncGenerator[str]:
    take = sync_to_async(lambda: next(lines, None), thread_sensitive=True)
    while (text := await take()) is not None:
        yield text
