"""The page on faults has every row, and each row a test that exists or a reason."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.faults.evidence import Shown, page

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "explanation" / "faults.md"
EVIDENCE = PAGE.with_name("evidence.md")
ROWS = re.findall(r"^\| (\d+) \| ([^|]+) \| (.+) \|$", PAGE.read_text(), re.MULTILINE)


def test_each_of_the_hundred_rows_is_there_once() -> None:
    assert [int(number) for number, _, _ in ROWS] == list(range(1, 101))


def test_each_row_has_a_test_that_exists_or_says_why_there_is_none() -> None:
    missing = []
    for number, _, tried in ROWS:
        named = re.findall(r"`([\w/]+\.py(?:::\w+)?)`", tried)
        if not named and not re.match(r"No test: .{40,}", tried):
            missing.append(f"{number}: neither a test nor a reason")
        missing += [f"{number}: {name}" for name in named if not exists(name)]

    assert not missing


def test_the_evidence_tells_what_was_found() -> None:
    """A page with violations is written too; it is not to be published."""
    shown = [Shown("power cut", "3 cuts", ["cut 1: n1 is gone"]), Shown("model", "5 steps", [])]
    told = page(shown, part=0.5, seed=7)

    assert "**1 violations.**" in told
    assert "| power cut | 3 cuts | 1 |" in told
    assert "* power cut: cut 1: n1 is gone" in told
    assert "**0 violations.**" in EVIDENCE.read_text()


def exists(name: str) -> bool:
    file, _, function = name.partition("::")
    path = TESTS / file
    if not path.is_file():
        return False
    functions = [
        node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)
    ]
    return function in functions if function else any(f.startswith("test_") for f in functions)
