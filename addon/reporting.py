"""Reporting errors to Sentry, for whoever sets `SENTRY_DSN`."""

from typing import TYPE_CHECKING, Any, cast

from provisioning.masking import mask_value

if TYPE_CHECKING:
    from sentry_sdk.types import Event


def report_errors(dsn: str, *, environment: str, release: str) -> None:
    """Send every unhandled exception and every log line of level error, of web, worker and commands, to `dsn`.

    Secrets are masked as they are in logs, and what could hold one that nobody would recognise is not sent at all:
    local variables, request bodies, cookies and users. Nobody waits for Sentry: a thread of its own sends, and drops
    what it cannot.
    """
    import sentry_sdk  # only where it is used: it takes a fifth of a second

    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        release=release or None,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        before_send=lambda event, _: masked(event),
        before_breadcrumb=lambda crumb, _: mask_value(crumb),
    )


def masked(event: "Event") -> "Event":
    """A report without secrets."""
    return cast("Event", mask_value(cast("dict[str, Any]", event)))
