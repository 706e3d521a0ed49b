"""The file of example settings and the settings' page follow from the code."""

import json
from pathlib import Path

from addon.env_example import env_example, sections
from addon.settings_reference import settings_reference

PROJECT = Path(__file__).resolve().parents[2]


def test_the_example_file_tells_every_variable_as_the_code_reads_it() -> None:
    assert (PROJECT / ".env.example").read_text() == env_example(), (
        "write it anew: python -m addon.env_example > .env.example"
    )


def test_the_settings_page_tells_every_variable_as_the_code_reads_it() -> None:
    assert (PROJECT / "docs" / "settings.md").read_text() == settings_reference(), (
        "write it anew: python -m addon.settings_reference > docs/settings.md"
    )


def test_one_click_deployment_asks_for_every_variable_that_is_needed() -> None:
    asked = json.loads((PROJECT / "app.json").read_text())["env"]
    provided = {"DATABASE_URL", "REDIS_URL"}  # by the add-ons it names
    needed = {
        variable.name for _, variables in sections() for variable in variables if variable.field.is_required()
    }
    assert needed - provided - asked.keys() == set()
    known = {variable.name for _, variables in sections() for variable in variables}
    assert asked.keys() - known == set()
