"""What stands above every page of an affected resource's dashboard until somebody has answered."""

from collections.abc import Iterable

from django.urls import reverse

from advisories.customer import open_advisories
from sso.doors import Dashboard
from sso.frame import Notice, NoticeAction


def notices(dashboard: Dashboard) -> Iterable[Notice]:
    """The advisories that nobody has acknowledged, critical ones until they are mitigated; the worst first."""
    resource = dashboard.resource
    for affected, version in open_advisories(resource):
        critical = version.severity == "critical"
        acknowledged = affected.acknowledged_at is not None
        actions = []
        if dashboard.is_member:
            if not acknowledged:
                url = reverse("advisories:acknowledge", args=[resource.uuid, version.advisory.number])
                actions.append(NoticeAction("Acknowledge", url))
            if critical:
                url = reverse("advisories:mitigated", args=[resource.uuid, version.advisory.number])
                actions.append(NoticeAction("Mark mitigated", url))
        yield Notice(
            "bad" if version.severity in ("critical", "high") else "warning",
            f"{version.get_severity_display()} security notice: {version.title}",
            f"Acknowledged by {affected.acknowledged_by}; it stays here until it is mitigated."
            if acknowledged
            else "This add-on is affected.",
            link_url=f"{reverse('advisories:security', args=[resource.uuid])}#{version.advisory.number}",
            link_label="What to do now",
            actions=tuple(actions),
        )
