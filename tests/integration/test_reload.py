"""Reloading a real daemon: all of it with a printed difference, or nothing with every reason (P10)."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from jobctl.errors import ConfigError, JobctlError, PlanError
from jobctl.protocol import requests
from tests.support.daemon import Daemon, running_daemon

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST = """
[workers.one]
queues = ["default", "old"]
[workers.two]
queues = ["new"]

[tasks.hello]
command = ["/bin/echo", "first"]

[tasks.tick]
command = ["/bin/true"]
every = "1h"
"""


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with running_daemon(FIRST) as started:
        yield started


def reload(daemon: Daemon, text: str) -> list[str]:
    daemon.config.write_text(text)
    changes: list[str] = daemon.call(requests.Reload())["changes"]
    return changes


def refused(daemon: Daemon, text: str) -> JobctlError:
    """A reload that must fail; what was in force goes on."""
    before = daemon.call(requests.Inspect(what="conf"))
    with pytest.raises(JobctlError) as caught:
        reload(daemon, text)
    assert daemon.call(requests.Inspect(what="conf")) == before
    assert daemon.ended(daemon.submit(task="hello"))["attempts"][0]["output_tail"] == "first\n"
    return caught.value


def test_a_reload_without_a_change_says_so(daemon: Daemon) -> None:
    assert reload(daemon, FIRST) == []


def test_a_reload_tells_what_it_changed(daemon: Daemon) -> None:
    changes = reload(
        daemon,
        FIRST.replace("first", "second")
        .replace('every = "1h"', 'every = "2h"')
        .replace("[tasks.hello]", '[tasks.added]\ncommand = ["true"]\n[tasks.hello]'),
    )

    assert any(line.startswith("task added added") for line in changes)
    assert any("first" in line and "second" in line for line in changes)
    assert any("1h" in line and "2h" in line for line in changes)
    assert all("timeout" not in line for line in changes)
    assert daemon.ended(daemon.submit(task="hello"))["attempts"][0]["output_tail"] == "second\n"


def test_a_waiting_job_runs_with_what_is_in_force_when_it_starts(daemon: Daemon) -> None:
    daemon.call(requests.Pause(queue="default", paused=True))
    job = daemon.submit(task="hello")

    reload(daemon, FIRST.replace("first", "second"))
    daemon.call(requests.Pause(queue="default", paused=False))

    assert daemon.ended(job)["attempts"][0]["output_tail"] == "second\n"


def test_six_mistakes_are_told_at_once(daemon: Daemon) -> None:
    error = refused(
        daemon,
        FIRST
        + """
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
timezone = "Europe/Berlni"
every = "1m"
[queues.q]
concurrency = 0
""",
    )

    assert isinstance(error, ConfigError)
    assert len(error.problems) >= 6
    assert all(problem.line for problem in error.problems)
    assert {"shutdwon", "comand", "61", "many", "Berlni", "concurrency"} <= {
        word
        for problem in error.problems
        for word in ("shutdwon", "comand", "61", "many", "Berlni", "concurrency")
        if word in f"{problem.message} {problem.source} {problem.key}"
    }


@pytest.mark.parametrize(
    "text",
    [
        "[tasks.hello\ncommand",
        FIRST + '[tasks.hello]\ncommand = ["twice"]\n',
        FIRST.replace("/bin/echo", "\0"),
        FIRST + '[schedules.s]\ntask = "nowhere"\nevery = "1m"\n',
        FIRST + '[tasks.x]\ncommand = ["true"]\nqueue = "unserved"\n',
        FIRST + '[tasks.x]\ncommand = ["true"]\ncron = "0 0 31 2 *"\n',
        FIRST + '[daemon]\nstate_dir = "/elsewhere"\n',
        FIRST + '[daemon]\nsocket = "/elsewhere/sock"\n',
        FIRST.replace("[workers.two]", '[workers.two]\nuser = "no-such-user"\nimports = ["json"]'),
        FIRST.replace("[workers.two]", '[workers.two]\npython = "/no/python"\nimports = ["json"]'),
        FIRST.replace("[workers.two]", '[workers.two]\nimports = ["no_such_module"]'),
        FIRST + '[tasks.f]\nfunction = "json:no_such_function"\nqueue = "new"\n',
    ],
)
def test_a_configuration_that_cannot_be_changes_nothing(daemon: Daemon, text: str) -> None:
    error = refused(daemon, text)

    assert error.exit_code == 78
    assert error.message
    assert "refused" in daemon.log() or "not reloaded" in daemon.log()


def test_a_configuration_that_is_gone_changes_nothing(daemon: Daemon) -> None:
    daemon.config.unlink()

    with pytest.raises(ConfigError):
        daemon.call(requests.Reload())

    assert daemon.ended(daemon.submit(task="hello"))["state"] == "SUCCESS"


def test_a_configuration_that_is_a_pipe_changes_nothing(daemon: Daemon) -> None:
    daemon.config.unlink()
    os.mkfifo(daemon.config)

    with pytest.raises(ConfigError):
        daemon.call(requests.Reload())

    assert daemon.ended(daemon.submit(task="hello"))["state"] == "SUCCESS"


def test_hangup_reloads(daemon: Daemon) -> None:
    daemon.config.write_text(FIRST.replace("first", "second"))

    daemon.signal(signal.SIGHUP)

    daemon.until("the change in the log", lambda: "reload: task hello changed" in daemon.log())
    assert daemon.ended(daemon.submit(task="hello"))["attempts"][0]["output_tail"] == "second\n"


def test_hangup_with_a_mistake_says_so_in_the_log_and_the_old_plan_goes_on(daemon: Daemon) -> None:
    daemon.config.write_text(FIRST.replace("command", "comand"))

    daemon.signal(signal.SIGHUP)

    daemon.until("the mistake in the log", lambda: "comand" in daemon.log())
    assert daemon.ended(daemon.submit(task="hello"))["state"] == "SUCCESS"


def test_a_storm_of_hangups_ends_with_the_newest_configuration(daemon: Daemon) -> None:
    for n in range(20):
        daemon.config.write_text(FIRST.replace("first", f"n{n}"))
        daemon.signal(signal.SIGHUP)

    daemon.until(
        "the last configuration",
        lambda: daemon.ended(daemon.submit(task="hello"))["attempts"][0]["output_tail"] == "n19\n",
    )


def test_reloads_at_the_same_time_are_all_answered(daemon: Daemon) -> None:
    from tests.support.wire import Wire

    wires = [Wire(daemon.socket) for _ in range(5)]
    for wire in wires:
        wire.say({"id": 1, "do": "reload"})

    answers = [wire.hear() for wire in wires]

    assert all("ok" in answer for answer in answers), answers
    for wire in wires:
        wire.close()


# -- jobs of tasks that change ----------------------------------------------------------------------

WITHOUT_HELLO = FIRST.replace('[tasks.hello]\ncommand = ["/bin/echo", "first"]', "")


def test_a_running_job_of_a_removed_task_ends_as_it_would_have(daemon: Daemon) -> None:
    go = daemon.folder / "go"
    text = FIRST.replace(
        '"/bin/echo", "first"', f'"/bin/sh", "-c", "until [ -e {go} ]; do sleep 0.01; done; exit 4"'
    )
    reload(daemon, text)
    job = daemon.submit(task="hello")
    daemon.until("the job to run", lambda: daemon.status(job)["state"] == "STARTED")

    reload(daemon, WITHOUT_HELLO)
    go.touch()

    assert daemon.ended(job)["attempts"][0]["exit_code"] == 4


def test_waiting_jobs_of_a_removed_task_say_why_they_wait_and_run_when_it_returns(
    daemon: Daemon,
) -> None:
    daemon.call(requests.Pause(queue="default", paused=True))
    job = daemon.submit(task="hello")
    daemon.call(requests.Pause(queue="default", paused=True))

    reload(daemon, WITHOUT_HELLO)

    daemon.until("the reason", lambda: daemon.status(job)["reason"] == "no such task")
    assert daemon.status(job)["state"] == "PENDING"
    daemon.call(requests.Pause(queue="default", paused=False))
    assert daemon.status(job)["state"] == "PENDING"
    reload(daemon, FIRST)
    assert daemon.ended(job)["state"] == "SUCCESS"


def test_an_alias_keeps_jobs_over_a_rename(daemon: Daemon) -> None:
    daemon.call(requests.Pause(queue="default", paused=True))
    job = daemon.submit(task="hello")

    reload(
        daemon,
        FIRST.replace("[tasks.hello]", '[tasks.greet]\naliases = ["hello"]'),
    )
    daemon.call(requests.Pause(queue="default", paused=False))

    assert daemon.ended(job)["attempts"][0]["output_tail"] == "first\n"


MOVED = FIRST.replace("[tasks.hello]", '[tasks.hello]\nqueue = "new"')


@pytest.mark.slow
def test_waiting_jobs_follow_their_task_to_another_queue(daemon: Daemon) -> None:
    daemon.call(requests.Pause(queue="default", paused=True))
    daemon.call(requests.Pause(queue="old", paused=True))
    ready = daemon.submit_many([{"task": "hello"}] * 1200)
    chosen = daemon.submit(task="hello", queue="old")
    timed = daemon.submit(task="hello", delay_s=0.5)

    reload(daemon, MOVED)

    assert {row["state"] for row in daemon.wait(*ready, timed, limit_s=60)} == {"SUCCESS"}
    assert daemon.status(ready[0])["queue"] == "new"
    # Its submitter chose the queue: that is kept.
    assert (daemon.status(chosen)["state"], daemon.status(chosen)["queue"]) == ("PENDING", "old")


def test_a_queue_that_changed_while_no_daemon_ran_is_followed_too(daemon: Daemon) -> None:
    daemon.call(requests.Pause(queue="default", paused=True))
    job = daemon.submit(task="hello")
    daemon.stop()
    daemon.config.write_text(MOVED)

    daemon.start()

    assert daemon.ended(job)["queue"] == "new"


def test_a_daemon_without_a_configuration_says_that_there_is_nothing_to_reload() -> None:
    with running_daemon(start=False) as daemon:
        daemon.launcher = (
            daemon.launcher[0],
            "-c",
            "import sys; from jobctl.daemon.main import run; from pathlib import Path;"
            "sys.exit(run(None, state_dir=Path(sys.argv[2]), socket=Path(sys.argv[3])))",
        )
        daemon.environment["JOBCTL_CONFIG"] = str(daemon.folder / "no such file")
        daemon.start()

        with pytest.raises(PlanError):
            daemon.call(requests.Reload())
