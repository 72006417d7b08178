"""What tasks and jobs get wrong: told at the check or the submit with its key, else the end of one attempt."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.errors import ConfigError, InvalidArguments, UsageError
from jobctl.protocol import requests
from jobctl.store.database import open_database
from tests.integration.test_bad_input import jobctl
from tests.support.builders import a_job, a_plan, a_task
from tests.support.daemon import Daemon, running_daemon
from tests.support.dispatching import Dispatching

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USER = 'user = "root"\n' if os.geteuid() == 0 else ""
TASKS = f"""
[workers.default]
queues = ["default"]
{USER}
[tasks.greet]
command = ["/bin/echo", "{{1}}", "{{name}}"]
[tasks.words]
command = ["/bin/echo"]
[tasks.limited]
command = ["true"]
timeout = "10s"
[tasks.float]
function = "builtins:float"
[tasks.bytes]
function = "builtins:bytes"
[tasks.object]
function = "builtins:object"
[tasks.length]
function = "builtins:len"
"""

MIB = 1 << 20


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with running_daemon(TASKS) as started:
        yield started


def goes_on(daemon: Daemon) -> bool:
    """The queue serves the next one, a command and a function."""
    jobs = [
        daemon.submit(task="words", args=["x"]),
        daemon.submit(task="length", args=["four"], typed=True),
    ]
    return [job["state"] for job in daemon.wait(*jobs)] == ["SUCCESS"] * 2


# -- told before anything runs ----------------------------------------------------------------------

CONTRADICTIONS = {
    "soft": ('timeout = "5s"\nsoft_timeout = "10s"', "soft_timeout", "timeout ends it after 5s"),
    "late": ('deadline = "1h"\ntimeout = "2h"', "timeout", "the deadline comes after 1h"),
    "lost": ('queue = "nowhere"', "queue", "no worker group serves"),
    "ghost": ('user = "no-such-user"', "user", 'no user "no-such-user"'),
    "burst": ("rate_burst = 3", "rate_burst", "there is no rate_limit"),
    "many": ("concurrency_per_key = 2", "concurrency_per_key", "there is no concurrency_key"),
    "again": ("retry_on = [75]", "retry_on", "there are no retries"),
    "other": ("max_result = '1KiB'", "max_result", "belongs to functions"),
    "idle": ("max_load = 0", "max_load", "is not a load"),
    "signal": ('soft_signal = "INT"', "soft_signal", "there is none"),
}


def contradicting() -> str:
    tables = (
        f'[tasks.{name}]\ncommand = ["true"]\n{keys}'
        for name, (keys, _, _) in CONTRADICTIONS.items()
    )
    return "\n".join((TASKS, *tables))


def test_check_tells_every_option_that_contradicts_another_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "jobctl.toml"
    path.write_text(contradicting())

    told = jobctl("--config", str(path), "check", at=tmp_path / "none")

    assert told.code == 78, told
    lines = path.read_text().splitlines()
    for name, (_, key, words) in CONTRADICTIONS.items():
        (message,) = [line for line in told.err.splitlines() if f'task "{name}": ' in line]
        assert words in message
        table = lines.index(f"[tasks.{name}]")
        at = next(n for n, line in enumerate(lines[table:], table + 1) if line.startswith(key))
        assert f"{path}:{at}:" in told.err
    assert f"{len(CONTRADICTIONS)} errors" in told.err


@pytest.mark.slow
def test_a_reload_that_contradicts_itself_changes_nothing() -> None:
    with running_daemon(TASKS) as daemon:
        daemon.config.write_text(contradicting())

        with pytest.raises(ConfigError):
            daemon.call(requests.Reload())

        assert goes_on(daemon)


@pytest.mark.parametrize(
    ("job", "named"),
    [
        ({"task": "greet", "args": ["a"]}, "name"),
        ({"task": "greet", "kwargs": {"name": "b"}}, r"\{1\}"),
        ({"task": "words", "queue": "nowhere"}, 'queue "nowhere"'),
        ({"task": "limited", "soft_timeout_s": 10.0}, "soft timeout of 10s"),
        ({"task": "limited", "timeout_s": 2.0, "soft_timeout_s": 3.0}, "soft timeout of 3s"),
        ({"task": "limited", "deadline_s": 60.0, "delay_s": 60.0}, "deadline"),
        ({"task": "length", "kwargs": {"big": 1}, "typed": True}, '"big"'),
        ({"command": ["true"], "cwd": "/", "soft_timeout_s": -1.0}, "soft timeout"),
    ],
)
def test_a_submit_that_cannot_be_done_names_what_is_wrong_and_makes_no_job(
    daemon: Daemon, job: dict[str, Any], named: str
) -> None:
    before = daemon.call(requests.List(count=True))

    with pytest.raises(UsageError, match=named):
        daemon.submit(**job)

    assert daemon.call(requests.List(count=True)) == before


@pytest.mark.parametrize(
    ("job", "named"),
    [
        ({"task": "words", "args": ["x", "y" * 20 * MIB]}, "argument 2 is 20971522 bytes long"),
        ({"task": "length", "kwargs": {"obj": [0] * 9 * MIB}, "typed": True}, 'argument "obj" is'),
        ({"command": ["echo", "y" * 20 * MIB], "cwd": "/"}, "word 2 of the command"),
        ({"task": "words", "args": ["y" * 15 * MIB]}, "JOBCTL_ARG_1 has .* the kernel takes"),
    ],
    ids=["task", "function", "command", "too-long-for-the-kernel"],
)
def test_twenty_megabytes_of_arguments_are_refused_by_name_and_the_connection_serves_on(
    daemon: Daemon, job: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidArguments, match=named):
        daemon.submit(**job)

    assert goes_on(daemon)


# -- the end of an attempt --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "args"), [("object", []), ("bytes", ["AAA", "ascii"]), ("float", ["nan"])]
)
def test_a_result_that_is_not_json_fails_the_attempt_and_says_so(
    daemon: Daemon, task: str, args: list[str]
) -> None:
    job = daemon.ended(daemon.submit(task=task, args=args, typed=True))

    assert (job["state"], job["error"]["type"]) == ("FAILURE", "InvalidResult")
    assert "JSON" in job["error"]["message"]
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["failure"]
    assert goes_on(daemon)


def test_arguments_that_are_too_long_together_fail_the_attempt_with_the_kernels_word(
    daemon: Daemon,
) -> None:
    """Each is within the limit; what the kernel takes of all of them hangs on the stack that is allowed."""
    job = daemon.ended(daemon.submit(task="words", args=["y" * 100_000] * 100))

    (attempt,) = job["attempts"]
    assert (job["state"], attempt["outcome"]) == ("FAILURE", "failure")
    assert "too long" in attempt["error"]["message"].lower()
    assert goes_on(daemon)


@pytest.mark.slow
def test_a_user_that_is_gone_since_the_check_fails_the_attempt_and_the_next_job_runs(
    tmp_path: Path,
) -> None:
    database = open_database(tmp_path / "jobctl.db")
    bench = Dispatching(database, tmp_path)
    bench.take(a_plan(tasks=[a_task("ghost", user="no-such-user"), a_task()]))
    bench.submit(a_job(id=1, task="ghost"), a_job(id=2))

    bench.settle()

    assert (bench.job(1)["state"], bench.job(2)["state"]) == ("FAILURE", "STARTED")
    (row,) = database.dicts("SELECT verdict, error FROM attempts WHERE job_id = 1")
    assert row["verdict"] == "failure"
    assert "no-such-user" in row["error"]
    database.close()
