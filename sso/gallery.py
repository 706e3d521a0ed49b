"""What the style gallery shows: invented values for every component."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from provisioning.services import Meter
from sso.events import EventPage, EventView
from sso.frame import Notice
from sso.progress import OperationView, StepView


def gallery_context() -> dict[str, Any]:
    """Values for `design/gallery.html`."""
    now = timezone.now()
    return {
        "notices": [
            Notice("info", "Moving to Basic-0", "The new limits apply within a minute."),
            Notice("good", "All systems normal"),
            Notice(
                "warning", "Your produce quota is nearly used up", "Consider a larger plan.", "#", "See plans"
            ),
            Notice(
                "bad", "A security update concerns this add-on", "Rotate its credentials.", "#", "Read more"
            ),
        ],
        "meters": [
            Meter("Topics", 40, "topics", 12),
            Meter("Stored data", 4_000_000_000, "bytes", 3_420_000_000, "Older records go first."),
            Meter("Requests", 150, "requests/min", 149),
        ],
        "badges": [
            ("good", "Live"),
            ("progress", "Provisioning"),
            ("warning", "Retiring"),
            ("bad", "Failed"),
            ("neutral", "Removed"),
        ],
        "events": EventPage(
            (
                EventView(
                    3,
                    now - timedelta(seconds=20),
                    "eye",
                    "neutral",
                    "INFERENCE_KEY revealed",
                    "ada@example.com",
                ),
                EventView(
                    2, now - timedelta(hours=3), "circle-check", "good", "Add-on ready to use", "Addonworks"
                ),
                EventView(
                    1, now - timedelta(days=9), "plus", "neutral", "Add-on created on plan Free", "Heroku"
                ),
            ),
            None,
        ),
        "progress": OperationView(
            0,
            "provision",
            "running",
            False,
            (
                StepView("Create tenant", "done"),
                StepView("Connect to your app at Heroku", "current"),
                StepView("Set your app's config vars", "waiting"),
            ),
            "This takes longer than usual. We keep trying, you need not do anything.",
        ),
        "sample": 'curl "$INFERENCE_URL/v1/chat/completions" \\\n  -H "Authorization: Bearer $INFERENCE_KEY"',
    }
