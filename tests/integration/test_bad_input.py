"""The bad input of a first day, from the command to the daemon: a cause, a hint, the code, nothing lost."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from jobctl.protocol import requests
from tests.support.daemon import Daemon, running_daemon

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIG = """
[workers.default]
USER
[tasks.greet]
command = ["/bin/echo", "{1}", "{name}"]

[tasks.power]
function = "operator:pow"

[tasks.whole]
function = "math:isqrt"
"""


@dataclass(frozen=True)
class Told:
    code: int
    out: str
    err: str

    @property
    def cause(self) -> str:
        return self.err.splitlines()[0]


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    # Modules of the standard library run as root without being asked for it.
    with running_daemon(CONFIG.replace("USER", "")) as started:
        yield started


def jobctl(*words: str, at: Path) -> Told:
    environment = {**os.environ, "JOBCTL_SOCKET": str(at), "JOBCTL_CONFIG": str(at) + ".none"}
    done = subprocess.run(
        [sys.executable, "-m", "jobctl", *words],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )
    return Told(done.returncode, done.stdout, done.stderr)


def is_told(told: Told, code: int, *words: str) -> None:
    """One line of cause that names what it is about, a hint, the code, and no traceback."""
    assert told.code == code, told
    assert told.out == ""
    assert "Traceback" not in told.err
    lines = told.err.splitlines()
    assert len(lines) == 2, told.err
    assert lines[1].startswith("hint: ")
    for word in words:
        assert word in told.err


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (("submit", "gret", "a", "-k", "name=b"), 4, ("gret", "greet")),
        (("submit", "greet"), 2, ("{1}",)),
        (("submit", "greet", "a"), 2, ("name",)),
        (("submit", "whole", "1", "2", "3"), 2, ("3",)),
        (("submit", "whole", "-k", "n:={broken"), 2, ("n",)),
        (("submit", "whole", "--args-json", "[1,"), 2, ("JSON",)),
        (("submit", "whole", "--args-json", '{"a":1}'), 2, ("list",)),
        (("submit", "greet", "a", "-k", "name=b", "--queue", "../etc"), 2, ("../etc",)),
        (("status", "999"), 4, ("999",)),
        (("logs", "999"), 4, ("999",)),
        (("result", "999"), 4, ("999",)),
        (("cancel", "999"), 4, ("999",)),
        (("retry", "999"), 4, ("999",)),
        (("wait", "999"), 4, ("999",)),
        (("history", "nothing"), 4, ("nothing",)),
    ],
)
def test_what_the_daemon_refuses(
    daemon: Daemon, words: tuple[str, ...], code: int, named: tuple[str, ...]
) -> None:
    before = daemon.call(requests.List(count=True))

    is_told(jobctl(*words, at=daemon.socket), code, *named)

    assert daemon.call(requests.List(count=True)) == before


def test_a_command_that_does_not_exist_fails_with_127_and_says_so(daemon: Daemon) -> None:
    told = jobctl("submit", "--wait", "--", "/no/such/program", at=daemon.socket)

    assert told.code == 127
    job = daemon.call(requests.List(limit=1))["jobs"][0]["id"]
    (attempt,) = daemon.status(job)["attempts"]
    assert attempt["outcome"] == "failure"
    assert "/no/such/program" in json.dumps(attempt["error"])


def test_no_daemon(tmp_path: Path) -> None:
    is_told(jobctl("submit", "greet", at=tmp_path / "sock"), 3, str(tmp_path / "sock"))


def listening(path: Path, answer: bytes) -> socket.socket:
    """Something else on the socket: it gives the same answer to whatever comes."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(1 << 16)
                connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return listener


def test_a_daemon_of_another_version(tmp_path: Path) -> None:
    path = tmp_path / "s"
    error = {
        "code": "version",
        "message": "this daemon is jobctl 9.0 and speaks protocol 9",
        "hint": "Use the jobctl command of the daemon's version.",
        "exit_code": 69,
    }
    listener = listening(path, json.dumps({"id": 0, "error": error}).encode() + b"\n")

    is_told(jobctl("submit", "greet", at=path), 69, "9.0")

    listener.close()


def test_a_socket_that_is_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "s"
    listener = listening(path, b"220 mail.example.org ESMTP\r\n")

    told = jobctl("submit", "greet", at=path)

    assert told.code == 69
    assert "not a daemon of jobctl" in told.cause
    listener.close()


@pytest.mark.slow
def test_a_function_that_does_not_import_makes_its_jobs_wait_and_nothing_else() -> None:
    text = (
        '[tasks.lost]\nfunction = "json.no_such_module:f"\n[tasks.fine]\ncommand = ["/bin/true"]\n'
    )
    with running_daemon(text) as daemon:
        assert daemon.ended(daemon.submit(task="fine"))["state"] == "SUCCESS"

        job = daemon.submit(task="lost")

        waiting = daemon.status(job)
        assert waiting["state"] == "PENDING"
        assert "no_such_module" in waiting["reason"]
        assert "no_such_module" in daemon.log()
        told = jobctl("inspect", "registered", "--json", at=daemon.socket)
        unavailable = {t["name"]: t["unavailable"] for t in json.loads(told.out)["tasks"]}
        assert "no_such_module" in unavailable["lost"]
        assert unavailable["fine"] is None


@pytest.mark.slow
def test_a_configuration_with_six_mistakes_is_told_whole_when_the_daemon_starts() -> None:
    text = """
[daemon]
shutdwon = "keep"
[tasks.a]
comand = ["true"]
[tasks.b]
command = ["true"]
cron = "61 * * * *"
[tasks.c]
command = ["true"]
retries = "many"
[tasks.d]
command = ["true"]
every = "1m"
timezone = "Europe/Berlni"
[queues.q]
concurrency = 0
"""
    with running_daemon(text, start=False) as daemon:
        daemon.launch()

        assert daemon.wait_for_exit() == 78
        daemon.until("all it has to say", lambda: "concurrency" in daemon.log())
        for word in ("shutdown", "command", "61", "many", "Europe/Berlin", "concurrency"):
            assert word in daemon.log()
        assert not daemon.state_dir.exists()
