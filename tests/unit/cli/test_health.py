"""``status --check``: what an answer comes to, and how its line is written."""

from __future__ import annotations

from typing import Any

import pytest

from jobctl.cli.health import CRITICAL, OK, WARNING, Asked, Kind, Verdict, is_check, judge
from jobctl.protocol.requests import Health

NOW = 1_800_000_000_000_000
REQUEST = Health(late_s=300.0, waiting_s=600.0)


def answer(*findings: tuple[str, str], **others: Any) -> dict[str, Any]:
    counts = {"late": 0, "missed": 0, "failed": 0, "waiting": 0, "unavailable": 0}
    for kind, _ in findings:
        counts[kind] += 1
    return {
        "daemon": "up",
        "stopped_at": None,
        "schedules": 3,
        "running": 1,
        "ready": 0,
        "oldest_s": 0.0,
        "counts": counts,
        "findings": [
            {"kind": kind, "name": name, "at": NOW - 60_000_000, "job_id": 7, "said": "exit code 1"}
            for kind, name in findings
        ],
    } | others


def verdict(told: dict[str, Any], **asked: Any) -> Verdict:
    return judge(told, Asked(**asked), REQUEST, NOW)


def test_nothing_found_is_ok() -> None:
    assert verdict(answer()).line == (
        "JOBCTL OK - 3 schedules, 1 running, 0 ready"
        " | late=0;;0 missed=0;0 failed=0;0 running=1 ready=0 oldest=0s;600"
    )


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("late", CRITICAL),
        ("missed", WARNING),
        ("failed", WARNING),
        ("waiting", WARNING),
        ("unavailable", WARNING),
    ],
)
def test_each_kind_has_its_severity_and_may_be_critical(kind: str, code: int) -> None:
    told = answer((kind, "backup"))

    assert verdict(told).code == code
    assert verdict(told, critical=[Kind(kind)]).code == CRITICAL
    assert verdict(told, only=[Kind.DAEMON]).code == OK


def test_no_daemon_is_critical_whatever_else_is_found() -> None:
    told = answer(("failed", "backup"), daemon="down", stopped_at=NOW - 3_600_000_000)

    found = verdict(told)

    assert found.code == CRITICAL
    assert found.text.startswith("daemon down since 20")
    assert found.text.endswith("; 1 schedule failed: backup (1m00s ago, job 7, exit code 1)")


def test_only_the_first_are_named() -> None:
    told = answer(*(("late", f"s{number}") for number in range(5)))

    assert verdict(told).text == "5 schedules late: s0 (1m00s), s1 (1m00s), s2 (1m00s), 2 more"


def test_what_a_newer_daemon_knows_besides_is_passed_over() -> None:
    told = answer()
    told["counts"]["haunted"] = 1
    told["findings"].append(
        {"kind": "haunted", "name": "x", "at": None, "job_id": None, "said": ""}
    )

    assert verdict(told).code == OK


def test_a_line_is_one_line_with_one_bar() -> None:
    line = Verdict(code=WARNING, text="a | b\nc", figures={"n": "1"}, counts={}).line

    assert line == "JOBCTL WARNING - a / b c | n=1"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("status --check --late nothing", True),
        ("--json status --check", True),
        ("status 7", False),
        ("submit -- status --check", False),
    ],
)
def test_a_line_that_is_wrong_is_still_known_as_a_check(words: str, expected: bool) -> None:
    assert is_check(words.split()) is expected
