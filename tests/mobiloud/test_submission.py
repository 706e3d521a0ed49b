"""The submission form: saved field by field, checked as a whole, locked when it is handed over."""

import base64
import hashlib
import html
import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from PIL import Image, ImageDraw

from addon.mobiloud.models import Answer, Signature, Submission, Upload
from addon.mobiloud.submission_fields import FIELDS, SECTIONS, agreement, agreement_digest
from addon.mobiloud.uploads import LARGEST_BYTES
from mail.models import Mail
from tests.mobiloud.answers import COMPLETE, fill, save, sign, start, submit, upload
from tests.mobiloud.conftest import Customer
from tests.support.partner import at_once
from tests.support.website import png

pytestmark = pytest.mark.django_db


def submission(customer: Customer) -> Submission:
    return Submission.objects.get(site=customer.site)


def test_the_free_plan_sees_what_it_would_get_and_cannot_begin(customer: Customer) -> None:
    page = customer.get("publish/").content.decode()
    assert "Publishing needs a paid plan" in page
    assert "heroku addons:upgrade" in page
    refused = customer.post("publish/start")
    assert refused.status_code == 403
    assert "paid plan" in refused.json()["message"]
    assert not Submission.objects.exists()


def test_a_form_begins_once_with_what_is_known(paying: Customer) -> None:
    start(paying)
    start(paying)
    known = {answer.name: answer.value for answer in Answer.objects.all()}
    assert known == {
        "website_url": paying.site.website,
        "app_name": "Fine Teas",
        "contact_email": "ada@example.com",
    }
    for section in SECTIONS:
        assert paying.get(f"publish/form/{section.slug}/").status_code == 200
    assert paying.get("publish/form/no-such/").status_code == 404


def test_fields_are_saved_one_by_one_and_a_repeat_does_no_harm(paying: Customer) -> None:
    start(paying)
    for _ in range(3):
        answer = save(paying, {"company": "Fine Teas Ltd"}, base=0).json()
        assert answer["saved"] == {"company": 1}
    assert save(paying, {"company": "Fine Teas", "country": "Ireland"}).json()["saved"] == {
        "company": 2,
        "country": 1,
    }
    contact = save(paying, {"contact_email": "nobody"}).json()["sections"][0]
    assert {
        "name": "contact_email",
        "label": "E-mail",
        "message": "That is not an e-mail address.",
    } in contact["missing"]


def test_two_windows_save_different_fields_and_are_asked_about_the_same_one(paying: Customer) -> None:
    start(paying)
    assert save(paying, {"company": "One"}, base=0).json()["saved"] == {"company": 1}
    other = save(paying, {"company": "Two", "country": "Ireland"}, base=0).json()
    assert other["saved"] == {"country": 1}
    assert other["conflicts"]["company"]["value"] == "One"
    assert other["conflicts"]["company"]["author"] == "ada@example.com"
    assert save(paying, {"company": "Two"}, base=1).json()["saved"] == {"company": 2}


def test_what_a_page_has_sent_itself_is_no_other_window_s_though_the_answer_was_lost(
    paying: Customer,
) -> None:
    start(paying)

    def send(value: str, *unanswered: Any) -> Any:
        changes = {
            name: {"value": value, "base": 0, "unanswered": unanswered} for name in ("company", "push_key")
        }
        return paying.post("publish/save", changes=json.dumps(changes)).json()

    assert send("One")["saved"] == {"company": 1, "push_key": 1}
    assert set(send("Two", "Another", 7)["conflicts"]) == {"company", "push_key"}
    assert send("Two", "Another", " One", "One")["saved"] == {"company": 2, "push_key": 2}
    assert Answer.objects.get(name="company").value == "Two"
    assert Answer.objects.get(name="push_key").get_sealed("secret") == "Two"


@pytest.mark.django_db(transaction=True)
def test_ten_windows_at_one_instant_lose_no_field(paying: Customer) -> None:
    start(paying)
    names = [name for name, field in FIELDS.items() if field.kind == "text"][:10]

    def write(name: str) -> Callable[[], Any]:
        return lambda: save(paying, {name: f"value of {name}"}, base=1 if name == "app_name" else 0)

    for answer in at_once([write(name) for name in names]):
        assert answer.status_code == 200
    kept = {answer.name: answer.value for answer in Answer.objects.filter(name__in=names)}
    assert {name for name in names if kept.get(name) != f"value of {name}"} == set()


