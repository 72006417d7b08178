"""Waiting and following over breaks of the connection."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.cli.repeat import Repeater
from jobctl.errors import NotFound
from tests.integration.cli.scripted_daemon import BREAK, Turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.cli.line_fixtures import Shown
    from tests.integration.cli.scripted_daemon import ScriptedDaemon

    Run = Callable[..., Shown]
    Start = Callable[..., ScriptedDaemon]


def ended(id: int = 17, code: int = 0) -> dict[str, Any]:
    state, verdict = ("SUCCESS", "success") if code == 0 else ("FAILURE", "failure")
    return {"id": id, "state": state, "kind": "command", "verdict": verdict, "exit_code": code}


@pytest.mark.parametrize("words", [["wait", "17"], ["wait", "17", "--timeout", "1h"]])
def test_a_wait_goes_on_over_a_restart_of_the_daemon(
    run: Run, daemon: Start, words: list[str]
) -> None:
    started = daemon(wait=Turns([BREAK, BREAK, {"jobs": [ended(code=3)], "timed_out": False}]))

    assert run(*words).code == 3
    assert len(started.requests) == 3
    if len(words) > 2:
        lefts = [request["timeout_s"] for request in started.requests]
        assert 3600 >= lefts[0] > lefts[1] > lefts[2] > 3500


def test_a_wait_whose_daemon_stays_away_could_not_tell(
    run: Run, daemon: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Repeater.__init__.__kwdefaults__ or {}
    monkeypatch.setattr(
        "jobctl.cli.repeat.Repeater.__init__.__kwdefaults__", {**known, "patience_s": 0.2}
    )
    daemon(wait=lambda frame: BREAK)

    shown = run("wait", "17")

    assert shown.code == 125
    assert shown.err.startswith("jobctl: the daemon ended the connection")


def test_a_wait_that_times_out_says_so(run: Run, daemon: Start) -> None:
    daemon(wait={"jobs": [{"id": 17, "state": "STARTED"}], "timed_out": True})

    shown = run("wait", "17", "--timeout", "1s")

    assert (shown.code, shown.out, shown.err) == (124, "", "jobctl: not ended within 1s\n")


def test_a_wait_for_several_jobs_is_one_request(run: Run, daemon: Start) -> None:
    jobs = [ended(1), ended(2, 5), ended(3, 6)]
    started = daemon(wait={"jobs": jobs, "timed_out": False})

    shown = run("wait", "1", "2", "3", "--json")

    assert shown.code == 5
    assert [job["exit_code"] for job in json.loads(shown.out)["jobs"]] == [0, 5, 6]
    assert [request["jobs"] for request in started.requests] == [[1, 2, 3]]


def test_a_wait_for_a_job_that_is_not_there_is_an_error_of_ours(run: Run, daemon: Start) -> None:
    daemon(wait=lambda frame: NotFound("there is no job 17"))

    shown = run("wait", "17")

    assert (shown.code, shown.err) == (4, "jobctl: there is no job 17\n")


def test_an_interrupt_leaves_the_job_and_says_so(
    run: Run, daemon: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon(submit={"jobs": [{"id": 21, "state": "PENDING", "duplicate": False}]})

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("jobctl.cli.waiting.wait_for", interrupt)
    shown = run("submit", "--wait", "--", "sleep", "100")

    assert (shown.code, shown.out) == (130, "21\n")
    assert shown.err == "jobctl: job 21 goes on; jobctl cancel 21 ends it\n"


def test_a_wait_without_a_daemon_is_told_at_once(run: Run) -> None:
    shown = run("wait", "17")

    assert shown.code == 3
    assert shown.err.startswith("jobctl: no daemon listens on ")


def test_followed_output_goes_on_where_it_broke(run: Run, daemon: Start) -> None:
    first = [{"data": "one\n", "offset": 0}, {"data": "two\n", "offset": 4}, BREAK]
    rest = [{"data": "three\n", "offset": 8}, {"attempt": 1, "bytes": 14, "state": "SUCCESS"}]
    started = daemon(logs=Turns([first, rest]))

    shown = run("logs", "17", "--follow")

    assert (shown.code, shown.out) == (0, "one\ntwo\nthree\n")
    assert [request.get("offset", 0) for request in started.requests] == [0, 8]


def test_both_streams_go_on_where_they_broke(run: Run, daemon: Start) -> None:
    first = [
        {"data": "one\n", "offset": 0},
        {"data": "err\n", "offset": 0, "stream": "stderr"},
        {"data": "two\n", "offset": 4},
        BREAK,
    ]
    rest = [
        {"data": "or\n", "offset": 104, "stream": "stderr"},
        {"attempt": 1, "bytes": 8, "stderr_bytes": 107, "state": "SUCCESS"},
    ]
    started = daemon(logs=Turns([first, rest]))

    shown = run("logs", "17", "--follow", "--attempt", "1")

    assert (shown.code, shown.out) == (0, "one\ntwo\n")
    assert shown.err == "err\njobctl: 100 bytes of standard error were not kept\nor\n"
    offsets = [(r.get("offset", 0), r.get("stderr_offset", 0)) for r in started.requests]
    assert offsets == [(0, 0), (8, 4)]


def test_output_that_was_not_kept_is_told_beside_it(run: Run, daemon: Start) -> None:
    parts = [{"data": "head", "offset": 0}, {"data": "tail", "offset": 1000}]
    daemon(logs=[*parts, {"attempt": 1, "bytes": 1004, "state": "SUCCESS"}])

    for words in (["logs", "17"], ["logs", "17", "--attempt", "1"]):
        shown = run(*words)

        assert (shown.code, shown.out) == (0, "headtail")
        assert shown.err == "jobctl: 996 bytes of output were not kept\n"


def test_the_beginning_of_a_tail_is_no_loss(run: Run, daemon: Start) -> None:
    started = daemon(
        logs=[{"data": "tail", "offset": 1000}, {"attempt": 1, "bytes": 1004, "state": "SUCCESS"}]
    )

    shown = run("logs", "17", "--tail", "4K")

    assert (shown.code, shown.out, shown.err) == (0, "tail", "")
    assert started.requests == [{"do": "logs", "job": 17, "tail_bytes": 4096}]


def test_any_bytes_of_output_come_out_as_they_are(
    run: Run, daemon: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bytes] = []
    monkeypatch.setattr(
        "jobctl.cli.render.Screen.raw",
        lambda self, data, *, is_error: written.append(bytes(data)),
    )
    every = bytes(range(256))
    daemon(
        logs=[
            {"data": every.decode("latin-1"), "offset": 0},
            {"attempt": 1, "bytes": 256, "state": "SUCCESS"},
        ]
    )

    run("logs", "17")

    assert b"".join(written) == every
