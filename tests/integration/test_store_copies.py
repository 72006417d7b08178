"""Copies of the store: made beside writes, verified, and judged by what must hold between rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw
import pytest

from jobctl.errors import Conflict, StorageError
from jobctl.store import checks, counts, restoring
from jobctl.store.copying import UNFINISHED, Copy, copy_whole, keep, verify
from jobctl.store.database import Database, open_database
from tests.support.builders import a_job, in_state, rows, submitted
from tests.support.clock import START

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(tmp_path / "jobctl.db")
    yield opened
    opened.close()


def fill(database: Database, count: int) -> None:
    submitted(database, *[a_job(payload="x" * 500) for _ in range(count)])


def ids(path: Path) -> list[int]:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return [int(str(id)) for (id,) in connection.execute("SELECT id FROM jobs ORDER BY id")]
    finally:
        connection.close()


def test_what_is_written_between_two_slices_is_in_the_copy(
    database: Database, tmp_path: Path
) -> None:
    fill(database, 200)
    copy = Copy(database, tmp_path / "copy")
    slices = 0
    while not copy.step(5):
        slices += 1
        if slices < 20:
            fill(database, 3)
            with database.transaction():
                database.execute("DELETE FROM jobs WHERE id = (SELECT min(id) FROM jobs)")
        database.checkpoint()
    copy.close()

    assert slices > 5
    assert verify(tmp_path / "copy").violations == []
    assert ids(tmp_path / "copy") == [row["id"] for row in rows(database, "jobs", "id")]


def test_what_is_rolled_back_between_two_slices_is_not_in_the_copy(
    database: Database, tmp_path: Path
) -> None:
    fill(database, 100)
    before = [row["id"] for row in rows(database, "jobs", "id")]
    # So small that a transaction is written to the log before its end.
    database.execute("PRAGMA cache_size = 20")
    copy = Copy(database, tmp_path / "copy")
    copy.step(10)
    database.begin()
    database.executemany(
        "UPDATE jobs SET payload = ? WHERE id = ?", [("y" * 20_000, id) for id in before]
    )
    database.rollback()
    while not copy.step(10):
        pass
    copy.close()

    assert verify(tmp_path / "copy").violations == []
    assert ids(tmp_path / "copy") == before


def test_a_copy_that_is_given_up_leaves_nothing(database: Database, tmp_path: Path) -> None:
    fill(database, 100)
    copy = Copy(database, tmp_path / "copy")
    copy.step(1)

    copy.drop()

    assert not (tmp_path / "copy").exists()
    fill(database, 1)


def test_a_copy_is_for_its_owner_only_and_one_file(database: Database, tmp_path: Path) -> None:
    fill(database, 1)
    folder = tmp_path / "copies"
    folder.mkdir()
    unfinished = folder / f"copy{UNFINISHED}"
    copy_whole(database, unfinished)
    verify(unfinished)

    keep(unfinished, folder / "copy")

    assert [path.name for path in folder.iterdir()] == ["copy"]
    assert (folder / "copy").stat().st_mode & 0o777 == 0o600


def test_a_copy_never_takes_the_place_of_another_file(database: Database, tmp_path: Path) -> None:
    unfinished = tmp_path / f"copy{UNFINISHED}"
    copy_whole(database, unfinished)
    (tmp_path / "copy").write_text("mine")

    with pytest.raises(Conflict, match="is there already"):
        keep(unfinished, tmp_path / "copy")

    assert (tmp_path / "copy").read_text() == "mine"


def test_a_link_that_somebody_has_put_there_is_not_followed(
    database: Database, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "copy").symlink_to(victim)

    copy_whole(database, tmp_path / "copy")

    assert victim.read_text() == "precious"
    assert not (tmp_path / "copy").is_symlink()


@pytest.mark.parametrize("what", ["another program's", "damaged", "no database"])
def test_what_is_no_backup_is_not_taken_for_one(
    database: Database, tmp_path: Path, what: str
) -> None:
    path = tmp_path / "copy"
    if what == "another program's":
        connection = apsw.Connection(str(path))
        connection.execute("CREATE TABLE t (x)")
        connection.close()
    elif what == "no database":
        path.write_bytes(b"x" * 5000)
    else:
        fill(database, 100)
        copy_whole(database, path)
        verify(path)
        with path.open("r+b") as file:
            file.seek(5 * 4096)
            file.write(b"\xff" * 4096)

    try:
        found = verify(path).violations
    except StorageError:
        return
    assert found


# -- what must hold between rows ------------------------------------------------------------------

BREAKING = {
    "key_without_job": "INSERT INTO keys VALUES (0, 'k', 999999999, x'00')",
    "attempt_without_job": (
        "INSERT INTO attempts (job_id, number, token, worker, verdict, claimed_at, finished_at) "
        "VALUES (999999999, 1, 1, 'w', 'success', 1, 2)"
    ),
    "dependency_without_job": "INSERT INTO dependencies VALUES (999999999, 1, 'end', 'met')",
    "waits_for_ended": (
        "INSERT INTO dependencies SELECT max(id), min(id), 'end', 'open' FROM jobs"
    ),
    "waits_for_nothing": "UPDATE jobs SET line = 'after' WHERE id = (SELECT max(id) FROM jobs)",
    "line_of_state": "UPDATE jobs SET line = 'w/x' WHERE id = (SELECT max(id) FROM jobs)",
    "eta_without_moment": "UPDATE jobs SET line = 'eta' WHERE id = (SELECT max(id) FROM jobs)",
    "attempt_beyond_job": (
        "INSERT INTO attempts (job_id, number, token, worker, verdict, claimed_at, finished_at) "
        "SELECT max(id), 7, 1, 'w', 'failure', 1, 2 FROM jobs"
    ),
    "success_without_attempt": (
        "UPDATE jobs SET state = 'SUCCESS', line = NULL, finished_at = 5 "
        "WHERE id = (SELECT max(id) FROM jobs)"
    ),
    "fire_without_job": (
        "INSERT INTO fires (schedule, first, rule, last, count, fate, job_id) "
        "VALUES (1, 10, 1, 10, 1, 'submitted', 999999999)"
    ),
    "fires_overlap": (
        "INSERT INTO fires (schedule, first, rule, last, count, fate) "
        "VALUES (1, 10, 1, 30, 3, 'missed'), (1, 20, 1, 40, 3, 'missed')"
    ),
    "fire_beyond_watermark": (
        "INSERT INTO fires (schedule, first, rule, last, count, fate) "
        "VALUES (1, 10, 1, 5000, 3, 'missed')"
    ),
}


@pytest.fixture
def sound(database: Database) -> Database:
    """A store with a job that was revoked, one that waits, and a schedule up to 1000."""
    in_state(database, "REVOKED", now=START)
    in_state(database, "PENDING", now=START)
    with database.transaction():
        database.execute(
            "INSERT INTO schedules (id, name, watermark, created_at) VALUES (1, 'a', 1000, 0)"
        )
        database.execute(
            "INSERT INTO rules (schedule, number, begins_at, identity, anchor_at) "
            "VALUES (1, 1, 0, 'i', 0)"
        )
    return database


def test_a_sound_store_passes(sound: Database) -> None:
    assert checks.integrity(sound.connection) == []
    assert checks.relations(sound.connection) == ([], [])


def test_a_restore_knows_what_to_do_with_every_table(database: Database) -> None:
    known = {*restoring.TOGETHER, *restoring.ALONE, *restoring.BY_JOB, "meta"}

    assert known - {"sqlite_sequence"} == set(counts.tables(database))


def test_there_is_a_broken_store_for_every_check() -> None:
    assert BREAKING.keys() == checks.CHECKS.keys()


@pytest.mark.parametrize("check", sorted(checks.CHECKS))
def test_a_check_finds_what_it_is_for(sound: Database, check: str) -> None:
    with sound.transaction():
        sound.execute(BREAKING[check])

    violations, _ = checks.relations(sound.connection)

    assert [found.check for found in violations] == [check]
    assert violations[0].invariant == checks.CHECKS[check]


def test_keys_of_jobs_that_were_removed_as_old_break_nothing(sound: Database) -> None:
    with sound.transaction():
        sound.execute("INSERT INTO keys VALUES (0, 'k', 77, x'00')")
        sound.execute("INSERT INTO meta VALUES ('newest_removed', '77')")

    assert checks.relations(sound.connection) == ([], [])


def test_attempts_that_seem_to_overlap_are_a_remark(sound: Database) -> None:
    with sound.transaction():
        sound.execute("UPDATE jobs SET number = 3")
        sound.execute(
            "INSERT INTO attempts (job_id, number, token, worker, verdict, claimed_at, finished_at) "
            "SELECT max(id), 1, 1, 'w', 'failure', 100, 200 FROM jobs UNION ALL "
            "SELECT max(id), 2, 2, 'w', 'failure', 150, 250 FROM jobs"
        )

    violations, remarks = checks.relations(sound.connection)

    assert violations == []
    assert [found.check for found in remarks] == ["attempts_overlap"]


# -- counts ---------------------------------------------------------------------------------------


def test_rows_are_counted_whole_in_slices(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "SLICE", 10)
    fill(database, 40)
    in_state(database, "REVOKED")
    with database.transaction():
        database.executemany(
            "INSERT INTO keys VALUES (?, ?, 1, x'00')",
            [(uid, f"k{n}") for uid in (0, 1) for n in range(15)],
        )

    total = slices = 0
    key = None
    while slices == 0 or key is not None:
        found, key = counts.count(database, "keys", key)
        total, slices = total + found, slices + 1
    states: dict[str, int] = {}
    after: int | None = 0
    while after is not None:
        by_state, after = counts.jobs_by_state(database, after=after, day=START, week=START + 1)
        for one in by_state:
            states[one.state] = states.get(one.state, 0) + one.jobs
            assert (one.in_day, one.in_week) == (one.jobs, 0)

    assert (total, slices) == (30, 4)
    assert states == {"PENDING": 40, "REVOKED": 1}
    assert set(counts.tables(database)) >= {"jobs", "attempts", "keys", "fires"}
