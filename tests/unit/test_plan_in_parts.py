"""Reading, merging and comparing plans a part at a time: others wait for the loop in which it is done."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from jobctl.config import reading_result
from jobctl.plan import FilePlan, differing, merging
from jobctl.plan.file import MANY, one_to_json
from tests.support.builders import a_schedule, a_task
from tests.support.parts import largest_part

if TYPE_CHECKING:
    from jobctl.plan import Plan

FEW, MANY_MORE = 400, 1600
"""Four times as many schedules must not make any part much larger."""


def a_file(count: int, *, minute: int = 0) -> FilePlan:
    schedules = tuple(
        a_schedule(f"s{n}", cron=f"{(minute + n) % 60} {n % 24} * * *", args=[n])
        for n in range(count)
    )
    return FilePlan(tasks=(a_task(),), schedules=schedules)


def merged(count: int, *, minute: int = 0) -> tuple[int, Plan]:
    return largest_part(merging(a_file(count, minute=minute)))


def test_no_part_of_a_merge_grows_with_the_number_of_schedules() -> None:
    # Once before it is counted: what an expression means is remembered from then on.
    merged(MANY_MORE)
    of_few, _ = merged(FEW)
    of_many, plan = merged(MANY_MORE)

    assert len(plan.schedules) == MANY_MORE
    assert of_many < 2 * of_few


def test_no_part_of_a_comparison_grows_with_the_number_of_schedules() -> None:
    found = {}
    for count in (FEW, MANY_MORE):
        old, new = merged(count)[1], merged(count, minute=1)[1]
        found[count], changes = largest_part(differing(old, new))
        assert [change.name for change in changes] == sorted(new.schedules)

    assert found[MANY_MORE] < 2 * found[FEW]


def test_no_part_of_reading_grows_with_the_number_of_tasks_and_schedules() -> None:
    found = {}
    for count in (FEW, MANY_MORE):
        tasks = tuple(a_task(f"t{n}", command=["true", str(n)]) for n in range(count))
        file = FilePlan(files=("x",), tasks=tasks, schedules=a_file(count).schedules)
        head = FilePlan(files=("x",)).to_json()
        counts = {name: len(getattr(file, name)) for name in MANY}
        lines: list[object] = [{"ok": True, "plan": head, **counts}]
        lines += [one_to_json(one) for name in MANY for one in getattr(file, name)]
        output = b"".join(json.dumps(line).encode() + b"\n" for line in lines)

        found[count], read = largest_part(reading_result(output, "x"))
        assert read == file

    assert found[MANY_MORE] < 2 * found[FEW]