def test_secrets_are_sealed_write_only_and_never_shown(paying: Customer) -> None:
    start(paying)
    secret = "p4ss-" + "x" * 20
    answer = save(paying, {"admin_needed": "yes", "admin_password": secret})
    assert secret not in answer.content.decode()
    stored = Answer.objects.get(name="admin_password")
    assert stored.value == ""
    assert stored.get_sealed("secret") == secret
    assert secret.encode() not in bytes(stored.secret)
    page = paying.get("publish/form/access/").content.decode()
    assert secret not in page
    assert "Stored encrypted" in page
    conflict = save(paying, {"admin_password": "another"}, base=0)
    assert conflict.json()["conflicts"]["admin_password"]["value"] == ""
    assert secret not in conflict.content.decode()
    assert save(paying, {"admin_password": ""}).json()["saved"] == {"admin_password": 2}
    stored.refresh_from_db()
    assert stored.secret is None


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("company", "x" * 201, "at most 200"),
        ("company", "a\0b", "not text"),
        ("company", "a\u202eb", "not text"),
        ("platforms", "windows", "choose one"),
        ("agrees", "maybe", "on or off"),
        ("app_name", "x" * 31, "at most 30"),
    ],
)
def test_what_cannot_be_kept_is_told_at_its_field_and_the_rest_is_saved(
    paying: Customer, name: str, value: str, words: str
) -> None:
    start(paying)
    answer = save(paying, {name: value, "country": "Ireland"}).json()
    assert words in answer["problems"][name]
    assert answer["saved"] == {"country": 1}


@pytest.mark.parametrize(
    "changes", ["", "[]", "7", '{"company": "x"}', '{"nope": {"value": "x", "base": 0}}', "[" * 5000]
)
def test_a_request_that_no_page_sends_is_refused(paying: Customer, changes: str) -> None:
    start(paying)
    assert paying.post("publish/save", changes=changes).status_code == 422
    assert Answer.objects.count() == 3


def test_submitting_names_what_is_missing_and_leaves_the_form_open(paying: Customer) -> None:
    start(paying)
    refused = submit(paying)
    assert refused.status_code == 422
    assert "Contact: Full name is missing" in refused.json()["message"]
    save(paying, {**COMPLETE, "login_needed": "yes", "privacy_url": "javascript:alert(1)"})
    told = submit(paying).json()["message"]
    for words in (
        "Test user is missing",
        "Privacy policy URL Only addresses",
        "App icon is missing",
        "Signature is missing",
    ):
        assert words in told
    assert submission(paying).state == "draft"
    assert not Mail.objects.exists()


def test_a_submitted_form_is_locked_with_revision_and_plan(paying: Customer) -> None:
    fill(paying)
    paying.save("settings", {"label": "Second", "links": []})
    for _ in range(2):
        assert submit(paying).status_code == 200
    made = submission(paying)
    assert (made.state, made.plan, made.submitted_by) == ("submitted", "starter", "ada@example.com")
    assert made.revision is not None
    assert made.revision.number == 2
    assert paying.site.published_id == made.revision_id
    for refused in (
        save(paying, {"company": "Other"}),
        upload(paying, "logo", png(600, 600)),
        sign(paying),
        paying.post("publish/upload/remove", upload=Upload.objects.get().pk),
    ):
        assert refused.status_code == 409
        assert "support@mobiloud.com" in refused.json()["message"]
    paying.save("settings", {"label": "Third", "links": []})
    assert submission(paying).revision_id == made.revision_id
    page = paying.get("publish/").content.decode()
    assert "support@mobiloud.com" in page
    assert "Follow-up call" in page
    assert sorted(Mail.objects.values_list("to", flat=True)) == ["ada.apps@example.com", "ada@example.com"]
    assert "Submitted" in Mail.objects.all()[0].text


@pytest.mark.django_db(transaction=True)
def test_five_submits_at_one_instant_are_one(paying: Customer) -> None:
    fill(paying)
    answers = at_once([lambda: submit(paying)] * 5)
    assert [answer.status_code for answer in answers] == [200] * 5
    assert submission(paying).notes.count() == 1
    assert Mail.objects.count() == 2


def test_a_downgrade_keeps_the_form_and_locks_it_until_the_upgrade(paying: Customer) -> None:
    start(paying)
    save(paying, {"company": "Fine Teas Ltd"})
    paying.move_to("test")
    assert save(paying, {"company": "Other"}).status_code == 403
    assert submit(paying).status_code == 403
    assert "What you have entered in the submission form is kept" in paying.get("publish/").content.decode()
    paying.move_to("elite")
    assert Answer.objects.get(name="company").value == "Fine Teas Ltd"
    assert save(paying, {"company": "Other"}).status_code == 200


