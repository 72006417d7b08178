"""The page on the process model names a test for each trap, or says why there is none."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/explanation/process-model.md"
ROW = re.compile(r"^\| (\d+) \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)


def names_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_each_trap_has_a_test_or_a_reason() -> None:
    rows = dict(ROW.findall(PAGE.read_text()))
    assert list(rows) == [str(number) for number in range(1, 32)]
    missing = []
    for number, told in rows.items():
        if told.startswith("none"):
            continue
        found = re.fullmatch(r"`(test_\w+)`(?: in `(\S+)`)?", told.strip())
        assert found, f"trap {number}: {told}"
        path = ROOT / (found[2] or "tests/integration/test_traps.py")
        if found[1] not in names_in(path):
            missing.append(f"trap {number}: {found[1]} is not in {path}")
    assert missing == []
