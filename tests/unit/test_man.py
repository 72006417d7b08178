"""The manual pages say what commands and keys say, and roff has nothing to complain about."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from jobctl import roff
from jobctl.cli import man as commands
from jobctl.config import man as keys
from jobctl.plan.tables import TABLES
from tests.support.programs import program

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "man/jobctl.1", ROOT / "man/jobctl.toml.5"]


def test_the_kept_page_of_commands_is_the_one_that_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "40")

    assert commands.page() == PAGES[0].read_text(), "make pages"


def test_the_kept_page_of_the_configuration_is_the_one_that_is_made() -> None:
    assert keys.page() == PAGES[1].read_text(), "make pages"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
@pytest.mark.parametrize(
    "judge",
    [
        ("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"),
        ("groff", "-man", "-Tutf8", "-ww", "-z"),
        ("mandoc", "-T", "lint", "-W", "warning"),
    ],
    ids=lambda judge: judge[0],
)
def test_nobody_who_formats_pages_complains(page: Path, judge: tuple[str, ...]) -> None:
    formatter, *options = judge

    judged = subprocess.run(
        [program(formatter), *options, str(page)], capture_output=True, text=True, check=False
    )

    said = judged.stderr + (judged.stdout if formatter == "mandoc" else "")
    # It wants a date in the title; a page that is made anew with each change has none.
    said = "\n".join(line for line in said.splitlines() if "missing date" not in line)
    assert said == ""


def test_each_key_is_there_as_it_is_written() -> None:
    formatted = subprocess.run(
        [program("groff"), "-man", "-Tascii", "-P-cbou", str(PAGES[1])],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    for table in TABLES.values():
        for key in table.keys:
            assert re.search(rf"^ +{re.escape(key)}\s+=\s", formatted, re.MULTILINE), key


def test_nothing_in_a_text_means_anything_to_roff() -> None:
    assert roff.marked(".so /etc/passwd\n'x \\fB `a-b` [c](d)") == (
        "\\&.so /etc/passwd\n\\(aqx \\efB \\fBa\\-b\\fR c"
    )
    assert roff.verbatim(".x\n") == ".PP\n.nf\n\\&.x\n.fi\n"
    assert roff.quoted('a "b"') == '"a ""b"""'
    assert roff.escaped("é") == "\\[u00E9]"
