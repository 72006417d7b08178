"""The exit code of a wait."""

from __future__ import annotations

import pytest

from jobctl.cli.verdict import code_of_job, exit_code_of


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


def test_of_several_jobs_the_first_that_did_not_end_well_counts() -> None:
    good = ended("SUCCESS", verdict="success", exit_code=0)
    jobs = [good, ended(exit_code=5), ended(exit_code=2), good]

    assert exit_code_of({"jobs": jobs, "timed_out": False}) == 5
    assert exit_code_of({"jobs": [good, good], "timed_out": False}) == 0


def test_a_wait_that_timed_out_is_124_whatever_else_is_known() -> None:
    assert exit_code_of({"jobs": [ended(exit_code=5)], "timed_out": True}) == 124
