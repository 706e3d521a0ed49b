"""Single sign-on: every token that opens the dashboard, and everything that must not."""

import uuid as uuids

from conformance import login
from conformance.case import Case, expect, expect_status
from conformance.catalogue import Blocked, Certainty, Level, check
from conformance.exchange import Exchange

REQUIRED, ADVICE = Level.REQUIRED, Level.ADVICE
ARTICLE = "Add-on Single Sign-on"
OLD_SECONDS = 6 * 60
FUTURE_SECONDS = 15 * 60
TOKENS = ("user_scoped_resource_token", "resource_token", "token")
_HALF_WINDOW = 60


def _opens(case: Case, fields: dict[str, str]) -> None:
    browser = case.browser()
    first = browser.post(fields)
    last = browser.follow(first)
    shown = (first,) if first is last else (first, last)
    expect(last.status == 200, f"the form was {first.answered}, and it ended with {last.answered}", *shown)


def _refuses(case: Case, fields: dict[str, str]) -> None:
    expect_status(case.browser().post(fields), 403)


# --- what opens -------------------------------------------------------------------------------------------------
@check(
    "sso.form",
    REQUIRED,
    Certainty.DOCUMENTED,
    "The form as Heroku posts it, with all of its tokens, leads to a page (200).",
    source=ARTICLE,
)
def _form(case: Case) -> None:
    case.browser()
    made = case.ready() if case.has_platform else case.made()
    _opens(case, login.form(case.target, made.uuid, provider_id=str(made.id)))


@check(
    "sso.user_scoped_token",
    ADVICE,
    Certainty.DOCUMENTED,
    "The user-scoped token opens the dashboard without the older tokens.",
    source=f"{ARTICLE} of 2026 recommends it",
)
def _user_scoped(case: Case) -> None:
    case.browser()
    made = case.made()
    _opens(case, login.without(login.form(case.target, made.uuid), "resource_token", "token", "id"))


@check(
    "sso.resource_token",
    ADVICE,
    Certainty.DOCUMENTED,
    "The older resource token opens the dashboard without the user-scoped one.",
    source=f"{ARTICLE} of 2024",
)
def _resource_token(case: Case) -> None:
    case.browser()
    made = case.made()
    _opens(
        case, login.without(login.form(case.target, made.uuid), "user_scoped_resource_token", "token", "id")
    )


@check("sso.unknown_fields", ADVICE, Certainty.INFERRED, "Fields that are not documented are ignored.")
def _unknown_fields(case: Case) -> None:
    case.browser()
    made = case.made()
    _opens(case, {**login.form(case.target, made.uuid), "a_field_of_tomorrow": "text", "path": "/anywhere"})


@check(
    "sso.clock_skew",
    ADVICE,
    Certainty.INFERRED,
    f"A form that is {_HALF_WINDOW} s old opens the dashboard: clocks differ, and people are slow.",
    source="providers in production take up to five minutes",
)
def _clock_skew(case: Case) -> None:
    case.browser()
    made = case.made()
    _opens(case, login.form(case.target, made.uuid, age=_HALF_WINDOW))


# --- what does not ----------------------------------------------------------------------------------------------
@check(
    "sso.wrong_salt",
    REQUIRED,
    Certainty.CODE,
    "A form whose tokens are made with another salt is answered 403.",
    source="kensa",
)
def _wrong_salt(case: Case) -> None:
    case.browser()
    made = case.made()
    _refuses(case, login.form(case.target, made.uuid, salt="not-the-salt"))


@check(
    "sso.invalid_token",
    REQUIRED,
    Certainty.CODE,
    "Tokens that are no tokens are answered 403.",
    source="kensa",
)
def _invalid_token(case: Case) -> None:
    case.browser()
    made = case.made()
    _refuses(case, {**login.form(case.target, made.uuid), **dict.fromkeys(TOKENS, "invalid")})


@check(
    "sso.no_token", REQUIRED, Certainty.CODE, "A form without any token is answered 403.", source="as kensa's"
)
def _no_token(case: Case) -> None:
    case.browser()
    made = case.made()
    _refuses(case, login.without(login.form(case.target, made.uuid), *TOKENS))


@check(
    "sso.old",
    REQUIRED,
    Certainty.CODE,
    "A form that is six minutes old, with the tokens of that time, is answered 403.",
    source="kensa",
)
def _old(case: Case) -> None:
    case.browser()
    made = case.made()
    _refuses(case, login.form(case.target, made.uuid, age=OLD_SECONDS))


@check(
    "sso.future",
    ADVICE,
    Certainty.INFERRED,
    "A form from fifteen minutes ahead is answered 403: it could be used until long after.",
)
def _future(case: Case) -> None:
    case.browser()
    made = case.made()
    _refuses(case, login.form(case.target, made.uuid, age=-FUTURE_SECONDS))


