"""What the daemon makes of a child's answer."""

from __future__ import annotations

import json

import pytest

from jobctl.config import parse_result, problem_to_json
from jobctl.errors import ConfigError, Problem
from jobctl.plan import FilePlan, Override
from jobctl.plan.file import MANY, one_to_json
from tests.support.builders import a_schedule, a_task


def test_a_plan_comes_back_as_it_was() -> None:
    answer = an_answer(FilePlan(files=("x",)))
    assert parse_result(answer, "x") == FilePlan(files=("x",))


def an_answer(plan: FilePlan, **counts: int) -> bytes:
    answer = {"ok": True, "plan": plan.to_json(), **dict.fromkeys(MANY, 0), **counts}
    return json.dumps(answer).encode() + b"\n"


def test_each_task_and_schedule_is_a_line() -> None:
    spec, task = a_schedule(every="1m", args=[1]), a_task("a", command=["true"])
    override = Override(name="o", options={"retries": 3})
    lines = [one_to_json(one) for one in (task, override, spec, spec)]

    answer = an_answer(FilePlan(files=("x",)), tasks=1, overrides=1, schedules=2)
    plan = parse_result(answer + b"".join(json.dumps(line).encode() + b"\n" for line in lines), "x")

    assert (plan.tasks, plan.overrides, plan.schedules) == ((task,), (override,), (spec, spec))


def test_an_answer_that_lacks_schedules_is_no_plan() -> None:
    spec = a_schedule(every="1m")
    line = json.dumps(spec.to_json(brief=True)).encode() + b"\n"
    with pytest.raises(ConfigError, match="cut short"):
        parse_result(an_answer(FilePlan(files=("x",)), schedules=2) + line, "x")


def test_all_problems_come_back() -> None:
    problem = Problem(file="x", line=1, column=2, key="k", message="m", hint="h", source="s")
    answer = {"ok": False, "errors": [problem_to_json(problem), problem_to_json(problem)]}
    with pytest.raises(ConfigError) as caught:
        parse_result(json.dumps(answer).encode(), "x")
    assert caught.value.problems == (problem, problem)


@pytest.mark.parametrize(
    "output", [b"", b"\xff", b"[]", b"{}", b'{"ok": true}', b'{"ok": true, "plan": {}}', b'{"ok": false, "errors": [{}]}', b"3"]
)  # fmt: skip
def test_an_answer_that_is_none_is_a_problem_of_the_file(output: bytes) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_result(output, "/etc/x.toml")
    assert caught.value.problems[0].file == "/etc/x.toml"
    assert "the process that reads the configuration" in str(caught.value)
