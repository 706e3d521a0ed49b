"""Secrets are made once and kept for their owner alone; files of settings are read as people write them."""

import base64
from pathlib import Path

import pytest
from dotenv import dotenv_values

from local import environment


def test_secrets_are_made_once_and_added_to_when_a_new_one_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    first = environment.kept_secrets(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert environment.kept_secrets(path) == first
    environment.write(path, {name: value for name, value in first.items() if name != "PEPPERS"})
    second = environment.kept_secrets(path)
    assert second["PEPPERS"] != first["PEPPERS"]
    assert {**second, "PEPPERS": ""} == {**first, "PEPPERS": ""}


def test_keys_are_versioned_and_hold_32_bytes() -> None:
    made = environment.new_secrets()
    for name in ("SEALING_KEYS", "PEPPERS"):
        version, key = made[name].split(":")
        assert version == "1"
        assert len(base64.b64decode(key, validate=True)) == 32
    assert len(set(made.values())) == len(made)


@pytest.mark.parametrize(
    "value", ["plain", "with space", "a'quote", 'a"quote', "back\\slash", "# no comment", "$HOME", ""]
)
def test_what_is_written_is_read_the_same_by_us_and_by_the_settings(tmp_path: Path, value: str) -> None:
    path = tmp_path / "local.env"
    environment.write(path, {"NAME": value})
    assert environment.read(path) == {"NAME": value}
    assert dotenv_values(path, interpolate=True) == {"NAME": value}


def test_comments_exports_and_quotes_are_understood(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# a comment\n\nexport WEB_PORT=8001\nNAME = \"two words\"\nOTHER='x=y'\n")
    assert environment.read(path) == {"WEB_PORT": "8001", "NAME": "two words", "OTHER": "x=y"}


def test_a_line_that_is_no_setting_is_named(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("WEB_PORT=8001\nwhat is this\n")
    with pytest.raises(ValueError, match=r"\.env, line 2"):
        environment.read(path)


def test_a_missing_file_is_empty(tmp_path: Path) -> None:
    assert environment.read(tmp_path / "absent") == {}
