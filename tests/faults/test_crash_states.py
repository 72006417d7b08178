"""Crash states in short; ``python -m tests.faults.crash_states`` tries all of them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import apsw
import pytest

from jobctl.store.statements import migrations
from tests.faults.crash_disk import Bounds, Disk, Event, applied, lay_out, recording, states
from tests.faults.crash_states import explore, names

if TYPE_CHECKING:
    from pathlib import Path

NEWEST = f"upgrade from schema {len(migrations())}"
SHORT = Bounds(subsets=2, pairs=2, every=12, recovered=300)
SHORTER = Bounds(subsets=1, pairs=1, every=40, recovered=1_000)
SOME = Bounds(subsets=4, pairs=0, every=1000, recovered=100_000)


@pytest.mark.parametrize("story", names())
def test_no_crash_loses_what_was_acknowledged_or_leaves_half_a_transaction(story: str) -> None:
    is_old = story.startswith("upgrade") and story != NEWEST
    bounds = SHORTER if is_old else SHORT

    findings = explore(story, random.SystemRandom().randrange(2**32), bounds)

    assert not findings.faults, f"seed {findings.seed}: {findings.line()}"
    assert findings.states > 30


def test_each_migration_has_a_story() -> None:
    assert [name for name in names() if name.startswith("upgrade")] == [
        f"upgrade from schema {number}" for number, _, _ in migrations()
    ]


def test_a_crash_is_seen_on_both_sides_of_a_commit() -> None:
    findings = explore("submit", 1, SHORT)

    assert findings.outcomes["as acknowledged"]
    assert findings.outcomes["one transaction more"]


# -- the controls: with a promise broken on purpose, the same harness finds it ----------------------------


def test_control_with_synchronous_normal_acknowledged_jobs_are_lost() -> None:
    findings = explore("submit", 1, SOME, synchronous="NORMAL")

    assert findings.faults["acknowledged, but lost"]


def test_control_with_synchronous_off_stores_are_damaged() -> None:
    findings = explore("submit", 1, SOME, synchronous="OFF")

    assert findings.faults["acknowledged, but lost"]
    assert findings.outcomes["damaged"] + findings.outcomes["refused"]


def test_control_with_the_answer_before_the_commit_acknowledged_jobs_are_lost() -> None:
    findings = explore("submit", 1, SOME, answers_first=True)

    assert findings.faults["acknowledged, but lost"]


def test_control_without_a_backup_an_upgrade_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobctl.store.database._back_up", lambda _database, _version: None)

    findings = explore(NEWEST, 1, SOME)

    assert findings.faults["upgraded without a backup"]


# -- the disk that remembers -------------------------------------------------------------------------------


def test_the_last_state_of_a_record_is_what_lies_on_the_disk(tmp_path: Path) -> None:
    played, rebuilt = tmp_path / "played", tmp_path / "rebuilt"
    played.mkdir()
    rebuilt.mkdir()
    disk = Disk(played)
    with recording(disk):
        connection = apsw.Connection(str(played / "a.db"))
        connection.execute("PRAGMA synchronous = FULL; CREATE TABLE t (x)")
        connection.execute("INSERT INTO t VALUES (randomblob(20000))")
        connection.close()

    images = list(states(disk, Bounds(subsets=0, pairs=0), random.Random(1)))

    lay_out(images[-1], rebuilt)
    left = {path.name: path.read_bytes() for path in played.iterdir()}
    assert any(image.files == left for image in images)
    # Nothing was flushed of a folder that lost its last file: it may be there once more.
    assert {path.name for path in rebuilt.iterdir()} <= {"a.db", "a.db-journal"}


def test_a_write_behind_the_end_leaves_zeros_before_it() -> None:
    assert applied(b"ab", Event("write", offset=4, data=b"x")) == b"ab\0\0x"
    assert applied(b"abcd", Event("truncate", offset=2)) == b"ab"
