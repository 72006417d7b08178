"""The manual's page of the commands says what the commands' help says."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobctl import errors
from jobctl.cli import schedules
from jobctl.cli.manual import commands_page

PAGE = Path(__file__).parents[3] / "docs/reference/commands.md"


@pytest.mark.parametrize("columns", ["40", "300"])
def test_the_kept_page_is_the_one_that_is_made(
    monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)

    assert commands_page() == PAGE.read_text(), (
        "python -m jobctl.cli.manual > docs/reference/commands.md"
    )


def test_each_exit_code_stands_in_the_page() -> None:
    codes = {
        error.exit_code
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, errors.JobctlError)
    }

    rows = {line.split("|")[1].strip() for line in PAGE.read_text().splitlines() if "|" in line}
    assert {str(code) for code in codes} <= rows


def test_each_verb_has_its_own_heading() -> None:
    text = PAGE.read_text()

    for name in ("submit", "status", "wait", "schedule list", "queue pause", "inspect ping"):
        assert f"\n## jobctl {name}\n" in text
    assert schedules.history.__doc__ is not None
    assert schedules.history.__doc__.splitlines()[0] in text
