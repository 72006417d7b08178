"""A reload that takes many turns: the old plan serves meanwhile, and what ends it early changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jobctl.errors import PlanError
from jobctl.protocol import requests
from tests.support.daemon import Daemon, running_daemon, with_patch
from tests.support.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST = """
[tasks.hello]
command = ["/bin/echo", "first"]
[schedules.old]
task = "hello"
every = "1s"
on_overlap = "allow"
"""
SECOND = """
[tasks.hello]
command = ["/bin/echo", "second"]
[schedules.new]
task = "hello"
every = "1h"
"""

HOLDING = """
import os, signal
from pathlib import Path
from jobctl.beat import Beat
folder = Path({folder!r})
preparing, finish = Beat.preparing, Beat.finish
def prepare_slowly(self, plan):
    while (folder / "hold").exists():
        (folder / "held").touch()
        yield
    return (yield from preparing(self, plan))
def finish_and_die(self, prepared, now):
    bring_into_force = finish(self, prepared, now)
    if (folder / "die").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return bring_into_force
Beat.preparing, Beat.finish = prepare_slowly, finish_and_die
"""
"""A daemon whose reload stays between two turns while a file stands there, or dies just before its commit."""


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with running_daemon(FIRST, start=False) as made:
        made.launcher = with_patch(HOLDING.format(folder=str(made.folder)))
        yield made.start()


def begin_reload(daemon: Daemon) -> Wire:
    """A reload that is held in the middle; the connection on which it will be answered."""
    daemon.config.write_text(SECOND)
    (daemon.folder / "hold").touch()
    wire = Wire(daemon.socket)
    wire.say({"id": 1, "do": "reload"})
    daemon.until("the reload to be in the middle", (daemon.folder / "held").exists)
    return wire


def let_go(daemon: Daemon) -> None:
    (daemon.folder / "hold").unlink()


def schedules(daemon: Daemon) -> list[str]:
    return [row["name"] for row in daemon.call(requests.Schedules())["schedules"]]


def fires(daemon: Daemon) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = daemon.call(requests.History(schedule="old"))["fires"]
    return found


def output(daemon: Daemon) -> str:
    tail: str = daemon.ended(daemon.submit(task="hello"))["attempts"][0]["output_tail"]
    return tail


def test_the_old_plan_serves_whole_until_the_new_one_is_in_force(daemon: Daemon) -> None:
    with begin_reload(daemon) as wire:
        assert schedules(daemon) == ["old"]
        assert output(daemon) == "first\n"
        before = len(fires(daemon))
        daemon.until("the old schedule to fire", lambda: len(fires(daemon)) > before)

        let_go(daemon)
        changes = wire.hear()["ok"]["changes"]

    assert {line.split()[1] for line in changes} == {"hello", "old", "new"}
    assert schedules(daemon) == ["new"]
    assert output(daemon) == "second\n"


def test_a_schedule_that_is_added_meanwhile_is_judged_by_the_new_plan(daemon: Daemon) -> None:
    table = {"task": "hello", "every": "1h"}
    with (
        begin_reload(daemon) as reloading,
        Wire(daemon.socket) as adding,
        Wire(daemon.socket) as limiting,
    ):
        adding.say({"id": 1, "do": "add_schedule", "name": "old", "table": table})
        limiting.say({"id": 1, "do": "limit", "queue": "default", "limits": {"concurrency": 3}})
        # Their requests were read: what came later on another connection is answered.
        assert schedules(daemon) == ["old"]

        let_go(daemon)

        assert "ok" in reloading.hear()
        # The name is free in the new plan, as it was not in the one in force when it was asked.
        assert "ok" in adding.hear()
        assert "ok" in limiting.hear()

    assert sorted(schedules(daemon)) == ["new", "old"]
    queue = daemon.call(requests.Limit(queue="default"))
    assert queue["concurrency"] == 3


def test_a_second_reload_reads_what_was_written_meanwhile(daemon: Daemon) -> None:
    with begin_reload(daemon) as first, Wire(daemon.socket) as second:
        daemon.config.write_text(SECOND.replace("second", "third"))
        second.say({"id": 1, "do": "reload"})
        assert schedules(daemon) == ["old"]

        let_go(daemon)

        assert "ok" in first.hear()
        assert any("third" in line for line in second.hear()["ok"]["changes"])
    assert output(daemon) == "third\n"


@pytest.mark.slow
def test_a_stop_in_the_middle_says_that_nothing_was_reloaded(daemon: Daemon) -> None:
    with begin_reload(daemon) as wire:
        assert daemon.stop() == 0
        assert wire.hear()["error"]["message"] == "the daemon is stopping; nothing was reloaded"

    daemon.config.write_text(FIRST)
    let_go(daemon)
    daemon.start()
    assert_nothing_was_reloaded(daemon)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["between two turns", "just before the commit"])
def test_kill_in_the_middle_has_changed_nothing(daemon: Daemon, where: str) -> None:
    with begin_reload(daemon):
        if where == "between two turns":
            daemon.kill()
        else:
            (daemon.folder / "die").touch()
            let_go(daemon)
            assert daemon.wait_for_exit() == -9
    for name in ("hold", "die"):
        (daemon.folder / name).unlink(missing_ok=True)

    daemon.config.write_text(FIRST)
    daemon.start()

    assert_nothing_was_reloaded(daemon)


def assert_nothing_was_reloaded(daemon: Daemon) -> None:
    assert schedules(daemon) == ["old"]
    assert output(daemon) == "first\n"
    report: dict[str, Any] = daemon.call(requests.Audit())
    # The new schedule has not been there, not for a moment; the old one was not removed.
    assert (report["schedules"], report["violations"]) == (1, [])
    assert not any("removed" in (fire["reason"] or "") for fire in fires(daemon))


def test_a_reload_that_is_refused_in_the_end_leaves_the_old_plan(daemon: Daemon) -> None:
    # What is known only when everything is merged: the store holds a schedule of that name.
    daemon.call(requests.AddSchedule(name="mine", table={"task": "hello", "every": "1h"}))
    daemon.config.write_text(SECOND.replace("schedules.new", "schedules.mine"))

    with pytest.raises(PlanError, match="mine"):
        daemon.call(requests.Reload())

    assert sorted(schedules(daemon)) == ["mine", "old"]
    assert output(daemon) == "first\n"
