"""Known vulnerabilities of the pinned packages, as far as the advisory service can be reached.

A package with a known vulnerability and a version that mends it fails the check; one that nobody has mended yet is
named only. Without a network, or where the service tells nothing (a mirror, say), the check says so in one line and
passes: what cannot be known must not turn a build red.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 90


def audit(project: Path, *, say: Callable[[str], None] = print) -> bool:
    """Ask about every package of `constraints.txt`; False when one has to be renewed."""
    with tempfile.TemporaryDirectory(prefix="addonworks-audit-") as cache:
        argv = [
            str(Path(sys.executable).parent / "pip-audit"),
            *("--requirement", "constraints.txt", "--no-deps", "--disable-pip", "--cache-dir", cache),
            *("--progress-spinner", "off", "--format", "json", "--timeout", "5"),
        ]
        try:
            done = subprocess.run(
                argv, cwd=project, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
            )
        except (subprocess.TimeoutExpired, OSError) as error:
            say(
                f"ok     pip-audit: NOT AUDITED, {type(error).__name__}: run `make lint` again with a network"
            )
            return True
    return judge(done.stdout, say=say)


def judge(report: str, *, say: Callable[[str], None]) -> bool:
    """What pip-audit's JSON means for the check."""
    try:
        dependencies: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except (ValueError, KeyError, TypeError):
        say("ok     pip-audit: NOT AUDITED, the advisory service was not reached")
        return True
    audited = [each for each in dependencies if "vulns" in each]
    if not audited:
        say("ok     pip-audit: NOT AUDITED, the advisory service knows none of the packages (a mirror?)")
        return True
    mendable = False
    for each in audited:
        for found in each["vulns"]:
            fixed = ", ".join(found.get("fix_versions") or [])
            mendable |= bool(fixed)
            what = f"mended in {fixed}" if fixed else "not mended yet"
            say(f"       {each['name']} {each['version']}: {found['id']}, {what}")
    left = len(dependencies) - len(audited)
    say(
        f"{'FAILED' if mendable else 'ok':<6} pip-audit ({len(audited)} packages{f', {left} unknown' if left else ''})"
    )
    return not mendable
