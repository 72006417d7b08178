"""``submit``: what is asked of the daemon for a line, and what a broken connection means for it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.errors import NotFound
from tests.integration.cli.answers import SECOND, T0
from tests.integration.cli.scripted_daemon import BREAK, Turns

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.cli.line_fixtures import Shown
    from tests.integration.cli.scripted_daemon import ScriptedDaemon

    Run = Callable[..., Shown]
    Start = Callable[..., ScriptedDaemon]

DONE = {"jobs": [{"id": 21, "state": "PENDING", "duplicate": False}]}


def asked(daemon: ScriptedDaemon) -> dict[str, Any]:
    """The one job that was submitted, without its key."""
    (request,) = [request for request in daemon.requests if request["do"] == "submit"]
    (job,) = request["jobs"]
    assert len(job.pop("key")) == 32
    return dict(job)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> int:
    """The clock stands at 2026-11-20 02:30 UTC."""
    monkeypatch.setattr("jobctl.clock.SystemClock.now", lambda self: T0)
    return T0


def test_all_options_of_a_task_reach_the_daemon(run: Run, daemon: Start, now: int) -> None:
    started = daemon(submit=DONE)

    shown = run(
        *["submit", "add", "2", "--retries", "4", "-k", "scale=10", "-k", 'deep:={"a": [1]}'],
        *[
            "--in",
            "10m",
            "--expires",
            "1h",
            "--queue",
            "q",
            "--priority",
            "-3",
            "--timeout",
            "1h30m",
            "--soft-timeout",
            "1h",
            "--deadline",
            "3h",
        ],
        *["--label", "order=4711", "--label", "who=ann", "--", "-5"],
    )

    assert (shown.code, shown.out, shown.err) == (0, "21\n", "")
    assert asked(started) == {
        "task": "add",
        "args": ["2", "-5"],
        "kwargs": {"scale": "10", "deep": {"a": [1]}},
        "raw": ["deep"],
        "delay_s": 600.0,
        "expires_at": now + 3600 * SECOND,
        "queue": "q",
        "priority": -3,
        "retries": 4,
        "timeout_s": 5400.0,
        "soft_timeout_s": 3600.0,
        "deadline_s": 10_800.0,
        "labels": {"order": "4711", "who": "ann"},
    }


@pytest.mark.usefixtures("berlin")
def test_a_local_moment_is_sent_as_the_moment_it_is(run: Run, daemon: Start, now: int) -> None:
    started = daemon(submit=DONE)

    run("submit", "add", "--at", "2026-11-21 02:30")

    assert asked(started) == {"task": "add", "eta": now + 23 * 3600 * SECOND}


def test_exact_arguments_make_the_whole_request_exact(run: Run, daemon: Start) -> None:
    started = daemon(submit=DONE)

    run("submit", "add", "--args-json", '[1, "two", null]', "-k", "x:=3")

    assert asked(started) == {
        "task": "add",
        "args": [1, "two", None],
        "kwargs": {"x": 3},
        "typed": True,
    }


def test_a_command_runs_where_it_was_submitted(
    run: Run, daemon: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PGHOST", "db1")
    umask = os.umask(0o027)
    try:
        started = daemon(submit=DONE)
        line = ["submit", "--env", "PGHOST", "--env", "A=b=c", "--", "pg_dump", "--key", "-x", ""]
        shown = run(*line)
    finally:
        assert os.umask(umask) == 0o027, "looking at the umask must leave it as it was"

    assert shown.out == "21\n"
    assert asked(started) == {
        "command": ["pg_dump", "--key", "-x", ""],
        "cwd": str(tmp_path),
        "umask": 0o027,
        "env": {"PGHOST": "db1", "A": "b=c"},
    }


@pytest.mark.parametrize("line", ["submit backup", "submit backup --retries 1"])
def test_a_break_after_the_request_repeats_it_with_the_same_key(
    run: Run, daemon: Start, line: str
) -> None:
    again = {"jobs": [{"id": 21, "state": "PENDING", "duplicate": True}]}
    started = daemon(submit=Turns([BREAK, BREAK, again]))

    shown = run(*line.split())

    assert (shown.code, shown.out, shown.err) == (0, "21\n", "")
    assert len(started.requests) == 3
    assert started.requests[0] == started.requests[1] == started.requests[2]
    assert started.requests[0]["jobs"][0]["key"]


def test_a_daemon_that_stays_away_leaves_the_key_in_the_hint(
    run: Run, daemon: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobctl.cli.repeat.Repeater.__init__.__kwdefaults__", _impatient())
    started = daemon(submit=lambda frame: BREAK)

    shown = run("submit", "backup", "--retries", "1")

    key = started.requests[0]["jobs"][0]["key"]
    assert shown.code == 69
    assert "not known whether the job was submitted" in shown.err
    assert f"--key {key}" in shown.err


def _impatient() -> dict[str, Any]:
    from jobctl.cli.repeat import Repeater

    return {**(Repeater.__init__.__kwdefaults__ or {}), "patience_s": 0.2}


def test_a_task_that_is_not_there_is_told_with_its_exit_code(run: Run, daemon: Start) -> None:
    daemon(submit=lambda frame: NotFound('there is no task "bakup"', hint='Did you mean "backup"?'))

    shown = run("submit", "bakup")

    assert shown.code == 4
    assert shown.out == ""
    assert shown.err == 'jobctl: there is no task "bakup"\nhint: Did you mean "backup"?\n'


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["submit"], "nothing to submit"),
        (["submit", "--"], "nothing to submit"),
        (["submit", "--", ""], "the command has an empty name"),
        (["submit", "-k", "a=1", "--", "ls"], "-k and --args-json are for tasks"),
        (["submit", "add", "-k", "a"], '"a" is not a named argument'),
        (["submit", "add", "-k", "a:={"], 'the value of "a" is not JSON'),
        (["submit", "add", "-k", "a=1", "-k", "a=2"], 'the argument "a" is given twice'),
        (["submit", "add", "--args-json", "{}"], "--args-json is not a list"),
        (["submit", "add", "1", "--args-json", "[]"], "exclude each other"),
        (["submit", "add", "--args-json", "[]", "-k", "a=1"], "must be exact too"),
        (["submit", "add", "--at", "02:30", "--in", "1m"], "--at and --in exclude each other"),
        (["submit", "add", "--at", "soon"], '--at: "soon" is not a moment'),
        (["submit", "add", "--in", "-5"], '--in: "-5" is not a span'),
        (["submit", "add", "--expires", "2020-01-01"], "has passed"),
        (["submit", "add", "--timeout", "1x"], '--timeout: "1x" is not a span'),
        (["submit", "add", "--label", "x"], '--label: "x" is no pair'),
        (["submit", "add", "--env", "PATH"], "--env is for ad-hoc commands"),
        (["submit", "--env", "NOT_SET_HERE", "--", "ls"], '"NOT_SET_HERE" is not set here'),
        (["submit", "add", "--follow", "--json"], "--follow and --json exclude each other"),
        (["submit", "add", "-5"], "no such option: -5"),
        (["submit", "add", "--retries", "-1"], "--retries"),
        (["submit", "add", "--quue", "x"], "no such option: --quue"),
    ],
)
def test_a_line_that_makes_no_sense_needs_no_daemon_to_be_refused(
    run: Run, words: list[str], message: str
) -> None:
    shown = run(*words)

    if "--json" in words:
        error = json.loads(shown.out)["error"]
        line, hint = error["message"], f"hint: {error['hint']}"
    else:
        line, hint = shown.err.splitlines()
    assert shown.code == 2
    assert message in line
    assert len(hint) > len("hint: ")


def test_wait_exits_with_the_code_of_the_job(run: Run, daemon: Start) -> None:
    end = {"id": 21, "state": "FAILURE", "kind": "command", "verdict": "failure", "exit_code": 7}
    daemon(submit=DONE, wait={"jobs": [end], "timed_out": False})

    shown = run("submit", "--wait", "--", "false")

    assert (shown.code, shown.out, shown.err) == (7, "21\n", "")


def test_follow_gives_standard_output_to_the_job(run: Run, daemon: Start) -> None:
    end = {"id": 21, "state": "SUCCESS", "kind": "command", "verdict": "success", "exit_code": 0}
    started = daemon(
        submit=DONE,
        logs=[{"data": "a\n", "offset": 0}, {"attempt": 1, "bytes": 2, "state": "SUCCESS"}],
        wait={"jobs": [end], "timed_out": False},
    )

    shown = run("submit", "--follow", "--", "echo", "a")

    assert (shown.code, shown.out, shown.err) == (0, "a\n", "job 21\n")
    assert [request["do"] for request in started.requests] == ["submit", "logs", "wait"]


def test_a_duplicate_is_told_as_json(run: Run, daemon: Start) -> None:
    started = daemon(submit={"jobs": [{"id": 3, "state": "SUCCESS", "duplicate": True}]})

    shown = run("--json", "submit", "backup", "--key", "daily")

    assert json.loads(shown.out) == {
        "id": 3,
        "state": "SUCCESS",
        "duplicate": True,
        "reason": None,
    }
    assert started.requests[0]["jobs"] == [{"task": "backup", "key": "daily"}]


def test_a_job_that_a_unique_task_has_already_is_told_beside_its_id(
    run: Run, daemon: Start
) -> None:
    reason = 'task "backup" is unique, and job 3 is PENDING'
    answer = {"id": 3, "state": "PENDING", "duplicate": True, "reason": reason}
    daemon(submit={"jobs": [answer]})

    shown = run("submit", "backup", "--key", "daily")

    assert shown.out == "3\n"
    assert shown.err == f"jobctl: {reason}; no other one was made\n"


def test_jobs_to_wait_for_are_named_by_their_ids(run: Run, daemon: Start) -> None:
    started = daemon(submit={"jobs": [{"id": 9, "state": "PENDING", "duplicate": False}]})

    run("submit", "backup", "--key", "k", "--after", "3,4", "--after", "5", "--after-any", "6")

    (job,) = started.requests[0]["jobs"]
    assert (job["after"], job["after_any"]) == ([3, 4, 5], [6])


@pytest.mark.parametrize("text", ["", "a", "0", "1,,2", "1, 2", "-1"])
def test_what_is_no_id_to_wait_for_is_refused(run: Run, text: str) -> None:
    shown = run("submit", "backup", f"--after={text}")

    assert shown.code == 2
    assert "--after" in shown.err
