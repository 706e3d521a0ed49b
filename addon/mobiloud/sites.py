"""The website of a resource: set on first access, read for suggestions, changed later, ended with the resource."""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from addon.mobiloud import revisions
from addon.mobiloud.colors import contrast
from addon.mobiloud.documents import Configuration
from addon.mobiloud.models import Origin, Revision, Site
from addon.mobiloud.website import Found, look_at_framing, read_website
from provisioning import audit
from provisioning.models import Resource
from provisioning.safe_fetch import FetchFailed, origin_of
from provisioning.services import Refusal
from provisioning.states import ResourceState

FRAMING_FRESH_SECONDS = 600
_FRAMINGS_KEPT = 12
_ACCENT, _WHITE, _QUIET = "#0B6B5D", "#FFFFFF", "#5B6660"
_READABLE = 3.0


def site_of(resource: Resource) -> Site | None:
    """The resource's site; None until its website was named."""
    return Site.objects.filter(resource=resource).first()


def normalised(website: str) -> str:
    """The address as people mean it: without spaces around it, and https where no scheme was typed."""
    website = website.strip()
    if (
        website
        and "://" not in website
        and not website.lower().startswith(("javascript:", "data:", "mailto:", "file:"))
    ):
        website = f"https://{website}"
    return website


def set_website(resource: Resource, website: str, *, actor: str) -> tuple[Site, str]:
    """Make or change the site of `resource`; returns it with a warning, empty when the site could be read.

    The website is read first, with nothing locked. AddressRefused when it is no public web address; one that does not
    answer is accepted with a warning, because it may be up tomorrow. Repeating it changes only what was read, and
    that only when the site answers.
    """
    website = normalised(website)
    warning = ""
    try:
        found = read_website(website)
    except FetchFailed as failure:
        found, warning = Found(website), failure.message
    with transaction.atomic():
        locked = Resource.objects.select_for_update().get(pk=resource.pk)
        if locked.state != ResourceState.PROVISIONED:
            raise Refusal("This add-on was removed.", code="ending")
        site = Site.objects.select_for_update().filter(resource=locked).first()
        values: dict[str, Any] = {
            "website": website,
            "found": {
                "name": found.name,
                "color": found.color,
                "background": found.background,
                "url": found.url,
            },
            "icon": found.icon,
            "read_at": None if warning else timezone.now(),
        }
        if site is None:
            site = Site.objects.create(resource=locked, **values)
            revisions.append(
                site, first_configuration(website, found), origin=Origin.WEBSITE, base=0, actor=actor
            )
            audit.record("mobiloud.website_set", resource=locked, actor=actor, website=website)
        else:
            former = site.website
            if warning and former == website:
                # Down for the moment: what was read before still holds.
                return site, warning
            for name, value in values.items():
                setattr(site, name, value)
            site.save(update_fields=[*values])
            if former != website:
                audit.record(
                    "mobiloud.website_set", resource=locked, actor=actor, website=website, former=former
                )
    return site, warning


def first_configuration(website: str, found: Found) -> Configuration:
    """What a new site begins with: its own page, and its own colours where they can be read."""
    accent = found.color if found.color and contrast(found.color, _WHITE) >= _READABLE else _ACCENT
    return {
        "version": 1,
        "menu": {"main_url": website, "tabs": [{"icon": "home", "label": "Home", "url": website}]},
        "colors": {
            "status_bar": found.color or _WHITE,
            "tab_bar_background": _WHITE,
            "tab_active": accent,
            "tab_inactive": _QUIET,
        },
        "notifications": {"categories": []},
        "settings": {"label": "Settings", "links": []},
    }


def addresses_of(configuration: Configuration) -> list[str]:
    """The pages that the app opens with and behind its tabs, each once."""
    menu = configuration["menu"]
    return list(dict.fromkeys([menu["main_url"], *(tab["url"] for tab in menu["tabs"])]))


def framing_of(site: Site, revision: Revision, url: str) -> dict[str, str]:
    """Whether a page of the newest revision can be shown in the preview, asked at most every ten minutes.

    Refusal for any other address: this is no way to have us look at the world.
    """
    if url not in addresses_of(revision.configuration):
        raise Refusal("The app has no such page. Save first.", code="address_unknown")
    known = site.framings.get(url)
    now = timezone.now()
    if known and (now - datetime.fromisoformat(known["at"])).total_seconds() < FRAMING_FRESH_SECONDS:
        return {"url": known["url"], "refusal": known["refusal"]}
    seen = look_at_framing(url)
    with transaction.atomic():
        locked = Site.objects.select_for_update().get(pk=site.pk)
        entries = {**locked.framings, url: {"url": seen.url, "refusal": seen.refusal, "at": now.isoformat()}}
        newest = sorted(entries.items(), key=lambda entry: entry[1]["at"])[-_FRAMINGS_KEPT:]
        locked.framings = dict(newest)
        locked.save(update_fields=["framings"])
    return {"url": seen.url, "refusal": seen.refusal}


def frame_sources(site: Site, configuration: Configuration) -> list[str]:
    """The origins that the preview may frame: the app's pages, and where they are known to lead."""
    addresses = addresses_of(configuration)
    led = [site.framings[url]["url"] for url in addresses if url in site.framings]
    return sorted({origin_of(url) for url in [*addresses, *led]})
