"""What becomes of the attempts of a dead worker: rules over marks, notes and records."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from jobctl.engine.base import Attempt
from jobctl.engine.local import burial
from jobctl.errors import ProtocolError
from jobctl.result import Outcome, Verdict
from jobctl.worker.marks import RECORDED, RETURNED, RUNNING, TIMED_OUT, Mark
from jobctl.worker.record import record_name, write_record

if TYPE_CHECKING:
    from pathlib import Path


def attempt(token: int) -> Attempt:
    return Attempt(token=token, job_id=token + 100, number=1, task="t", claimed_at=5)


def mark(token: int, how: int, result: str = "") -> Mark:
    return Mark(token, token + 100, 10, 0, 20, how, result)


def settle(marks: list[Mark], verdict: Verdict = Verdict.LOST) -> list[Outcome]:
    return burial.settle_function(
        [attempt(token) for token in (1, 2, 3, 4)],
        {each.token: each for each in marks},
        exit_code=-9,
        verdicts=dict.fromkeys((1, 2, 3, 4), verdict),
        proof="process",
        now=99,
    )


def test_the_four_ways_in_which_a_function_s_attempt_outlasts_its_worker() -> None:
    returned, running, recorded, unbegun = settle(
        [mark(1, RETURNED, "42"), mark(2, RUNNING), mark(3, RECORDED)]
    )
    assert (returned.verdict, returned.result) == (Verdict.SUCCESS, "42")
    assert (returned.started_at, returned.finished_at) == (10, 20)
    assert (running.verdict, running.signal, running.started_at) == (Verdict.LOST, 9, 10)
    assert json.loads(running.error or "")["message"] == "its worker was killed by SIGKILL"
    # It had ended, and its record cannot be read: how is lost.
    assert recorded.verdict is Verdict.LOST
    assert unbegun.verdict is Verdict.RELEASED


@pytest.mark.parametrize("verdict", [Verdict.TIMEOUT, Verdict.CANCELLED])
def test_a_worker_that_was_ended_on_purpose_gives_the_verdict_to_what_was_running(
    verdict: Verdict,
) -> None:
    returned, running, recorded, unbegun = settle(
        [mark(1, RETURNED, "1"), mark(2, RUNNING), mark(3, RECORDED)], verdict
    )
    assert [o.verdict for o in (returned, running, recorded, unbegun)] == [
        Verdict.SUCCESS,
        verdict,
        Verdict.LOST,
        Verdict.RELEASED,
    ]


def test_what_a_template_has_ended_at_its_limit_timed_out_then_and_not_when_it_was_found() -> None:
    timed_out, *_ = settle([mark(1, TIMED_OUT)])
    assert (timed_out.verdict, timed_out.finished_at) == (Verdict.TIMEOUT, 20)
    assert json.loads(timed_out.error or "")["message"] == "stopped at its time limit"
    cancelled, *_ = settle([mark(1, TIMED_OUT)], Verdict.CANCELLED)
    assert cancelled.verdict is Verdict.CANCELLED


def test_a_command_that_was_not_noted_was_never_begun() -> None:
    outcomes = [
        burial.settle_command(
            attempt(1),
            was_begun=was_begun,
            exit_code=None,
            verdict=Verdict.LOST,
            proof="cgroup",
            now=9,
        )
        for was_begun in (True, False)
    ]
    assert [o.verdict for o in outcomes] == [Verdict.LOST, Verdict.RELEASED]
    assert "how is not known" in (outcomes[0].error or "")


def test_only_a_loss_becomes_a_lack_of_memory() -> None:
    lost = burial.lost(attempt(1), 5, proof="cgroup", cause="x")
    assert "memory" in (burial.out_of_memory(lost).error or "")
    stopped = burial.lost(attempt(1), 5, proof="cgroup", cause="x", verdict=Verdict.TIMEOUT)
    assert burial.out_of_memory(stopped) == stopped


def test_a_record_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    outcome = Outcome(token=7, job_id=3, verdict=Verdict.SUCCESS, finished_at=5, output=b"\xff\0")
    assert burial.read_record(tmp_path, 7) is None
    write_record(str(tmp_path), 7, json.dumps(outcome.to_json()))
    assert burial.read_record(tmp_path, 7) == outcome


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 100_000,
        '{"token":8,"job_id":3,"verdict":"success","finished_at":5}',
        '{"token":7,"job_id":3,"verdict":"won","finished_at":5}',
        '{"token":7,"job_id":3,"verdict":"success","finished_at":5,"exit_code":"0"}',
        '{"token":7,"job_id":99999999999999999999,"verdict":"success","finished_at":5}',
        '{"token":7,"job_id":3,"verdict":"success","finished_at":5,"more":1}',
        '{"token":7,"job_id":3,"verdict":"success"}',
    ],
)
def test_what_is_no_record_of_this_attempt_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / record_name(7)).write_text(text)
    with pytest.raises(ProtocolError):
        burial.read_record(tmp_path, 7)


def test_a_pipe_in_the_place_of_a_record_does_not_hold_the_daemon_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / record_name(7))
    with pytest.raises(ProtocolError):
        burial.read_record(tmp_path, 7)


def test_a_link_in_the_place_of_a_record_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / record_name(7)).symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic"):
        burial.read_record(tmp_path, 7)
