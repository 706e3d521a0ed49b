"""The customer's own log: what `heroku logs` tells of an add-on.

Every few seconds the events since the last look that are `logged` (`sso.events`) go to the log of each app that the
add-on is attached to. Best effort, as Heroku's logs are: nobody waits for a line, each is sent once or, when Heroku
does not take it, never. The addresses are secrets; they are asked for when there is something to say, and not kept.

Sources: Heroku's Dev Center, "Writing to application logs"; the code of logplex and log-shuttle (frames, statuses).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote, urlsplit, urlunsplit

import requests
import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from provisioning import platform_api
from provisioning.heroku_http import TIMEOUT, session
from provisioning.models import AuditEvent, Heartbeat, Resource
from provisioning.services import Fault, Unrecoverable
from provisioning.states import LIVE_STATES
from sso.events import is_logged, words_of

log = structlog.get_logger(__name__)

HEARTBEAT = "app-logs"
SETTLED = timedelta(seconds=3)
"""An event is dated when its transaction begins: this much later it is there to be seen."""
OLDEST = timedelta(minutes=10)
"""After a pause, what is older than this is no longer told."""
MOST = 5_000
"""Events that one look goes through, the newest."""

_PRIORITY = 190  # local7.info, which is customary
_LARGEST_LINE = 2_000  # characters: well below the 10,240 bytes that are read as one message
_MEDIA_TYPE = "application/logplex-1"


@dataclass(frozen=True)
class LogInput:
    """Where lines are taken, and the two halves of its secret."""

    url: str
    user: str = field(repr=False)
    token: str = field(repr=False)


def claim() -> dict[int, list[int]]:
    """The events that nobody has written yet, by resource; from now on they count as written.

    One caller gets them, however many there are at once.
    """
    now = timezone.now()
    Heartbeat.objects.get_or_create(name=HEARTBEAT, defaults={"at": now})
    with transaction.atomic():
        mark = Heartbeat.objects.select_for_update(skip_locked=True).filter(name=HEARTBEAT).first()
        if mark is None:
            return {}
        since, mark.at = max(mark.at, now - OLDEST), max(mark.at, now - SETTLED)
        mark.save()
        newest = AuditEvent.objects.filter(resource__state__in=LIVE_STATES).order_by("-pk")[:MOST]
        found = defaultdict(list)
        for key, resource_id, event, at in newest.values_list("pk", "resource_id", "event", "at"):
            if since < at <= mark.at and is_logged(event):
                found[resource_id].append(key)
    return dict(found)


def write(resource_id: int, event_ids: Sequence[int]) -> int:
    """Write events to the logs of the apps that the add-on is attached to; returns how many logs took them.

    Raises nothing when Heroku cannot be reached or does not let us in: then they are told on the dashboard only.
    """
    resource = Resource.objects.get(pk=resource_id)
    rows = list(AuditEvent.objects.filter(resource=resource, pk__in=event_ids).order_by("pk"))
    lines = list(zip((row.at for row in rows), words_of(rows, resource), strict=True))
    try:
        urls = platform_api.read_log_inputs(resource)
    except (Fault, Unrecoverable, platform_api.ResourceGone) as error:
        log.info("app_log.not_written", resource=str(resource.uuid), error=str(error))
        return 0
    return sum(_post(url, lines, resource) for url in urls)


def log_input(url: str) -> LogInput:
    """Heroku's `log_input_url` taken apart; ValueError for one that is none, or would carry the secret in the clear."""
    parts = urlsplit(url)
    place = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or ""
    # What Heroku tells over http, which only a stand-in does, it may take over http.
    if (
        parts.scheme not in {"https", urlsplit(settings.HEROKU_API_URL).scheme}
        or not place
        or not parts.password
    ):
        raise ValueError("a log input's address is none")
    bare = urlunsplit((parts.scheme, place, parts.path, parts.query, ""))
    return LogInput(bare, unquote(parts.username or ""), unquote(parts.password))


def frame(text: str, *, at: datetime, token: str, resource: Resource) -> bytes:
    """One line as an octet-counted frame. The token stands where Heroku replaces it by the add-on's name."""
    words = " ".join(text.split())[:_LARGEST_LINE]
    name = resource.name or resource.service
    message = f"<{_PRIORITY}>1 {at.astimezone(UTC).isoformat()} {name} {token} {resource.service} - - {words}".encode()
    return b"%d %b" % (len(message), message)


def _post(url: str, lines: Sequence[tuple[datetime, str]], resource: Resource) -> bool:
    try:
        place = log_input(url)
    except ValueError:  # its text holds the address, which is a secret
        log.warning("app_log.no_address", resource=str(resource.uuid))
        return False
    body = b"".join(frame(text, at=at, token=place.token, resource=resource) for at, text in lines)
    headers = {"Content-Type": _MEDIA_TYPE, "Logplex-Msg-Count": str(len(lines))}
    try:
        answer = session.post(
            place.url,
            data=body,
            headers=headers,
            auth=(place.user, place.token),
            timeout=TIMEOUT,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        log.info("app_log.not_taken", resource=str(resource.uuid), error=type(error).__name__)
        return False
    if answer.status_code >= 300:
        log.info("app_log.not_taken", resource=str(resource.uuid), status=answer.status_code)
    return answer.status_code < 300
