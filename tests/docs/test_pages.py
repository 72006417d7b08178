"""What the pages say about this repository is so: links, files, make targets, examples in a language."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import PAGES, ROOT, blocks_of, name_of

if TYPE_CHECKING:
    from pathlib import Path

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FILE = re.compile(r"`((?:jobctl|tests|docs|examples|systemd|supervisor)/[\w./-]*)`")
TARGET_IN_TEXT = re.compile(r"`make ([a-z-]+)")
TARGET = re.compile(r"^([a-z-]+):", re.MULTILINE)


def heading_anchors(page: Path) -> set[str]:
    """The anchors that a page's headings get on the usual hosts."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(page.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in heading_anchors(target)):
            broken.append(link)
    assert broken == []


def test_the_index_leads_to_every_page_of_the_manual() -> None:
    index = ROOT / "docs/index.md"
    led_to = {(index.parent / link.partition("#")[0]) for link in LINK.findall(index.read_text())}
    assert {page for page in PAGES if "docs" in page.relative_to(ROOT).parts} - led_to == {index}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_example_can_be_read_by_its_language(page: Path) -> None:
    for block in blocks_of(page):
        if block.language == "python":
            ast.parse(block.text)
        elif block.language in {"sh", "bash"}:
            subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_file_that_a_page_names_exists(page: Path) -> None:
    named = set(FILE.findall(page.read_text()))
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_make_target_that_a_page_names_exists(page: Path) -> None:
    targets = set(TARGET.findall((ROOT / "Makefile").read_text()))
    assert set(TARGET_IN_TEXT.findall(page.read_text())) - targets == set()


def test_the_examples_in_docstrings_give_what_they_say() -> None:
    # Only modules with examples are imported: some of the others need an extra.
    for file in sorted(ROOT.glob("jobctl/**/*.py")):
        if ">>> " not in file.read_text():
            continue
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        outcome = doctest.testmod(importlib.import_module(name))
        assert outcome.failed == 0, f"{name}: run python -m doctest {file}"
