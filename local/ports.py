"""TCP ports of 127.0.0.1: which are free, and who holds the others."""

import http.client
import socket

import psutil


class PortTakenError(Exception):
    """A port that a program needs is held by another process; the message names it."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} is taken by {holder(port)}")
        self.port = port


def free_port() -> int:
    """Return a port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_taken(port: int) -> bool:
    """Tell whether a program could not listen on this port of 127.0.0.1 now.

    SO_REUSEADDR is set, as servers do, so that connections of an ended server do not count.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def answers_200(port: int, path: str) -> bool:
    """Tell whether a GET of this path on 127.0.0.1 is answered with 200, past any configured proxy."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def holder(port: int) -> str:
    """Describe the process that listens on a port, as well as this user may see it."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        connections = []
    for connection in connections:
        listening = connection.status == psutil.CONN_LISTEN and tuple(connection.laddr)[1:] == (port,)
        if listening and connection.pid:
            try:
                process = psutil.Process(connection.pid)
                command = " ".join(process.cmdline())[:120] or process.name()
            except psutil.Error:
                command = "a process that has just ended"
            return f"process {connection.pid} ({command})"
    return "a process of another user"
