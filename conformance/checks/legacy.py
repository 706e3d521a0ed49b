"""What Heroku's old checker, kensa, sends: version 1 of the API, which ended in 2023. Only on request (--legacy)."""

import secrets
from typing import Any

from conformance import login
from conformance.case import Case, Made, expect, expect_status, expect_success
from conformance.catalogue import Blocked, Certainty, Level, check
from conformance.checks.manifest import manifest_api

ADVICE, CODE = Level.ADVICE, Certainty.CODE
_NAV_DATA = "eyJhZGRvbiI6InRlc3QifQ=="


def _body(case: Case) -> dict[str, Any]:
    body = case.partner.body()
    return {
        "uuid": body["uuid"],
        "heroku_id": f"app{secrets.randbelow(10**10):010}@kensa.heroku.com",
        "plan": body["plan"],
        "callback_url": "http://127.0.0.1:7779/callback/999",
        "logplex_token": None,
        "region": body["region"],
        "options": {},
    }


def _made(case: Case) -> Made:
    body = _body(case)
    answer = case.partner.provision(body, accept="application/json")
    if not answer.ok:
        raise Blocked(f"the provision request this check begins with was {answer.answered}", answer)
    return Made(body["uuid"], body, answer)


@check("legacy.provision", ADVICE, CODE, "A provision request of version 1 is a success.", source="kensa")
def _provision(case: Case) -> None:
    expect_success(case.partner.provision(_body(case), accept="application/json"))


@check(
    "legacy.id",
    ADVICE,
    CODE,
    "The answer's 'id' is there, and is not made from the 'heroku_id'.",
    source="kensa",
)
def _id(case: Case) -> None:
    made = _made(case)
    number = made.body["heroku_id"].removeprefix("app").partition("@")[0]
    expect(made.id and number not in str(made.id), f"'id' is {made.id!r}", made.exchange)


@check(
    "legacy.plan_change",
    ADVICE,
    CODE,
    "A plan change of version 1, on the provider's own id, is a success.",
    source="kensa",
)
def _plan_change(case: Case) -> None:
    made = _made(case)
    body = {name: made.body[name] for name in ("plan", "heroku_id", "uuid")}
    expect_success(case.partner.call("PUT", str(made.id), body=body, accept="application/json"))


@check(
    "legacy.deprovision",
    ADVICE,
    CODE,
    "A DELETE on the provider's own id is a success.",
    source="kensa",
)
def _deprovision(case: Case) -> None:
    made = _made(case)
    expect_success(case.partner.call("DELETE", str(made.id), accept="application/json"))


def _form(case: Case, made: Made, **how: Any) -> dict[str, str]:
    fields = login.form(case.target, made.uuid, provider_id=str(made.id), **how)
    kept = {name: fields[name] for name in ("id", "token", "timestamp")}
    return {**kept, "nav-data": _NAV_DATA, "email": "username@example.com", "app": "myapp"}


@check(
    "legacy.sso",
    ADVICE,
    CODE,
    "The form of version 1, with id and token alone, leads to a page (200).",
    source="kensa",
)
def _sso(case: Case) -> None:
    browser = case.browser()
    first = browser.post(_form(case, _made(case)))
    page = browser.follow(first)
    expect(page.status == 200, f"the form was {first.answered}, and it ended with {page.answered}", first)


@check(
    "legacy.sso_old",
    ADVICE,
    CODE,
    "The form of version 1 that is six minutes old is answered 403.",
    source="kensa",
)
def _sso_old(case: Case) -> None:
    browser = case.browser()
    made = _made(case)
    expect_status(browser.post(_form(case, made, age=360.0)), 403)


@check(
    "legacy.nav_cookie",
    ADVICE,
    CODE,
    "The cookie heroku-nav-data is set to the form's nav-data.",
    source="kensa",
)
def _nav_cookie(case: Case) -> None:
    browser = case.browser()
    first = browser.post(_form(case, _made(case)))
    page = browser.follow(first)
    if page.status != 200:
        raise Blocked(f"signing on ended with {page.answered} (legacy.sso)", first)
    found = {
        str(cookie.value).strip('"') for cookie in browser.session.cookies if cookie.name == "heroku-nav-data"
    }
    expect(found == {_NAV_DATA}, f"the cookie is {sorted(found)!r}", first)


@check(
    "legacy.manifest", ADVICE, CODE, "The manifest has 'api.test'.", source="kensa; newer tools leave it out"
)
def _manifest(case: Case) -> None:
    expect("test" in manifest_api(case), "'api.test' is missing")
