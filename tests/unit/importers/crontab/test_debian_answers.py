"""What Debian's crontab(1), version 3.0pl1-162, answered to lines: it takes them, or it refuses the table."""

from __future__ import annotations

import pytest

from jobctl.importers.crontab.judging import Judged, Source, judge
from jobctl.importers.crontab.kinds import Dialect, Form
from jobctl.importers.crontab.programs import program_of

ANSWERS = [
    ("-*/5 * * * * c", False),
    ("-5 * * * * c", False),
    ("1.5 * * * * c", True),
    ("0 0 * * 5#3 c", True),
    ("0 0 * * ? c", False),
    ("0~59/30 * * * * c", True),
    ("50~ * * * * c", True),
    ("30~10 * * * * c", True),
    ("~ * * * * c", False),
    ("*x * * * * c", True),
    ("*~5 * * * * c", True),
    ("1-5-7 * * * * c", True),
    ("1-5x * * * * c", False),
    ("1-5.5 * * * * c", True),
    ("*/5.x * * * * c", True),
    ("*/5x * * * * c", False),
    ("1,2, * * * * c", False),
    ("0 0 L * * c", False),
    ("0 0 * * 5L c", False),
    ("H * * * * c", False),
    ("1#7,3 * * * * c", True),
    ("1-5~3 * * * * c", True),
    ("0 0 1/2 * * c", False),
    ("5/15 * * * * c", False),
    ("@5 c", False),
    ("@Daily c", False),
    ("*/0 * * * * c", False),
    ("*/61 * * * * c", True),
    ("0 22-2 * * * c", True),
    ("5-0 * * * * c", True),
    ("0 0 * * sat-mon c", True),
    ("0 0 * * fri-sun c", True),
    ("0 0 * * 7-1 c", True),
    ("0 0 * * Sunday c", False),
    ("10 4 * * * * x", False),
    ("@every 5m c", False),
    ("@daily c", True),
    ("A=b c", True),
    ("1A=b", True),
    ("A=", False),
    ("export A=b", False),
    ('A="a" b', False),
    ("\ufeff0 0 * * * c", False),
    (f"0 0 * * * {'x' * 1100}", False),
    ("* * * * * -n c", True),
    ("* * * * *", True),
    ("@daily ", True),
]
NEVER_RUN = {
    "0 22-2 * * * c",
    "5-0 * * * * c",
    "0 0 * * sat-mon c",
    "0 0 * * 7-1 c",
    "* * * * * -n c",
    "* * * * *",
    "@daily ",
}
"""What it takes, and what runs never or in vain."""
REPAIRED = {"\ufeff0 0 * * * c"}
"""What it refuses for what cannot be seen: imported, and told."""


def judged(line: str) -> Judged:
    source = Source(path="crontab", data=f"{line}\n".encode(), form=Form.USER)
    (found,) = judge([source], program_of(Dialect.DEBIAN)).lines
    return found


@pytest.mark.parametrize(("line", "is_taken"), ANSWERS, ids=lambda value: str(value)[:40])
def test_a_line_is_dead_exactly_if_debians_cron_does_not_run_it(line: str, is_taken: bool) -> None:
    is_dead = judged(line).verdict == "dead"

    assert is_dead is (line in NEVER_RUN if is_taken else line not in REPAIRED)


@pytest.mark.parametrize(
    ("line", "runs_as"),
    [
        ("0 0 * * 5#3 c", "0 0 * * 5"),
        ("0~59/30 * * * * c", "0 * * * *"),
        ("30~10 * * * * c", "30 * * * *"),
        ("1-5.5,9 * * * * c", "1-5 * * * *"),
        ("0 0 * * mon.. c", "0 0 * * mon"),
    ],
)
def test_what_debian_passes_over_is_a_decision(line: str, runs_as: str) -> None:
    found = judged(line)

    assert found.verdict == "decision"
    assert found.tables[0][1]["cron"] == runs_as
