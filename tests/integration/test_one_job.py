"""One job through every station: socket, durable commit, template, keeper, outcome, status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.protocol import requests
from tests.support.daemon import running_daemon

if TYPE_CHECKING:
    from tests.support.daemon import Daemon


def test_a_command_goes_from_submit_to_its_exit_code_and_output(daemon: Daemon) -> None:
    job = daemon.shell("echo out; echo err >&2; exit 3")

    ended = daemon.ended(job)

    assert ended["state"] == "FAILURE"
    (attempt,) = ended["attempts"]
    assert attempt["outcome"] == "failure"
    assert attempt["exit_code"] == 3
    assert attempt["signal"] is None
    assert attempt["output_tail"] == "out\nerr\n"
    assert attempt["ran_with"]["argv"][:2] == ["/bin/sh", "-c"]


def test_a_command_outlives_its_killed_daemon_and_the_next_one_adopts_it(daemon: Daemon) -> None:
    go = daemon.folder / "go"
    job = daemon.shell(f"echo before; until [ -e {go} ]; do sleep 0.01; done; echo after; exit 7")
    (keeper,) = daemon.until(
        "the command to run",
        lambda: [w for w in daemon.workers("keeper") if job in w["attempts"]],
    )

    daemon.kill()
    daemon.start()

    (adopted,) = [w for w in daemon.workers("keeper") if job in w["attempts"]]
    assert adopted["pid"] == keeper["pid"]
    assert daemon.status(job)["state"] == "STARTED"
    go.touch()
    ended = daemon.ended(job)
    assert ended["state"] == "FAILURE"
    (attempt,) = ended["attempts"]
    assert attempt["exit_code"] == 7
    assert attempt["output_tail"] == "before\nafter\n"


def test_a_command_that_ends_while_no_daemon_runs_keeps_exit_code_and_output(
    daemon: Daemon,
) -> None:
    go = daemon.folder / "go"
    job = daemon.shell(f"until [ -e {go} ]; do sleep 0.01; done; echo alone; exit 9")
    daemon.until(
        "the command to run",
        lambda: [w for w in daemon.workers("keeper") if job in w["attempts"]],
    )
    daemon.kill()
    go.touch()
    records = daemon.state_dir / "run"
    daemon.until("the outcome's record", lambda: list(records.glob("*/outcomes/*.json")))

    daemon.start()

    ended = daemon.ended(job)
    (attempt,) = ended["attempts"]
    assert attempt["exit_code"] == 9
    assert attempt["output_tail"] == "alone\n"
    daemon.until("the record to be removed", lambda: not list(records.glob("*/outcomes/*.json")))


def test_the_answer_to_a_submit_comes_after_its_commit(daemon: Daemon) -> None:
    """A daemon that is killed right after its answer has the job."""
    job = daemon.submit(command=["/bin/true"], cwd="/", delay_s=3600.0)
    daemon.kill()

    daemon.start()

    assert daemon.status(job)["state"] == "PENDING"
    assert daemon.call(requests.Inspect(what="scheduled"))["jobs"][0]["id"] == job


def test_a_failure_without_a_daemon_is_judged_by_its_task_and_tried_again() -> None:
    config = """
[tasks.second-time]
shell = 'until [ -e "$1/go" ]; do sleep 0.01; done; [ -e "$1/was" ] || { touch "$1/was"; exit 1; }'
retries = 1
retry_delay = "10ms"
"""
    with running_daemon(config) as daemon:
        job = daemon.submit(task="second-time", args=[str(daemon.folder)])
        daemon.until(
            "the command to run",
            lambda: [w for w in daemon.workers("keeper") if job in w["attempts"]],
        )
        daemon.kill()
        (daemon.folder / "go").touch()
        records = daemon.state_dir / "run"
        daemon.until("the outcome's record", lambda: list(records.glob("*/outcomes/*.json")))

        daemon.start()

        ended = daemon.ended(job)
        assert ended["state"] == "SUCCESS"
        assert [attempt["outcome"] for attempt in ended["attempts"]] == ["failure", "success"]
