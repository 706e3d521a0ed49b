"""`python -m local.mailbox --smtp-port 1025 --web-port 8025`: runs until it is stopped."""

import argparse
import asyncio
import os
import signal

from aiohttp import web

from local.mailbox.smtp import SmtpServer
from local.mailbox.store import Mailbox
from local.mailbox.web import Web


async def serve(
    *, smtp_port: int, web_port: int, api_key: str, webhook: str, webhook_key: str, host: str = "127.0.0.1"
) -> None:
    """Serve both doors until the task is cancelled."""
    mailbox = Mailbox()
    smtp = SmtpServer(mailbox)
    pages = Web(mailbox, smtp, api_key=api_key, webhook=webhook, webhook_key=webhook_key)
    smtp.tell_with(pages.tell)
    runner = web.AppRunner(pages.application(), access_log=None)
    await runner.setup()
    try:
        await smtp.start(host, smtp_port)
        await web.TCPSite(runner, host, web_port).start()
        await asyncio.Event().wait()
    finally:
        await smtp.stop()
        await runner.cleanup()


def main() -> None:
    """Read the command line; keys come from the environment (MAIL_EVENTS_KEY, MAIL_WEBHOOK_KEYS)."""
    parser = argparse.ArgumentParser(prog="python -m local.mailbox", description="A stand-in mail provider.")
    parser.add_argument("--smtp-port", type=int, default=1025)
    parser.add_argument("--web-port", type=int, default=8025)
    parser.add_argument("--webhook", default="", help="address that gets each event, signed")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        asyncio.run(
            serve(
                smtp_port=arguments.smtp_port,
                web_port=arguments.web_port,
                api_key=os.environ.get("MAIL_EVENTS_KEY", ""),
                webhook=arguments.webhook,
                webhook_key=os.environ.get("MAIL_WEBHOOK_KEYS", ""),
            )
        )
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
