"""What the native shell loads: the published configuration, or why there is none, in the shape of an error page."""

import hashlib
import json
import time
from dataclasses import dataclass
from typing import Any

import redis
import structlog
from django.conf import settings
from django.urls import reverse

from addon.mobiloud.capabilities import Capability, can
from addon.mobiloud.config import mobiloud_environment
from addon.mobiloud.models import Revision, Site
from addon.mobiloud.revisions import newest
from provisioning.states import ResourceState

log = structlog.get_logger(__name__)

WINDOW_SECONDS = 60
FRESH_SECONDS = 60
"""How long a shell or a cache in between may use an answer before it asks again."""
_redis = redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=0.3, socket_timeout=0.3)
_GONE = "This app is no longer available."
_INACTIVE = "The service behind this app is no longer active. Please visit the website instead."


@dataclass(frozen=True)
class AppAnswer:
    """Status and body of an answer; `etag` is empty where nothing is to be kept."""

    status: int
    body: dict[str, Any]
    etag: str = ""


def app_address(site: Site) -> str:
    """Where the apps of a site load their configuration."""
    return f"{settings.BASE_URL}{reverse('mobiloud:app-config', args=[site.app_token])}"


def published_configuration(token: str) -> AppAnswer:
    """What the apps of the address with `token` are told now."""
    site = Site.objects.select_related("resource__plan", "published").filter(app_token=token).first()
    if site is None:
        return _problem(
            404, "unknown_app", "This app is not known", "Check the address in the app's settings."
        )
    if refusal := _refusal(site, Capability.LIVE_APP):
        return refusal
    if site.published is None:
        return _problem(
            404, "not_published", "Nothing here yet", "This app has not been published yet.", site=site
        )
    return _configuration(site, site.published)


def preview_configuration(token: str) -> AppAnswer:
    """The newest saved configuration, on every plan: what a preview of the app loads."""
    site = Site.objects.select_related("resource__plan").filter(preview_token=token).first()
    if site is None:
        return _problem(
            404, "unknown_app", "This app is not known", "Check the address in the app's settings."
        )
    if refusal := _refusal(site, Capability.PREVIEW):
        return refusal
    return _configuration(site, newest(site))


def admitted(token: str, address: str) -> int:
    """0 when a request may be answered, else the seconds until the next minute.

    Counted for each network address and app in fixed minutes. Without Redis everything is answered: apps must start.
    """
    now = time.time()
    minute = int(now // WINDOW_SECONDS)
    caller = hashlib.sha256(f"{token}:{address}".encode()).hexdigest()[:32]
    key = f"mobiloud:config:{minute}:{caller}"
    try:
        with _redis.pipeline(transaction=False) as pipe:
            pipe.incr(key)
            pipe.expire(key, 2 * WINDOW_SECONDS)
            count = int(pipe.execute()[0])
    except redis.RedisError as error:
        log.warning("mobiloud.config_not_limited", error=type(error).__name__)
        return 0
    if count <= mobiloud_environment().config_requests_per_minute:
        return 0
    return max(1, WINDOW_SECONDS - int(now % WINDOW_SECONDS))


def _refusal(site: Site, capability: Capability) -> AppAnswer | None:
    if site.resource.state != ResourceState.PROVISIONED or site.ended_at:
        return _problem(410, "app_ended", "No longer available", _GONE, site=site)
    if site.resource.suspended_at or not can(site.resource, capability):
        return _problem(403, "service_inactive", "Service no longer active", _INACTIVE, site=site)
    return None


def _configuration(site: Site, revision: Revision) -> AppAnswer:
    body: dict[str, Any] = {
        "active": True,
        "revision": revision.number,
        "website": site.website,
        "name": site.found.get("name", ""),
        "configuration": revision.configuration,
    }
    # Of all that is answered: the website's name may change without a revision.
    digest = hashlib.sha256(json.dumps(body).encode()).hexdigest()[:32]
    return AppAnswer(200, body, etag=f'"{revision.number}-{digest}"')


def _problem(status: int, code: str, title: str, message: str, *, site: Site | None = None) -> AppAnswer:
    """The shape that a shell shows as a page of its own: a title, a sentence and, where there is one, the website."""
    error: dict[str, Any] = {"id": code, "title": title, "message": message}
    if site is not None and site.website:
        error["website"] = site.website
    return AppAnswer(status, {"active": False, "error": error})
