"""The durable step over a real store: one piece that fails spoils no other, trouble heals (P11, P15)."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.daemon.ballast import Ballast
from jobctl.daemon.retention import Retention
from jobctl.daemon.station import Counters
from jobctl.daemon.storing import RETRY_S, Storing
from jobctl.daemon.telling import Queueing
from jobctl.engine.base import Settled
from jobctl.errors import JobctlError, StorageError
from jobctl.notify.notifications import Notifications
from jobctl.store import attempts as attempt_rows
from jobctl.store import jobs as job_rows
from jobctl.store import meta
from jobctl.store.attempts import row_of
from jobctl.store.database import CHECKPOINT_BYTES, open_database
from tests.support.beating import Beating
from tests.support.builders import a_job, a_schedule, an_outcome, rows
from tests.support.dispatching import Dispatching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@dataclass
class FakeCall:
    """A request that does something inside the transaction, and keeps the answer."""

    work: Callable[[], None]
    answers: list[object] = field(default_factory=list)
    request: Any = field(default_factory=lambda: SimpleNamespace(do="something"))

    def refuse(self, error: JobctlError) -> None:
        self.answers.append(error)


class Bench:
    """Store, dispatcher, beat and the step over them."""

    def __init__(self, folder: Path) -> None:
        self.database = open_database(folder / "jobctl.db")
        self.dispatching = Dispatching(self.database, folder)
        self.clock = self.dispatching.clock
        self.beating = Beating(self.database, self.clock)
        self.followed: list[Any] = []
        station: Any = SimpleNamespace(
            database=self.database,
            clock=self.clock,
            dispatcher=self.dispatching.dispatcher,
            beat=self.beating.beat,
            counters=Counters(),
            # Nobody is to be told of anything.
            notifications=SimpleNamespace(
                is_due=lambda _now: False, step=lambda _now: None, recover=lambda: None
            ),
        )
        station.notifications = Notifications(
            database=self.database,
            queueing=Queueing(lambda: station),
            clock=self.clock,
            host="",
            instance="",
            output_dir=folder / "output",
        )
        self.retention = Retention(
            database=self.database, clock=self.clock, output_dir=folder / "output"
        )
        self.storing = Storing(
            station=station,
            retention=self.retention,
            handle=self._handle,
            follow=self.followed.append,
            ballast=Ballast(folder / "ballast"),
        )

    @staticmethod
    def _handle(call: Any) -> Callable[[], None]:
        call.work()
        return lambda: call.answers.append("done")

    def turn(self, *calls: FakeCall, events: tuple[Settled, ...] = ()) -> None:
        """A turn as the daemon takes it."""
        offered = self.storing.offer(events, self.clock.monotonic())
        given: Any = calls
        if calls or offered or self.storing.wants_turn(self.clock.now(), self.clock.monotonic()):
            self.storing.step(given, offered, self.clock.now())

    def note(self, name: str, text: str = "1") -> FakeCall:
        """A request that remembers a value."""
        return FakeCall(lambda: meta.set(self.database, name, text))

    def fill(self) -> None:
        """No page more for the store."""
        (pages,) = self.database.row("PRAGMA page_count") or (0,)
        self.database.row(f"PRAGMA max_page_count = {pages}")

    def free(self) -> None:
        self.database.row("PRAGMA max_page_count = 1000000")

    def big(self, name: str = "big") -> FakeCall:
        """A request that needs many pages."""
        return self.note(name, "x" * 1_000_000)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.database.close()


def test_everything_of_a_turn_is_one_commit(bench: Bench) -> None:
    calls = [bench.note(f"n{n}") for n in range(50)]

    bench.turn(*calls)

    assert bench.storing._station.counters.commits == 1
    assert all(call.answers == ["done"] for call in calls)


def test_a_request_that_fails_in_the_middle_leaves_nothing_and_spoils_no_other(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    def write_and_fail() -> None:
        meta.set(bench.database, "half", "1")
        raise KeyError("a fault of ours")

    bad, before, after = FakeCall(write_and_fail), bench.note("before"), bench.note("after")

    with caplog.at_level(logging.ERROR):
        bench.turn(before, bad, after)

    assert (before.answers, after.answers) == (["done"], ["done"])
    (refusal,) = bad.answers
    assert isinstance(refusal, JobctlError)
    assert not isinstance(refusal, StorageError)
    assert meta.get(bench.database, "before") == meta.get(bench.database, "after") == "1"
    assert meta.get(bench.database, "half") is None
    assert "a request failed" in caplog.text


def test_a_request_that_breaks_a_rule_of_the_tables_spoils_no_other(bench: Bench) -> None:
    def break_a_rule() -> None:
        bench.database.execute("INSERT INTO meta (name, value) VALUES ('bad', NULL)")

    bad, good = FakeCall(break_a_rule), bench.note("good")

    bench.turn(bad, good)

    assert good.answers == ["done"]
    assert isinstance(bad.answers[0], StorageError)
    # It is the request's fault, not the disk's: nobody waits for the disk.
    assert bench.storing.deadline() is None


def running(bench: Bench, id: int) -> Any:
    bench.dispatching.engine.room = {(f"k{id}", "command"): 1}
    bench.dispatching.submit(a_job(id=id))
    bench.dispatching.turn()
    return bench.dispatching.engine.started[f"k{id}"][0]


def test_an_outcome_that_can_never_be_stored_is_put_aside_and_the_rest_goes_on(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = running(bench, 1), running(bench, 2)
    # As if an attempt of this number had ended before: its row cannot be written again.
    other = an_outcome(bad)
    with bench.database.transaction():
        row = row_of(other, number=1, worker="w", claimed_at=1, ran_with=None)
        attempt_rows.add(bench.database, [row])

    with caplog.at_level(logging.ERROR):
        bench.turn(
            events=(
                Settled("k1", outcomes=[an_outcome(bad)]),
                Settled("k2", outcomes=[an_outcome(good)]),
            )
        )

    assert bench.dispatching.job(2)["state"] == "SUCCESS"
    assert bench.dispatching.job(1)["state"] == "STARTED"
    assert "cannot be stored" in caplog.text
    assert bench.storing.deadline() is None
    assert not bench.storing.has_waiting


def test_a_full_store_refuses_what_grows_it_and_heals(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.fill()
    refused = [bench.big() for _ in range(3)]
    with caplog.at_level(logging.INFO):
        for call in refused:
            bench.turn(call)

        assert all(isinstance(call.answers[0], StorageError) for call in refused)
        assert caplog.text.count("the disk is full") == 1
        assert bench.storing.deadline() == bench.clock.monotonic() + RETRY_S
        bench.free()
        bench.clock.advance(RETRY_S)
        again = bench.big()
        bench.turn(again)

    assert again.answers == ["done"]
    assert "takes writes again" in caplog.text
    assert bench.storing.deadline() is None


def test_an_outcome_waits_while_the_store_is_full(bench: Bench) -> None:
    attempt = running(bench, 1)
    bench.fill()
    outcome = an_outcome(attempt, error='"' + "x" * 500_000 + '"', output_bytes=1)

    bench.turn(events=(Settled("k1", outcomes=[outcome]),))

    waited = [bench.storing.has_waiting]
    assert not [effects for effects in bench.followed if effects.settled]
    bench.clock.advance(RETRY_S / 2)
    bench.turn()
    waited.append(bench.storing.has_waiting)
    bench.free()
    bench.clock.advance(RETRY_S)
    bench.turn()
    assert [*waited, bench.storing.has_waiting] == [True, True, False]
    assert bench.dispatching.job(1)["state"] == "SUCCESS"
    assert len([effects for effects in bench.followed if effects.settled]) == 1


def test_nothing_is_claimed_and_no_instant_served_while_the_store_is_refused(
    bench: Bench,
) -> None:
    bench.beating.take(a_schedule(every="1m"))
    bench.fill()
    bench.turn(bench.big())
    bench.dispatching.engine.room = {("k1", "command"): 1}
    bench.dispatching.submit(a_job(id=1))
    bench.clock.advance(RETRY_S / 2)

    bench.turn(bench.note("small"))

    assert bench.dispatching.job(1)["state"] == "PENDING"
    bench.free()
    bench.clock.advance(60)
    bench.turn()
    assert bench.dispatching.job(1)["state"] == "STARTED"
    assert bench.beating.fates() == [("submitted", 1)]


def test_a_part_of_ours_that_fails_stops_no_other_part(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_now: int) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(bench.beating.beat, "step", fail)
    bench.dispatching.engine.room = {("k1", "command"): 1}
    bench.dispatching.submit(a_job(id=1))
    call = bench.note("a")

    with caplog.at_level(logging.ERROR):
        bench.turn(call)

    assert call.answers == ["done"]
    assert bench.dispatching.job(1)["state"] == "STARTED"
    assert "a part of the daemon failed" in caplog.text
    # It would fail again at once: the next try waits.
    assert bench.storing.deadline() == bench.clock.monotonic() + RETRY_S


def test_what_was_claimed_in_a_refused_turn_is_claimed_in_the_next(bench: Bench) -> None:
    bench.dispatching.engine.room = {("k1", "command"): 1}
    bench.dispatching.submit(a_job(id=1))
    bench.fill()
    bench.turn(bench.big())
    bench.free()

    bench.clock.advance(RETRY_S)
    bench.turn()

    assert [row["state"] for row in rows(bench.database, "jobs")] == ["STARTED"]
    assert len(job_rows.started(bench.database)) == 1


def test_a_log_of_large_turns_is_written_back_before_it_grows_long(bench: Bench) -> None:
    path = bench.database.path
    log = path.with_name(f"{path.name}-wal")

    for number in range(40):
        bench.turn(bench.big(f"big{number}"))

    assert path.stat().st_size > CHECKPOINT_BYTES
    assert log.stat().st_size < CHECKPOINT_BYTES + 2 * 1_100_000


def test_a_log_of_small_turns_is_written_back_after_a_while(bench: Bench) -> None:
    for number in range(250):
        bench.turn(bench.note(f"n{number}"))

    assert bench.database.log_pages < 200
