"""What the operators' overview tells of submissions."""

from collections.abc import Iterable

from django.urls import reverse

from addon.mobiloud.models import Submission, SubmissionState
from operators.overview import Concern


def concerns() -> Iterable[Concern]:
    """Submissions that nobody has looked at."""
    waiting = Submission.objects.filter(state=SubmissionState.SUBMITTED).count()
    yield Concern(
        "App submissions to review",
        waiting,
        f"{reverse('mobiloud:operator-queue')}?state={SubmissionState.SUBMITTED}",
        "warning",
        "MobiLoud: submitted, and in nobody's hands yet.",
    )
