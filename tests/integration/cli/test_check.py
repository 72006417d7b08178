"""``status --check`` as a whole: its exit codes, with a daemon, without one, with one that is silent."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.errors import StorageError
from jobctl.protocol import requests
from tests.support.daemon import running_daemon

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.cli.line_fixtures import Shown
    from tests.integration.cli.scripted_daemon import ScriptedDaemon

    Run = Callable[..., Shown]
    Start = Callable[..., ScriptedDaemon]

WELL: dict[str, Any] = {
    "daemon": "up",
    "stopped_at": None,
    "schedules": 0,
    "running": 0,
    "ready": 0,
    "oldest_s": 0.0,
    "counts": {"late": 0, "missed": 0, "failed": 0, "waiting": 0, "unavailable": 0},
    "findings": [],
}


def test_the_options_reach_the_daemon(run: Run, daemon: Start) -> None:
    started = daemon(health=WELL)

    shown = run("status", "--check", "--late", "1h", "--waiting", "2m", "--schedule", "backup")

    assert (shown.code, shown.err) == (0, "")
    (asked,) = [frame for frame in started.requests if frame["do"] == "health"]
    assert asked == {"do": "health", "late_s": 3600, "waiting_s": 120, "schedules": ["backup"]}


def test_only_the_daemon_is_asked_for_no_more_than_that(run: Run, daemon: Start) -> None:
    daemon(inspect={"uptime_s": 61.0})

    shown = run("status", "--check", "--only", "daemon")

    assert (shown.code, shown.out) == (0, "JOBCTL OK - daemon up for 1m01s | uptime=61s\n")


def test_a_daemon_that_does_not_answer_is_critical(run: Run, socket_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(socket_path))
        silent.listen()

        shown = run("status", "--check", "--patience", "0.2s")

    assert shown.code == 2
    assert shown.out.startswith("JOBCTL CRITICAL - the daemon does not answer as it should: ")


def test_a_store_that_takes_no_writes_is_critical(run: Run, daemon: Start) -> None:
    daemon(health=StorageError("the disk is full"))

    shown = run("status", "--check")

    assert (shown.code, shown.out) == (
        2,
        "JOBCTL CRITICAL - the store takes no writes, and nothing begins: the disk is full\n",
    )


def test_no_daemon_and_no_store_is_critical(run: Run) -> None:
    shown = run("status", "--check")

    assert shown.code == 2
    assert shown.out.startswith("JOBCTL CRITICAL - no daemon listens on ")
    assert shown.out.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["--late", "soon"],
        ["--patience", "0s"],
        ["17"],
        ["--only", "nothing"],
        ["--nonsense"],
    ],
)
def test_a_line_that_makes_no_sense_is_unknown(run: Run, words: list[str]) -> None:
    assert run("status", "--check", *words).code == 3


def test_a_refusal_is_unknown(run: Run, daemon: Start) -> None:
    from jobctl.errors import NotFound

    daemon(health=NotFound('there is no schedule "x"'))

    shown = run("status", "--check", "--schedule", "x")

    assert (shown.code, shown.out) == (3, 'JOBCTL UNKNOWN - there is no schedule "x"\n')


@pytest.mark.parametrize("option", ["--late=1h", "--only=late", "--schedule=x", "--critical=late"])
def test_options_of_a_check_need_one(run: Run, option: str) -> None:
    shown = run("status", option)

    assert shown.code == 2
    assert "belong to --check" in shown.err


CONFIG = """
[tasks.often]
command = ["false"]
every = "1s"
"""


def test_a_dead_daemon_is_told_with_what_it_left(run: Run) -> None:
    with running_daemon(CONFIG) as real:
        for job in (1, 2):
            real.until(
                "two runs to fail",
                lambda job=job: real.call(requests.List(count=True))["count"] > job,
            )
        real.wait(1)
        words = ["--socket", str(real.socket), "--config", str(real.config), "status", "--check"]
        environ = {"STATE_DIRECTORY": str(real.state_dir)}
        alive = run(*words, **environ)
        real.stop()
        real.until(
            "a schedule to be late",
            lambda: "late" in run(*words, "--late", "1s", **environ).out.partition("|")[0],
        )

        dead = run(*words, "--json", "--late", "1s", **environ)

    assert alive.code == 1
    assert "1 schedule failed: often (" in alive.out
    assert "exit code 1" in alive.out
    told = json.loads(dead.out)
    assert (dead.code, told["status"], told["daemon"]) == (2, "critical", "down")
    assert [found["kind"] for found in told["findings"]] == ["late", "failed"]
