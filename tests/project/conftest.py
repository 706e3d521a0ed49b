"""The ground floor's fixtures serve the project's own files too."""

from tests.provisioning.conftest import (  # noqa: F401 - pytest finds fixtures by name
    hanging_server,
    inference,
    plans,
    woken,
    written,
)
