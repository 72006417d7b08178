"""Retention on a real file: what is old goes whole, what is kept is kept, and no id is given twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jobctl.clock import SECOND
from jobctl.daemon.main import highest_id
from jobctl.daemon.retention import BATCH, KEY_KEEP_S, PAUSE_S, Retention, newest_removed
from jobctl.paths import output_file
from jobctl.plan import DaemonSettings
from jobctl.store import attempts, dependencies, fires, jobs, keys, rules, schedules
from jobctl.store.attempts import row_of
from jobctl.store.database import Database, open_database
from jobctl.store.fires import Fire
from tests.support.builders import a_job, an_outcome, claimed, in_state, rows
from tests.support.clock import START, FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY = 86_400


class Walker:
    """A retention and its clock over one store."""

    def __init__(self, database: Database, folder: Path, **settings: Any) -> None:
        self.database = database
        self.clock = FakeClock()
        self.output_dir = folder / "output"
        self.retention = Retention(database=database, clock=self.clock, output_dir=self.output_dir)
        self.retention.take_settings(DaemonSettings(**settings))
        self.steps = 0

    def walk(self) -> None:
        """A whole walk: slice after slice until it rests."""
        self.clock.advance(PAUSE_S)
        for _ in range(1000):
            if not self.retention.is_due(self.clock.monotonic()):
                return
            with self.database.transaction():
                self.retention.step(self.clock.now(), self.clock.monotonic())
            self.steps += 1
        raise AssertionError("the walk does not end")

    def kept(self) -> list[int]:
        return [row["id"] for row in rows(self.database, "jobs", "id")]


def test_a_walk_that_is_asked_for_begins_now_and_tells_what_it_removed(
    database: Database, tmp_path: Path
) -> None:
    walker = Walker(database, tmp_path)
    for id in range(1, 2 * BATCH + 51):
        in_state(database, "REVOKED", id=id)
    waits = in_state(database, "PENDING", id=9000)
    walker.clock.advance(DAY)
    young = in_state(database, "REVOKED", id=9001, now=walker.clock.now())
    told: list[int] = []

    walker.retention.run_now(DAY / 2, None, told.append)
    assert walker.retention.is_due(walker.clock.monotonic())
    rolled_back = False
    while not told:
        database.begin()
        walker.retention.step(walker.clock.now(), walker.clock.monotonic())
        if rolled_back:
            database.commit()
        else:
            # What a refused commit did not remove is not counted.
            database.rollback()
            walker.retention.recover()
            walker.retention.run_now(DAY / 2, None, told.append)
            rolled_back = True

    assert told == [2 * BATCH + 50] * 2
    assert walker.kept() == [waits, young]
    # What was asked for holds for this once.
    in_state(database, "REVOKED", id=9002, now=START)
    walker.walk()
    assert walker.kept() == [waits, young, 9002]


@pytest.mark.parametrize(("asked", "kept"), [(2, 2), (10, 4)])
def test_no_more_is_kept_than_is_configured(
    database: Database, tmp_path: Path, asked: int, kept: int
) -> None:
    walker = Walker(database, tmp_path, keep_jobs=4)
    for id in range(1, 9):
        in_state(database, "REVOKED", id=id)
    told: list[int] = []

    walker.retention.run_now(None, asked, told.append)
    walker.walk()

    assert told == [8 - kept]
    assert len(walker.kept()) == kept


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(tmp_path / "jobctl.db")
    yield opened
    opened.close()


def with_attempt(database: Database, id: int, folder: Path | None = None) -> None:
    """An ended job with one attempt, and its output in a file if there is a folder."""
    taken = claimed(database, a_job(id=id))
    outcome = an_outcome(
        taken,
        output_bytes=5,
        output_file=folder is not None,
        stderr_bytes=None if folder is None else 5,
        stderr_file=folder is not None,
    )
    with database.transaction():
        jobs.succeed(database, [(START, id, taken.token)])
        attempts.add(
            database, [row_of(outcome, number=1, worker="w1", claimed_at=START, ran_with=None)]
        )
    if folder is not None:
        for is_stderr in (False, True):
            path = output_file(folder / "output", id, 1, stderr=is_stderr)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"hello")


def test_nothing_is_looked_at_before_the_first_pause_is_over(
    database: Database, tmp_path: Path
) -> None:
    walker = Walker(database, tmp_path, keep_s=1.0)

    assert not walker.retention.is_due(walker.clock.monotonic())
    assert walker.retention.deadline() == walker.clock.monotonic() + PAUSE_S


def test_an_ended_job_goes_whole_when_it_is_old(database: Database, tmp_path: Path) -> None:
    walker = Walker(database, tmp_path, keep_s=30.0 * DAY)
    with_attempt(database, 1, tmp_path)
    with_attempt(database, 2)
    assert output_file(walker.output_dir, 1, 1).exists()

    walker.clock.advance(30 * DAY - PAUSE_S)
    walker.walk()
    assert walker.kept() == [1, 2]
    walker.clock.advance(1)
    walker.walk()

    assert walker.kept() == []
    assert rows(database, "attempts") == []
    assert list(walker.output_dir.iterdir()) == []


@pytest.mark.parametrize("state", ["PENDING", "STARTED", "RETRY"])
def test_an_unfinished_job_is_never_removed(database: Database, tmp_path: Path, state: str) -> None:
    job = in_state(database, state)
    walker = Walker(database, tmp_path, keep_s=1.0, keep_jobs=0)

    walker.clock.advance(365 * DAY)
    walker.walk()

    assert walker.kept() == [job]


@pytest.mark.parametrize(
    ("state", "status"), [("PENDING", "open"), ("PENDING", "met"), ("RETRY", "met")]
)
def test_what_an_unfinished_job_waits_for_or_waited_for_stays_as_long_as_that(
    database: Database, tmp_path: Path, state: str, status: str
) -> None:
    for id in (1, 2):
        in_state(database, "SUCCESS", id=id)
    in_state(database, state, id=3)
    with database.transaction():
        dependencies.add(database, [(3, 1, "success", status)])
    walker = Walker(database, tmp_path, keep_s=1.0, keep_jobs=0)

    walker.clock.advance(365 * DAY)
    walker.walk()
    assert walker.kept() == [1, 3]
    with database.transaction():
        jobs.revoke_waiting(database, id=3, reason="cancelled", now=walker.clock.now())
    walker.clock.advance(365 * DAY)
    walker.walk()

    assert walker.kept() == []
    assert rows(database, "dependencies") == []


def test_an_old_job_that_ended_late_stays_for_its_time(database: Database, tmp_path: Path) -> None:
    in_state(database, "SUCCESS", id=1)
    in_state(database, "SUCCESS", id=2, now=START + 20 * DAY * SECOND)
    in_state(database, "SUCCESS", id=3)
    walker = Walker(database, tmp_path, keep_s=30.0 * DAY)

    walker.clock.advance(31 * DAY)
    walker.walk()

    assert walker.kept() == [2]


@pytest.mark.slow
def test_the_newest_are_kept_by_count(database: Database, tmp_path: Path) -> None:
    for id in range(1, 3 * BATCH):
        in_state(database, "SUCCESS", id=id)
    walker = Walker(database, tmp_path, keep_jobs=10)

    walker.walk()

    assert walker.kept() == list(range(3 * BATCH - 10, 3 * BATCH))


def test_jobs_that_wait_do_not_push_ended_ones_out(database: Database, tmp_path: Path) -> None:
    for id in range(1, 11):
        in_state(database, "SUCCESS", id=id)
    for id in range(11, 111):
        in_state(database, "PENDING", id=id)
    walker = Walker(database, tmp_path, keep_jobs=10)

    walker.walk()

    assert walker.kept() == list(range(1, 111))


@pytest.mark.slow
def test_what_is_kept_costs_one_slice(database: Database, tmp_path: Path) -> None:
    for id in range(1, 5 * BATCH):
        in_state(database, "SUCCESS", id=id)
    walker = Walker(database, tmp_path)

    walker.walk()

    # One slice of jobs, of keys, of schedules, and the end.
    assert walker.steps <= 4


def test_no_id_is_given_twice_when_the_newest_job_is_removed(
    database: Database, tmp_path: Path
) -> None:
    for id in (1, 2, 3):
        in_state(database, "SUCCESS", id=id)
    walker = Walker(database, tmp_path, keep_jobs=0)

    walker.walk()

    assert walker.kept() == []
    assert highest_id(database) == 3
    in_state(database, "SUCCESS", id=4)
    assert highest_id(database) == 4


def test_the_newest_job_that_was_removed_is_remembered(database: Database, tmp_path: Path) -> None:
    for id in (1, 2):
        in_state(database, "SUCCESS", id=id)
    in_state(database, "SUCCESS", id=3, now=START + round(PAUSE_S) * SECOND)
    walker = Walker(database, tmp_path, keep_s=1.0)
    assert newest_removed(database) == 0

    walker.walk()

    assert (walker.kept(), newest_removed(database)) == ([3], 2)


def test_a_file_is_kept_when_the_removal_of_its_row_was_refused(
    database: Database, tmp_path: Path
) -> None:
    with_attempt(database, 1, tmp_path)
    walker = Walker(database, tmp_path, keep_s=1.0)
    walker.clock.advance(PAUSE_S)
    database.begin()
    walker.retention.step(walker.clock.now(), walker.clock.monotonic())
    database.rollback()
    walker.retention.recover()

    with database.transaction():
        walker.retention.step(walker.clock.now(), walker.clock.monotonic())

    assert walker.kept() == [1]
    assert output_file(walker.output_dir, 1, 1).exists()


def test_a_key_lives_a_day_longer_than_its_job_runs(database: Database, tmp_path: Path) -> None:
    for id in (1, 2):
        in_state(database, "SUCCESS" if id == 1 else "PENDING", id=id)
        keys.add(database, [(0, f"k{id}", id, b"d")])
    walker = Walker(database, tmp_path)

    walker.clock.advance(KEY_KEEP_S - PAUSE_S)
    walker.walk()
    assert keys.get(database, uid=0, key="k1") is not None
    walker.clock.advance(1)
    walker.walk()

    assert keys.get(database, uid=0, key="k1") is None
    assert keys.get(database, uid=0, key="k2") == (2, b"d")


def test_the_keys_of_many_users_are_all_looked_at(database: Database, tmp_path: Path) -> None:
    with database.transaction():
        for n in range(3 * BATCH):
            keys.add(database, [(n % 7, f"k{n}", n + 1, b"d")])
    walker = Walker(database, tmp_path)

    walker.walk()

    assert rows(database, "keys") == []


def test_old_fates_go_also_those_of_schedules_that_are_gone(
    database: Database, tmp_path: Path
) -> None:
    walker = Walker(database, tmp_path, keep_s=1.0 * DAY)
    with database.transaction():
        for name in ("a", "gone", "z"):
            row = schedules.add(database, name=name, identity="i", anchor_at=START, now=START)
            for n in range(2 * BATCH + 1):
                at = START + n * SECOND
                fires.add(
                    database,
                    Fire(schedule=row.id, rule=1, first=at, last=at, count=1, fate="missed"),
                )
        gone = schedules.get(database, "gone")
        assert gone is not None
        schedules.remove(database, gone, ends_at=START, now=START)

    walker.clock.advance(DAY - PAUSE_S + 2 * BATCH)
    walker.walk()

    # Those of the last instant are a day old to the microsecond.
    assert [row["first"] for row in rows(database, "fires")] == [START + 2 * BATCH * SECOND] * 3
    noted = {row["name"]: row["pruned_until"] for row in rows(database, "schedules")}
    assert noted == dict.fromkeys(("a", "gone", "z"), walker.clock.now() - DAY * SECOND)


def test_rules_go_with_the_last_of_their_fates(database: Database, tmp_path: Path) -> None:
    walker = Walker(database, tmp_path, keep_s=1.0 * DAY)
    row = schedules.add(database, name="a", identity="i", anchor_at=START, now=START)
    for number in (1, 2, 3):
        at = START + number * DAY * SECOND
        fate = Fire(schedule=row.id, rule=number, first=at, last=at, count=1, fate="missed")
        fires.add(database, fate)
        row = schedules.begin_rule(
            database,
            row,
            identity="i",
            anchor_at=START,
            zone_data=None,
            ends_at=at,
            begins_at=at,
            runs=0,
        )

    walker.clock.advance(3.5 * DAY)
    walker.walk()

    assert [rule.number for rule in rules.of_schedule(database, "a")] == [3, 4]
    assert [fire["rule"] for fire in rows(database, "fires")] == [3]


def test_a_range_that_reaches_into_what_is_kept_stays(database: Database, tmp_path: Path) -> None:
    walker = Walker(database, tmp_path, keep_s=1.0 * DAY)
    row = schedules.add(database, name="a", identity="i", anchor_at=START, now=START)
    last = START + 10 * DAY * SECOND
    fires.add(
        database, Fire(schedule=row.id, rule=1, first=START, last=last, count=9, fate="missed")
    )

    walker.clock.advance(10 * DAY)
    walker.walk()

    assert len(rows(database, "fires")) == 1
