"""Signing the agreement: by a typed name or a drawing, with everything that later proves it."""

import base64
import binascii
import html
import io

from django.db import transaction
from django.utils import timezone
from PIL import Image

from addon.mobiloud.models import Signature, Submission
from addon.mobiloud.submission_fields import agreement, agreement_digest
from addon.mobiloud.submissions import editable
from provisioning import audit
from provisioning.services import Refusal

_DRAWING_LARGEST = 400_000
_PREFIX = "data:image/png;base64,"
_SIDE_MOST = 2400
_INK_LEAST = 40


@transaction.atomic
def sign(site_id: int, *, drawing: str, digest: str, actor: str, address: str, user_agent: str) -> Signature:
    """Sign the agreement with the legal name of the form. `drawing` is a PNG data URL, empty for a typed signature.

    `digest` is that of the text the page showed: a text that changed meanwhile is not signed unread.
    """
    submission = editable(site_id)
    answers = {answer.name: answer.value for answer in submission.answers.all()}
    name, role = answers.get("legal_name", ""), answers.get("legal_role", "")
    if not name or not role or not answers.get("agrees"):
        raise Refusal(
            "Enter your legal name and role and confirm that you have read the agreement, then sign.",
            code="form",
        )
    if digest != agreement_digest():
        raise Refusal("The agreement has changed. Reload the page, read it and sign.", code="form")
    values = {
        "name": name,
        "role": role,
        "drawing": read_drawing(drawing) if drawing else None,
        "text": agreement(),
        "digest": agreement_digest(),
        "address": address or None,
        "user_agent": "".join(c for c in user_agent if c.isprintable())[:300],
        "email": actor[:200],
        "signed_at": timezone.now(),
    }
    signature, _ = Signature.objects.update_or_create(submission=submission, defaults=values)
    audit.record(
        "mobiloud.signed",
        resource=submission.resource,
        actor=actor,
        digest=signature.digest,
        drawn=bool(drawing),
    )
    return signature


def read_drawing(data_url: str) -> bytes:
    """The drawing as a PNG made by us; Refusal for anything that is none, or an empty one."""
    if not data_url.startswith(_PREFIX) or len(data_url) > _DRAWING_LARGEST:
        raise Refusal("The drawing could not be read. Clear it and draw again.", code="form")
    try:
        sent = base64.b64decode(data_url.removeprefix(_PREFIX), validate=True)
        with Image.open(io.BytesIO(sent), formats=["PNG"]) as image:
            if max(image.size) > _SIDE_MOST:
                raise Refusal("The drawing is too large.", code="form")
            drawn = image.convert("RGBA")
    except (binascii.Error, OSError, ValueError, SyntaxError):
        raise Refusal("The drawing could not be read. Clear it and draw again.", code="form") from None
    ink = sum(drawn.getchannel("A").histogram()[32:])
    if ink < _INK_LEAST:
        raise Refusal("The drawing is empty. Draw your signature, or type it.", code="form")
    # Black on white, whatever theme it was drawn in.
    paper = Image.new("RGB", drawn.size, "white")
    paper.paste((0, 0, 0), mask=drawn.getchannel("A"))
    made = io.BytesIO()
    paper.save(made, "PNG", optimize=True)
    return made.getvalue()


def certificate(submission: Submission) -> str:
    """The certificate of the signature: one HTML document that needs nothing else, with the exact text. To be printed
    or kept.
    """
    signature = Signature.objects.filter(submission=submission).first()
    if signature is None:
        raise Refusal("The agreement is not signed yet.", code="upload_unknown")
    if signature.drawing:
        picture = base64.b64encode(bytes(signature.drawing)).decode()
        mark = f'<img alt="Signature of {html.escape(signature.name)}" src="data:image/png;base64,{picture}">'
    else:
        mark = f'<p class="typed">{html.escape(signature.name)}</p>'
    facts = {
        "Signed by": f"{signature.name}, {signature.role}",
        "Signed in as": f"{signature.email}, vouched for by Heroku's single sign-on",
        "Way of signing": "drawn by hand" if signature.drawing else "typed name",
        "Time": f"{signature.signed_at:%Y-%m-%d %H:%M:%S} UTC",
        "Network address": signature.address or "not known",
        "Browser": signature.user_agent or "not known",
        "Add-on": str(submission.resource.uuid),
        "SHA-256 of the text": signature.digest,
    }
    rows = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in facts.items())
    text = html.escape(signature.text)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Certificate of signature</title><style>'
        "body{font:15px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#111}"
        "th{text-align:left;padding:.25rem 1rem .25rem 0;vertical-align:top;white-space:nowrap}"
        "td{overflow-wrap:anywhere}pre{white-space:pre-wrap;font:inherit;border:1px solid #ccc;padding:1rem}"
        "img{max-width:22rem;border-bottom:1px solid #111}.typed{font:italic 2rem Georgia,serif}"
        "</style></head><body><h1>Certificate of signature</h1>"
        f"{mark}<table>{rows}</table><h2>The text that was signed</h2><pre>{text}</pre>"
        "<p>The SHA-256 above is that of this text as UTF-8 with single line feeds.</p></body></html>\n"
    )
