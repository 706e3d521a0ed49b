"""Every fault of the wrong provider, with exactly the checks that fail for it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

SSO_OPENING = {"sso.redirect", "sso.clean_address"}
SESSIONS = {"session.needed", "session.other_resource", "session.deprovisioned", "session.cookie"}


@dataclass(frozen=True)
class Fault:
    """`name` is the wrong provider's switch; what fails because of it, and what could not be asked any more."""

    name: str
    fails: frozenset[str]
    blocks: frozenset[str] = frozenset()
    asynchronous: bool = False
    only: tuple[str, ...] = ()
    """The groups that could notice; all of them where it is empty."""
    flow_seconds: float = 60.0
    answer_goal: float = 20.0
    answer_limit: float = 60.0
    """Seconds; where the fault is no slowness, a slow machine must not count as one."""

    @property
    def near(self) -> tuple[str, ...]:
        """The groups of the checks that are known to notice; the latency of all calls is looked at."""
        groups = {name.partition(".")[0] for name in self.fails | self.blocks}
        return self.only if "latency" in groups else tuple(sorted(groups))


def _fault(name: str, *also: str, blocks: set[str] | None = None, **how: Any) -> Fault:
    return Fault(name, frozenset({name, *also}), frozenset(blocks or ()), **how)


def _afterwards(name: str, *also: str, blocks: set[str] | None = None, **how: Any) -> Fault:
    return _fault(name, *also, blocks=blocks, asynchronous=True, only=("async",), **how)


def _dashboard(name: str, *also: str, blocks: set[str] | None = None) -> Fault:
    # The Partner API is right here, so only those are run who come to the other door.
    return _fault(name, *also, blocks=blocks, only=("sso", "session", "deprovision", "leak"))


def _partner(name: str, *also: str, blocks: set[str] | None = None, **how: Any) -> Fault:
    # And here the other door is right.
    groups = ("auth", "media", "provision", "repeat", "plan_change", "deprovision", "latency", "leak")
    return _fault(name, *also, blocks=blocks, **{"only": groups, **how})


def _legacy(name: str, blocks: set[str] | None = None) -> Fault:
    return _fault(name, blocks=blocks, only=("legacy",))


