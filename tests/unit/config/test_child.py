"""What the daemon makes of a child's answer."""

from __future__ import annotations

import json

import pytest

from jobctl.config import parse_result, problem_to_json
from jobctl.errors import ConfigError, Problem
from jobctl.plan import FilePlan
from tests.support.builders import a_schedule


def test_a_plan_comes_back_as_it_was() -> None:
    answer = an_answer(FilePlan(files=("x",)))
    assert parse_result(answer, "x") == FilePlan(files=("x",))


def an_answer(plan: FilePlan, schedules: int = 0) -> bytes:
    answer = {"ok": True, "plan": plan.to_json(), "schedules": schedules}
    return json.dumps(answer).encode() + b"\n"


def test_each_schedule_is_a_line() -> None:
    spec = a_schedule(every="1m", args=[1])
    line = json.dumps(spec.to_json(brief=True)).encode() + b"\n"

    plan = parse_result(an_answer(FilePlan(files=("x",)), 2) + line * 2, "x")

    assert plan.schedules == (spec, spec)


def test_an_answer_that_lacks_schedules_is_no_plan() -> None:
    spec = a_schedule(every="1m")
    line = json.dumps(spec.to_json(brief=True)).encode() + b"\n"
    with pytest.raises(ConfigError, match="cut short"):
        parse_result(an_answer(FilePlan(files=("x",)), 2) + line, "x")


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
