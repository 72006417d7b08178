"""Which job goes where, with real workers."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys

import pytest

from jobctl.errors import InvalidArguments
from jobctl.protocol import requests
from tests.support.configurations import CODE
from tests.support.daemon import running_daemon


def test_long_commands_run_side_by_side_up_to_the_limit_of_their_group() -> None:
    with running_daemon("[workers.default]\ncommands = 5\n") as daemon:
        line = f"until [ -e {daemon.folder}/go ]; do sleep 0.01; done"
        jobs = [daemon.shell(line) for _ in range(6)]

        daemon.until(
            "five of six commands to run",
            lambda: sum(daemon.status(job)["state"] == "STARTED" for job in jobs) == 5,
        )
        assert [daemon.status(job)["state"] for job in jobs].count("PENDING") == 1
        (daemon.folder / "go").touch()
        daemon.wait(*jobs)


def test_a_queue_runs_no_more_at_once_than_its_concurrency() -> None:
    config = """
[workers.default]
commands = 8
queues = ["default", "one"]
[queues.one]
concurrency = 1
"""
    with running_daemon(config) as daemon:
        # Each writes a line when it begins and when it ends; two at once would mix their lines.
        ledger = daemon.folder / "ledger"
        line = f"echo begin >>{ledger}; sleep 0.02; echo end >>{ledger}"
        jobs = [daemon.shell(line, queue="one") for _ in range(8)]
        others = [daemon.shell("true") for _ in range(8)]
        daemon.wait(*jobs, *others)

        assert ledger.read_text().split() == ["begin", "end"] * 8


def test_a_command_has_the_limit_of_open_files_that_its_daemon_was_given() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with running_daemon() as daemon:
        job = daemon.shell("ulimit -Sn; ulimit -Hn")
        daemon.wait(job)

        assert daemon.output(job).split() == [str(soft), str(hard)]


def test_a_job_that_its_queue_holds_back_says_so() -> None:
    config = '[workers.default]\nqueues = ["default", "one"]\n[queues.one]\nconcurrency = 1\n'
    with running_daemon(config) as daemon:
        line = f"until [ -e {daemon.folder}/go ]; do sleep 0.01; done"
        first = daemon.shell(line, queue="one")
        daemon.until("the first to run", lambda: daemon.status(first)["state"] == "STARTED")
        second = daemon.shell("true", queue="one")
        assert "concurrency" in daemon.status(second)["reason"]

        daemon.call(requests.Pause(queue="one", paused=True))
        assert daemon.status(second)["reason"] == 'queue "one" is paused'

        daemon.call(requests.Pause(queue="one", paused=False))
        (daemon.folder / "go").touch()
        assert daemon.ended(second)["reason"] is None


def test_an_attempt_does_not_begin_before_its_job_was_submitted() -> None:
    with running_daemon() as daemon:
        for _ in range(20):
            job = daemon.ended(daemon.shell("true"))
            assert job["submitted_at"] <= job["started_at"] <= job["finished_at"]


KEYED = """
[workers.default]
commands = 8
[tasks.sync]
shell = 'until [ -e "$1" ]; do sleep 0.01; done'
concurrency_key = "{customer}"
[tasks.add]
function = "operator:concat"
concurrency = 1
concurrency_key = "{1}"
"""


def test_jobs_with_one_key_run_one_after_the_other_and_say_so() -> None:
    with running_daemon(KEYED) as daemon:
        go = str(daemon.folder / "go")
        jobs = [
            daemon.submit(task="sync", args=[go], kwargs={"customer": customer})
            for customer in ("acme", "acme", "zeta")
        ]
        daemon.until(
            "two of them to run",
            lambda: (
                [daemon.status(job)["state"] for job in jobs] == ["STARTED", "PENDING", "STARTED"]
            ),
        )
        assert daemon.status(jobs[1])["reason"] == '1 job with the key "acme" may run at once'
        queues = daemon.call(requests.Inspect(what="queues"))
        assert queues["waiting_for_their_key"] == 1
        (daemon.folder / "go").touch()
        daemon.wait(*jobs)


def test_a_job_without_the_argument_of_its_key_is_refused() -> None:
    with running_daemon(KEYED) as daemon, pytest.raises(InvalidArguments, match="customer"):
        daemon.submit(task="sync", args=["x"])


@pytest.mark.slow
def test_thousands_of_jobs_with_as_many_keys_all_run() -> None:
    with running_daemon(KEYED) as daemon:
        jobs = [
            {"task": "add", "args": [f"k{number % 1500}", "x"], "typed": True}
            for number in range(2000)
        ]
        ids = daemon.submit_many(jobs)

        ends = daemon.wait(*ids, limit_s=60)

        assert {end["state"] for end in ends} == {"SUCCESS"}


@pytest.mark.slow
def test_looking_without_a_daemon_takes_no_key_from_a_job_that_runs() -> None:
    """Nobody has imported the code then: its tasks seem to be gone, and with them their keys."""
    user = 'user = "root"' if os.geteuid() == 0 else ""
    config = f"""
[workers.default]
pythonpath = ["{CODE}"]
{user}
[daemon]
imports = ["keyed"]
"""
    with running_daemon(config) as daemon:
        began, go = daemon.folder / "began", daemon.folder / "go"
        args = [str(began), str(go)]
        first = daemon.submit(task="keyed.hold", args=args)
        daemon.until("the first to run", began.exists)
        daemon.kill()

        places = f'state_dir = "{daemon.state_dir}"\nsocket = "{daemon.socket}"\n'
        placed = daemon.folder / "placed.toml"
        placed.write_text(daemon.config.read_text().replace("[daemon]\n", f"[daemon]\n{places}"))
        told = subprocess.run(
            [sys.executable, "-m", "jobctl", "--config", placed, "status", str(first), "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert told.returncode == 0, told.stderr
        assert json.loads(told.stdout)["state"] == "STARTED"
        daemon.start()
        second = daemon.submit(task="keyed.hold", args=args)

        assert daemon.status(second)["reason"] == f'1 job with the key "{began}" may run at once'
        assert daemon.status(first)["state"] == "STARTED"
        go.touch()
        daemon.wait(first, second)
