"""How counted instructions are judged. The counting itself is `make bench-guard`, which .ci/run calls."""

from __future__ import annotations

import json

import pytest

from benchmarks.guard import RECORD, TOLERANCE, judge

RECORDED = {"submit": 100_000, "settle": 50_000}


@pytest.mark.parametrize(
    ("share", "is_good", "told"),
    [
        (1 + TOLERANCE - 0.001, True, "+4.9%"),
        (1 + TOLERANCE + 0.001, False, "+5.1%, 5% is the most"),
        (1 - TOLERANCE - 0.001, True, "-5.1%, worth recording"),
    ],
)
def test_a_job_may_cost_little_more_than_recorded(share: float, is_good: bool, told: str) -> None:
    found = {**RECORDED, "submit": round(RECORDED["submit"] * share)}

    lines, verdict = judge(found, RECORDED)

    assert verdict is is_good
    assert told in lines[0]
    assert "+0.0%" in lines[1]


@pytest.mark.parametrize(
    "found",
    [{**RECORDED, "claim": 1}, {"submit": RECORDED["submit"]}],
    ids=["more was measured", "less was measured"],
)
def test_a_record_of_other_work_is_a_fault(found: dict[str, int]) -> None:
    assert not judge(found, RECORDED)[1]


def test_every_interpreter_was_recorded_with_the_same_work() -> None:
    works = {tuple(sorted(costs)) for costs in json.loads(RECORD.read_text()).values()}

    assert len(works) == 1
