"""The configuration: first access, saving by sections and as a whole, revisions, and two tabs at once."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from addon.mobiloud.documents import DEEPEST, LARGEST_BYTES, dump
from addon.mobiloud.models import Revision, Site
from provisioning.models import AuditEvent
from tests.mobiloud.conftest import Customer
from tests.support.partner import at_once
from tests.support.website import Website

pytestmark = pytest.mark.django_db


def problems(answer: Any) -> dict[str, str]:
    """Path to message of a refused save."""
    assert answer.status_code == 422, answer.content
    return {problem["path"]: problem["message"] for problem in answer.json()["problems"]}


# --- first access -------------------------------------------------------------------------------------------


def test_the_first_page_asks_for_the_website_and_suggests_from_it(
    new_customer: Callable[..., Customer], shop: Website
) -> None:
    customer = new_customer()
    assert b"Website URL" in customer.get("").content
    for page in ("configure/menu/", "configure/advanced/", "history/"):
        assert customer.get(page)["Location"].endswith("/#website")
    answer = customer.post("website", website=f"  {shop.url} ")
    assert answer.json()["url"].endswith("/configure/menu/")
    site = customer.site
    assert (site.website, site.found["name"], site.found["color"]) == (shop.url, "Fine Teas", "#7A1F3D")
    assert customer.get("preview/icon.png").content.startswith(b"\x89PNG")
    configuration = customer.configuration
    assert configuration["menu"]["main_url"] == shop.url
    assert configuration["colors"]["status_bar"] == configuration["colors"]["tab_active"] == "#7A1F3D"
    assert customer.get("configure/menu/").status_code == 200
    assert b"Fine Teas" in customer.get("").content


def test_a_site_that_does_not_answer_is_kept_with_a_warning(
    new_customer: Callable[..., Customer], shop: Website
) -> None:
    customer = new_customer()
    shop.status = 503
    assert "status 503" in customer.post("website", website=shop.url).json()["message"]
    assert customer.site.read_at is None
    assert customer.configuration["colors"]["status_bar"] == "#FFFFFF"


@pytest.mark.parametrize(
    "website",
    [
        "",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "ftp://example.com/",
        "https://user:secret@example.com/",
        "http://127.0.0.1:1/",
        "http://169.254.169.254/latest/",
        "http://[::1]/",
        "http://localhost:8000/",
        "http://10.0.0.1/",
    ],
)
def test_a_website_that_is_no_public_address_is_refused_and_leaves_nothing(
    new_customer: Callable[..., Customer], website: str
) -> None:
    customer = new_customer()
    answer = customer.post("website", website=website)
    assert answer.status_code == 422
    assert answer.json()["message"].endswith(".")
    assert not Site.objects.exists()


def test_naming_the_website_again_changes_it_and_keeps_the_configuration(
    customer: Customer, shop: Website
) -> None:
    customer.save("colors", {**customer.configuration["colors"], "tab_active": "#112233"})
    before = customer.configuration
    assert customer.post("website", website=f"{shop.url}shop").status_code == 200
    assert customer.site.website == f"{shop.url}shop"
    assert customer.configuration == before
    # A site that is down for the moment keeps its name and icon.
    shop.status = 503
    assert "status 503" in customer.post("website", website=f"{shop.url}shop").json()["message"]
    assert customer.site.found["name"] == "Fine Teas"
    assert customer.site.icon is not None
    assert customer.site.read_at is not None


# --- saving -------------------------------------------------------------------------------------------------


def test_a_save_is_a_numbered_revision_with_author_and_difference(customer: Customer) -> None:
    colors = {**customer.configuration["colors"], "tab_inactive": "#445566"}
    answer = customer.save("colors", colors)
    assert answer.json()["revision"] == 2
    first, second = customer.revisions()
    assert (second.number, second.base, second.origin, second.author) == (2, 1, "colors", "ada@example.com")
    assert second.changes == [{"path": "/colors/tab_inactive", "was": "#5B6660", "now": "#445566"}]
    assert first.configuration["colors"]["tab_inactive"] == "#5B6660"
    assert AuditEvent.objects.filter(event="mobiloud.saved", detail__revision=2).exists()
    assert b"Revision 2" in customer.get("history/").content


def test_a_save_that_changes_nothing_makes_no_revision(customer: Customer) -> None:
    for _ in range(2):
        assert customer.save("colors", customer.configuration["colors"], base=1).json()["revision"] == 1
    changed = {**customer.configuration["colors"], "tab_inactive": "#445566"}
    # An answer that was lost, so that the page asks again.
    for _ in range(3):
        assert customer.save("colors", changed, base=1).json()["revision"] == 2
    assert len(customer.revisions()) == 2


def test_two_tabs_with_different_sections_both_win(customer: Customer) -> None:
    colors = {**customer.configuration["colors"], "tab_inactive": "#445566"}
    assert customer.save("colors", colors, base=1).status_code == 200
    assert customer.save("settings", {"label": "More", "links": []}, base=1).json()["revision"] == 3
    assert customer.configuration["colors"] == colors
    assert customer.configuration["settings"]["label"] == "More"


def test_two_tabs_with_one_section_get_a_conflict_and_a_choice(customer: Customer) -> None:
    theirs, mine = {"label": "Theirs", "links": []}, {"label": "Mine", "links": []}
    customer.save("settings", theirs, base=1)
    refused = customer.save("settings", mine, base=1)
    assert refused.status_code == 409
    assert refused.json()["current"]["value"] == theirs
    assert refused.json()["current"]["revision"] == 2
    assert customer.configuration["settings"] == theirs
    assert customer.save("settings", mine, base=2).json()["revision"] == 3
    assert [row.configuration["settings"]["label"] for row in customer.revisions()] == [
        "Settings",
        "Theirs",
        "Mine",
    ]


def test_the_editor_conflicts_with_any_change_but_not_with_its_own(customer: Customer) -> None:
    text = dump({**customer.configuration, "extra": 1})
    assert customer.save_document(text, base=1).json()["revision"] == 2
    assert customer.save_document(text, base=1).json()["revision"] == 2
    other = dump({**customer.configuration, "extra": 2})
    assert customer.save_document(other, base=1).status_code == 409
    assert customer.configuration["extra"] == 1


@pytest.mark.django_db(transaction=True)
def test_twelve_saves_at_one_instant_lose_no_revision(customer: Customer) -> None:
    def save(number: int) -> Callable[[], Any]:
        return lambda: customer.save("settings", {"label": f"L{number}", "links": []}, base=1)

    answers = at_once([save(number) for number in range(12)])
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 11
    assert [row.number for row in customer.revisions()] == [1, 2]


def test_rolling_back_adds_the_former_revision_as_the_newest(customer: Customer) -> None:
    customer.save("settings", {"label": "Second", "links": []})
    customer.save("settings", {"label": "Third", "links": []})
    assert customer.post("history/roll-back", number=2, base=2).status_code == 409
    assert customer.post("history/roll-back", number=2, base=3).status_code == 200
    assert customer.configuration["settings"]["label"] == "Second"
    assert [row.origin for row in customer.revisions()] == ["website", "settings", "settings", "rollback"]
    assert customer.post("history/roll-back", number=99, base=4).status_code == 404


def test_a_revision_cannot_be_changed_even_by_ourselves(customer: Customer) -> None:
    revision = customer.revisions()[0]
    with pytest.raises(IntegrityError), transaction.atomic():
        Revision.objects.filter(pk=revision.pk).update(author="somebody else")


def test_unknown_keys_are_kept_wherever_they_are(customer: Customer) -> None:
    configuration = customer.configuration
    configuration["splash"] = {"seconds": 2.5, "nested": [None, True, "ü🫖"]}
    configuration["menu"]["tabs"][0]["badge"] = {"count": 3}
    assert customer.save_document(dump(configuration)).status_code == 200
    customer.save("settings", {"label": "More", "links": [], "own": "kept"})
    assert customer.configuration["splash"] == configuration["splash"]
    assert customer.configuration["menu"]["tabs"][0]["badge"] == {"count": 3}
    assert customer.configuration["settings"]["own"] == "kept"


# --- what does not fit --------------------------------------------------------------------------------------


def test_what_does_not_fit_is_told_place_by_place_and_nothing_is_saved(customer: Customer) -> None:
    menu = {
        "main_url": "javascript:alert(1)",
        "tabs": [
            {"icon": "no-such-icon", "label": "", "url": "https://example.com/"},
            {"icon": "home", "label": "x" * 25, "url": "http://192.168.0.1/"},
            {"icon": "home", "label": "A", "url": "data:text/html,<script>alert(1)</script>"},
        ],
    }
    told = problems(customer.save("menu", menu))
    assert set(told) == {
        "/menu/main_url",
        "/menu/tabs/0/icon",
        "/menu/tabs/0/label",
        "/menu/tabs/1/label",
        "/menu/tabs/1/url",
        "/menu/tabs/2/url",
    }
    empty = {"icon": "", "label": "", "url": ""}
    refused = customer.save("menu", {"main_url": "https://example.com/", "tabs": [empty]})
    assert [(each["path"], each["message"]) for each in refused.json()["problems"]] == [
        ("/menu/tabs/0/icon", "Pick an icon."),
        ("/menu/tabs/0/label", "This cannot be empty."),
        ("/menu/tabs/0/url", "This cannot be empty."),
    ]
    tab = {"icon": "home", "label": "A", "url": "https://example.com/"}
    assert problems(customer.save("menu", {"main_url": tab["url"], "tabs": [tab] * 6}))["/menu/tabs"] == (
        "There can be at most 5, not 6."
    )
    colors = customer.configuration["colors"]
    for color in ("red", "#12345", "#1234567", "", "#12345G", 7, None, "url(javascript:alert(1))"):
        assert "/colors/tab_active" in problems(customer.save("colors", {**colors, "tab_active": color}))
    twice = [{"id": "news", "label": "News"}, {"id": "news", "label": "More"}]
    assert problems(customer.save("notifications", {"categories": twice})) == {
        "/notifications/categories/1/id": "The ID news is already that of category 1."
    }
    for link in ("javascript:alert(1)", "mailto:", "tel:1 2", "vbscript:x", "https://a:b@example.com/"):
        links = [{"kind": "own", "label": "x", "url": link}]
        assert problems(customer.save("settings", {"label": "S", "links": links}))
    assert (
        customer.save(
            "settings",
            {"label": "S", "links": [{"kind": "contact", "label": "Mail", "url": "mailto:a@example.com"}]},
        ).status_code
        == 200
    )
    assert customer.save("no-such-section", {}).status_code == 404
    assert [row.number for row in customer.revisions()] == [1, 2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[]", "JSON object"),
        ("7", "JSON object"),
        ('{"a": NaN}', "NaN"),
        ('{"a": 1e999999, "b": -Infinity}', "Infinity"),
        ('{"a": 1, "a": 2}', "twice"),
        ('{"a": "\\u0000"}', "not text"),
        ('{"a": "\\ud800"}', "not text"),
        ('{"a": ' + "9" * 5000 + "}", "too large"),
        ('{"a":' + "[" * 50_000, f"deeper than {DEEPEST}"),
        ('{"a":' * 60 + "1" + "}" * 60, f"deeper than {DEEPEST}"),
        ('{"a": "' + "x" * LARGEST_BYTES + '"}', "larger than 100 kB"),
        ('{"version": 2}', "missing"),
        ("{}", "missing"),
    ],
)
def test_hostile_json_is_refused_with_a_clear_message(customer: Customer, text: str, words: str) -> None:
    answer = customer.save_document(text)
    assert answer.status_code == 422
    told = " ".join(problem["message"] for problem in answer.json()["problems"])
    assert words in told
    assert len(customer.revisions()) == 1
    checked = customer.post("configure/check", value=text).json()["problems"]
    assert words in " ".join(problem["message"] for problem in checked)
    section = customer.post("configure/save", section="menu", base=1, value=text)
    assert section.status_code == 422


def test_a_body_of_megabytes_is_refused(customer: Customer) -> None:
    answer = customer.save_document("x" * 3_000_000)
    assert answer.status_code == 413
    assert answer.json()["message"]
    assert len(customer.revisions()) == 1


def test_an_error_in_the_text_is_told_with_its_line(customer: Customer) -> None:
    told = customer.post("configure/check", value='{\n "a": 1,\n "b" 2\n}').json()["problems"]
    assert told[0]["line"] == 3


def test_schema_titles_and_text_are_shown_as_text_only(customer: Customer) -> None:
    label = '</script><img src=x onerror="alert(1)">'[:24]
    tab = {"icon": "home", "label": label, "url": "https://example.com/"}
    assert customer.save("menu", {"main_url": "https://example.com/", "tabs": [tab]}).status_code == 200
    for page in ("configure/menu/", "configure/advanced/", "history/"):
        assert label.encode() not in customer.get(page).content


# --- who may ------------------------------------------------------------------------------------------------


def test_viewers_look_but_change_nothing_and_strangers_see_nothing(
    new_customer: Callable[..., Customer], customer: Customer
) -> None:
    viewer = Customer(customer.resource, user_scoped_resource_token=None)
    page = viewer.get("configure/menu/")
    assert page.status_code == 200
    assert b'type="submit" class="btn btn-primary"' not in page.content
    other = new_customer("test", email="eve@example.com")
    other.resource, own = customer.resource, other.resource
    buttons = {
        "website": {"website": "https://example.com"},
        "configure/save": {"section": "menu", "base": "1", "value": "{}"},
        "configure/save-document": {"base": "1", "value": "{}"},
        "configure/check": {"value": "{}"},
        "history/roll-back": {"number": "1", "base": "1"},
    }
    for button, fields in buttons.items():
        assert viewer.post(button, **fields).status_code == 403
        assert other.post(button, **fields).status_code == 401
        assert customer.get(button).status_code == 405
    for page_path in ("configure/menu/", "history/", "preview/framing?url=x", "preview/icon.png"):
        assert other.get(page_path).status_code == 401
    assert own != customer.resource
    assert len(customer.revisions()) == 1


def test_a_form_that_lies_about_its_base_is_told_to_reload(customer: Customer) -> None:
    for base in ("", "x", "-1", "99", "0", "1e3", "٣", "1" * 30):
        answer = customer.post(
            "configure/save", section="settings", base=base, value=json.dumps({"label": "x", "links": []})
        )
        assert answer.status_code in (404, 422), base
        assert "eload" in answer.json()["message"]
    assert len(customer.revisions()) == 1


def test_a_form_sent_without_a_script_leads_to_a_page_and_a_refusal_is_one(
    new_customer: Callable[..., Customer], shop: Website
) -> None:
    customer = new_customer()
    refused = customer.browser.post(customer.path("website"), {"website": "javascript:alert(1)"})
    assert (refused.status_code, refused["Content-Type"]) == (422, "text/html; charset=utf-8")
    assert "Only addresses that begin with https:// or http://" in refused.content.decode()
    answer = customer.browser.post(customer.path("website"), {"website": shop.url})
    assert (answer.status_code, answer["Location"]) == (303, customer.path("configure/menu/"))
    customer.save("settings", {"label": "Second", "links": []})
    back = customer.browser.post(customer.path("history/roll-back"), {"number": 1, "base": 2})
    assert (back.status_code, back["Location"]) == (303, customer.path(""))
    assert customer.site.revision == 3
