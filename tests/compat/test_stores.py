"""Every schema that was ever released is opened, upgraded, and means what it meant."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import pytest

from jobctl.daemon.main import highest_id
from jobctl.result import Verdict
from jobctl.store import (
    attempts,
    dependencies,
    fires,
    jobs,
    keys,
    notices,
    queues,
    rules,
    schedules,
    troubles,
    worker_groups,
    workflows,
)
from jobctl.store.database import Database, open_database
from jobctl.store.statements import migrations

if TYPE_CHECKING:
    from collections.abc import Iterator

KEPT = sorted((Path(__file__).parent / "kept").glob("store-*.sql"))
"""One for each schema, as SQL, so that what changed in one can be read. None is ever made again."""


@pytest.fixture(params=KEPT, ids=lambda path: path.stem)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    path = tmp_path / "jobctl.db"
    connection = apsw.Connection(str(path))
    connection.execute(request.param.read_text()).fetchall()
    connection.close()
    opened = open_database(path)
    yield opened
    opened.close()


def test_each_released_schema_is_kept() -> None:
    numbers = [int(re.sub(r"\D", "", path.stem)) for path in KEPT]

    assert numbers == list(range(1, len(migrations()) + 1))


def test_it_has_the_newest_schema_now_and_is_whole(database: Database) -> None:
    assert database.row("PRAGMA user_version") == (len(migrations()),)
    assert database.rows("PRAGMA integrity_check") == [("ok",)]
    assert database.rows("PRAGMA foreign_key_check") == []


def test_its_tables_are_those_of_a_new_store(database: Database, tmp_path: Path) -> None:
    def shape(of: Database) -> list[tuple[object, ...]]:
        found = of.rows("SELECT type, name, sql FROM sqlite_schema ORDER BY name")
        return [
            (kind, name, re.sub(r"\s+", " ", str(sql)))
            for kind, name, sql in found
            if not str(name).startswith("sqlite_")
        ]

    new = open_database(tmp_path / "new.db")

    assert shape(database) == shape(new)
    new.close()


def test_every_job_is_there_in_its_state(database: Database) -> None:
    found = {row["id"]: row for row in jobs.page(database, before=100, limit=100)}

    states = [found[id]["state"] for id in range(1, 7)]
    assert states == ["PENDING", "STARTED", "RETRY", "SUCCESS", "FAILURE", "REVOKED"]
    assert [found[id]["line"] for id in (7, 8, 9, 11)] == [
        "eta",
        "task/gone",
        "l/default",
        "schedule/1",
    ]
    assert found[12]["labels"] == '{"a":"b"}'
    assert (found[12]["uid"], found[12]["priority"]) == (1000, -5)


def test_its_running_attempt_can_be_adopted(database: Database) -> None:
    (running,) = jobs.started(database)

    assert (running.id, running.token, running.worker) == (2, 22, "w1")


def test_its_attempts_are_whole(database: Database) -> None:
    (success,) = attempts.of_job(database, 4)
    (killed,) = attempts.of_job(database, 5)

    assert (success["verdict"], success["exit_code"]) == (Verdict.SUCCESS, 0)
    assert success["output"] == bytes(range(256))
    assert (killed["signal"], killed["exit_code"]) == (9, None)
    assert attempts.of_job(database, 10)[0]["result"] == '{"x":[1]}'


def test_its_ready_jobs_can_be_claimed(database: Database) -> None:
    with database.transaction():
        taken = jobs.claim(database, line="c/default", instance="w9", limit=9, now=1)

    assert [job.id for job in taken] == [1]


def test_who_holds_a_gate_and_who_waits_there_is_known(database: Database) -> None:
    assert [job.id for job in jobs.holders(database, gate="sync/acme")] == [14]
    assert [job.id for job in jobs.first_in(database, line="gate/sync/acme", limit=9)] == [13]


def test_who_waits_for_whom_is_known(database: Database) -> None:
    found = dependencies.of_job(database, 15, limit=9)

    assert found == [(1, "success", "open"), (4, "end", "met")]
    assert dependencies.wanted(database, [1, 4, 5]) == {1, 4}


def test_workflows_are_whole_where_there_are_any(database: Database) -> None:
    for found in workflows.page(database, before=100, limit=9):
        assert (found.id, found.shape) == (39, '["chain",4,15]')
        assert [stand.id for stand in workflows.jobs_of(database, 39)] == [4, 15]
        step = workflows.steps_of(database, [15])[15]
        assert (step.takes, step.delay_s, step.on_error) == ("4", 1.5, '[{"task":"a"}]')
    assert len(workflows.page(database, before=100, limit=9)) == (
        0 if database.row("SELECT 1 FROM steps") is None else 1
    )


def test_what_is_unique_is_known(database: Database) -> None:
    assert jobs.unfinished_with(database, unique_key="key/sync/1") == (13, "PENDING")


def test_keys_schedules_pauses_and_fates_hold(database: Database) -> None:
    assert keys.get(database, uid=0, key="k1") == (1, bytes(16))
    assert queues.all(database)["other"] is not None
    assert worker_groups.sizes(database) == {"default": {"processes": 3, "commands": 8}}
    row = schedules.all(database)["backup"]
    told = fires.of_schedule(database, name="backup", before=2**62, limit=9)
    assert [fire["fate"] for fire in told] == ["skipped", "submitted"]
    assert told[0]["last"] == row.watermark
    assert (row.rule, row.runs, row.zone_data) == (2, 1, "0123456789abcdef")
    assert [
        (rule.number, rule.ends_at is None) for rule in rules.of_schedule(database, "backup")
    ] == [
        (1, False),
        (2, True),
    ]
    added = schedules.get(database, "added")
    assert added is not None
    assert added.paused_at is not None
    assert added.paused_until is not None
    stored = schedules.stored_of(database, "added")
    assert stored is not None
    assert (stored.table, stored.uid) == ('{"task":"backup","every":"1h"}', 1000)


def test_no_id_that_was_given_is_given_again(database: Database) -> None:
    assert highest_id(database) == 40


def test_what_people_are_told_goes_on(database: Database) -> None:
    # Kept since schema 2.
    for task, known in troubles.all(database).items():
        assert (task, known["ops"].failures, known["ops"].thread) == ("backup", 3, "<first@host>")
    for route, due_at in notices.due(database).items():
        assert notices.of_route(database, route=route, limit=9) == (['{"event":"failure"}'], 1)
        assert due_at > 0
