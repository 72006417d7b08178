"""Schedules that commands add, edit, pause and remove, in a real daemon: over restarts, kills and reloads."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.clock import SECOND, SystemClock
from jobctl.errors import Conflict, JobctlError, NotFound, PlanError, UsageError
from jobctl.protocol import requests
from tests.support.daemon import Daemon, running_daemon
from tests.support.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CONFIG = """
[daemon]
timezone = "Europe/Berlin"

[workers.default]
user = "root"

[tasks.hello]
command = ["/bin/echo", "hello", "{1}"]
args = ["you"]

[tasks.noted]
shell = "echo $1 $JOBCTL_ARG_WHO"

[tasks.slow]
shell = "until [ -e FOLDER/go ]; do sleep 0.01; done"
stop = "KILL"

[tasks.double]
function = "tests.support.code.work:double"

[tasks.tick]
command = ["/bin/true"]
every = "1s"

[tasks.off]
command = ["/bin/true"]
every = "1s"
enabled = false
"""
NEVER = {"task": "hello", "at": "2999-01-01 12:00"}
NIGHTLY = {"task": "hello", "cron": "30 2 * * *"}


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with running_daemon(start=False) as one:
        one.config.write_text(CONFIG.replace("FOLDER", str(one.folder)))
        one.start()
        yield one


def add(daemon: Daemon, name: str, table: dict[str, Any], **options: Any) -> dict[str, Any]:
    answer = daemon.call(requests.AddSchedule(name=name, table=table, **options))
    assert answer["duplicate"] is False
    found: dict[str, Any] = answer["schedule"]
    return found


def edit(daemon: Daemon, name: str, table: dict[str, Any], **options: Any) -> dict[str, Any]:
    return daemon.call(requests.EditSchedule(name=name, table=table, **options))


def show(daemon: Daemon, name: str) -> dict[str, Any]:
    return daemon.call(requests.ShowSchedule(name=name))


def names(daemon: Daemon) -> list[str]:
    return [one["name"] for one in daemon.call(requests.Schedules())["schedules"]]


def fires(daemon: Daemon, name: str) -> Sequence[dict[str, Any]]:
    """The fates of a schedule, oldest first."""
    found = daemon.call(requests.History(schedule=name, limit=1000))["fires"]
    return list(found[::-1])


def until_served(daemon: Daemon, name: str, count: int = 1) -> None:
    daemon.until(
        f"{count} jobs of {name}",
        lambda: sum(fire["fate"] == "submitted" for fire in fires(daemon, name)) >= count,
    )


def has_one_fate_each_second(found: Sequence[dict[str, Any]]) -> bool:
    return all(
        later["at"] == earlier["last"] + SECOND for earlier, later in itertools.pairwise(found)
    ) and all(fire["last"] == fire["at"] + (fire["count"] - 1) * SECOND for fire in found)


# -- adding ---------------------------------------------------------------------------------------


def test_what_was_added_is_shown_whole(daemon: Daemon) -> None:
    shown = add(
        daemon,
        "nightly",
        NIGHTLY | {"args": ["there"], "max_runs": 3, "jitter": "10s", "start": "2026-01-01"},
    )

    assert shown["normal"] == "30 2 * * *"
    assert shown["words"].startswith("at 02:30, every day")
    assert shown["timezone"] == "Europe/Berlin"
    assert (shown["state"], shown["runs"], shown["max_runs"]) == ("active", 0, 3)
    assert (shown["args"], shown["jitter_s"], shown["on_overlap"]) == (["there"], 10.0, "skip")
    assert shown["stored"] is True
    assert shown["set_by"] == 0
    assert shown["set_at"] <= SystemClock().now() < shown["next"][0]
    assert len(shown["next"]) == 3, "no more than max_runs allows"
    assert show(daemon, "nightly") == shown
    assert "nightly" in names(daemon)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_what_was_added_is_there_after_the_daemons_end(daemon: Daemon, how: str) -> None:
    before = add(daemon, "nightly", NIGHTLY)

    if how == "stop":
        daemon.stop()
    else:
        daemon.kill()
    daemon.start()

    assert show(daemon, "nightly") == before


def test_an_added_schedule_serves_the_first_instant_after_it_was_added(daemon: Daemon) -> None:
    asked_at = SystemClock().now()
    shown = add(daemon, "each", {"task": "hello", "cron": "* * * * * *"})
    answered_at = SystemClock().now()

    until_served(daemon, "each", 2)

    found = fires(daemon, "each")
    first_possible = (asked_at // SECOND + 1) * SECOND
    assert first_possible <= found[0]["at"] <= (answered_at // SECOND + 1) * SECOND
    assert shown["set_at"] < found[0]["at"]
    assert has_one_fate_each_second(found)
    assert daemon.ended(found[0]["job_id"])["attempts"][0]["output_tail"] == "hello you\n"


def test_a_moment_a_second_ahead_is_served_once_and_then_done(daemon: Daemon) -> None:
    at = SystemClock().now() // SECOND + 2
    text = datetime.fromtimestamp(at, UTC).isoformat()

    add(daemon, "once", {"task": "hello", "at": text})

    until_served(daemon, "once")

    (fire,) = fires(daemon, "once")
    assert fire["at"] == at * SECOND
    shown = show(daemon, "once")
    assert (shown["state"], shown["next"], shown["runs"]) == ("done", [], 1)


@pytest.mark.slow
def test_an_added_schedule_survives_a_reload_and_is_not_replayed_by_it(daemon: Daemon) -> None:
    add(daemon, "each", {"task": "hello", "every": "1s"})
    add(daemon, "later", NEVER)
    until_served(daemon, "each")
    before = [fire["at"] for fire in fires(daemon, "each")]

    assert daemon.call(requests.Reload())["changes"] == []
    until_served(daemon, "each", len(before) + 1)

    found = fires(daemon, "each")
    assert [fire["at"] for fire in found][: len(before)] == before
    assert has_one_fate_each_second(found)
    assert show(daemon, "later")["state"] == "active"


@pytest.mark.slow
def test_a_kill_right_after_the_answer_loses_nothing_and_doubles_nothing(daemon: Daemon) -> None:
    for number in range(5):
        add(daemon, f"each-{number}", {"task": "hello", "every": "1s", "on_overlap": "allow"})
        daemon.kill()
        daemon.start()

    assert {f"each-{number}" for number in range(5)} <= set(names(daemon))
    until_served(daemon, "each-0", 2)
    for number in range(5):
        assert has_one_fate_each_second(fires(daemon, f"each-{number}"))


def test_the_same_table_again_changes_nothing(daemon: Daemon) -> None:
    table = {"task": "double", "every": "1h", "args": ["2"]}
    before = add(daemon, "sum", table)

    again = daemon.call(requests.AddSchedule(name="sum", table=table))

    assert again == {"schedule": before, "duplicate": True}


def test_another_table_under_the_same_name_is_refused(daemon: Daemon) -> None:
    before = add(daemon, "nightly", NIGHTLY)

    with pytest.raises(PlanError, match="is another one") as caught:
        add(daemon, "nightly", NIGHTLY | {"cron": "31 2 * * *"})

    assert "jobctl schedule edit nightly" in caught.value.hint
    assert show(daemon, "nightly") == before


def test_the_name_of_a_schedule_of_the_file_is_refused_with_its_place(daemon: Daemon) -> None:
    line = CONFIG.splitlines().index("[tasks.tick]") + 1

    with pytest.raises(PlanError, match=f"{daemon.config}:{line}"):
        add(daemon, "tick", {"task": "hello", "every": "1h"})


@pytest.mark.parametrize(
    ("table", "kind", "words"),
    [
        ({"task": "helo", "every": "1h"}, NotFound, ["helo", "hello"]),
        ({"task": "hello", "cron": "0 0 31 2 *"}, UsageError, ["never"]),
        ({"task": "hello", "cron": "61 * * * *"}, UsageError, ["61"]),
        ({"task": "hello", "cron": "0 0 12 * * ?"}, UsageError, ["Quartz", "0 12 * * *"]),
        ({"task": "hello", "cron": "Mon..Fri 09:00"}, UsageError, ["systemd", "0 9 * * mon-fri"]),
        ({"task": "hello", "cron": "@every 5m"}, UsageError, ["every"]),
        ({"task": "hello", "every": "1h", "timezone": "Europe/Berlni"}, UsageError, ["Berlin"]),
        ({"task": "hello", "every": "0s"}, UsageError, []),
        ({"task": "hello", "every": "1 month"}, UsageError, []),
        ({"task": "hello", "at": "2001-01-01"}, UsageError, ["past"]),
        ({"task": "hello", "at": "2030-02-30"}, UsageError, ["2030-02-30"]),
        ({"task": "hello", "every": "1h", "end": "2001-01-01"}, UsageError, ["past"]),
        (
            {"task": "hello", "every": "1h", "start": "2031-01-02", "end": "2031-01-01"},
            UsageError,
            ["before the start"],
        ),
        ({"task": "hello"}, UsageError, ["no every, cron, at or solar"]),
        ({"task": "hello", "every": "1h", "cron": "@daily"}, UsageError, ["both"]),
        ({"every": "1h"}, UsageError, ["task"]),
        ({"task": "hello", "evry": "1h"}, UsageError, ["evry", "every"]),
        ({"task": "hello", "every": "1h", "max_runs": 0}, UsageError, ["max_runs"]),
        ({"task": "hello", "every": "1h", "on_overlap": "qeue"}, UsageError, ["queue"]),
        ({"task": "hello", "every": "1h", "enabled": "no"}, UsageError, ["enabled"]),
        ({"task": "hello", "every": "1h", "args": "x"}, UsageError, ["args"]),
        ({"task": "hello", "every": "1h", "args": [3]}, UsageError, ["text"]),
        ({"task": "hello", "every": "1h", "args": ["\0"]}, UsageError, ["NUL"]),
        ({"task": "double", "every": "1h", "args": ["x"]}, UsageError, ["x"]),
        ({"task": "double", "every": "1h", "args": []}, UsageError, ["needs"]),
        ({"task": "hello", "every": "1h", "args": ["x" * 200_000]}, UsageError, ["bytes"]),
        ({"task": ["hello"], "every": "1h"}, UsageError, ["task"]),
        ({"task": "helo", "cron": "61 * * * *"}, UsageError, ["helo", "61"]),
    ],
)
def test_what_cannot_be_is_refused_with_what_was_meant(
    daemon: Daemon, table: dict[str, Any], kind: type[JobctlError], words: list[str]
) -> None:
    before = names(daemon)

    with pytest.raises(JobctlError) as caught:
        add(daemon, "new", table)

    assert type(caught.value) is kind or isinstance(caught.value, kind)
    assert caught.value.exit_code == kind.exit_code
    told = f"{caught.value.message} {caught.value.hint}"
    assert [word for word in words if word not in told] == [], told
    assert names(daemon) == before


@pytest.mark.parametrize("name", ["", "a b", "-x", "x" * 201, "\u0663", "a/b", "a\nb"])
def test_a_name_that_cannot_be_is_refused(daemon: Daemon, name: str) -> None:
    with pytest.raises(UsageError):
        add(daemon, name, NIGHTLY)


def test_arguments_become_the_values_that_the_task_wants(daemon: Daemon) -> None:
    table = {"task": "double", "every": "1h", "args": ["21"]}
    assert add(daemon, "sum", table)["args"] == [21]
    words = {"task": "noted", "every": "1h", "args": ["20"], "kwargs": {"who": "ann", "n": 3}}
    assert add(daemon, "words", words, raw=["n"])["kwargs"] == {"who": "ann", "n": 3}
    exact = {"task": "double", "every": "1h", "args": [1]}
    assert add(daemon, "exact", exact, typed=True)["args"] == [1]

    job = daemon.call(requests.RunSchedule(name="sum"))["id"]
    assert daemon.ended(job)["result"] == 42
    job = daemon.call(requests.RunSchedule(name="words"))["id"]
    assert daemon.ended(job)["attempts"][0]["output_tail"] == "20 ann\n"


# -- editing --------------------------------------------------------------------------------------


def test_only_what_is_given_changes_and_is_told(daemon: Daemon) -> None:
    add(daemon, "nightly", NIGHTLY | {"jitter": "10s", "kwargs": {"a": "1", "b": "2"}})

    answer = edit(
        daemon, "nightly", {"every": "2h", "kwargs": {"b": "3", "c": "4"}}, unset=["jitter"]
    )

    shown = answer["schedule"]
    assert shown == show(daemon, "nightly")
    assert (shown["kind"], shown["normal"], shown["jitter_s"]) == ("interval", "2h", 0.0)
    assert shown["kwargs"] == {"a": "1", "b": "3", "c": "4"}
    assert "cron = 30 2 * * * -> every = 2h" in answer["changes"]
    assert "jitter: 10s -> 0s" in answer["changes"]
    assert "kwargs changed" in answer["changes"]
    again = edit(daemon, "nightly", {"every": "2h", "kwargs": {"b": "3", "c": "4"}})
    assert again["changes"] == []


@pytest.mark.slow
def test_an_edit_replays_nothing_and_leaves_no_gap(daemon: Daemon) -> None:
    add(daemon, "each", {"task": "hello", "cron": "* * * * * *", "on_overlap": "allow"})
    until_served(daemon, "each", 2)

    edit(daemon, "each", {"every": "1s"})
    edited_at = SystemClock().now()
    count = len(fires(daemon, "each"))
    until_served(daemon, "each", count + 2)

    found = fires(daemon, "each")
    old = [fire for fire in found if fire["last"] < edited_at]
    assert has_one_fate_each_second(old)
    assert {fire["fate"] for fire in found} <= {"submitted"}
    assert all(earlier["at"] < later["at"] for earlier, later in itertools.pairwise(found))


def test_an_edit_survives_a_kill(daemon: Daemon) -> None:
    add(daemon, "nightly", NIGHTLY)
    after = edit(daemon, "nightly", {"cron": "0 5 * * *"})["schedule"]

    daemon.kill()
    daemon.start()

    assert show(daemon, "nightly") == after


@pytest.mark.parametrize(
    ("table", "unset", "words"),
    [
        ({"cron": "61 * * * *"}, None, ["61"]),
        ({"task": "helo"}, None, ["hello"]),
        ({"every": "1h", "cron": "@daily"}, None, ["both"]),
        ({}, ["task"], ["no default"]),
        ({}, ["cron"], ["no default"]),
        ({}, ["jittr"], ["jitter"]),
        ({"at": "2001-01-01"}, None, ["past"]),
        ({"args": ["a", "\0"]}, None, ["NUL"]),
    ],
)
def test_an_edit_that_cannot_be_changes_nothing(
    daemon: Daemon, table: dict[str, Any], unset: list[str] | None, words: list[str]
) -> None:
    before = add(daemon, "nightly", NIGHTLY)

    with pytest.raises((UsageError, NotFound)) as caught:
        edit(daemon, "nightly", table, unset=unset)

    told = f"{caught.value.message} {caught.value.hint}"
    assert [word for word in words if word not in told] == [], told
    assert show(daemon, "nightly") == before


# -- removing -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_removed_schedule_leaves_its_history_and_its_jobs(daemon: Daemon) -> None:
    add(daemon, "each", {"task": "slow", "every": "1s"})
    until_served(daemon, "each")
    (job,) = [fire["job_id"] for fire in fires(daemon, "each") if fire["job_id"]]

    assert daemon.call(requests.RemoveSchedule(name="each")) == {"name": "each", "task": "slow"}

    assert "each" not in names(daemon)
    (daemon.folder / "go").touch()
    assert daemon.ended(job)["state"] == "SUCCESS"
    daemon.kill()
    daemon.start()
    assert "each" not in names(daemon)
    with pytest.raises(NotFound):
        daemon.call(requests.RemoveSchedule(name="each"))


@pytest.mark.slow
def test_a_name_can_be_used_again_and_nothing_of_the_past_is_replayed(daemon: Daemon) -> None:
    add(daemon, "each", {"task": "hello", "every": "1s"})
    until_served(daemon, "each", 2)
    daemon.call(requests.RemoveSchedule(name="each"))
    removed_at = SystemClock().now()

    shown = add(daemon, "each", {"task": "hello", "every": "1s"})

    assert shown["runs"] == 0
    until_served(daemon, "each", 3)
    new = [fire for fire in fires(daemon, "each") if fire["at"] > removed_at]
    assert has_one_fate_each_second(new)


@pytest.mark.parametrize(
    "request_of",
    [
        lambda name: requests.EditSchedule(name=name, table={"every": "1h"}),
        lambda name: requests.RemoveSchedule(name=name),
    ],
)
def test_a_schedule_of_the_file_is_changed_in_the_file(daemon: Daemon, request_of: Any) -> None:
    line = CONFIG.splitlines().index("[tasks.tick]") + 1

    with pytest.raises(PlanError, match=f"{daemon.config}:{line}") as caught:
        daemon.call(request_of("tick"))

    assert "jobctl reload" in caught.value.hint
    assert "jobctl schedule disable tick" in caught.value.hint
    assert show(daemon, "tick")["state"] == "active"


# -- disabling ------------------------------------------------------------------------------------


def paused(daemon: Daemon, name: str, until: int | None = None) -> dict[str, Any]:
    return daemon.call(requests.DisableSchedule(name=name, until=until))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tick", "added"])
def test_a_pause_survives_a_reload_and_a_kill_and_replays_nothing(
    daemon: Daemon, name: str
) -> None:
    add(daemon, "added", {"task": "hello", "every": "1s"})
    until_served(daemon, name)

    assert paused(daemon, name)["state"] == "paused"
    paused_at = SystemClock().now()
    daemon.call(requests.Reload())
    daemon.kill()
    daemon.start()
    assert show(daemon, name)["state"] == "paused"
    assert show(daemon, name)["next"] == []
    daemon.until("two seconds to pass", lambda: SystemClock().now() > paused_at + 2 * SECOND)

    answer = daemon.call(requests.EnableSchedule(name=name))
    enabled_at = SystemClock().now()

    assert (answer["state"], answer["paused_until"]) == ("active", None)
    assert answer["next"] <= enabled_at + SECOND
    count = sum(fire["fate"] == "submitted" for fire in fires(daemon, name))
    until_served(daemon, name, count + 1)
    found = fires(daemon, name)
    assert has_one_fate_each_second(found)
    held = [fire for fire in found if fire["fate"] == "held"]
    assert sum(fire["count"] for fire in held) >= 2
    assert all("paused" in fire["reason"] for fire in held)
    made = [fire for fire in found if fire["fate"] == "submitted"]
    assert not [fire for fire in made if paused_at < fire["at"] < enabled_at - SECOND]


@pytest.mark.slow
def test_a_pause_ends_by_itself(daemon: Daemon) -> None:
    until_served(daemon, "tick")
    until = SystemClock().now() + 2 * SECOND

    answer = paused(daemon, "tick", until)

    assert (answer["state"], answer["paused_until"]) == ("paused", until)
    assert until <= answer["next"] <= until + SECOND
    daemon.until("the end of the pause", lambda: show(daemon, "tick")["state"] == "active")
    assert SystemClock().now() >= until
    count = sum(fire["fate"] == "submitted" for fire in fires(daemon, "tick"))
    until_served(daemon, "tick", count + 1)
    assert has_one_fate_each_second(fires(daemon, "tick"))


def test_an_instant_at_the_end_of_a_pause_counts(daemon: Daemon) -> None:
    add(daemon, "each", {"task": "hello", "cron": "* * * * * *"})
    until = (SystemClock().now() // SECOND + 3) * SECOND

    assert paused(daemon, "each", until)["next"] == until


def test_a_pause_may_be_made_longer_or_shorter(daemon: Daemon) -> None:
    far = SystemClock().now() + 3600 * SECOND
    assert paused(daemon, "tick")["paused_until"] is None
    since = show(daemon, "tick")["paused_at"]
    assert paused(daemon, "tick", far)["paused_until"] == far
    assert paused(daemon, "tick", far)["paused_until"] == far
    assert paused(daemon, "tick")["paused_until"] is None
    assert show(daemon, "tick")["paused_at"] == since


@pytest.mark.parametrize("until", [0, -1, 2**62])
def test_a_pause_that_cannot_be_is_refused(daemon: Daemon, until: int) -> None:
    with pytest.raises(UsageError):
        paused(daemon, "tick", until)


def test_what_is_not_paused_may_be_enabled(daemon: Daemon) -> None:
    assert daemon.call(requests.EnableSchedule(name="tick"))["state"] == "active"


def test_a_schedule_that_its_file_disables_is_enabled_there(daemon: Daemon) -> None:
    line = CONFIG.splitlines().index("[tasks.off]") + 1

    with pytest.raises(PlanError, match=f"{daemon.config}:{line}"):
        daemon.call(requests.EnableSchedule(name="off"))

    assert show(daemon, "off")["state"] == "disabled"


@pytest.mark.slow
def test_one_that_was_added_disabled_is_enabled_by_command(daemon: Daemon) -> None:
    shown = add(daemon, "each", {"task": "hello", "every": "1s", "enabled": False})
    assert (shown["state"], shown["next"]) == ("disabled", [])

    assert daemon.call(requests.EnableSchedule(name="each"))["state"] == "active"

    until_served(daemon, "each")
    daemon.kill()
    daemon.start()
    assert show(daemon, "each")["state"] == "active"


# -- running now ----------------------------------------------------------------------------------


def test_a_run_is_no_instant_of_the_schedule(daemon: Daemon) -> None:
    add(daemon, "nightly", NIGHTLY | {"args": ["there"], "max_runs": 3})

    answer = daemon.call(requests.RunSchedule(name="nightly", key="0191-run"))
    again = daemon.call(requests.RunSchedule(name="nightly", key="0191-run"))

    job = daemon.ended(answer["id"])
    assert job["attempts"][0]["output_tail"] == "hello there\n"
    assert (again["id"], again["duplicate"]) == (answer["id"], True)
    shown = show(daemon, "nightly")
    assert (shown["runs"], shown["fires"], len(shown["next"])) == (0, [], 3)
    with pytest.raises(Conflict):
        daemon.call(requests.RunSchedule(name="nightly", key="0191-run", force=True))


def slow(daemon: Daemon, overlap: str) -> int:
    """A job of the schedule ``slow`` that runs; its id."""
    add(daemon, "long", NIGHTLY | {"task": "slow", "on_overlap": overlap})
    job: int = daemon.call(requests.RunSchedule(name="long"))["id"]
    daemon.until("the job to run", lambda: daemon.status(job)["state"] == "STARTED")
    return job


def run(daemon: Daemon, **options: Any) -> int:
    job: int = daemon.call(requests.RunSchedule(name="long", **options))["id"]
    return job


def test_a_run_is_refused_where_the_schedule_skips(daemon: Daemon) -> None:
    first = slow(daemon, "skip")

    with pytest.raises(Conflict, match=f"job {first} .* is STARTED") as caught:
        run(daemon)

    assert "--force" in caught.value.hint
    second = run(daemon, force=True)
    (daemon.folder / "go").touch()
    assert {end["state"] for end in daemon.wait(first, second)} == {"SUCCESS"}


def test_a_run_waits_where_the_schedule_queues_and_only_one_of_them(daemon: Daemon) -> None:
    first = slow(daemon, "queue")

    second = run(daemon)

    assert "earlier" in daemon.status(second)["reason"]
    with pytest.raises(Conflict, match=f"job {second} .* waits already"):
        run(daemon)
    (daemon.folder / "go").touch()
    assert {end["state"] for end in daemon.wait(first, second)} == {"SUCCESS"}


def test_a_run_takes_the_place_of_the_one_before_where_the_schedule_replaces(
    daemon: Daemon,
) -> None:
    first = slow(daemon, "replace")

    second = run(daemon)

    assert daemon.ended(first)["state"] == "REVOKED"
    (daemon.folder / "go").touch()
    assert daemon.ended(second)["state"] == "SUCCESS"
    (started, finished) = (daemon.ended(job)["attempts"][0] for job in (second, first))
    assert finished["finished_at"] <= started["started_at"]


def test_a_run_beside_others_where_the_schedule_allows_it(daemon: Daemon) -> None:
    first = slow(daemon, "allow")
    second = run(daemon)
    (daemon.folder / "go").touch()
    assert {end["state"] for end in daemon.wait(first, second)} == {"SUCCESS"}


def test_a_run_of_a_paused_schedule_is_what_was_asked_for(daemon: Daemon) -> None:
    paused(daemon, "tick")
    job = daemon.call(requests.RunSchedule(name="tick"))["id"]
    assert daemon.ended(job)["state"] == "SUCCESS"


# -- together -------------------------------------------------------------------------------------


def test_changes_that_come_at_once_are_made_in_their_order(daemon: Daemon) -> None:
    with Wire(daemon.socket) as wire:
        table = {"task": "hello", "every": "1s"}
        lines: list[dict[str, Any]] = [
            {"do": "add_schedule", "name": "a", "table": table},
            {"do": "edit_schedule", "name": "a", "table": {"every": "2s"}},
            {"do": "disable_schedule", "name": "a"},
            {"do": "add_schedule", "name": "b", "table": table},
            {"do": "remove_schedule", "name": "a"},
            {"do": "add_schedule", "name": "a", "table": table | {"every": "3s"}},
            {"do": "show_schedule", "name": "a"},
            {"do": "remove_schedule", "name": "b"},
        ]
        for number, line in enumerate(lines, start=1):
            wire.say({"id": number, **line})
        answers = [wire.hear() for _ in lines]

    assert all("ok" in answer for answer in answers), answers
    assert [answer["id"] for answer in answers] == list(range(1, len(lines) + 1))
    assert answers[6]["ok"]["expression"] == "3s"
    assert "b" not in names(daemon)


KILLS = 15


@pytest.mark.slow
def test_whatever_was_changed_between_kills_each_instant_has_one_fate(daemon: Daemon) -> None:
    rng = random.Random(20261120)
    clock = SystemClock()
    there: set[str] = set()

    def change() -> None:
        name = f"s{rng.randrange(4)}"
        rule = rng.choice([{"every": "1s"}, {"cron": "* * * * * *"}, {"cron": "*/2 * * * * *"}])
        options: dict[str, Any] = rng.choice(
            [{}, {"max_runs": 2}, {"on_overlap": "allow"}, {"on_missed": "all"}]
        )
        if name not in there:
            add(daemon, name, {"task": "hello", **rule, **options})
            there.add(name)
            return
        match rng.randrange(5):
            case 0:
                daemon.call(requests.RemoveSchedule(name=name))
                there.discard(name)
            case 1:
                edit(daemon, name, rule)
            case 2:
                paused(
                    daemon, name, clock.now() + rng.choice([1, SECOND, 2 * SECOND]) + SECOND // 4
                )
            case 3:
                paused(daemon, rng.choice([name, "tick"]))
            case _:
                daemon.call(requests.EnableSchedule(name=rng.choice([name, "tick"])))

    for _ in range(KILLS):
        for _ in range(6):
            change()
        moment = (clock.now() // SECOND + 1) * SECOND + round(rng.gauss(0.0, 0.004) * SECOND)
        daemon.until("the moment of the kill", lambda moment=moment: clock.now() >= moment)
        daemon.kill()
        daemon.start()
        answer = daemon.call(requests.Audit())
        assert (answer["count"], answer["violations"]) == (0, []), answer
        assert there <= set(names(daemon))
        for name in {f"s{number}" for number in range(4)} - there:
            assert name not in names(daemon)


@pytest.mark.slow
def test_a_task_that_goes_leaves_its_added_schedules_held(daemon: Daemon) -> None:
    add(daemon, "each", {"task": "noted", "every": "1s"})
    text = daemon.config.read_text()
    without = text.replace("[tasks.noted]", "[tasks.renamed]")
    daemon.config.write_text(without)
    daemon.call(requests.Reload())

    shown = show(daemon, "each")

    assert shown["state"] == "held"
    assert "noted" in shown["reason"]
    daemon.until(
        "a held instant", lambda: "held" in {fire["fate"] for fire in fires(daemon, "each")}
    )
    with pytest.raises(NotFound):
        daemon.call(requests.RunSchedule(name="each"))
    daemon.stop()
    daemon.start()
    daemon.config.write_text(text)
    daemon.call(requests.Reload())
    until_served(daemon, "each")
    assert has_one_fate_each_second(fires(daemon, "each"))


@pytest.mark.slow
def test_a_file_that_takes_the_name_of_an_added_schedule_is_refused(daemon: Daemon) -> None:
    add(daemon, "nightly", NIGHTLY)
    text = daemon.config.read_text()
    daemon.config.write_text(text + '[schedules.nightly]\ntask = "hello"\nevery = "1h"\n')

    with pytest.raises(PlanError, match="nightly"):
        daemon.call(requests.Reload())

    assert show(daemon, "nightly")["normal"] == "30 2 * * *"


@pytest.mark.slow
def test_a_schedule_whose_name_the_file_took_meanwhile_gives_way_and_can_be_removed(
    daemon: Daemon,
) -> None:
    add(daemon, "nightly", NIGHTLY)
    daemon.stop()
    text = daemon.config.read_text()
    daemon.config.write_text(text + '[schedules.nightly]\ntask = "hello"\nevery = "1h"\n')

    daemon.start()

    assert show(daemon, "nightly")["stored"] is False
    assert "its name is taken" in daemon.log()
    assert daemon.call(requests.RemoveSchedule(name="nightly"))["name"] == "nightly"
    assert show(daemon, "nightly")["normal"] == "1h"
    with pytest.raises(PlanError):
        daemon.call(requests.RemoveSchedule(name="nightly"))
    daemon.config.write_text(text)
    assert daemon.call(requests.Reload())["changes"] == ["schedule nightly removed"]


def jobctl(daemon: Daemon, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "JOBCTL_CONFIG": str(daemon.config),
        "STATE_DIRECTORY": str(daemon.state_dir),
        "TZ": "UTC",
    }
    return subprocess.run(
        [sys.executable, "-m", "jobctl", "--socket", str(daemon.socket), *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_line_adds_and_without_a_daemon_it_can_still_be_shown(daemon: Daemon) -> None:
    added = jobctl(
        daemon, *["schedule", "add", "each", "hello", "you", "--every", "1h", "--jitter", "30s"]
    )
    assert (added.returncode, added.stderr) == (0, "")
    shown = jobctl(daemon, "schedule", "show", "each")
    daemon.stop()

    offline = jobctl(daemon, "schedule", "show", "each")
    refused = jobctl(daemon, "schedule", "disable", "each")

    assert offline.returncode == 0
    assert offline.stderr == "daemon: down\n"
    assert offline.stdout == shown.stdout
    assert refused.returncode == 3
