"""The file of example settings follows from the code."""

from pathlib import Path

from addon.env_example import env_example

PROJECT = Path(__file__).resolve().parents[2]


def test_the_example_file_tells_every_variable_as_the_code_reads_it() -> None:
    assert (PROJECT / ".env.example").read_text() == env_example(), (
        "write it anew: python -m addon.env_example > .env.example"
    )
