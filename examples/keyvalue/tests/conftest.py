"""The fixtures that every service's tests have."""

from tests.provisioning.conftest import (  # noqa: F401 - pytest finds fixtures by name
    django_db_setup,
    heroku,
    heroku_server,
    outside,
    plans,
    ready,
    woken,
)
