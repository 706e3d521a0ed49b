"""What happened, told in the same transaction as it happens."""

from typing import Any

from structlog.contextvars import get_contextvars

from provisioning import rows
from provisioning.models import AuditEvent, Operation, Resource

HEROKU = "heroku"
SYSTEM = "system"


def correlation_id() -> str:
    """The id that joins Heroku's call to every later line about it; empty outside of a request or task."""
    return str(get_contextvars().get("correlation_id", ""))


def record(
    event: str,
    *,
    resource: Resource | None = None,
    operation: Operation | None = None,
    actor: str = SYSTEM,
    **detail: Any,
) -> None:
    """Write one event; `event` is a static dotted name, `detail` holds facts and never a secret."""
    rows.insert(
        AuditEvent(
            event=event,
            resource=resource,
            operation=operation,
            actor=actor,
            detail=detail,
            correlation_id=(operation.correlation_id if operation else "") or correlation_id(),
        )
    )
