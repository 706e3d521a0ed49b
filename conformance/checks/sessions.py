"""The dashboard's session: whose it is, and when it ends."""

from conformance import login
from conformance.case import Case, expect
from conformance.catalogue import Blocked, Certainty, Level, NotRun, check
from conformance.checks.sso import opened

ADVICE = Level.ADVICE


@check(
    "session.needed",
    ADVICE,
    Certainty.INFERRED,
    "The dashboard's page is not shown (200) to a browser that has not signed on.",
)
def _needed(case: Case) -> None:
    case.browser()
    _, _, page = opened(case, case.made().uuid)
    answer = case.browser().get(page.url)
    expect(answer.status != 200, "without any cookie the page was answered 200", answer)


@check(
    "session.other_resource",
    ADVICE,
    Certainty.INFERRED,
    "A session of one resource does not show the dashboard's page of another.",
)
def _other_resource(case: Case) -> None:
    case.browser()
    mine, other = case.made(), case.made()
    browser, _, page = opened(case, mine.uuid)
    if mine.uuid not in page.url:
        raise NotRun("the dashboard's address does not have the resource's uuid in it")
    answer = browser.get(page.url.replace(mine.uuid, other.uuid))
    expect(answer.status != 200, "the other resource's page was answered 200", answer)


@check(
    "session.deprovisioned",
    ADVICE,
    Certainty.PRACTICE,
    "A session that was open when the resource was deprovisioned no longer shows the dashboard's page (200).",
)
def _deprovisioned(case: Case) -> None:
    case.browser()
    made = case.made()
    browser, _, page = opened(case, made.uuid)
    deleted = case.partner.deprovision(made.uuid)
    if not deleted.ok:
        raise Blocked(f"the DELETE was {deleted.answered}", deleted)
    answer = browser.get(page.url)
    expect(answer.status != 200, "the page was still answered 200", deleted, answer)


@check(
    "session.cookie",
    ADVICE,
    Certainty.INFERRED,
    "The session's cookie is HttpOnly, Secure where it comes over https, and not SameSite=Strict.",
    source="a Strict cookie is not sent after a form that another site has posted",
)
def _cookie(case: Case) -> None:
    browser = case.browser()
    made = case.made()
    first = browser.post(login.form(case.target, made.uuid))
    if first.status not in (200, 302, 303):
        raise Blocked(f"the form was {first.answered}", first)
    header = first.headers.get("Set-Cookie", "").lower()
    if not header:
        raise NotRun("the answer to the form sets no cookie")
    expect("httponly" in header, "no cookie is HttpOnly", first)
    expect("samesite=strict" not in header, "a cookie is SameSite=Strict", first)
    expect("secure" in header or not first.url.startswith("https:"), "no cookie is Secure", first)
