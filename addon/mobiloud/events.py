"""What happens to a site, in the words of a dashboard's recent events."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from addon.mobiloud.models import Origin
from sso.events import Told

Words = Callable[[Mapping[str, Any], Mapping[str, str]], str]


def _of(text: str) -> Words:
    """The event's detail filled into `text`, with a question mark for what an older release did not note."""
    return lambda detail, plans: text.format_map(defaultdict(lambda: "?", detail))


def _saved(detail: Mapping[str, Any], plans: Mapping[str, str]) -> str:
    origin = str(detail.get("origin", ""))
    label = Origin(origin).label if origin in Origin.values else "?"
    return f"Revision {detail.get('revision', '?')} saved ({label})"


TOLD: dict[str, Told] = {
    "mobiloud.website_set": Told("device-mobile", _of("Website set to {website}")),
    "mobiloud.saved": Told("device-floppy", _saved),
    "mobiloud.submission_started": Told("pencil", _of("App submission started")),
    "mobiloud.signed": Told("writing", _of("Agreement signed")),
    "mobiloud.submitted": Told("send", _of("App submitted with revision {revision}"), "good"),
    "mobiloud.call_scheduled": Told("calendar-event", _of("Follow-up call noted")),
    "mobiloud.state_changed": Told("rocket", _of("App submission: {label}")),
    "mobiloud.published": Told("rocket", _of("Revision {revision} published to the apps"), "good"),
}
