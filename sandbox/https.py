"""https on port 443 for providers on this machine: what Heroku's AI plugin insists on, without a privileged port.

The plugin reaches a model only as ``https://HOST`` with nothing behind the host. Here a proxy answers
``CONNECT HOST:443`` for the hosts it was given, ends the encryption with a certificate of its own, and passes the
bytes on to a plain http port. Any other host is refused: nothing leaves this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import shlex
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sandbox.background import until_told_to_stop

VALID = dt.timedelta(days=90)
CHUNK = 65536
GREETING_SECONDS = 10
Address = tuple[str, int]


def parse_hosts(entries: list[str]) -> dict[str, Address]:
    """``HOST=http://ADDRESS:PORT`` as host names with what stands behind them; ValueError says what is wrong."""
    hosts: dict[str, Address] = {}
    for entry in entries:
        host, _, address = entry.partition("=")
        parts = urlsplit(address)
        if not host or "/" in host or ":" in host:
            raise ValueError(f"'{entry}' is not HOST=http://ADDRESS:PORT: the plugin takes a host name alone")
        if parts.scheme != "http" or not parts.hostname or parts.path.strip("/"):
            raise ValueError(f"'{entry}' is not HOST=http://ADDRESS:PORT")
        hosts[host.lower()] = (parts.hostname, parts.port or 80)
    return hosts


def client_environment(*, port: int, authority: Path, host: str) -> dict[str, str]:
    """The variables with which Heroku's CLI reaches ``host`` through the proxy; ``authority`` is what it must trust."""
    return {
        "HTTPS_PROXY": f"http://127.0.0.1:{port}",
        "NO_PROXY": "127.0.0.1,localhost",
        "NODE_EXTRA_CA_CERTS": str(authority),
        "HEROKU_INFERENCE_HOST": host,
    }


async def serve_https(*, hosts: Mapping[str, Address], port: int, authority: Path) -> None:
    """Run until SIGTERM or SIGINT. Prints one line when ready, then those a shell needs to use it.

    ``authority`` is an absolute path. Raises OSError for a taken port.
    """
    async with proxy(hosts=hosts, port=port, authority=authority) as bound:
        values = client_environment(port=bound, authority=authority, host=next(iter(hosts)))
        print(f"https ready at http://127.0.0.1:{bound}", flush=True)
        for name, value in values.items():
            print(f"export {name}={shlex.quote(value)}", flush=True)
        # The plugin's proxy agent would take these for the only certificates to trust.
        print("unset SSL_CERT_FILE SSL_CERT_DIR", flush=True)
        await until_told_to_stop()


@contextlib.asynccontextmanager
async def proxy(*, hosts: Mapping[str, Address], port: int, authority: Path) -> AsyncIterator[int]:
    """The running proxy's port; writes the certificate to trust to ``authority``. The private key is kept nowhere."""
    context = _context(list(hosts), authority)
    async with contextlib.AsyncExitStack() as cleaning:
        doors: dict[str, int] = {}
        for host, target in hosts.items():
            server = await asyncio.start_server(_Relay(target).serve, "127.0.0.1", 0, ssl=context)
            await cleaning.enter_async_context(server)
            doors[host] = server.sockets[0].getsockname()[1]
        front = await asyncio.start_server(_Connect(doors).serve, "127.0.0.1", port)
        await cleaning.enter_async_context(front)
        yield front.sockets[0].getsockname()[1]


class _Relay:
    """Passes a connection on to one address, both ways."""

    def __init__(self, target: Address) -> None:
        self.target = target

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _join(reader, writer, self.target)
        except OSError:
            body = b"Nothing answers at http://%s:%d." % (self.target[0].encode(), self.target[1])
            await _refuse(writer, "502 Bad Gateway", body)


class _Connect:
    """The proxy's own protocol: ``CONNECT host:443``, then the encrypted bytes."""

    def __init__(self, doors: Mapping[str, int]) -> None:
        self.doors = doors

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(GREETING_SECONDS):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, OSError):
            writer.close()
            return
        method, _, rest = head.partition(" ")
        host, _, port = rest.split(" ")[0].rpartition(":")
        if method != "CONNECT":
            await _refuse(writer, "405 Method Not Allowed", b"This proxy takes CONNECT only, as for https.")
        elif host.lower() not in self.doors or port != "443":
            known = ", ".join(f"{name}:443" for name in self.doors)
            await _refuse(writer, "403 Forbidden", f"This proxy leads to {known} only.".encode())
        else:
            # What follows is encrypted for the host's own door; asyncio's way to encrypt a connection that has
            # begun loses what is already read (python/cpython#142352).
            with contextlib.suppress(OSError):
                await _join(
                    reader, writer, ("127.0.0.1", self.doors[host.lower()]), b"HTTP/1.1 200 OK\r\n\r\n"
                )


async def _join(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: Address, greeting: bytes = b""
) -> None:
    """Connect to ``target``, greet, and carry bytes until either side ends; OSError when nothing listens there."""
    their_reader, their_writer = await asyncio.open_connection(*target)
    writer.write(greeting)
    tasks = [
        asyncio.create_task(_carry(reader, their_writer)),
        asyncio.create_task(_carry(their_reader, writer)),
    ]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        their_writer.close()
        writer.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()


async def _refuse(writer: asyncio.StreamWriter, status: str, body: bytes) -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with contextlib.suppress(OSError):
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()


def _context(hosts: list[str], authority: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Sandbox on this machine")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    authority.parent.mkdir(parents=True, exist_ok=True)
    authority.write_bytes(public)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    # The ssl module reads keys from files only.
    with tempfile.NamedTemporaryFile(dir=authority.parent, prefix=".key-") as both:
        both.write(private + public)
        both.flush()
        context.load_cert_chain(both.name)
    return context
