"""`addon-manifest.json`, by Heroku's Dev Center article "Add-on Manifest" and the rules of Heroku's old checker."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from conformance.case import Case, expect
from conformance.catalogue import Certainty, Level, NotRun, check

REQUIRED, ADVICE = Level.REQUIRED, Level.ADVICE
REGIONS = {
    "us",
    "eu",
    "virginia",
    "oregon",
    "frankfurt",
    "dublin",
    "london",
    "montreal",
    "mumbai",
    "singapore",
}
REGIONS |= {"sydney", "tokyo", "*"}
REQUIRES = {"log_input", "syslog_drain", "many_per_app", "attachable"}
SECRET_LENGTH = 32
_SLUG = re.compile(r"[a-z][a-z0-9-]*")
_CONFIG_VAR = re.compile(r"[A-Z][0-9A-Z_]+")


def _manifest(case: Case) -> Mapping[str, Any]:
    if case.target.manifest is None:
        raise NotRun("needs --manifest")
    return case.target.manifest


def manifest_api(case: Case) -> Mapping[str, Any]:
    """The manifest's `api`; NotRun without one."""
    api = _manifest(case).get("api")
    if not isinstance(api, Mapping):
        raise NotRun("the manifest has no 'api' (manifest.api)")
    return api


@check("manifest.id", REQUIRED, Certainty.CODE, "The manifest's 'id' is a non-empty text.", source="kensa")
def _id(case: Case) -> None:
    found = _manifest(case).get("id")
    expect(isinstance(found, str) and found, f"'id' is {found!r}")


@check(
    "manifest.slug",
    REQUIRED,
    Certainty.DOCUMENTED,
    "The manifest's 'id' is lower-case letters, digits and dashes: it is the add-on service's slug for ever.",
    source="Add-on Manifest",
)
def _slug(case: Case) -> None:
    found = _manifest(case).get("id")
    expect(_SLUG.fullmatch(str(found)) or not found, f"'id' is {found!r}")


@check(
    "manifest.user",
    REQUIRED,
    Certainty.DOCUMENTED,
    "The manifest's 'id' is the user of the Basic pair.",
    source="Partner API Reference",
)
def _user(case: Case) -> None:
    found = _manifest(case).get("id")
    expect(found == case.target.slug or not found, f"'id' is {found!r}, the user is {case.target.slug!r}")


@check(
    "manifest.name",
    ADVICE,
    Certainty.CODE,
    "The manifest has a 'name' to display.",
    source="addons-admin plugin",
)
def _name(case: Case) -> None:
    found = _manifest(case).get("name")
    expect(isinstance(found, str) and found.strip(), f"'name' is {found!r}")


@check("manifest.api", REQUIRED, Certainty.CODE, "The manifest has an object 'api'.", source="kensa")
def _has_api(case: Case) -> None:
    expect(isinstance(_manifest(case).get("api"), Mapping), "'api' is missing or no object")


@check(
    "manifest.password", REQUIRED, Certainty.CODE, "'api.password' is there and not empty.", source="kensa"
)
def _password(case: Case) -> None:
    expect(_is_text(manifest_api(case).get("password")), "'api.password' is missing or empty")


@check(
    "manifest.sso_salt",
    REQUIRED,
    Certainty.CODE,
    "'api.sso_salt' is there and not empty when there is an 'sso_url'.",
    source="kensa needs it for its SSO check",
)
def _sso_salt(case: Case) -> None:
    api = manifest_api(case)
    expect(
        _is_text(api.get("sso_salt")) or not _production(api).get("sso_url"),
        "'api.sso_salt' is missing or empty",
    )


@check(
    "manifest.secret_length",
    ADVICE,
    Certainty.CODE,
    f"'api.password' and 'api.sso_salt' have {SECRET_LENGTH} characters or more, as Heroku's generator makes them.",
    source="addons-admin plugin",
)
def _secret_length(case: Case) -> None:
    for name in ("password", "sso_salt"):
        found = manifest_api(case).get(name)
        short = isinstance(found, str) and 0 < len(found) < SECRET_LENGTH
        expect(not short, f"'api.{name}' has {len(str(found))} characters")


