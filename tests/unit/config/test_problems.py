"""How a problem is shown."""

from __future__ import annotations

from jobctl.config import problem_text, problem_to_json, problems_text
from jobctl.config.problems import problem_from_json
from jobctl.errors import Problem

PROBLEM = Problem(
    file="/etc/jobctl/jobctl.toml",
    line=14,
    column=1,
    key="tasks.backup.retires",
    message='task "backup": unknown key "retires"',
    hint='Did you mean "retries"?',
    source="retires = 3",
)


def test_a_problem_shows_its_line_with_a_caret() -> None:
    assert problem_text(PROBLEM) == (
        'error: task "backup": unknown key "retires"\n'
        "  --> /etc/jobctl/jobctl.toml:14:1\n"
        "   |\n"
        "14 | retires = 3\n"
        "   | ^^^^^^^\n"
        '   = hint: Did you mean "retries"?'
    )


def test_the_carets_reach_over_the_whole_text() -> None:
    problem = Problem(
        file="x", line=1, column=8, key="", message="m", source='\tcron= "0 25 * * *"  # no'
    )
    assert problem_text(problem).splitlines()[-1] == "  |        ^^^^^^^^^^^^"


def test_a_problem_of_the_whole_file_shows_no_line() -> None:
    problem = Problem(file="x", line=0, column=0, key="", message="the file is empty")
    assert problem_text(problem) == "error: the file is empty\n--> x"


def test_a_column_behind_the_line_is_shown_too() -> None:
    problem = Problem(file="x", line=1, column=4, key="", message="m", source="a =")
    assert problem_text(problem).splitlines()[-1] == "  |    ^"


def test_control_characters_of_a_file_do_not_reach_the_terminal() -> None:
    problem = Problem(file="x", line=1, column=1, key="", message="m", source="a\x1b[31m")
    assert "\x1b" not in problem_text(problem)


def test_problems_survive_json() -> None:
    assert problem_from_json(problem_to_json(PROBLEM)) == PROBLEM


def test_several_problems_are_counted() -> None:
    assert problems_text([PROBLEM, PROBLEM]).endswith("\n\n2 errors\n")
    assert problems_text([PROBLEM]).endswith("\n\n1 error\n")
