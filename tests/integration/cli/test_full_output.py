"""Standard output that is closed or full, for whole processes: hot verbs and all others."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.integration.cli.answers import FAILED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.cli.scripted_daemon import ScriptedDaemon

    Start = Callable[..., ScriptedDaemon]

LINES = ["submit backup", "submit --priority 1 backup", "status 18", "status 18 --json", "--help"]
ANSWERS = {
    "submit": {"jobs": [{"id": 7, "state": "PENDING", "duplicate": False}]},
    "status": FAILED,
}


def jobctl(line: str, redirection: str) -> subprocess.CompletedProcess[str]:
    command = f'exec "$0" -m jobctl {line} {redirection}'
    return subprocess.run(
        ["/bin/sh", "-c", command, sys.executable],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("line", LINES)
def test_a_closed_output_changes_no_exit_code(daemon: Start, socket_path: Path, line: str) -> None:
    daemon(**ANSWERS)

    ended = jobctl(line, ">&-")
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("line", LINES)
def test_a_full_output_is_told_in_a_line(daemon: Start, socket_path: Path, line: str) -> None:
    daemon(**ANSWERS)

    ended = jobctl(line, ">/dev/full")
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "jobctl: the answer cannot be written: No space left on device",
        "hint: What was asked for may have been done all the same.",
    ]


def test_an_error_with_everything_closed_keeps_its_exit_code(socket_path: Path) -> None:
    assert jobctl("status 18", "<&- >&- 2>&-").returncode == 3
    assert jobctl("cancel 18", "<&- >&- 2>&-").returncode == 3
