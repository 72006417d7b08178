"""The fixtures for other people's tests, used by a test run of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-W",
            "error",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:randomly",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        # What somebody has asked of this run of pytest is not asked of that one.
        env={name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"},
    )


def write_page(folder: Path) -> None:
    """The files that the manual shows."""
    (folder / "shop").mkdir()
    for page in ("test-tasks", "python-functions"):
        text = (ROOT / f"docs/how-to/{page}.md").read_text()
        for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
            named = re.match(r"# (?:/srv/shop/)?(\S+\.py)", block)
            if named is not None:
                (folder / named[1]).write_text(block)
    (folder / "pytest.ini").write_text("[pytest]\npythonpath = .\n")


@pytest.mark.slow
def test_what_the_page_shows_passes_and_leaves_nothing(tmp_path: Path) -> None:
    write_page(tmp_path)
    (tmp_path / "test_left.py").write_text(
        "def test_left(jobctl_daemon):\n"
        "    with open('left', 'w') as left: left.write(str(jobctl_daemon.folder))\n"
        "    assert ' ready ' in jobctl_daemon.log\n"
    )
    done = run(tmp_path)
    assert "5 passed" in done.stdout, done.stdout + done.stderr
    folder = Path((tmp_path / "left").read_text())
    assert not folder.exists()
    told = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
    assert not any(str(folder).encode() in line for line in told)


@pytest.mark.slow
def test_a_daemon_that_does_not_start_fails_the_test_with_its_log(tmp_path: Path) -> None:
    write_page(tmp_path)
    (tmp_path / "conftest.py").write_text(
        "import pytest\n"
        "pytest_plugins = ['jobctl.contrib.pytest_plugin']\n"
        "@pytest.fixture\n"
        "def jobctl_config(): return 'unknown = 1'\n"
    )
    done = run(tmp_path)
    assert "the daemon of this test does not start" in done.stdout
    assert "unknown" in done.stdout.partition("does not start")[2]
