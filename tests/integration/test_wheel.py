"""The wheel holds what the tree holds: statements, schemas and marker files, not only modules."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(600)  # building fetches hatchling
def test_the_wheel_holds_every_file_of_the_package(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, ROOT],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("jobctl-*.whl")

    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if name.startswith("jobctl/")}

    present = {
        str(file.relative_to(ROOT))
        for file in ROOT.glob("jobctl/**/*")
        if file.is_file() and file.parent.name != "__pycache__"
    }
    assert {"jobctl/__init__.py", "jobctl/py.typed"} <= present
    assert present - held == set()
