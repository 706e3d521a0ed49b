"""The pages that configure the app, and what their buttons do."""

import json
from typing import Any

from django.http import HttpResponse, JsonResponse
from django.urls import reverse

from addon.mobiloud import revisions, sites
from addon.mobiloud.documents import Unfit, check, icons, parse, schema
from addon.mobiloud.doors import Answer, done, number, refused, site_action, site_page, value
from addon.mobiloud.models import Revision, Site
from addon.mobiloud.preview import preview_of
from provisioning.services import Refusal
from sso.doors import DashboardRequest, dashboard_page, member_required, only
from sso.frame import render_page

SIDEBAR = (
    ("menu", "Menu", "list-details"),
    ("colors", "Colors", "palette"),
    ("notifications", "Notifications", "bell"),
    ("settings", "Settings", "settings"),
    ("advanced", "Advanced", "braces"),
    ("publish", "Publish", "rocket"),
)
_HISTORY_PAGE = 20


def frame(request: DashboardRequest, site: Site, *, current: str) -> dict[str, Any]:
    """What every page of the configuration shows around its own: the sidebar and the preview."""
    revision = revisions.newest(site)
    uuid = request.dashboard.resource.uuid
    return {
        "site": site,
        "revision": revision,
        "sidebar": [
            (slug, label, icon, reverse(f"mobiloud:configure-{slug}", args=[uuid]), slug == current)
            for slug, label, icon in SIDEBAR
        ],
        "section": current,
        "configuration": revision.configuration,
        "preview": preview_of(site, revision),
    }


def render_site(
    request: DashboardRequest, site: Site, template: str, context: dict[str, Any], *, current: str
) -> HttpResponse:
    """Render a page with sidebar and preview; it may frame what the preview shows, and nothing else."""
    around = frame(request, site, current=current)
    response = render_page(request, template, {**around, **context})
    response.frame_sources = around["preview"].sources  # type: ignore[attr-defined]
    return response


@site_page
def section(request: DashboardRequest, site: Site, name: str) -> HttpResponse:
    """One of the four forms."""
    context = {"schema": schema()["properties"][name], "icons": icons() if name == "menu" else {}}
    return render_site(request, site, f"mobiloud/{name}.html", context, current=name)


@site_page
def advanced(request: DashboardRequest, site: Site) -> HttpResponse:
    """The whole configuration as JSON."""
    revision = revisions.newest(site)
    return render_site(
        request, site, "mobiloud/advanced.html", {"text": revision.content}, current="advanced"
    )


@site_page
def history(request: DashboardRequest, site: Site) -> HttpResponse:
    """Every revision, newest first, with what it changed."""
    before = request.GET.get("before", "")
    rows = Revision.objects.filter(site=site).defer("content")
    if before.isdecimal() and len(before) < 10:
        rows = rows.filter(number__lt=int(before))
    found = list(rows[: _HISTORY_PAGE + 1])
    context = {
        "revisions": [(row, [shown(change) for change in row.changes]) for row in found[:_HISTORY_PAGE]],
        "older": found[_HISTORY_PAGE - 1].number if len(found) > _HISTORY_PAGE else None,
    }
    return render_site(request, site, "mobiloud/history.html", context, current="history")


def shown(change: dict[str, Any]) -> dict[str, str]:
    """One difference as people read it."""
    sides = [side for side in ("was", "now") if side in change]
    return {"path": str(change["path"]), **{side: _short(change[side]) for side in sides}}


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}…"


@only("POST")
@dashboard_page("mobiloud")
@member_required
def set_website(request: DashboardRequest, uuid: Any) -> HttpResponse:
    """Name the website, for the first time or anew."""
    try:
        _, warning = sites.set_website(
            request.dashboard.resource,
            request.POST.get("website", ""),
            actor=request.dashboard.session.actor,
        )
    except Refusal as refusal:
        return refused(request, refusal)
    message = f"Website saved. {warning}" if warning else "Website saved"
    return done(request, {"message": message, "url": reverse("mobiloud:configure-menu", args=[uuid])})


@site_action
def save(request: DashboardRequest, site: Site) -> Answer:
    """Save one section."""
    name = request.POST.get("section", "")
    base = number(request.POST, "base")
    revision = revisions.save_section(
        site.pk, name, value(request.POST, "value"), base=base, actor=request.dashboard.session.actor
    )
    return _saved(site, revision, base=base, value=revision.configuration[name])


@site_action
def save_document(request: DashboardRequest, site: Site) -> Answer:
    """Save the whole configuration."""
    base = number(request.POST, "base")
    revision = revisions.save_document(
        site.pk, request.POST.get("value", ""), base=base, actor=request.dashboard.session.actor
    )
    return _saved(site, revision, base=base, value=revision.content)


@site_action
def check_document(request: DashboardRequest, site: Site) -> Answer:
    """What is wrong with a text that is not saved yet."""
    try:
        check(parse(request.POST.get("value", "")))
    except Unfit as unfit:
        return {"problems": [problem.as_json() for problem in unfit.problems]}
    return {"problems": []}


@site_action
def roll_back(request: DashboardRequest, site: Site) -> Answer:
    """Make a former revision the newest again."""
    revision = revisions.roll_back(
        site.pk,
        number(request.POST, "number"),
        base=number(request.POST, "base"),
        actor=request.dashboard.session.actor,
    )
    return {"message": f"Rolled back: this is revision {revision.number} now", "url": ""}


@only("GET")
@dashboard_page("mobiloud", touch=False)
def framing(request: DashboardRequest, uuid: Any) -> HttpResponse:
    """Whether the preview may show one page of the app."""
    site = sites.site_of(request.dashboard.resource)
    if site is None:
        return refused(request, Refusal("Enter your website first.", code="address_unknown"))
    try:
        seen = sites.framing_of(site, revisions.newest(site), request.GET.get("url", ""))
    except Refusal as refusal:
        return refused(request, refusal)
    return JsonResponse(seen)


@only("GET")
@dashboard_page("mobiloud", touch=False)
def icon(request: DashboardRequest, uuid: Any) -> HttpResponse:
    """The website's icon."""
    site = sites.site_of(request.dashboard.resource)
    if site is None or site.icon is None:
        return refused(request, Refusal("There is no icon.", code="address_unknown"))
    answer = HttpResponse(bytes(site.icon), content_type="image/png")
    answer["X-Content-Type-Options"] = "nosniff"
    return answer


def _saved(site: Site, revision: Revision, *, base: int, value: Any) -> Answer:
    return {
        "message": f"Saved as revision {revision.number}"
        if revision.number != base
        else "Nothing had changed",
        "revision": revision.number,
        "value": value,
        "configuration": revision.configuration,
        "frame_sources": preview_of(site, revision).sources,
    }