# --- signature ----------------------------------------------------------------------------------------------


def drawing(*, ink: bool = True) -> str:
    image = Image.new("RGBA", (600, 180), (0, 0, 0, 0))
    if ink:
        ImageDraw.Draw(image).line([(20, 90), (300, 40), (580, 140)], fill=(20, 20, 20, 255), width=3)
    made = io.BytesIO()
    image.save(made, "PNG")
    return "data:image/png;base64," + base64.b64encode(made.getvalue()).decode()


def test_a_typed_signature_has_time_address_and_digest_and_a_certificate(paying: Customer) -> None:
    start(paying)
    assert sign(paying).status_code == 422
    save(paying, COMPLETE)
    assert sign(paying, digest="0" * 64).status_code == 422
    assert sign(paying).status_code == 200
    signature = Signature.objects.get()
    assert signature.digest == hashlib.sha256(agreement().encode()).hexdigest() == agreement_digest()
    assert (signature.text, signature.name, signature.address) == (agreement(), "Ada Lovelace", "127.0.0.1")
    paper = paying.get("publish/certificate")
    assert "attachment" in paper["Content-Disposition"]
    for words in ("Ada Lovelace", signature.digest, "127.0.0.1", "typed name", "UTC"):
        assert words in paper.content.decode()
    # Whoever has only the paper can work the digest out from the text on it.
    text = re.search(r"<pre>(.*)</pre>", paper.content.decode(), re.DOTALL)
    assert text is not None
    assert hashlib.sha256(html.unescape(text[1]).encode()).hexdigest() == signature.digest


def test_a_drawn_signature_is_kept_as_a_picture_of_ours(paying: Customer) -> None:
    start(paying)
    save(paying, COMPLETE)
    for wrong in (
        "x",
        "data:image/svg+xml;base64,PHN2Zz4=",
        "data:image/png;base64,!!!",
        drawing(ink=False),
        "data:image/png;base64,aGVsbG8=",
    ):
        assert sign(paying, drawing=wrong).status_code == 422
    assert not Signature.objects.exists()
    assert sign(paying, drawing=drawing()).status_code == 200
    kept = Signature.objects.get().drawing
    assert kept is not None
    assert Image.open(io.BytesIO(bytes(kept))).format == "PNG"
    assert "data:image/png;base64," in paying.get("publish/certificate").content.decode()


def test_another_legal_name_needs_another_signature(paying: Customer) -> None:
    fill(paying)
    save(paying, {"legal_name": "Grace Hopper"})
    assert "sign again" in submit(paying).json()["message"]
    sign(paying)
    assert submit(paying).status_code == 200


# --- uploads ------------------------------------------------------------------------------------------------


def jpeg(width: int, height: int) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (width, height), (1, 2, 3)).save(made, "JPEG")
    return made.getvalue()


def zip_tail() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("x.html", "<script>alert(1)</script>")
    return made.getvalue()


def png_with_text(text: str) -> bytes:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Comment", text)
    made = io.BytesIO()
    Image.new("RGB", (1024, 1024)).save(made, "PNG", pnginfo=info)
    return made.getvalue()