@check(
    "manifest.no_username",
    REQUIRED,
    Certainty.CODE,
    "There is no 'api.username': it is deprecated.",
    source="kensa",
)
def _no_username(case: Case) -> None:
    expect("username" not in manifest_api(case), "'api.username' is there")


@check("manifest.version", REQUIRED, Certainty.CODE, "'api.version' is \"3\".", source="addons-admin plugin")
def _version(case: Case) -> None:
    found = manifest_api(case).get("version")
    expect(str(found) == "3", f"'api.version' is {found!r}")


@check(
    "manifest.regions",
    REQUIRED,
    Certainty.CODE,
    "'api.regions' is a list with at least one region.",
    source="addons-admin plugin: the server refuses an empty list",
)
def _regions(case: Case) -> None:
    found = manifest_api(case).get("regions")
    expect(
        isinstance(found, list) and found and all(_is_text(name) for name in found),
        f"'api.regions' is {found!r}",
    )


@check(
    "manifest.region_names",
    ADVICE,
    Certainty.DOCUMENTED,
    "Every entry of 'api.regions' is one of Heroku's regions, or *.",
    source="Regions",
)
def _region_names(case: Case) -> None:
    found = manifest_api(case).get("regions")
    unknown = sorted({str(name) for name in found} - REGIONS) if isinstance(found, list) else []
    expect(not unknown, f"unknown regions: {', '.join(unknown)}")


@check(
    "manifest.config_vars",
    REQUIRED,
    Certainty.CODE,
    "'api.config_vars', if there, is a list of names made of capitals, digits and underscores.",
    source="kensa",
)
def _config_vars(case: Case) -> None:
    found = manifest_api(case).get("config_vars", [])
    expect(isinstance(found, list), f"'api.config_vars' is {found!r}")
    wrong = [name for name in found if not (isinstance(name, str) and _CONFIG_VAR.fullmatch(name))]
    expect(not wrong, f"no names of config vars: {wrong!r}")


@check(
    "manifest.config_prefix",
    REQUIRED,
    Certainty.CODE,
    "Every name of 'api.config_vars' begins with the prefix and an underscore.",
    source="kensa",
)
def _config_prefix(case: Case) -> None:
    prefix, found = f"{case.target.config_prefix}_", manifest_api(case).get("config_vars")
    wrong = (
        [n for n in found if isinstance(n, str) and not n.startswith(prefix)]
        if isinstance(found, list)
        else []
    )
    expect(not wrong, f"without the prefix {prefix}: {', '.join(wrong)}")


@check(
    "manifest.requires",
    ADVICE,
    Certainty.DOCUMENTED,
    f"'api.requires', if there, is a list of {', '.join(sorted(REQUIRES))}.",
    source="Add-on Manifest; the complete list of flags is not known",
)
def _requires(case: Case) -> None:
    found = manifest_api(case).get("requires", [])
    expect(isinstance(found, list), f"'api.requires' is {found!r}")
    unknown = sorted({str(name) for name in found} - REQUIRES)
    expect(not unknown, f"unknown: {', '.join(unknown)}")


@check(
    "manifest.production",
    REQUIRED,
    Certainty.CODE,
    "'api.production' is there with a 'base_url'.",
    source="kensa",
)
def _production_there(case: Case) -> None:
    expect(_is_text(_production(manifest_api(case)).get("base_url")), "'api.production.base_url' is missing")


@check(
    "manifest.https",
    REQUIRED,
    Certainty.DOCUMENTED,
    "The addresses of 'api.production' are https.",
    source="Partner API Reference",
)
def _https(case: Case) -> None:
    addresses = [value for value in _production(manifest_api(case)).values() if isinstance(value, str)]
    if addresses and all(urlsplit(value).hostname in ("127.0.0.1", "localhost") for value in addresses):
        raise NotRun("the manifest is of a provider on this machine")
    wrong = [value for value in addresses if not value.startswith("https:")]
    expect(not wrong, f"not https: {', '.join(wrong)}")


def _production(api: Mapping[str, Any]) -> Mapping[str, Any]:
    found = api.get("production")
    # The old form has one address as a text.
    return found if isinstance(found, Mapping) else {"base_url": found} if isinstance(found, str) else {}


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
