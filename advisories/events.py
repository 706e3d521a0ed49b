"""The words of this floor's events for the dashboards."""

from sso.events import Told

TOLD = {
    "advisory.acknowledged": Told(
        "circle-check", lambda d, p: f"Security notice {d.get('advisory', '')} acknowledged"
    ),
    "advisory.mitigated": Told(
        "shield-lock", lambda d, p: f"Security notice {d.get('advisory', '')} marked mitigated", "good"
    ),
    "vulnerability_report.sent": Told(
        "send", lambda d, p: f"Vulnerability report {d.get('report', '')} sent to support"
    ),
}
