"""What the tests of money share."""

from tests.provisioning.conftest import clock, django_db_setup, heroku, heroku_server, plans, ready, woken

__all__ = ["clock", "django_db_setup", "heroku", "heroku_server", "plans", "ready", "woken"]