def bomb() -> bytes:
    """A small PNG that says it is enormous."""
    content = bytearray(png(1024, 1024))
    content[16:24] = (60_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


@pytest.mark.parametrize(
    ("kind", "content", "words"),
    [
        ("app_icon", b"", "empty"),
        ("app_icon", b"<svg onload=alert(1)>", "no PNG or JPEG"),
        ("app_icon", b"GIF89a" + b"\0" * 50, "no PNG or JPEG"),
        ("app_icon", png(1024, 1024)[:500], "damaged"),
        ("app_icon", png(512, 512), "512 by 512"),
        ("app_icon", png(1024, 1024, mode="RGBA", color=(1, 2, 3, 0)), "transparent"),
        ("app_icon", jpeg(1024, 1024), "has to be PNG"),
        ("app_icon", png(1024, 1024) + zip_tail(), "hangs on"),
        ("app_icon", png(1024, 1024) + b"<script>alert(1)</script>", "hangs on"),
        ("app_icon", png_with_text("<script>alert(document.domain)</script>"), "hidden"),
        ("app_icon", png_with_text("%PDF-1.7 polyglot"), "hidden"),
        ("app_icon", bomb(), "than anybody can use"),
        ("feature_graphic", png(1024, 501), "1024 by 501"),
        ("android_screenshot", png(320, 800), "320 by 800"),
        ("iphone_screenshot", png(1000, 1000), "1000 by 1000"),
        ("no_such_kind", png(10, 10), "no such graphic"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_what_the_stores_would_not_take_is_refused(
    paying: Customer, kind: str, content: bytes, words: str
) -> None:
    start(paying)
    answer = upload(paying, kind, content)
    assert answer.status_code in (404, 422)
    assert words in answer.json()["message"]
    assert not Upload.objects.exists()


def test_a_file_that_is_too_large_is_refused(paying: Customer) -> None:
    start(paying)
    answer = upload(paying, "app_icon", b"\x89PNG" + b"x" * LARGEST_BYTES)
    assert answer.status_code == 413
    assert "10 MB" in answer.json()["message"]


def test_only_pixels_are_kept_and_served_as_what_they_are(paying: Customer) -> None:
    start(paying)
    sent = png_with_text("made with a camera at home")
    for _ in range(2):
        assert upload(paying, "app_icon", sent, name='../../"><img>.png').status_code == 200
    kept = Upload.objects.get()
    assert b"camera" not in bytes(kept.content)
    assert "<" not in kept.name
    served = paying.get(f"publish/upload/{kept.pk}")
    assert (served["Content-Type"], served["X-Content-Type-Options"]) == ("image/png", "nosniff")
    assert served.content == bytes(kept.content)
    assert upload(paying, "app_icon", png(1024, 1024, color=(9, 9, 9))).status_code == 200
    assert Upload.objects.get().pk != kept.pk
    for number in range(8):
        assert upload(paying, "android_screenshot", png(400, 400, color=(number, 0, 0))).status_code == 200
    assert (
        "at most 8" in upload(paying, "android_screenshot", png(400, 400, color=(99, 0, 0))).json()["message"]
    )


def test_nobody_else_sees_a_graphic_or_a_certificate(
    paying: Customer, new_customer: Callable[..., Customer]
) -> None:
    fill(paying)
    number = Upload.objects.get().pk
    other = new_customer("starter")
    own, other.resource = other.resource, paying.resource
    assert other.get(f"publish/upload/{number}").status_code == 401
    assert other.get("publish/certificate").status_code == 401
    other.resource = own
    other.post("website", website=paying.site.website)
    start(other)
    assert other.get(f"publish/upload/{number}").status_code == 404
    viewer = Customer(paying.resource, user_scoped_resource_token=None)
    for button in ("start", "save", "upload", "upload/remove", "sign", "submit", "call", "revision"):
        assert viewer.post(f"publish/{button}").status_code == 403


# --- afterwards ---------------------------------------------------------------------------------------------


def test_a_call_is_scheduled_within_reason(paying: Customer) -> None:
    fill(paying)
    good = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    assert paying.post("publish/call", at=good).status_code == 422
    submit(paying)
    for wrong in ("soon", "2001-01-01T00:00", "2999-01-01T00:00"):
        assert paying.post("publish/call", at=wrong).status_code == 422
    Mail.objects.all().delete()
    for _ in range(2):
        assert paying.post("publish/call", at=good, note="About icons").status_code == 200
    assert submission(paying).call_note == "About icons"
    confirmed = Mail.objects.all()
    assert sorted(mail.to for mail in confirmed) == ["ada.apps@example.com", "ada@example.com"]
    assert good[-5:] in confirmed[0].subject
    assert "About icons" in confirmed[0].text
    assert paying.post("publish/call", at="").status_code == 200
    assert submission(paying).call_at is None


def test_a_later_revision_reaches_the_apps_when_it_is_published(paying: Customer) -> None:
    paying.save("settings", {"label": "Second", "links": []})
    assert paying.post("publish/revision", revision=2).status_code == 422
    fill(paying)
    submit(paying)
    paying.save("settings", {"label": "Third", "links": []})
    assert (
        json.loads(paying.browser.get(f"/mobiloud/app/{paying.site.app_token}/config.json").content)[
            "revision"
        ]
        == 2
    )
    assert paying.post("publish/revision", revision=3).status_code == 200
    assert paying.post("publish/revision", revision=99).status_code == 404
    assert (
        json.loads(paying.browser.get(f"/mobiloud/app/{paying.site.app_token}/config.json").content)[
            "revision"
        ]
        == 3
    )
