"""The audit of packages fails for what can be mended, and never for what cannot be known."""

import json

from local.audit import judge


def judged(*dependencies: dict[str, object]) -> tuple[bool, str]:
    """Whether a report passes, and what is said about it."""
    said: list[str] = []
    return judge(json.dumps({"dependencies": dependencies}), say=said.append), "\n".join(said)


def package(*fixes: list[str]) -> dict[str, object]:
    """A package with a vulnerability for each list of versions that mend it."""
    return {
        "name": "example",
        "version": "1.0",
        "vulns": [{"id": "PYSEC-1", "fix_versions": each} for each in fixes],
    }


def test_a_vulnerability_that_is_mended_elsewhere_fails() -> None:
    passed, said = judged(package(["1.1"]), package())
    assert not passed
    assert "PYSEC-1, mended in 1.1" in said


def test_one_that_nobody_has_mended_is_named_and_passes() -> None:
    passed, said = judged(package([]))
    assert passed
    assert "not mended yet" in said


def test_what_cannot_be_known_passes_and_says_so() -> None:
    passed, said = judged({"name": "example", "skip_reason": "not found"})
    assert passed
    assert "NOT AUDITED" in said
    said_too: list[str] = []
    assert judge("", say=said_too.append)
    assert "NOT AUDITED" in said_too[0]
