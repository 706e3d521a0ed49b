"""What the tests of money share."""

from tests.provisioning.conftest import clock, heroku, heroku_server, plans, ready, woken

__all__ = ["clock", "heroku", "heroku_server", "plans", "ready", "woken"]
