"""A small website of the tests' own: pages, a manifest, an icon, and headers that can be changed."""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

PAGE = b"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Shop - Fine Teas</title>
<meta name="theme-color" content="#7A1F3D"><meta property="og:site_name" content="Fine Teas">
<link rel="icon" href="/icon.png"></head><body><h1>Fine Teas</h1><p>Leaves from everywhere.</p></body></html>"""


def png(width: int, height: int, *, mode: str = "RGB", color: Any = (122, 31, 61)) -> bytes:
    """A PNG of one colour."""
    made = io.BytesIO()
    Image.new(mode, (width, height), color).save(made, "PNG")
    return made.getvalue()


class Website:
    """What it answers: `headers` go with every page; `pages` maps paths to bodies."""

    def __init__(self) -> None:
        website = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                website.asked.append(self.path)
                body = website.pages.get(self.path.partition("?")[0])
                self.send_response(website.status if body is not None else 404)
                self.send_header("Content-Type", "image/png" if self.path.endswith(".png") else "text/html")
                for name, value in website.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body or b"nothing")

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.pages: dict[str, bytes] = {"/": PAGE, "/shop": PAGE, "/news": PAGE, "/icon.png": png(64, 64)}
        self.headers: dict[str, str] = {}
        self.status = 200
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.host}/"

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def website() -> Iterator[Website]:
    """One that is up."""
    site = Website()
    try:
        yield site
    finally:
        site.close()
