"""The ground floor's fixtures serve the contract's tests too."""

from tests.provisioning.conftest import (  # noqa: F401 - pytest finds fixtures by name
    heroku,
    heroku_server,
    outside,
    plans,
    ready,
    woken,
)
