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


def event(
    name: str,
    *,
    resource: Resource | None = None,
    operation: Operation | None = None,
    actor: str = SYSTEM,
    **detail: Any,
) -> AuditEvent:
    """One event, yet to be written; `name` is a static dotted name, `detail` holds facts and never a secret."""
    return AuditEvent(
        event=name,
        resource=resource,
        operation=operation,
        actor=actor,
        detail=detail,
        correlation_id=(operation.correlation_id if operation else "") or correlation_id(),
    )


def record(
    name: str,
    *,
    resource: Resource | None = None,
    operation: Operation | None = None,
    actor: str = SYSTEM,
    **detail: Any,
) -> None:
    """Write one `event`."""
    rows.insert(event(name, resource=resource, operation=operation, actor=actor, **detail))
