"""Saving a configuration: every save is a numbered revision that stays, and no tab overwrites another unseen."""

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.utils import timezone

from addon.mobiloud import capabilities
from addon.mobiloud.documents import Configuration, check, differences, dump, parse
from addon.mobiloud.models import Origin, Revision, Site
from provisioning import audit
from provisioning.locks import lock_resource
from provisioning.services import Refusal
from provisioning.states import ResourceState

SECTIONS = ("menu", "colors", "notifications", "settings")


class Conflict(Refusal):
    """Somebody saved the same thing in the meantime. `current` is theirs, which nothing has overwritten."""

    def __init__(self, current: Revision, *, section: str | None) -> None:
        """`section` is None when the whole configuration was edited."""
        what = "This section" if section else "The configuration"
        super().__init__(
            f"{what} was changed meanwhile: revision {current.number} by {current.author}.",
            code="revision_conflict",
        )
        self.current = current
        self.section = section


def newest(site: Site) -> Revision:
    """The newest revision: every site has one."""
    return Revision.objects.get(site=site, number=site.revision)


def append(site: Site, configuration: Configuration, *, origin: str, base: int, actor: str) -> Revision:
    """Add a revision. The caller holds the lock of the site (or has just made it) and checked the configuration."""
    before = newest(site).configuration if site.revision else None
    changes = [] if before is None else list(differences(before, configuration))
    site.revision += 1
    revision = Revision.objects.create(
        site=site,
        number=site.revision,
        base=base,
        content=dump(configuration),
        changes=changes,
        origin=origin,
        author=actor,
    )
    site.save(update_fields=["revision"])
    return revision


def save_section(site_id: int, section: str, value: Any, *, base: int, actor: str) -> Revision:
    """Save one section over revision `base` and return the newest revision.

    What others saved elsewhere in the meantime is kept. Conflict when they changed this section to something else;
    Unfit when the value does not fit. Saving what is already there makes no revision, so a repeat does no harm.
    """
    if section not in SECTIONS:
        raise Refusal("There is no such section.", code="section_unknown")

    def change(current: Configuration, at_base: Configuration) -> Configuration | None:
        if current[section] != at_base[section] and current[section] != value:
            return None
        return {**current, section: value}

    return _save(site_id, change, base=base, section=section, origin=section, actor=actor)


def save_document(site_id: int, text: str, *, base: int, actor: str) -> Revision:
    """Save the whole configuration as it stands in the editor; as `save_section`, for all of it."""
    wanted = parse(text)

    def change(current: Configuration, at_base: Configuration) -> Configuration | None:
        return wanted if current in (at_base, wanted) else None

    return _save(site_id, change, base=base, section=None, origin=Origin.ADVANCED, actor=actor)


def roll_back(site_id: int, number: int, *, base: int, actor: str) -> Revision:
    """Save revision `number` again as the newest one. Conflict when there is a newer one than `base`."""
    former = Revision.objects.filter(site_id=site_id, number=number).first()
    if former is None:
        raise Refusal(f"There is no revision {number}.", code="revision_unknown")
    wanted = former.configuration

    def change(current: Configuration, at_base: Configuration) -> Configuration | None:
        return wanted if current in (at_base, wanted) else None

    return _save(site_id, change, base=base, section=None, origin=Origin.ROLLBACK, actor=actor)


Change = Callable[[Configuration, Configuration], Configuration | None]


@transaction.atomic
def _save(
    site_id: int, change: Change, *, base: int, section: str | None, origin: str, actor: str
) -> Revision:
    site = lock(site_id)
    capabilities.require(site.resource, capabilities.Capability.CONFIGURE)
    current = newest(site)
    at_base = current if base == current.number else Revision.objects.filter(site=site, number=base).first()
    if at_base is None:
        raise Refusal(
            "Reload the page: it was made from a revision that does not exist.", code="revision_unknown"
        )
    wanted = change(current.configuration, at_base.configuration)
    if wanted is None:
        raise Conflict(current, section=section)
    check(wanted)
    if dump(wanted) == current.content:
        return current
    saved = append(site, wanted, origin=origin, base=base, actor=actor)
    audit.record(
        "mobiloud.saved", resource=site.resource, actor=actor, revision=saved.number, origin=str(saved.origin)
    )
    return saved


@transaction.atomic
def publish(site_id: int, number: int, *, actor: str) -> Site:
    """Let the apps load revision `number` from now on. Needs a plan with live apps. Repeating it changes nothing."""
    site = lock(site_id)
    capabilities.require(site.resource, capabilities.Capability.LIVE_APP)
    revision = Revision.objects.filter(site=site, number=number).first()
    if revision is None:
        raise Refusal(f"There is no revision {number}.", code="revision_unknown")
    if site.published_id != revision.pk:
        site.published, site.published_at = revision, timezone.now()
        site.save(update_fields=["published", "published_at"])
        audit.record("mobiloud.published", resource=site.resource, actor=actor, revision=number)
    return site


def lock(site_id: int) -> Site:
    """The site, locked, of a resource that is still there; Refusal when it was removed. The resource is locked first,
    in the order that every operation takes.
    """
    resource_id = Site.objects.values_list("resource_id", flat=True).get(pk=site_id)
    resource = lock_resource(resource_id)
    site = Site.objects.select_for_update().get(pk=site_id)
    if resource.state != ResourceState.PROVISIONED or site.ended_at:
        raise Refusal("This add-on was removed.", code="ending")
    site.resource = resource
    return site
