"""The backend; Django finds it by this module's name."""

import select
from collections.abc import Sequence
from typing import Any

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection is kept from request to request, and looked at before each.

    Django's look is a statement, a tenth of a short request. A server that went away, was restarted or ended the
    connection has closed the socket, and a closed socket can be read: only then is the statement worth its time.
    """

    _kept: dict[str, tuple[str, Any]]
    _kept_of: Any = None

    def run(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Run a statement that will be run again, and return what it returns, or nothing.

        Its cursor is kept as long as the connection, with what the driver has found out about the types of values and
        columns: that takes a third of a short statement. The driver knows the statement again by identity.
        """
        self.close_if_health_check_failed()
        self.ensure_connection()
        if self._kept_of is not self.connection:
            self._kept, self._kept_of = {}, self.connection
        kept = self._kept.get(statement)
        if kept is None:
            kept = self._kept[statement] = (statement, self.create_cursor())
        cursor = self._prepare_cursor(kept[1])  # type: ignore[attr-defined]  # not in the published types
        cursor.execute(kept[0], values)
        return list(cursor.fetchall()) if kept[1].description else []

    def is_usable(self) -> bool:
        """Whether the connection can go on to be used. Takes microseconds while nothing has happened to it."""
        connection = self.connection
        if connection is None or connection.closed or connection.broken:
            return False
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        return bool(super().is_usable()) if poll.poll(0) else True
