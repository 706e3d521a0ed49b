"""The registry of services."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.conf import settings
from django.utils.module_loading import import_string

from provisioning import services


def test_the_first_requests_of_a_process_all_see_every_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process answers its first requests in several threads, and must not refuse a service it has not loaded yet."""
    load, begin = import_string, threading.Barrier(8)

    def load_slowly(path: str) -> Callable[[], Any]:
        time.sleep(0.01)
        loaded: Callable[[], Any] = load(path)
        return loaded

    def look(_: int) -> int:
        begin.wait()
        return len(services.all_services())

    monkeypatch.setattr(services, "import_string", load_slowly)
    services.all_services.cache_clear()
    try:
        with ThreadPoolExecutor(8) as threads:
            assert set(threads.map(look, range(8))) == {len(settings.ADDON_SERVICES)}
    finally:
        services.all_services.cache_clear()
