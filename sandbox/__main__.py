"""Command line of the sandbox: ``serve`` it, ``register`` services, give providers on this machine ``https``."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import urllib.error
import urllib.request
from pathlib import Path

from sandbox.errors import ApiError
from sandbox.server import serve
from sandbox.state import PROVIDER_LIMIT_SECONDS
from sandbox.store import DataFolderInUseError


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox", description="A stand-in Heroku for development."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    server = commands.add_parser("serve", help="run the sandbox")
    server.add_argument("--host", default="127.0.0.1")
    server.add_argument("--port", type=int, default=8100, help="0 takes a free one")
    server.add_argument("--data", type=Path, required=True, help="folder for the sandbox's state")
    server.add_argument("--services", type=Path, help="services.json to register at start")
    server.add_argument("--public-url", help="address others reach it at, if not http://HOST:PORT")
    server.add_argument(
        "--provider-limit",
        type=float,
        default=PROVIDER_LIMIT_SECONDS,
        help="seconds a provider has to answer",
    )
    register = commands.add_parser("register", help="register services with a running sandbox")
    register.add_argument("document", type=Path, help="an add-on manifest, or a services.json")
    register.add_argument("--base-url", help="where the provider runs, instead of the manifest's base_url")
    register.add_argument("--sso-url", help="instead of the manifest's sso_url")
    register.add_argument(
        "--plan", action="append", dest="plans", help="a plan's name; again for more (test)"
    )
    register.add_argument("--client-secret", help="the OAuth client secret that has to come (any)")
    register.add_argument("--sandbox", default="http://127.0.0.1:8100", help="address of the running sandbox")
    https = commands.add_parser("https", help="let Heroku's AI plugin reach a provider as https://HOST")
    https.add_argument("hosts", nargs="+", metavar="HOST=http://ADDRESS:PORT")
    https.add_argument("--port", type=int, default=8143, help="0 takes a free one")
    https.add_argument("--data", type=Path, required=True, help="folder for the certificate to trust")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    if options.command == "serve":
        return _serve(options)
    if options.command == "https":
        return _https(options)
    return _register(options)


def _serve(options: argparse.Namespace) -> int:
    try:
        services = json.loads(options.services.read_text("utf-8")) if options.services else None
        asyncio.run(
            serve(
                host=options.host,
                port=options.port,
                data=options.data,
                services=services,
                public_url=options.public_url,
                provider_limit=options.provider_limit,
            )
        )
    except (ApiError, DataFolderInUseError, OSError, ValueError) as error:
        sys.stderr.write(f"sandbox: {error}\n")
        return 1
    return 0


def _https(options: argparse.Namespace) -> int:
    try:
        # Here, and not above: only this command needs the package cryptography.
        from sandbox.https import parse_hosts, serve_https

        hosts = parse_hosts(options.hosts)
        authority = (options.data / "authority.pem").resolve()
        asyncio.run(serve_https(hosts=hosts, port=options.port, authority=authority))
    except (ImportError, OSError, ValueError) as error:
        sys.stderr.write(f"sandbox: {error}\n")
        return 1
    return 0


def _register(options: argparse.Namespace) -> int:
    try:
        document = json.loads(options.document.read_text("utf-8"))
        given = {
            "base_url": options.base_url,
            "sso_url": options.sso_url,
            "plans": options.plans,
            "oauth_client_secret": options.client_secret,
        }
        given = {name: value for name, value in given.items() if value is not None}
        if given and isinstance(document, dict) and "services" in document:
            raise ValueError("the options go with an add-on manifest; a services.json has them inside")
        is_entry = isinstance(document, dict) and "manifest" in document
        entry = document if is_entry else {"manifest": document}
        body = {**entry, **given} if given else document
        request = urllib.request.Request(  # noqa: S310 - the address is the operator's own
            options.sandbox.rstrip("/") + "/sandbox/services",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - the same
            names = json.load(response)["registered"]
    except urllib.error.HTTPError as error:
        sys.stderr.write(f"sandbox: {json.load(error).get('message')}\n")
        return 1
    except (OSError, ValueError) as error:
        sys.stderr.write(f"sandbox: {error}\n")
        return 1
    sys.stdout.write(f"registered: {', '.join(names)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
