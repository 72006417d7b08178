"""A hot verb as a whole process: it loads next to nothing. (How long it takes is for benchmarks/.)"""

from __future__ import annotations

import json
import socket
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

PROGRAM = """
import sys
before = set(sys.modules)
from jobctl.cli.entry import main
sys.argv = ["jobctl", *{words}]
code = main()
print(*sorted(set(sys.modules) - before), file=sys.stderr)
sys.exit(code)
"""
MAY_BE_LOADED = {
    "__future__",
    "_json",
    "_socket",
    "jobctl",
    "jobctl.cli",
    "jobctl.cli.completing",
    "jobctl.cli.entry",
    "jobctl.cli.fast",
    "jobctl.cli.numbers",
    "jobctl.cli.output",
    "jobctl.cli.page",
    "jobctl.cli.places",
    "jobctl.cli.render",
    "jobctl.cli.shapes",
    "jobctl.cli.submission",
    "jobctl.cli.times",
    "jobctl.cli.verdict",
    "jobctl.protocol",
    "jobctl.protocol.compact",
    "jobctl.protocol.key",
}


@pytest.mark.parametrize(
    "line",
    [
        "submit backup 1 -k a=b",
        "submit backup --json",
        "status 18",
        "status 18 --json",
        "wait 18",
        "logs 18",
        "__complete bash 2 jobctl submit b",
        "__complete zsh 1 jobctl s",
    ],
)
def test_a_hot_verb_loads_neither_typer_nor_the_client(
    daemon: Start, socket_path: Path, line: str
) -> None:
    end = {"id": 18, "state": "SUCCESS", "verdict": "success", "exit_code": 0}
    daemon(
        inspect={"tasks": [{"name": "backup"}]},
        submit={"jobs": [{"id": 21, "state": "PENDING", "duplicate": False}]},
        status=FAILED,
        wait={"jobs": [end], "timed_out": False},
        logs=[{"data": "x\n", "offset": 0}, {"attempt": 1, "bytes": 2, "state": "SUCCESS"}],
    )

    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(words=json.dumps(line.split()))],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout or line.startswith("wait")
    assert set(ended.stderr.split()) <= MAY_BE_LOADED


@pytest.mark.parametrize(("line", "first"), [("logs 18", "x"), ("list", "I"), ("list --json", "{")])
def test_a_reader_who_goes_away_is_no_trouble(
    daemon: Start, socket_path: Path, line: str, first: str
) -> None:
    # So much does not fit into the pipe: the write fails while somebody could complain.
    chunk = {"data": "x" * (1 << 18), "offset": 0}
    daemon(
        list={"jobs": [FAILED] * 1000, "next": None},
        logs=[
            chunk,
            chunk | {"offset": 1 << 18},
            {"attempt": 1, "bytes": 1 << 19, "state": "SUCCESS"},
        ],
    )

    reader = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m jobctl {line} | head -c 1"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (reader.stdout, reader.stderr) == (first, "")


def test_lines_of_many_programs_that_share_a_pipe_stay_whole(
    daemon: Start, socket_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Unbuffered, as in most containers, a line that is written in two pieces runs into the others.
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    daemon(submit={"jobs": [{"id": 21, "state": "PENDING", "duplicate": False}]})
    # Each packet holds what one call has written.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    with ours, theirs:
        subprocess.run(
            [sys.executable, "-m", "jobctl", "submit", "backup"], stdout=theirs.fileno(), check=True
        )
        written = ours.recv(100)

    assert written == b"21\n"
