"""The backend; Django finds it by this module's name."""

import select

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection is kept from request to request, and looked at before each.

    Django's look is a statement, a tenth of a short request. A server that went away, was restarted or ended the
    connection has closed the socket, and a closed socket can be read: only then is the statement worth its time.
    """

    def is_usable(self) -> bool:
        """Whether the connection can go on to be used. Takes microseconds while nothing has happened to it."""
        connection = self.connection
        if connection is None or connection.closed or connection.broken:
            return False
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        return bool(super().is_usable()) if poll.poll(0) else True
