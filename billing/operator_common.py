"""What the operators' pages about money share."""

from typing import Any

from django.db import models
from django.http import Http404

from operators import audit
from operators.doors import OperatorRequest
from operators.roles import Role
from provisioning.services import AddonService, all_services

FINANCE = (Role.FINANCE,)
ROWS_AT_ONCE = 500
"""Rows of an export that one query reads."""


def known_service(slug: str) -> AddonService:
    """The service; 404 when there is none."""
    try:
        return all_services()[slug]
    except KeyError:
        raise Http404 from None


def dollars(cents: int) -> str:
    """`-12.05`, as a file holds an amount."""
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def acted(
    request: OperatorRequest,
    action: str,
    row: models.Model,
    *,
    reason: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Write the operators' audit of an action, in its transaction."""
    audit.record(
        action, operator=request.user, obj=row, reason=reason, before=before, after=after, request=request
    )


def exported(request: OperatorRequest, what: str) -> None:
    """Write the operators' audit of an export."""
    audit.record("billing.export", operator=request.user, after={"what": what}, request=request)
