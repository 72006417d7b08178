"""``schedule add|edit|remove|disable|enable|run``: what a line asks of the daemon, and what a break means."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.errors import NotFound, PlanError
from tests.integration.cli.answers import SECOND, T0, a_schedule
from tests.integration.cli.scripted_daemon import BREAK, Turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.cli.line_fixtures import Shown
    from tests.integration.cli.scripted_daemon import ScriptedDaemon

    Run = Callable[..., Shown]
    Start = Callable[..., ScriptedDaemon]

ADDED = {"schedule": a_schedule(), "duplicate": False}
EDITED = {"schedule": a_schedule(), "changes": ["every = 30s -> cron = 30 2 * * *"]}
STANDING = {"name": "nightly", "state": "active", "paused_until": None, "next": T0}
JOB = {"id": 21, "state": "PENDING", "duplicate": False}

pytestmark = pytest.mark.usefixtures("berlin")


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> int:
    """The clock stands at 2026-11-20 02:30 UTC."""
    monkeypatch.setattr("jobctl.clock.SystemClock.now", lambda self: T0)
    return T0


def asked(daemon: ScriptedDaemon) -> dict[str, Any]:
    (request,) = daemon.requests
    return request


def test_all_options_reach_the_daemon_as_keys_of_a_table(run: Run, daemon: Start) -> None:
    started = daemon(add_schedule=ADDED)

    shown = run(
        *["schedule", "add", "nightly", "backup", "5", "--cron", "30 2 * * *"],
        *["--timezone", "Asia/Tokyo", "--dialect", "celery", "-k", "scope=month", "-k", "n:=3"],
        *["--start", "in 1h", "--end", "2027-01-01", "--max-runs", "12", "--expires", "10m"],
        *["--jitter", "30s", "--on-overlap", "queue", "--on-missed", "all"],
        *["--missed-within", "2d", "--missed-limit", "7", "--disabled", "--", "-v"],
    )

    assert shown.code == 0, shown
    assert asked(started) == {
        "do": "add_schedule",
        "name": "nightly",
        "raw": ["n"],
        "table": {
            "task": "backup",
            "cron": "30 2 * * *",
            "timezone": "Asia/Tokyo",
            "dialect": "celery",
            "args": ["5", "-v"],
            "kwargs": {"scope": "month", "n": 3},
            "start": "2026-11-20T12:30:00+09:00",
            "end": "2027-01-01",
            "max_runs": 12,
            "expires": "10m",
            "jitter": "30s",
            "on_overlap": "queue",
            "on_missed": "all",
            "missed_within": "2d",
            "missed_limit": 7,
            "enabled": False,
        },
    }


@pytest.mark.parametrize(
    ("words", "key", "text"),
    [
        (["--every", "30s"], "every", "30s"),
        (["--at", "2026-12-24 18:00"], "at", "2026-12-24 18:00"),
        (["--at", "in 2h"], "at", "2026-11-20T05:30:00+01:00"),
        (["--at", "18:00", "--timezone", "UTC"], "at", "2026-11-20T18:00:00+00:00"),
        (["--solar", "sunset 52.5 13.4"], "solar", "sunset 52.5 13.4"),
        (["--reboot"], "cron", "@reboot"),
        (["--cron", "@reboot"], "cron", "@reboot"),
    ],
)
def test_each_way_to_say_when_is_a_key(
    run: Run, daemon: Start, words: list[str], key: str, text: str
) -> None:
    started = daemon(add_schedule=ADDED)

    assert run("schedule", "add", "nightly", "backup", *words).code == 0

    assert asked(started)["table"][key] == text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "nothing says when"),
        (["30 2 * * *"], "nothing says when"),
        (["--cron", "@daily", "--every", "1h"], "--cron and --every exclude each other"),
        (["--at", "2h"], 'Write --at "in 2h"'),
        (["--at", "18:00", "--timezone", "Europe/Berlni"], "Europe/Berlin"),
        (["--every", "1h", "--max-runs", "0"], "--max-runs"),
        (["--every", "1h", "--on-overlap", "qeue"], "--on-overlap"),
        (["--every", "1h", "--args-json", "[1]", "-k", "n=3"], "n:=JSON"),
        (["--every", "1h", "-k", "n"], "name=value"),
    ],
)
def test_what_the_line_gets_wrong_is_told_without_a_daemon(
    run: Run, words: list[str], told: str
) -> None:
    shown = run("schedule", "add", "nightly", "backup", *words)

    assert shown.code == 2
    assert told in shown.err


def test_warnings_stand_beside_the_answer(run: Run, daemon: Start) -> None:
    lint = {"code": "both-day-fields", "message": "It runs on days that match either."}
    daemon(add_schedule={"schedule": a_schedule(lints=[lint]), "duplicate": False})

    shown = run("schedule", "add", "nightly", "backup", "--cron", "30 2 1 * mon")

    assert shown.err == "warning: It runs on days that match either. (both-day-fields)\n"
    assert "next\t2026-11-21T02:30:00+01:00\n" in shown.out


def test_a_schedule_that_was_there_already_is_said_so(run: Run, daemon: Start) -> None:
    daemon(add_schedule=ADDED | {"duplicate": True})

    shown = run("schedule", "add", "nightly", "backup", "--cron", "30 2 * * *")

    assert (shown.code, shown.err) == (
        0,
        'jobctl: schedule "nightly" is there already, and the same\n',
    )


def test_only_what_was_given_is_edited(run: Run, daemon: Start) -> None:
    started = daemon(edit_schedule=EDITED)

    shown = run(
        *[
            "schedule",
            "edit",
            "nightly",
            "--every",
            "1h",
            "-k",
            "scope=year",
            "--unset",
            "end",
            "--unset",
            "args",
        ]
    )

    assert shown.out.splitlines()[0] == "every = 30s -> cron = 30 2 * * *"
    assert asked(started) == {
        "do": "edit_schedule",
        "name": "nightly",
        "table": {"every": "1h", "kwargs": {"scope": "year"}},
        "unset": ["end", "args"],
    }


def test_an_edit_that_changes_nothing_says_so(run: Run, daemon: Start) -> None:
    daemon(edit_schedule=EDITED | {"changes": []})

    assert run(*["schedule", "edit", "nightly", "--every", "1h"]).out == "nothing changed\n"


def test_positional_arguments_can_be_emptied(run: Run, daemon: Start) -> None:
    started = daemon(edit_schedule=EDITED)

    run("schedule", "edit", "nightly", "--args-json", "[]")

    assert asked(started)["table"] == {"args": []}


def test_an_edit_of_nothing_is_refused(run: Run) -> None:
    shown = run("schedule", "edit", "nightly")

    assert shown.code == 2
    assert "nothing to change" in shown.err


@pytest.mark.parametrize(
    ("words", "until"),
    [
        ([], None),
        (["--until", "2026-11-21 08:00"], T0 + (28 * 60 + 30) * 60 * SECOND),
        (["--until", "04:00"], T0 + 30 * 60 * SECOND),
        (["--for", "2h"], T0 + 7200 * SECOND),
    ],
)
def test_a_pause_ends_at_the_moment_that_was_named(
    run: Run, daemon: Start, words: list[str], until: int | None
) -> None:
    started = daemon(disable_schedule=STANDING)

    assert run("schedule", "disable", "nightly", *words).code == 0

    wanted = {"do": "disable_schedule", "name": "nightly"}
    assert asked(started) == (wanted if until is None else wanted | {"until": until})


@pytest.mark.parametrize(
    "words",
    [
        ["--until", "2026-11-19 08:00"],
        ["--until", "2027-03-28 02:30"],
        ["--for", "soon"],
        ["--for", "1h", "--until", "18:00"],
    ],
)
def test_a_pause_that_cannot_be_is_refused(run: Run, words: list[str]) -> None:
    assert run("schedule", "disable", "nightly", *words).code == 2


def test_several_schedules_are_switched_one_by_one(run: Run, daemon: Start) -> None:
    started = daemon(
        disable_schedule=lambda frame: STANDING | {"name": frame["name"], "state": "paused"},
        enable_schedule=lambda frame: STANDING | {"name": frame["name"]},
        remove_schedule=lambda frame: {"name": frame["name"], "task": "backup"},
    )

    disabled = run(*["schedule", "disable", "a", "b"])
    enabled = run(*["schedule", "enable", "a", "b"])
    removed = run(*["schedule", "remove", "a", "b"])

    assert disabled.out == "a\tpaused\tnext 2026-11-20T03:30:00.000000+01:00\n" * 1 + (
        "b\tpaused\tnext 2026-11-20T03:30:00.000000+01:00\n"
    )
    assert enabled.out.startswith("a\tactive\t")
    assert removed.out == "a\tremoved\nb\tremoved\n"
    assert len(started.requests) == 6


@pytest.mark.parametrize(
    ("line", "do", "answer"),
    [
        ("schedule add n backup --every 1h", "add_schedule", ADDED),
        ("schedule edit n --every 1h", "edit_schedule", EDITED),
        ("schedule remove n", "remove_schedule", {"name": "n", "task": "backup"}),
        ("schedule disable n", "disable_schedule", STANDING),
        ("schedule enable n", "enable_schedule", STANDING),
        ("schedule run n", "run_schedule", JOB),
    ],
)
def test_a_break_repeats_the_same_request(
    run: Run, daemon: Start, line: str, do: str, answer: dict[str, Any]
) -> None:
    started = daemon(**{do: Turns([BREAK, answer])})

    shown = run(*line.split())

    assert (shown.code, shown.err) == (0, "")
    first, second = started.requests
    assert first == second


def test_a_schedule_that_is_gone_after_a_break_was_removed_by_the_first_try(
    run: Run, daemon: Start
) -> None:
    daemon(remove_schedule=Turns([BREAK, NotFound('there is no schedule "nightly"')]))

    assert run("schedule", "remove", "nightly").out == "nightly\tremoved\n"


@pytest.mark.parametrize("verb", ["remove", "enable", "disable", "run", "show"])
def test_a_schedule_that_is_not_there_is_4(run: Run, daemon: Start, verb: str) -> None:
    error = NotFound('there is no schedule "nihgtly"', hint='Did you mean "nightly"?')
    daemon(**{f"{verb}_schedule": error})

    shown = run("schedule", verb, "nihgtly")

    assert shown.code == 4
    assert 'Did you mean "nightly"?' in shown.err


def test_a_refusal_of_the_daemon_is_its_own_exit_code(run: Run, daemon: Start) -> None:
    daemon(remove_schedule=PlanError("it stands in a file", hint="Edit the file."))

    shown = run("schedule", "remove", "nightly")

    assert (shown.code, shown.out) == (78, "")


def test_a_run_has_a_key_and_prints_its_id(run: Run, daemon: Start) -> None:
    started = daemon(run_schedule=JOB)

    shown = run("schedule", "run", "nightly", "--force")

    request = asked(started)
    assert shown.out == "21\n"
    assert len(request.pop("key")) == 32
    assert request == {"do": "run_schedule", "name": "nightly", "force": True}


def test_a_run_that_is_waited_for_ends_with_the_jobs_own_code(run: Run, daemon: Start) -> None:
    end = {"id": 21, "state": "FAILURE", "reason": "failed", "kind": "command"}
    end |= {"exit_code": 7, "signal": None, "verdict": "failure"}
    daemon(run_schedule=JOB, wait={"jobs": [end], "timed_out": False})

    assert run("schedule", "run", "nightly", "--wait").code == 7


def test_json_of_a_line_is_one_document(run: Run, daemon: Start) -> None:
    daemon(add_schedule=ADDED)

    shown = run(*["schedule", "add", "nightly", "backup", "--every", "1h", "--json"])

    assert shown.err == ""
    document = json.loads(shown.out)
    assert document["schedule"]["name"] == "nightly"
    assert document["duplicate"] is False
