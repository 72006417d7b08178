"""Every configuration that a page shows is judged as ``jobctl check`` judges it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import PAGES, ROOT, blocks_of, name_of

if TYPE_CHECKING:
    from pathlib import Path

FAULTY = {
    "docs/tutorial/first-job.md": {"faulty.toml"},
    "docs/how-to/find-out-why.md": {"jobctl.toml, again"},
}
"""The configurations that show what happens with a fault, by page."""


def configurations_of(page: Path) -> dict[str, str]:
    """The texts of a page's configurations, by name. What is added to a file is judged with it."""
    found: dict[str, str] = {}
    count: dict[str, int] = defaultdict(int)
    for block in blocks_of(page):
        if block.language != "toml":
            continue
        name = block.words or f"line {block.line}"
        if name.startswith("+"):
            found[name[1:]] += block.text
            continue
        count[name] += 1
        found[name if count[name] == 1 else f"{name}, again"] = block.text
    return found


CONFIGURATIONS = [
    pytest.param(page, name, text, id=f"{name_of(page)}: {name}")
    for page in PAGES
    for name, text in configurations_of(page).items()
]


@pytest.mark.parametrize(("page", "name", "text"), CONFIGURATIONS)
def test_a_configuration_of_a_page_is_right(
    page: Path, name: str, text: str, tmp_path: Path
) -> None:
    file = tmp_path / "jobctl.toml"
    # Routes of a page need files and programs that this host has not.
    file.write_text(re.sub(r"(?m)^\[notify\..*\]$", r"\g<0>\nenabled = false", text))
    judged = subprocess.run(
        [sys.executable, "-m", "jobctl.config.load", file],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    is_faulty = name in FAULTY.get(name_of(page), ())
    assert (judged.returncode != 0) is is_faulty, judged.stdout + judged.stderr


def test_every_page_that_is_known_to_show_faults_is_there() -> None:
    shown = {(name_of(page), name) for page in PAGES for name in configurations_of(page)}
    assert {(page, name) for page, names in FAULTY.items() for name in names} <= shown