@check(
    "sso.bad_timestamp",
    ADVICE,
    Certainty.INFERRED,
    "A form whose timestamp is no number, or an endless one, with tokens that match it, is answered 403 or 400.",
)
def _bad_timestamp(case: Case) -> None:
    browser = case.browser()
    made = case.made()
    for timestamp in ("yesterday", "9" * 400):
        fields = login.form(case.target, made.uuid)
        fields["timestamp"] = timestamp
        fields |= login.tokens(
            salt=case.target.sso_salt,
            uuid=made.uuid,
            provider_id=made.uuid,
            timestamp=timestamp,
            user=fields["user_id"],
        )
        expect_status(browser.post(fields), 403, 400)


@check(
    "sso.tampered_email",
    ADVICE,
    Certainty.DOCUMENTED,
    "A form whose e-mail was changed, so that the user-scoped token is wrong, is answered 403.",
    source=f"the token's formula in {ARTICLE}; without it anybody can sign on as anybody",
)
def _tampered_email(case: Case) -> None:
    case.browser()
    made = case.made()
    _refuses(case, {**login.form(case.target, made.uuid), "email": "owner@example.com"})


@check(
    "sso.tampered_user",
    ADVICE,
    Certainty.DOCUMENTED,
    "A form whose user id was changed, so that the user-scoped token is wrong, is answered 403.",
    source=f"the token's formula in {ARTICLE}; without it anybody can sign on as anybody",
)
def _tampered_user(case: Case) -> None:
    case.browser()
    made = case.made()
    _refuses(case, {**login.form(case.target, made.uuid), "user_id": str(uuids.uuid4())})


@check(
    "sso.other_resource",
    REQUIRED,
    Certainty.DOCUMENTED,
    "A form for one resource with the tokens of another is answered 403.",
    source="the tokens' formulas",
)
def _other_resource(case: Case) -> None:
    case.browser()
    mine, other = case.made(), case.made()
    _refuses(case, login.form(case.target, other.uuid, signed_uuid=mine.uuid))


@check(
    "sso.unknown_resource",
    ADVICE,
    Certainty.PRACTICE,
    "A form for a resource that never was, with tokens that match, is answered 403, 404 or 410.",
)
def _unknown_resource(case: Case) -> None:
    browser = case.browser()
    expect_status(browser.post(login.form(case.target, str(uuids.uuid4()))), 403, 404, 410)


@check(
    "sso.deprovisioned",
    ADVICE,
    Certainty.PRACTICE,
    "A form for a deprovisioned resource, with tokens that match, is answered 403, 404 or 410.",
)
def _deprovisioned(case: Case) -> None:
    browser = case.browser()
    made = case.removed()
    expect_status(browser.post(login.form(case.target, made.uuid)), 403, 404, 410)


@check(
    "sso.get",
    ADVICE,
    Certainty.INFERRED,
    "A GET with the fields in the address opens nothing (4xx): addresses are written to logs and histories.",
    source="v3 posts a form, v1 used GET",
)
def _get(case: Case) -> None:
    browser = case.browser()
    made = case.made()
    query = login.query(login.form(case.target, made.uuid))
    answer = browser.get(f"{case.target.sso_url}?{query}")
    expect(answer.refused, f"{answer.answered}, expected 4xx", answer)


# --- the answer -------------------------------------------------------------------------------------------------
def opened(case: Case, uuid: str) -> tuple[login.Browser, Exchange, Exchange]:
    """A browser that has signed on, the answer to its form, and the page; Blocked when that does not work."""
    browser = case.browser()
    first = browser.post(login.form(case.target, uuid))
    page = browser.follow(first)
    if page.status != 200:
        raise Blocked(f"signing on ended with {page.answered}", first, page)
    return browser, first, page


@check(
    "sso.redirect",
    ADVICE,
    Certainty.CODE,
    "The form is answered 302 to the dashboard.",
    source="sudo-sandwich",
)
def _redirect(case: Case) -> None:
    case.browser()
    _, first, _ = opened(case, case.made().uuid)
    expect_status(first, 302, 303)


@check(
    "sso.clean_address",
    ADVICE,
    Certainty.INFERRED,
    "The address of the dashboard has no token in it.",
    source="addresses are written to logs and histories",
)
def _clean_address(case: Case) -> None:
    browser = case.browser()
    made = case.made()
    fields = login.form(case.target, made.uuid)
    first = browser.post(fields)
    page = browser.follow(first)
    if page.status != 200:
        raise Blocked(f"signing on ended with {page.answered}", first, page)
    address = first.headers.get("Location", "") + page.url
    expect(
        not any(fields[name] in address for name in TOKENS), "a token of the form is in the address", first
    )
