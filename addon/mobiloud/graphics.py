"""The uploads of a submission: added and removed while the form is open."""

from django.db import transaction

from addon.mobiloud.models import Submission, Upload
from addon.mobiloud.submissions import editable
from addon.mobiloud.uploads import KINDS, check_image
from provisioning import audit
from provisioning.services import Refusal


def add_upload(site_id: int, *, kind: str, name: str, sent: bytes, actor: str) -> Upload:
    """Check and keep a graphic. One of a kind of which there is one replaces it; the same image again is the same row.

    Refusal says what the stores would not take. The image is checked before anything is locked.
    """
    known = KINDS.get(kind)
    if known is None:
        raise Refusal("There is no such graphic.", code="upload_unknown")
    image = check_image(known, sent)
    shown = "".join(c for c in name if c.isprintable() and c not in '<>"\\/')[:120] or f"{kind}.png"
    with transaction.atomic():
        submission = editable(site_id)
        present = list(Upload.objects.filter(submission=submission, kind=kind).defer("content"))
        for each in present:
            if each.digest == image.digest:
                return each
        if known.count == 1:
            Upload.objects.filter(submission=submission, kind=kind).delete()
        elif len(present) >= known.count:
            raise Refusal(f"{known.label}: at most {known.count}. Remove one first.", code="upload_unfit")
        upload = Upload.objects.create(
            submission=submission,
            kind=kind,
            name=shown,
            format=image.format,
            width=image.width,
            height=image.height,
            digest=image.digest,
            content=image.content,
            size=len(image.content),
            uploaded_by=actor,
        )
        audit.record("mobiloud.uploaded", resource=submission.resource, actor=actor, kind=kind)
    return upload


@transaction.atomic
def remove_upload(site_id: int, number: int, *, actor: str) -> None:
    """Remove a graphic; one that is gone already is no problem."""
    submission = editable(site_id)
    deleted, _ = Upload.objects.filter(submission=submission, pk=number).delete()
    if deleted:
        audit.record("mobiloud.upload_removed", resource=submission.resource, actor=actor)


def find_upload(submission: Submission, number: int) -> Upload:
    """One graphic; Refusal when the submission has none of that number."""
    upload = Upload.objects.filter(submission=submission, pk=number).first()
    if upload is None:
        raise Refusal("There is no such graphic.", code="upload_unknown")
    return upload
