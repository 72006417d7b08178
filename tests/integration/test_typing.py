"""The public types, judged by pyright as its users run it, and by mypy with `make types`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PLANTED = """
from typing import assert_type
assert_type(of_app.delay(1), AsyncResult[int])
add.delay(1)  # type: ignore[arg-type]
"""


def pyright(*paths: Path, code: int) -> list[dict[str, Any]]:
    """What it complains about, strictly."""
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", *map(str, paths)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["summary"]["filesAnalyzed"] == len(paths)
    return list(told["generalDiagnostics"])


@pytest.mark.slow
def test_pyright_agrees_with_mypy_and_finds_what_is_wrong(tmp_path: Path) -> None:
    files = sorted((ROOT / "tests/typing").glob("*.py"))
    planted = tmp_path / "planted.py"
    planted.write_text((ROOT / "tests/typing/front_door.py").read_text() + PLANTED)
    found = pyright(*files, planted, code=1)
    assert {finding["file"] for finding in found} == {str(planted)}
    assert {finding["rule"] for finding in found} == {
        "reportAssertTypeFailure",
        "reportUnnecessaryTypeIgnoreComment",
    }
