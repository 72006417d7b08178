"""The small parts of the local engine: timers, the outbox, pauses, cgroups, messages."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.engine.base import Settled
from jobctl.engine.local import cgroups, messages
from jobctl.engine.local.births import FIRST_PAUSE_S, LONGEST_PAUSE_S, pause_s
from jobctl.engine.local.outbox import Outbox
from jobctl.engine.local.timers import Timers
from jobctl.errors import ProtocolError
from jobctl.result import Outcome, Verdict
from jobctl.worker.record import write_record

if TYPE_CHECKING:
    from pathlib import Path


class Hand:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s

    def now(self) -> int:
        return 0


def test_timers_go_off_in_the_order_of_their_moments_and_of_their_making() -> None:
    said: list[str] = []
    timers = Timers(Hand())
    for delay_s, name in ((2.0, "late"), (1.0, "first"), (1.0, "second")):
        timers.after(delay_s, partial(said.append, name))
    assert timers.deadline == 101.0
    timers.step(100.999)
    assert said == []
    timers.step(101.0)
    assert said == ["first", "second"]
    timers.step(1000.0)
    assert said == ["first", "second", "late"]
    assert timers.deadline is None


def test_an_action_may_ask_for_another_one_in_the_same_step() -> None:
    said: list[str] = []
    timers = Timers(Hand())
    timers.after(0.0, lambda: timers.after(0.0, lambda: said.append("then")))
    timers.step(100.0)
    assert said == ["then"]


def outcome(token: int) -> Outcome:
    return Outcome(token=token, job_id=1, verdict=Verdict.SUCCESS, finished_at=5)


def test_an_outcome_that_is_heard_twice_is_passed_on_once() -> None:
    outbox = Outbox()
    outbox.emit(Settled("w", (), [outcome(1), outcome(2)]))
    outbox.emit(Settled("w", (), [outcome(2), outcome(3)]))
    outbox.emit(Settled("w", (), [outcome(3)]))
    events = outbox.collect()
    assert [o.token for event in events for o in event.outcomes] == [1, 2, 3]
    assert outbox.collect() == []
    assert outbox.has(2)


def test_a_record_goes_when_its_outcome_is_in_the_store_and_not_before(tmp_path: Path) -> None:
    write_record(str(tmp_path), 5, '{"token":5,"job_id":1,"verdict":"success","finished_at":5}')
    (tmp_path / "not-a-token.json").write_text("{}")
    (tmp_path / "other.txt").write_text("")
    outbox = Outbox()
    (found,) = outbox.records(tmp_path, ())
    outbox.emit(Settled("", (), [found]))
    assert outbox.needs(tmp_path)
    (event,) = outbox.collect()
    outbox.forget(event)
    assert not outbox.needs(tmp_path)
    assert not outbox.records(tmp_path, ())


def test_pauses_double_up_to_a_longest_one() -> None:
    pauses = [pause_s(failures) for failures in range(1, 40)]
    assert pauses[:3] == [FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_S


def test_corners_that_nobody_holds_are_removed_when_they_are_old_and_empty(tmp_path: Path) -> None:
    now_s = 1_000_000.0
    for name in ("jobctl-1", "jobctl-held", "jobctl-gone/abc", "jobctl-lives/abc", "other"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "jobctl-lives/abc/process").touch()
    for corner in tmp_path.iterdir():
        os.utime(corner, (now_s - 3601, now_s - 3601))
    (tmp_path / "jobctl-young").mkdir()
    os.utime(tmp_path / "jobctl-young", (now_s - 60, now_s - 60))
    holder = cgroups.Cgroups(None, {"pids": str(tmp_path / "jobctl-held")})

    own = cgroups.Cgroups(tmp_path / "jobctl-1")
    own.drop_abandoned(now_s)

    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"jobctl-1", "jobctl-held", "jobctl-lives", "jobctl-young", "other"}
    holder.close()
    own.close()
    assert not (tmp_path / "jobctl-held").exists()


def test_only_a_cgroup_that_we_made_for_this_instance_is_believed(tmp_path: Path) -> None:
    for path in ("/", "/sys/fs/cgroup", "/sys/fs/cgroup/../jobctl-1/abc", str(tmp_path), ""):
        assert not cgroups.is_of("abc", path)
    made = tmp_path / "jobctl-1" / "abc"
    made.mkdir(parents=True)
    assert not cgroups.is_of("abc", str(made)), "it does not lie in the hierarchy"


@pytest.mark.parametrize(
    "message",
    [
        {"is": "hello", "protocol": 1},
        {"is": "hello", "protocol": 1, "running": "all"},
        {"is": "hello", "protocol": 1, "running": [True]},
        {"is": "hello", "protocol": "1", "running": []},
        {"is": "hello", "protocol": 1, "running": [], "made": 2**70},
    ],
)
def test_a_hello_that_is_none_is_refused(message: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        messages.worker_hello(message)


@pytest.mark.parametrize(
    "rows",
    [
        5,
        ["row"],
        [[1, 2]],
        [[1, 2, 3, 4, 5]],
        [["1", 2, 3, 4, "5"]],
        [[2**63, 2, 3, 4, "5"]],
        [None],
    ],
)
def test_ends_of_functions_that_cannot_be_stored_are_refused(rows: Any) -> None:
    with pytest.raises(ProtocolError):
        messages.done_rows({"done": rows})


@pytest.mark.parametrize("found", [5, [5], [{}], {"a": 1}, [{"token": 1}]])
def test_outcomes_that_cannot_be_read_are_refused(found: Any) -> None:
    with pytest.raises(ProtocolError):
        messages.outcomes({"outcomes": found})
