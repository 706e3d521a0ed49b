"""What of mails and contacts is deleted, and when."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import PROTECT, Q, QuerySet
from django.utils import timezone

from mail.models import OPEN_STATES, Contact, Mail

AT_ONCE = 2000


def purge() -> dict[str, int]:
    """Empty the texts of mails older than `MAIL_TEXT_DAYS`, and delete rows older than `MAIL_RETENTION_DAYS`.

    A mail that still waits is left alone, and so is the row of one that a floor above keeps as evidence. Contacts go
    when they left, or their resource was removed, that long ago. How many of each; safe to repeat and to interrupt.
    """
    now = timezone.now()
    ended = Mail.objects.exclude(state__in=OPEN_STATES)
    readable = ended.filter(created_at__lt=now - timedelta(days=settings.MAIL_TEXT_DAYS)).exclude(text="")
    old = now - timedelta(days=settings.MAIL_RETENTION_DAYS)
    unwanted = Q(left_at__lt=old) | Q(resource__deprovisioned_at__lt=old)
    return {
        "texts": _in_parts(readable, lambda part: part.update(text="", html="", headers={})),
        "mails": _in_parts(_kept_by_nobody(ended.filter(created_at__lt=old)), lambda part: part.delete()),
        "contacts": _in_parts(Contact.objects.filter(unwanted), lambda part: part.delete()),
    }


def _kept_by_nobody(mails: "QuerySet[Mail]") -> "QuerySet[Mail]":
    for relation in Mail._meta.related_objects:
        if relation.on_delete is PROTECT:
            mails = mails.filter(**{f"{relation.name}__isnull": True})
    return mails


def _in_parts(rows: "QuerySet[Any]", act: Callable[["QuerySet[Any]"], object]) -> int:
    done = 0
    while numbers := list(rows.order_by("pk").values_list("pk", flat=True)[:AT_ONCE]):
        act(rows.model._default_manager.filter(pk__in=numbers))
        done += len(numbers)
    return done
