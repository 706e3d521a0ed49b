"""The words of this floor's events for the dashboards."""

from sso.events import Told

TOLD = {
    "security_contact.added": Told("plus", lambda d, p: f"Security contact {d.get('email', '')} added"),
    "security_contact.removed": Told("minus", lambda d, p: f"Security contact {d.get('email', '')} removed"),
}
