"""The exit code of a wait."""

from __future__ import annotations

import pytest

from jobctl.cli.verdict import code_of_job, exit_code_of, note_of_job, notes_of


def ended(state: str = "FAILURE", **values: object) -> dict[str, object]:
    return {"id": 1, "state": state, "kind": "command", "verdict": "failure", **values}


@pytest.mark.parametrize(
    ("job", "code"),
    [
        (ended("SUCCESS", verdict="success", exit_code=0), 0),
        (ended("SUCCESS", verdict="success", kind="function"), 0),
        (ended("SUCCESS", verdict="success", exit_code=3), 3),
        (ended(exit_code=7), 7),
        (ended(exit_code=124), 124),
        (ended(signal=11), 139),
        (ended(verdict="timeout", signal=15), 143),
        (ended(verdict="timeout", exit_code=0), 1),
        (ended(kind="function"), 1),
        (ended(kind="function", verdict="timeout", signal=9), 1),
        (ended(verdict="lost", signal=9), 125),
        (ended(kind="function", verdict="lost", signal=9), 125),
        (ended("REVOKED", verdict=None), 125),
        (ended("REVOKED", verdict="cancelled", signal=15), 143),
        (ended("REVOKED", verdict="success", exit_code=0), 125),
        (ended("REVOKED", verdict="failure", exit_code=2), 125),
        ({"id": 1, "state": None, "reason": "removed"}, 125),
    ],
)
def test_the_end_of_a_job_as_an_exit_code(job: dict[str, object], code: int) -> None:
    assert code_of_job(job) == code


def error(kind: str, message: str) -> dict[str, str]:
    return {"type": kind, "message": message, "traceback": ""}


@pytest.mark.parametrize(
    ("job", "note"),
    [
        (ended("SUCCESS", verdict="success", exit_code=0), ""),
        (ended("SUCCESS", verdict="success", exit_code=3), ""),
        # What a command says with its own exit code needs no word of ours.
        (ended(exit_code=7), ""),
        (ended(exit_code=127), ""),
        (
            ended(exit_code=127, error=error("CommandNotFound", 'command "x" was not found')),
            'job 1 could not be started: command "x" was not found',
        ),
        (ended(signal=11), "job 1 was ended by SIGSEGV"),
        (ended(signal=40), "job 1 was ended by signal 40"),
        (ended(verdict="timeout", signal=15), "job 1 was stopped at its time limit"),
        (
            ended(kind="function", error=error("ValueError", "bad\nand worse")),
            "job 1 failed: ValueError: bad",
        ),
        (ended(kind="function", reason="failed"), "job 1 failed: failed"),
        (
            ended(verdict="lost", error=error("Lost", "its keeper was killed by SIGKILL")),
            "job 1 was lost: its keeper was killed by SIGKILL",
        ),
        (
            ended(verdict="lost", reason="lost too often", error=error("Lost", "it died")),
            "job 1 was lost too often: it died",
        ),
        (ended("REVOKED", verdict=None, reason="expired"), "job 1 was revoked: expired"),
        (
            {"id": 1, "state": None, "reason": "removed"},
            "job 1 has ended and was removed; how it ended is not known",
        ),
    ],
)
def test_what_an_exit_code_does_not_say_is_told_in_a_line(
    job: dict[str, object], note: str
) -> None:
    assert note_of_job(job) == note


def test_every_code_that_is_not_the_commands_own_comes_with_a_line() -> None:
    jobs = [ended(exit_code=5), ended(signal=9), ended("SUCCESS"), ended(verdict="lost")]

    assert len(notes_of({"jobs": jobs, "timed_out": False})) == 2
    assert notes_of({"jobs": jobs, "timed_out": True}) == []


def test_of_several_jobs_the_first_that_did_not_end_well_counts() -> None:
    good = ended("SUCCESS", verdict="success", exit_code=0)
    jobs = [good, ended(exit_code=5), ended(exit_code=2), good]

    assert exit_code_of({"jobs": jobs, "timed_out": False}) == 5
    assert exit_code_of({"jobs": [good, good], "timed_out": False}) == 0


def test_a_wait_that_timed_out_is_124_whatever_else_is_known() -> None:
    assert exit_code_of({"jobs": [ended(exit_code=5)], "timed_out": True}) == 124
