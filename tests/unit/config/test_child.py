"""What the daemon makes of a child's answer."""

from __future__ import annotations

import json

import pytest

from jobctl.config import parse_result, problem_to_json
from jobctl.errors import ConfigError, Problem
from jobctl.plan import FilePlan


def test_a_plan_comes_back_as_it_was() -> None:
    answer = json.dumps({"ok": True, "plan": FilePlan(files=("x",)).to_json()}).encode()
    assert parse_result(answer, "x") == FilePlan(files=("x",))


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
