"""Operators' view of the outbox: what was sent to whom, and what became of it. Read-only."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join

from mail.contacts import people_of
from mail.models import Mail, MailState
from operators.lists import COUNTED_ROWS, BoundedPaginator
from operators.model_admin import ReadOnlyAdmin
from provisioning.models import Resource

_TONES = {
    MailState.DELIVERED: "good",
    MailState.SENT: "good",
    MailState.BOUNCED: "bad",
    MailState.FAILED: "bad",
    MailState.SENDING: "progress",
}


@admin.register(Mail)
class MailAdmin(ReadOnlyAdmin):
    """Every mail. A row opens its words, and what the provider told of it."""

    list_display = ("subject", "to", "kind", "badge", "created_at", "sent_at", "why")
    list_filter = ("state",)
    paginator = BoundedPaginator
    search_fields = ("pk",)  # Only so that the box is there: see get_search_results.
    search_help_text = "An address, an app's name, the beginning of a key, a Message-ID"
    fields = (
        "badge", "to", "subject", "key", "kind", "message_id", "created_at", "sent_at", "settled_at", "why",
        "attempt", "doubts", "next_attempt_at", "give_up_at", "told", "words",
    )  # fmt: skip

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By address, by Message-ID, by the beginning of the key, or to the people of an app; each by an index."""
        term = search_term.strip()
        if not term:
            return queryset, False
        numbers = Resource.objects.filter(app_name=term.lower()).values_list("pk", flat=True)[:COUNTED_ROWS]
        people = {person.address for found in people_of(list(numbers)).values() for person in found}
        wanted = Q(key__startswith=term) | Q(message_id=term) | Q(message_id=f"<{term}>")
        return queryset.alias(address=Lower("to")).filter(
            wanted | Q(address__in={term.lower(), *people})
        ), False

    @admin.display(description="state", ordering="state")
    def badge(self, mail: Mail) -> str:
        """As a badge."""
        tone = _TONES.get(MailState(mail.state), "neutral")
        return format_html('<span class="state tone-{}">{}</span>', tone, mail.get_state_display())

    @admin.display(description="last error")
    def why(self, mail: Mail) -> str:
        """What the server or the provider said last."""
        return mail.last_error[:200]

    @admin.display(description="the provider told")
    def told(self, mail: Mail) -> str:
        """Its events, oldest first."""
        events = [
            (event.at.strftime("%Y-%m-%d %H:%M:%S"), event.kind, event.detail) for event in mail.events.all()
        ]
        return format_html_join("", "<div>{} UTC: {} {}</div>", events) or "Nothing"

    @admin.display(description="text")
    def words(self, mail: Mail) -> str:
        """The text as it was sent, while it is kept."""
        if not mail.text:
            return "No longer kept"
        return format_html('<pre class="advisory-preview">{}</pre>', mail.text)
