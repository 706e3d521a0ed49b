"""The fixtures that every service's tests have."""

from tests.conftest import django_db_setup  # noqa: F401 - pytest finds fixtures by name
from tests.provisioning.conftest import (  # noqa: F401 - likewise
    heroku,
    heroku_server,
    outside,
    plans,
    ready,
    woken,
)