PROVIDER_FAULTS = [
    _partner("auth.missing.post"),
    _partner("auth.missing.put"),
    _partner("auth.missing.delete", blocks={"auth.no_effect"}),
    _partner("auth.wrong.post", blocks={"auth.challenge"}),
    _partner("auth.wrong.put"),
    _partner("auth.wrong.delete", "auth.before_lookup"),
    _partner("auth.user"),
    _partner("auth.malformed"),
    _partner("auth.other_service.post"),
    _partner("auth.other_service.put"),
    _partner("auth.other_service.delete"),
    _partner("auth.challenge"),
    _partner("auth.before_lookup"),
    _partner("auth.no_effect"),
    _partner("media.accept.post"),
    _partner("media.accept.put"),
    _partner("media.accept.delete"),
    _partner("media.content_type.post"),
    _partner("media.content_type.put"),
    _partner("media.type"),
    _partner("media.json"),
    _fault("provision.status"),
    _fault("provision.id"),
    _fault("provision.unique_id"),
    _fault("provision.message"),
    _fault("provision.config"),
    _fault("provision.config_declared"),
    _fault("provision.config_urls"),
    _fault("provision.log_drain_url"),
    _fault("provision.unknown_fields"),
    _fault("provision.null_grant"),
    _fault("provision.null_options"),
    _fault("provision.null_fields"),
    _fault("provision.absent_fields"),
    _fault("provision.grant_time"),
    _fault("provision.unknown_options", "provision.boolean_options"),
    _fault("provision.boolean_options"),
    _fault("provision.unknown_plan", blocks={"provision.unknown_plan_message"}),
    _fault("provision.unknown_plan_message"),
    _fault("provision.unknown_region"),
    _fault("provision.not_json"),
    _fault("provision.not_object"),
    _fault("provision.no_uuid"),
    _fault("provision.bad_uuid"),
    _fault("provision.no_plan"),
    _fault("provision.odd_values"),
    _fault("repeat.sequence", "repeat.at_once", "repeat.other_parameters"),
    _fault("repeat.same_config"),
    _fault("repeat.at_once", only=("repeat",)),
    _fault("repeat.new_grant"),
    _fault("repeat.other_parameters"),
    _fault("grant.exchanged", blocks={"grant.fields", "grant.in_body"}, flow_seconds=1.5),
    _fault("grant.fields", "grant.exchanged", flow_seconds=3.0),
    _fault("grant.in_body"),
    _afterwards("async.no_config"),
    _afterwards(
        "async.completed",
        "async.patient",
        blocks={"async.config_first", "async.once", "async.repeat"},
        flow_seconds=3.0,
    ),
    _afterwards("async.media_type"),
    _afterwards("async.token"),
    _afterwards("async.config_form"),
    _afterwards("async.config_declared"),
    _afterwards("async.config_urls"),
    _afterwards("async.config_first"),
    _afterwards("async.once"),
    _afterwards("async.patient", flow_seconds=4.0),
    _afterwards("async.repeat"),
    _afterwards("async.deprovision", blocks={"async.cancelled"}),
    _afterwards("async.cancelled"),
    _partner("plan_change.success"),
    _partner("plan_change.config"),
    _partner("plan_change.config_declared"),
    _partner("plan_change.same_plan", "plan_change.repeat", "plan_change.unknown_fields"),
    _partner("plan_change.repeat"),
    _partner("plan_change.at_once", only=("plan_change",)),
    _partner("plan_change.unknown_fields"),
    _partner("plan_change.unknown_plan", blocks={"plan_change.unknown_plan_message"}),
    _partner("plan_change.unknown_plan_message"),
    _partner("plan_change.refused", blocks={"plan_change.refused_message", "plan_change.refused_unchanged"}),
    _partner("plan_change.refused_message"),
    _partner("plan_change.refused_unchanged"),
    _partner("plan_change.unknown_uuid"),
    _partner("plan_change.deprovisioned"),
    _partner("plan_change.not_json"),
    _fault(
        "deprovision.success",
        "deprovision.at_once",
        blocks={
            "auth.before_lookup",
            "plan_change.deprovisioned",
            "deprovision.empty",
            "deprovision.repeat",
            "deprovision.repeat_status",
            "deprovision.then_provision",
            "deprovision.then_provision_status",
            "sso.deprovisioned",
            "session.deprovisioned",
        },
    ),
    _fault("deprovision.empty"),
    _fault("deprovision.repeat", "deprovision.at_once", blocks={"deprovision.repeat_status"}),
    _fault("deprovision.repeat_status"),
    _fault("deprovision.unknown", blocks={"deprovision.unknown_status", "deprovision.first"}),
    _fault("deprovision.unknown_status"),
    _fault("deprovision.at_once", only=("deprovision",)),
    _fault("deprovision.then_provision", blocks={"deprovision.then_provision_status"}),
    _fault("deprovision.then_provision_status"),
    _fault("deprovision.first"),
    _dashboard("sso.form", "sso.unknown_fields", "sso.clock_skew", blocks=SSO_OPENING | SESSIONS),
    _dashboard("sso.user_scoped_token"),
    _dashboard("sso.resource_token"),
    _dashboard("sso.unknown_fields"),
    _dashboard("sso.clock_skew"),
    _dashboard("sso.wrong_salt", "sso.tampered_email", "sso.tampered_user", "sso.other_resource"),
    _dashboard("sso.invalid_token"),
    _dashboard("sso.no_token"),
    _dashboard("sso.old"),
    _dashboard("sso.future"),
    _dashboard("sso.bad_timestamp"),
    _dashboard("sso.tampered_email", "sso.tampered_user"),
    _dashboard("sso.other_resource"),
    _dashboard("sso.unknown_resource"),
    _dashboard("sso.deprovisioned"),
    _dashboard("sso.get"),
    _dashboard("sso.redirect"),
    _dashboard("sso.clean_address"),
    _dashboard("session.needed"),
    _dashboard("session.other_resource"),
    _dashboard("session.deprovisioned"),
    _dashboard("session.cookie"),
    _fault("latency.limit", "latency.goal", answer_goal=1.0, answer_limit=2.0),
    _fault("latency.goal", answer_goal=1.0),
    _fault("leak.secret"),
    _fault("leak.exception"),
    _legacy(
        "legacy.provision",
        blocks={
            "legacy.id",
            "legacy.plan_change",
            "legacy.deprovision",
            "legacy.sso",
            "legacy.sso_old",
            "legacy.nav_cookie",
        },
    ),
    _legacy("legacy.id"),
    _legacy("legacy.plan_change"),
    _legacy("legacy.deprovision"),
    _legacy("legacy.sso", blocks={"legacy.nav_cookie"}),
    _legacy("legacy.sso_old"),
    _legacy("legacy.nav_cookie"),
]

Change = Callable[[dict[str, Any]], object]


@dataclass(frozen=True)
class ManifestFault:
    """A change that makes the manifest wrong, and exactly the checks that fail for it."""

    name: str
    change: Change = field(repr=False)
    fails: frozenset[str]


def _manifest(name: str, change: Change, *also: str) -> ManifestFault:
    return ManifestFault(name, change, frozenset({name, *also}))


def _api(**values: Any) -> Change:
    return lambda manifest: manifest["api"].update(values)


MANIFEST_FAULTS = [
    _manifest("manifest.id", lambda manifest: manifest.update(id="")),
    _manifest("manifest.slug", lambda manifest: manifest.update(id="Acme LLM"), "manifest.user"),
    _manifest("manifest.user", lambda manifest: manifest.update(id="acme-other")),
    _manifest("manifest.name", lambda manifest: manifest.pop("name")),
    _manifest("manifest.api", lambda manifest: manifest.pop("api")),
    _manifest("manifest.password", _api(password="")),
    _manifest("manifest.sso_salt", lambda manifest: manifest["api"].pop("sso_salt")),
    _manifest("manifest.secret_length", _api(password="short-password")),
    _manifest("manifest.no_username", _api(username="acme")),
    _manifest("manifest.version", _api(version="1")),
    _manifest("manifest.regions", _api(regions=[])),
    _manifest("manifest.region_names", _api(regions=["us", "moon"])),
    _manifest("manifest.config_vars", _api(config_vars=["ACME_LLM_url"])),
    _manifest("manifest.config_prefix", _api(config_vars=["DATABASE_URL"])),
    _manifest("manifest.requires", _api(requires=["magic"])),
    _manifest("manifest.production", _api(production={"sso_url": "https://acme.example.com/sso/login"})),
    _manifest("manifest.https", _api(production={"base_url": "http://acme.example.com/heroku/resources"})),
    _manifest("legacy.manifest", lambda manifest: manifest["api"].pop("test")),
]
