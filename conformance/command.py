"""The command line: `python -m conformance`, and what `manage.py conformance` passes its arguments to."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn, TextIO

import conformance.checks  # noqa: F401 - fills the catalogue
from conformance.catalogue import Level, selected
from conformance.platform_api import PlatformAPI
from conformance.report import TextReport, list_checks, write_json
from conformance.runner import Run, Unreachable, run_checks
from conformance.target import Target

OK, FAILED, COULD_NOT_RUN = 0, 1, 2
_DEFAULTS = Target(base_url="", slug="", password="")


class CouldNotRun(Exception):
    """The arguments do not fit; the text is for the person who gave them."""


def build_parser(program: str = "python -m conformance") -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        prog=program,
        description="Check a running Heroku add-on provider against the Add-on Partner API v3.",
        epilog="Exit code: 0 every required check passed, 1 one failed, 2 it could not run or was interrupted. "
        "Secrets can come from the environment instead: CONFORMANCE_PASSWORD, CONFORMANCE_SSO_SALT, "
        "CONFORMANCE_CLIENT_SECRET, CONFORMANCE_OTHER_SERVICE_PASSWORD. What the manifest says needs no option.",
    )
    provider = parser.add_argument_group("the provider")
    provider.add_argument(
        "--base-url", help="the manifest's base_url: POST goes to it, PUT and DELETE to it/<uuid>"
    )
    provider.add_argument("--sso-url", help="the manifest's sso_url")
    provider.add_argument("--slug", help="the manifest's id, which is the user of the Basic pair")
    provider.add_argument("--password", help="the manifest's api.password")
    provider.add_argument("--sso-salt", help="the manifest's api.sso_salt")
    provider.add_argument(
        "--manifest", type=Path, metavar="FILE", help="addon-manifest.json, which is checked as well"
    )
    provider.add_argument("--plan", default=_DEFAULTS.plan, help="a plan to provision (%(default)s)")
    provider.add_argument("--other-plan", default="", help="a plan that it can be changed to")
    provider.add_argument(
        "--refused-plan-change", metavar="FROM:TO", help="a plan change that has to be refused"
    )
    provider.add_argument("--other-service", metavar="SLUG", help="another service of the same provider")
    provider.add_argument("--other-service-password", metavar="PASSWORD", help="and its password")
    provider.add_argument("--region", default=_DEFAULTS.region, help="(%(default)s)")
    provider.add_argument(
        "--async", dest="asynchronous", action="store_true", help="it answers 202 to a provision"
    )
    platform = parser.add_argument_group(
        "the suite's Platform API",
        "What the provider has to call instead of api.heroku.com and id.heroku.com.",
    )
    platform.add_argument(
        "--listen", metavar="HOST:PORT", help="where it listens; without it, it does not run"
    )
    platform.add_argument("--api-url", help="its address as the provider sees it (http://HOST:PORT)")
    platform.add_argument("--client-secret", help="the OAuth client secret that the provider sends (any)")
    choice = parser.add_argument_group("which checks")
    choice.add_argument("--list", action="store_true", help="list every check and end")
    choice.add_argument(
        "--only", action="append", default=[], metavar="NAMES", help="groups or ids, comma separated"
    )
    choice.add_argument(
        "--skip", action="append", default=[], metavar="NAMES", help="groups or ids, comma separated"
    )
    choice.add_argument(
        "--legacy", action="store_true", help="also what Heroku's old checker sends (version 1)"
    )
    choice.add_argument(
        "--strict", action="store_true", help="let failed advice count like failed requirements"
    )
    patience = parser.add_argument_group("patience, in seconds")
    patience.add_argument("--answer-goal", type=_seconds, default=_DEFAULTS.answer_goal, help="(%(default)s)")
    patience.add_argument(
        "--answer-limit", type=_seconds, default=_DEFAULTS.answer_limit, help="(%(default)s)"
    )
    patience.add_argument(
        "--flow-seconds",
        type=_seconds,
        default=_DEFAULTS.flow_seconds,
        help="for an asynchronous provision (%(default)s)",
    )
    patience.add_argument(
        "--watch-seconds",
        type=_seconds,
        default=_DEFAULTS.watch_seconds,
        help="for calls that must not come (%(default)s)",
    )
    report = parser.add_argument_group("the report")
    report.add_argument(
        "--json", metavar="FILE", help="write it as JSON too; - for standard output, the text then on stderr"
    )
    return parser


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 86_400:
        raise argparse.ArgumentTypeError("has to be more than 0 and at most a day")
    return value


def main(
    arguments: Sequence[str] | None = None,
    *,
    program: str = "python -m conformance",
    environment: Mapping[str, str] = os.environ,
    manifest: Mapping[str, Any] | None = None,
) -> int:
    """Run, print the report, and return the exit code. `manifest` is one at hand, if no file is named."""
    options = build_parser(program).parse_args(arguments)
    if options.list:
        list_checks(sys.stdout)
        return OK
    text = sys.stderr if options.json == "-" else sys.stdout
    try:
        return _run(options, text=text, environment=environment, manifest=manifest)
    except (CouldNotRun, Unreachable) as problem:
        sys.stderr.write(f"could not run: {problem}\n")
        return COULD_NOT_RUN


def _run(
    options: argparse.Namespace,
    *,
    text: TextIO,
    environment: Mapping[str, str],
    manifest: Mapping[str, Any] | None,
) -> int:
    try:
        checks, skipped = selected(
            only=_names(options.only), skip=_names(options.skip), legacy=options.legacy
        )
    except ValueError as problem:
        raise CouldNotRun(f"{problem}; --list names them") from None
    target = read_target(options, environment=environment, manifest=manifest)
    report = TextReport(text, colours=text.isatty() and "NO_COLOR" not in environment)
    with ExitStack() as cleaning:
        platform = None
        if options.listen:
            platform = cleaning.enter_context(_platform(options.listen, client_secret=target.client_secret))
            if not options.api_url:
                target = Target(**{**target.__dict__, "api_url": f"http://{platform.host}:{platform.port}"})
        cleaning.enter_context(_Termination())
        report.begin(f"Heroku Add-on Partner API v3: {target.slug} at {target.base_url}")
        run = run_checks(target, checks=checks, skipped=skipped, platform=platform, tell=report.tell)
    report.end(run)
    code = exit_code(run, strict=options.strict)
    if options.json == "-":
        write_json(run, sys.stdout, exit_code=code)
    elif options.json:
        with Path(options.json).open("w", encoding="utf-8") as file:
            write_json(run, file, exit_code=code)
    return code


def exit_code(run: Run, *, strict: bool) -> int:
    """What the run comes to."""
    if run.interrupted:
        return COULD_NOT_RUN
    levels = [Level.REQUIRED, Level.ADVICE] if strict else [Level.REQUIRED]
    return FAILED if any(run.failed(level) for level in levels) else OK


def read_target(
    options: argparse.Namespace, *, environment: Mapping[str, str], manifest: Mapping[str, Any] | None
) -> Target:
    """The provider by the options, the environment and the manifest, in this order; CouldNotRun says what lacks."""
    if options.manifest:
        manifest = _read_manifest(options.manifest)
    api = (manifest or {}).get("api")
    api = api if isinstance(api, Mapping) else {}
    production = api.get("production")
    production = production if isinstance(production, Mapping) else {}

    def value(name: str, of: Mapping[str, Any] | None = None, key: str = "") -> str:
        found = (
            getattr(options, name)
            or environment.get(f"CONFORMANCE_{name.upper()}")
            or (of or {}).get(key or name)
        )
        return found if isinstance(found, str) else ""

    slug, password = value("slug", manifest, "id"), value("password", api)
    base_url = value("base_url", production).rstrip("/")
    for option, given in (("--base-url", base_url), ("--slug", slug), ("--password", password)):
        if not given:
            raise CouldNotRun(f"needs {option}, or a --manifest that has it")
    if not base_url.startswith(("http://", "https://")):
        raise CouldNotRun(f"--base-url is no address: {base_url}")
    other, other_password = value("other_service"), value("other_service_password")
    if bool(other) != bool(other_password):
        raise CouldNotRun("--other-service and --other-service-password belong together")
    return Target(
        base_url=base_url,
        slug=slug,
        password=password,
        sso_url=value("sso_url", production),
        sso_salt=value("sso_salt", api),
        plan=options.plan,
        other_plan=options.other_plan,
        refused_plan_change=_plan_change(options.refused_plan_change),
        other_service=(other, other_password) if other else None,
        region=options.region,
        asynchronous=options.asynchronous,
        manifest=manifest,
        client_secret=value("client_secret"),
        api_url=(options.api_url or _DEFAULTS.api_url).rstrip("/"),
        answer_goal=options.answer_goal,
        answer_limit=options.answer_limit,
        flow_seconds=options.flow_seconds,
        watch_seconds=options.watch_seconds,
    )


def _read_manifest(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise CouldNotRun(f"--manifest: {problem}") from None
    if not isinstance(found, dict):
        raise CouldNotRun("--manifest: the file holds no JSON object")
    return found


def _plan_change(text: str | None) -> tuple[str, str] | None:
    if not text:
        return None
    former, colon, wanted = text.partition(":")
    if not (former and colon and wanted):
        raise CouldNotRun("--refused-plan-change has to be FROM:TO")
    return former, wanted


def _platform(listen: str, *, client_secret: str) -> PlatformAPI:
    host, _, port = listen.rpartition(":")
    if not port.isdigit():
        raise CouldNotRun("--listen has to be HOST:PORT")
    try:
        return PlatformAPI(host or "127.0.0.1", int(port), client_secret=client_secret)
    except (OSError, OverflowError) as problem:
        raise CouldNotRun(f"--listen {listen}: {problem}") from None


def _names(given: list[str]) -> list[str]:
    return [name.strip() for part in given for name in part.split(",") if name.strip()]


class _Termination:
    """Has SIGTERM end the run as Ctrl-C does, so that it cleans up as well."""

    _former: Callable[..., Any] | int | None = None

    def __enter__(self) -> None:
        self._former = signal.signal(signal.SIGTERM, _interrupt)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._former or signal.SIG_DFL)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
