"""Completion, asked as bash asks: names and ids, and nothing at all on any trouble."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jobctl.errors import StorageError
from tests.integration.cli.answers import a_job
from tests.integration.cli.scripted_daemon import BREAK

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.cli.line_fixtures import Shown
    from tests.integration.cli.scripted_daemon import ScriptedDaemon

    Run = Callable[..., Shown]
    Start = Callable[..., ScriptedDaemon]


def offered(run: Run, line: str) -> list[str]:
    """What bash would offer at the end of a line."""
    shown = run(
        _JOBCTL_COMPLETE="complete_bash",
        COMP_WORDS=line,
        COMP_CWORD=str(len(line.split(" ")) - 1),
    )
    assert shown.err == ""
    return shown.out.split()


def look(frame: dict[str, str]) -> object:
    return {
        "registered": {"tasks": [{"name": "backup"}, {"name": "bill"}, {"name": "send"}]},
        "queues": {"queues": [{"name": "mail"}, {"name": "default"}]},
    }[frame["what"]]


def test_names_and_ids_are_offered(run: Run, daemon: Start) -> None:
    daemon(
        inspect=look,
        list={"jobs": [a_job(17), a_job(16), a_job(9)], "next": None},
        schedules={"schedules": [{"name": "nightly"}]},
    )

    assert offered(run, "jobctl submit b") == ["backup", "bill"]
    assert offered(run, "jobctl status 1") == ["17", "16"]
    assert offered(run, "jobctl wait 17 ") == ["17", "16", "9"]
    assert offered(run, "jobctl queue pause m") == ["mail"]
    assert offered(run, "jobctl history n") == ["nightly"]


@pytest.mark.parametrize(
    "trouble", [BREAK, StorageError("the disk is full"), {}, {"tasks": 3, "jobs": [None]}]
)
def test_trouble_offers_nothing(run: Run, daemon: Start, trouble: object) -> None:
    daemon(inspect=lambda frame: trouble, list=lambda frame: trouble)

    assert offered(run, "jobctl submit b") == []
    assert offered(run, "jobctl status 1") == []


def test_without_a_daemon_nothing_is_offered(run: Run) -> None:
    assert offered(run, "jobctl submit b") == []


def test_the_verbs_are_offered_without_a_daemon(run: Run) -> None:
    assert offered(run, "jobctl qu") == ["queue"]
