"""How a wait ends: in time, although nothing else wakes the daemon, and with a word about what a bare exit
code does not say."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from jobctl.client import Client
from jobctl.protocol import requests
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from tests.support.daemon import Daemon

FAR_AHEAD = 4_000_000_000_000_000


def test_a_wait_for_a_job_that_does_not_end_is_answered_by_an_idle_daemon(daemon: Daemon) -> None:
    job = daemon.submit(command=["true"], cwd="/", eta=FAR_AHEAD)
    # Less than any deadline of an idle daemon's own.
    with Client(daemon.socket, timeout_s=5 * PATIENCE) as client:
        answer = client.call(requests.Wait(jobs=[job], timeout_s=0.1))
    assert answer["timed_out"]


@pytest.mark.parametrize("verb", ["--wait", "--follow"])
@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        (["nosuch"], 127, 'could not be started: command "nosuch" was not found'),
        (["/etc/passwd"], 126, "could not be started: "),
        (["sh", "-c", "kill -SEGV $$"], 139, "was ended by SIGSEGV"),
        (["sh", "-c", "exit 127"], 127, ""),
        (["true"], 0, ""),
    ],
)
def test_a_code_that_is_not_the_commands_own_comes_with_a_line(
    daemon: Daemon, verb: str, command: list[str], code: int, says: str
) -> None:
    shown = run(daemon, "submit", verb, "--", *command)

    assert shown.returncode == code
    told = [line for line in shown.stderr.splitlines() if line.startswith("jobctl: ")]
    assert len(told) == bool(says), shown.stderr
    assert says in "".join(told)


def test_the_hot_way_and_the_other_tell_the_same(daemon: Daemon) -> None:
    job = daemon.submit(command=["nosuch"], cwd="/")
    daemon.wait(job)

    hot = run(daemon, "wait", str(job))
    other = run(daemon, "wait", "--timeout", "1h", str(job))
    as_json = run(daemon, "wait", str(job), "--json")

    assert (hot.returncode, hot.stderr) == (other.returncode, other.stderr)
    assert hot.stderr.startswith(f"jobctl: job {job} could not be started: ")
    assert (as_json.returncode, as_json.stderr) == (127, "")


def run(daemon: Daemon, *words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "jobctl", "--socket", str(daemon.socket), *words]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=60 * PATIENCE)
