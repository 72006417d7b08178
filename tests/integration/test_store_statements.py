"""The statements on a real file: which index they use, what they promise, what the tables refuse."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import apsw
import pytest

from jobctl.errors import StorageError
from jobctl.job import Change, State
from jobctl.store import attempts, daemons, fires, jobs, keys, queues, schedules
from jobctl.store import rules as store_rules
from jobctl.store.attempts import row_of
from jobctl.store.database import Database, open_database
from jobctl.store.fires import Fire
from jobctl.store.rules import StoredRule
from jobctl.store.schedules import StoredSchedule, StoredTable
from jobctl.store.statements import statement
from tests.support.builders import a_job, an_outcome, claimed, in_state, rows, submitted
from tests.support.clock import START

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FAR = START + 10**12


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(tmp_path / "jobctl.db")
    yield opened
    opened.close()


# -- indexes ----------------------------------------------------------------------------------------


def steps_of(database: Database, name: str) -> list[str]:
    """What SQLite does for a statement, line by line."""
    sql = statement(name)
    bindings: Any = dict.fromkeys(re.findall(r":(\w+)", sql), 1) or (1,) * sql.count("?")
    return [row[3] for row in database.rows(f"EXPLAIN QUERY PLAN {sql}", bindings)]


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("jobs/claim", "jobs_line"),
        ("jobs/head", "jobs_line"),
        ("jobs/started", "jobs_line"),
        ("jobs/count_lines", "jobs_line"),
        ("jobs/count_started", "jobs_line"),
        ("jobs/unpark", "jobs_line"),
        ("jobs/ripen", "jobs_eta"),
        ("jobs/next_eta", "jobs_eta"),
        ("jobs/scheduled", "jobs_eta"),
        ("jobs/expire", "jobs_expiry"),
        ("jobs/next_expiry", "jobs_expiry"),
        ("jobs/pass_deadline", "jobs_deadline"),
        ("jobs/next_deadline", "jobs_deadline"),
        ("jobs/unfinished_of_schedule", "jobs_schedule"),
        ("jobs/schedules_with_unfinished", "jobs_schedule"),
        ("jobs/let_go", "jobs_schedule"),
        ("jobs/standing", "jobs_line"),
        ("jobs/first_in", "jobs_line"),
        ("jobs/next_line", "jobs_line"),
        ("jobs/holders", "jobs_gate"),
        ("jobs/let_after", "dependencies_unmet"),
        ("dependencies/close", "dependencies_open"),
        ("dependencies/open_after", "dependencies_open"),
        ("dependencies/broken_by", "dependencies_on"),
        ("dependencies/wanted", "dependencies_on"),
        ("dependencies/prune_on", "dependencies_on"),
        ("dependencies/prune", "PRIMARY KEY"),
        ("dependencies/reopen", "PRIMARY KEY"),
        ("dependencies/of_job", "PRIMARY KEY"),
        ("jobs/unfinished_with", "jobs_unique"),
        ("jobs/gates_of", "PRIMARY KEY"),
        ("jobs/gate", "PRIMARY KEY"),
        ("jobs/payload", "PRIMARY KEY"),
        ("jobs/regate", "PRIMARY KEY"),
        ("jobs/next_priority", "jobs_line"),
        ("jobs/schedule_of", "PRIMARY KEY"),
        ("jobs/move", "PRIMARY KEY"),
        ("jobs/oldest", "PRIMARY KEY"),
        ("jobs/prune", "PRIMARY KEY"),
        ("fires/prune", "PRIMARY KEY"),
        ("schedules/ids", "PRIMARY KEY"),
        ("schedules/page", "PRIMARY KEY"),
        ("schedules/get", "PRIMARY KEY"),
        ("rules/end", "PRIMARY KEY"),
        ("rules/of_schedule", "PRIMARY KEY"),
        ("jobs/succeed", "PRIMARY KEY"),
        ("jobs/get", "PRIMARY KEY"),
        ("jobs/running", "PRIMARY KEY"),
        ("jobs/page", "PRIMARY KEY"),
        ("attempts/of_job", "PRIMARY KEY"),
        ("attempts/get", "PRIMARY KEY"),
        ("attempts/with_files", "PRIMARY KEY"),
        ("attempts/find_token", "PRIMARY KEY"),
        ("keys/get", "PRIMARY KEY"),
        ("keys/find", "PRIMARY KEY"),
        ("fires/of_schedule", "PRIMARY KEY"),
        ("fires/page", "PRIMARY KEY"),
        ("fires/newest", "PRIMARY KEY"),
        ("fires/following", "PRIMARY KEY"),
        ("fires/of_job", "fires_job"),
        ("fires/with_jobs", "PRIMARY KEY"),
        ("schedules/past", "PRIMARY KEY"),
        ("schedules/find", "sqlite_autoindex_schedules_1"),
    ],
)
def test_a_statement_uses_its_index_and_scans_nothing(
    database: Database, name: str, index: str
) -> None:
    steps = steps_of(database, name)

    assert any(index in step for step in steps), steps
    assert not [step for step in steps if step.startswith("SCAN") and "INDEX" not in step], steps


@pytest.mark.parametrize(
    "name",
    [
        "jobs/claim",
        "jobs/head",
        "jobs/ripen",
        "jobs/expire",
        "jobs/standing",
        "jobs/first_in",
        "jobs/next_line",
        "jobs/unfinished_of_schedule",
        "jobs/schedules_with_unfinished",
        "fires/page",
        "fires/newest",
        "fires/following",
        "fires/with_jobs",
        "schedules/past",
    ],
)
def test_a_statement_of_every_turn_sorts_nothing(database: Database, name: str) -> None:
    steps = steps_of(database, name)

    assert not [step for step in steps if "TEMP B-TREE" in step], steps


# -- states -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("change", list(Change))
def test_a_change_happens_from_its_sources_and_from_nowhere_else(
    database: Database, change: Change, state: State
) -> None:
    job = in_state(database, state, expires_at=START - 1)

    with database.transaction():
        _try(database, change, job)

    (row,) = rows(database, "jobs")
    assert row["state"] == (change.target if state in change.sources else state)


def _try(database: Database, change: Change, job: int) -> None:
    """Make a change in every way there is."""
    (row,) = database.dicts("SELECT * FROM jobs WHERE id = ?", (job,))
    token = row["token"] or 1
    key: dict[str, Any] = {"id": job, "token": token}
    ended: dict[str, Any] = {"failures": 1, "losses": 0, "reason": "failed"}
    match change:
        case Change.CLAIM:
            # As ripening does, which is no change of state.
            database.execute("UPDATE jobs SET line = 'c/default' WHERE line = 'eta'")
            jobs.claim(database, line="c/default", instance="w2", limit=9, now=START)
        case Change.SUCCEED:
            jobs.succeed(database, [(START, job, token)])
        case Change.FAIL:
            jobs.fail(database, **key, **ended, now=START)
        case Change.TRY_AGAIN:
            jobs.try_again(database, **key, **ended, eta=START)
        case Change.RELEASE:
            jobs.release(database, **key)
            jobs.park(database, **key)
            jobs.set_apart(database, **key, line="l/default")
        case Change.REVOKE:
            jobs.revoke_waiting(database, id=job, reason="cancelled", now=START)
            jobs.revoke_started(database, **key, reason="cancelled", now=START)
            jobs.expire(database, now=START, limit=9)
        case Change.RENEW:
            jobs.renew(database, id=job)


def test_a_stale_token_changes_nothing(database: Database) -> None:
    taken = claimed(database, a_job())
    before = rows(database, "jobs")
    stale: dict[str, Any] = {"id": taken.id, "token": taken.token ^ 1}
    ended: dict[str, Any] = {"failures": 1, "losses": 0, "reason": "failed"}

    with database.transaction():
        assert not jobs.succeed(database, [(START, taken.id, taken.token ^ 1)])
        assert not jobs.fail(database, **stale, **ended, now=START)
        assert not jobs.try_again(database, **stale, **ended, eta=START)
        assert jobs.release(database, **stale) is None
        assert not jobs.revoke_started(database, **stale, reason="cancelled", now=START)
        assert jobs.running(database, **stale) is None

    assert rows(database, "jobs") == before


def test_one_job_is_claimed_by_one_worker(database: Database) -> None:
    submitted(database, a_job(id=1))

    with database.transaction():
        first = jobs.claim(database, line="c/default", instance="a", limit=5, now=START)
        second = jobs.claim(database, line="c/default", instance="b", limit=5, now=START)

    assert [job.id for job in first] == [1]
    assert second == []


def test_a_claim_takes_the_highest_priority_first_then_the_oldest(database: Database) -> None:
    submitted(
        database,
        a_job(id=1),
        a_job(id=2, priority=5),
        a_job(id=3, priority=-5),
        a_job(id=4, priority=5),
    )

    with database.transaction():
        taken = jobs.claim(database, line="c/default", instance="a", limit=3, now=START)

    assert [job.id for job in taken] == [2, 4, 1]


def test_each_claim_draws_a_token_of_its_own(database: Database) -> None:
    tokens = {claimed(database, a_job(queue=f"q{n}")).token for n in range(50)}

    assert len(tokens) == 50
    assert all(0 <= token < 2**63 for token in tokens)


def test_a_released_attempt_is_not_counted(database: Database) -> None:
    taken = claimed(database, a_job(id=1))

    with database.transaction():
        released = jobs.release(database, id=1, token=taken.token)
        (again,) = jobs.claim(database, line="c/default", instance="b", limit=1, now=START)

    assert released is not None
    assert released.line == "c/default"
    assert (taken.number, again.number) == (1, 1)


def test_a_fresh_round_counts_attempts_on_and_failures_anew(database: Database) -> None:
    job = in_state(database, "FAILURE")

    with database.transaction():
        renewed = jobs.renew(database, id=job)
        (again,) = jobs.claim(database, line="c/default", instance="b", limit=1, now=START)

    assert renewed is not None
    assert renewed.line == "c/default"
    assert (again.number, again.failures, again.losses) == (2, 0, 0)


@pytest.mark.parametrize(
    "change",
    [
        "state = 'SLEEPING'",
        "state = 'SUCCESS'",
        "line = NULL",
        "token = 5",
        "state = 'STARTED'",
        "finished_at = 5",
        "kind = 'prayer'",
        "priority = 'high'",
    ],
)
def test_the_database_itself_refuses_impossible_rows(database: Database, change: str) -> None:
    job = in_state(database, "PENDING")

    with pytest.raises(apsw.ConstraintError):
        database.execute(f"UPDATE jobs SET {change} WHERE id = ?", (job,))


# -- attempts, keys, queues, schedules, fires -------------------------------------------------------


def test_an_attempt_is_written_once(database: Database) -> None:
    taken = claimed(database, a_job())
    row = row_of(an_outcome(taken), number=1, worker="w1", claimed_at=START, ran_with=None)
    attempts.add(database, [row])

    with pytest.raises(apsw.ConstraintError):
        attempts.add(database, [row])


def test_only_the_first_late_outcome_is_kept_beside_its_attempt(database: Database) -> None:
    taken = claimed(database, a_job())
    attempts.add(
        database, [row_of(an_outcome(taken), number=1, worker="w", claimed_at=1, ran_with=None)]
    )

    assert attempts.add_late(database, job_id=taken.id, token=taken.token, late="1")
    assert not attempts.add_late(database, job_id=taken.id, token=taken.token, late="2")
    assert not attempts.add_late(database, job_id=taken.id, token=taken.token ^ 1, late="3")
    assert attempts.of_job(database, taken.id)[0]["late"] == "1"


def test_a_key_belongs_to_one_user_and_one_job(database: Database) -> None:
    assert keys.add(database, [(1, "k", 1, b"a")])
    assert not keys.add(database, [(1, "k", 2, b"b")])
    assert keys.add(database, [(2, "k", 3, b"c")])

    assert keys.get(database, uid=1, key="k") == (1, b"a")
    assert keys.get(database, uid=2, key="k") == (3, b"c")
    assert keys.get(database, uid=3, key="k") is None


def test_a_pause_keeps_its_first_moment(database: Database) -> None:
    queues.pause(database, name="q", now=5)
    queues.pause(database, name="q", now=9)
    assert queues.all(database) == {"q": 5}

    queues.resume(database, name="q")
    queues.resume(database, name="never-paused")
    assert queues.all(database) == {"q": None}


def test_the_database_itself_refuses_a_second_unfinished_job_with_a_unique_key(
    database: Database,
) -> None:
    first = in_state(database, "SUCCESS", unique_key="task/a")
    submitted(database, a_job(id=70, unique_key="task/a"))
    assert jobs.unfinished_with(database, unique_key="task/a") == (70, "PENDING")

    with pytest.raises(StorageError), database.transaction():
        jobs.submit(database, [a_job(id=71, unique_key="task/a")])
    with pytest.raises(StorageError), database.transaction():
        jobs.renew(database, id=first, unique_key="task/a")


def test_a_watermark_never_moves_back(database: Database) -> None:
    row = schedules.add(database, name="s", identity="a", anchor_at=START, now=START)

    schedules.advance(database, [(FAR, 1, row.id), (START, 2, row.id)])

    found = schedules.get(database, "s")
    assert found is not None
    assert (found.watermark, found.runs) == (FAR, 1)


def begun(database: Database, row: StoredSchedule, **others: Any) -> StoredSchedule:
    given: dict[str, Any] = {
        "identity": "b",
        "anchor_at": START,
        "zone_data": None,
        "ends_at": FAR,
        "begins_at": FAR,
        "runs": 0,
        **others,
    }
    return schedules.begin_rule(database, row, **given)


def test_the_next_rule_of_a_schedule_has_the_next_number(database: Database) -> None:
    row = schedules.add(database, name="s", identity="a", anchor_at=START, now=START)

    following = begun(database, row, anchor_at=START + 5)

    assert schedules.get(database, "s") == following
    assert (following.rule, following.watermark) == (2, FAR)
    assert store_rules.of_schedule(database, "s") == [
        StoredRule(1, START, FAR, "a", START, None),
        StoredRule(2, FAR, None, "b", START + 5, None),
    ]


def test_a_removed_schedule_keeps_its_rules_and_loses_its_pause(database: Database) -> None:
    row = schedules.add(database, name="s", identity="a", anchor_at=START, now=START)
    schedules.pause(database, id=row.id, until=FAR, now=START)
    schedules.remove(database, row, ends_at=START + 9, now=START + 9)

    assert schedules.get(database, "s") is None
    again = schedules.add(database, name="s", identity="b", anchor_at=FAR, now=FAR)

    assert schedules.get(database, "s") == again
    assert (again.id, again.rule, again.paused_at) == (row.id, 2, None)
    assert [rule.ends_at for rule in store_rules.of_schedule(database, "s")] == [START + 9, None]


def test_a_pause_keeps_its_beginning_when_its_end_is_moved(database: Database) -> None:
    row = schedules.add(database, name="s", identity="a", anchor_at=START, now=START)

    schedules.pause(database, id=row.id, until=None, now=START)
    schedules.pause(database, id=row.id, until=FAR, now=START + 5)

    found = schedules.get(database, "s")
    assert found is not None
    assert (found.paused_at, found.paused_until) == (START, FAR)
    schedules.resume(database, id=row.id)
    assert schedules.get(database, "s") == row


def test_a_clock_that_is_set_moves_intervals_without_a_start_and_no_others(
    database: Database,
) -> None:
    texts = {
        "moved": '{"kind":"interval","expression":"5m","timezone":"UTC"}',
        "aligned": '{"kind":"interval","expression":"5m","timezone":"UTC","start":"2027-01-01"}',
        "cron": '{"kind":"crontab","expression":"* * * * *","timezone":"UTC"}',
        "gone": '{"kind":"interval","expression":"9m","timezone":"UTC"}',
    }
    made = {
        name: schedules.add(database, name=name, identity=text, anchor_at=START, now=START)
        for name, text in texts.items()
    }
    schedules.remove(database, made["gone"], ends_at=START, now=START)

    schedules.shift(database, by=-7)

    now = schedules.all(database)
    assert {name: row for name, row in now.items() if name != "moved"} == {
        "aligned": made["aligned"],
        "cron": made["cron"],
    }
    moved = made["moved"]._replace(rule=2, anchor_at=START - 7, watermark=START - 7)
    assert now["moved"] == moved
    identity = texts["moved"]
    assert store_rules.of_schedule(database, "moved") == [
        StoredRule(1, START, START, identity, START, None),
        StoredRule(2, START - 7, None, identity, START - 7, None),
    ]


def test_every_schedule_is_read_while_rows_are_written(database: Database) -> None:
    names = [f"s{n}" for n in range(schedules.PAGE + 3)]
    with database.transaction():
        for name in names:
            schedules.add(database, name=name, identity="a", anchor_at=START, now=START)

    found = []
    with database.transaction():
        for row in schedules.each(database):
            schedules.advance(database, [(FAR, 0, row.id)])
            found.append(row.name)

    assert found == names


def test_what_a_command_stored_is_kept_apart_from_the_schedule(database: Database) -> None:
    row = schedules.add(database, name="s", identity="a", anchor_at=START, now=START)
    assert list(schedules.stored(database)) == []

    schedules.store(database, name="s", table="{}", uid=1000, now=START)

    assert list(schedules.stored(database)) == [StoredTable("s", "{}", 1000, START)]
    assert schedules.stored_of(database, "s") == StoredTable("s", "{}", 1000, START)
    schedules.unstore(database, name="s")
    assert schedules.stored_of(database, "s") is None
    assert schedules.get(database, "s") == row


def a_fire(schedule: int, **others: Any) -> Fire:
    given: dict[str, Any] = {"first": 1, "last": 1, "count": 1, "fate": "missed", **others}
    return Fire(schedule=schedule, **{"rule": 1, **given})


@pytest.mark.parametrize(
    "wrong",
    [
        {"first": 2, "last": 1},
        {"count": 0},
        {"fate": "forgotten"},
        {"fate": "submitted"},
        {"fate": "missed", "job_id": 7},
        {"fate": "submitted", "job_id": 7, "last": 2, "count": 2},
        {"fate": "missed", "earlier_job": 7},
        {"fate": "submitted", "job_id": 7, "earlier_job": 6},
    ],
)
def test_an_impossible_fate_is_refused(database: Database, wrong: dict[str, Any]) -> None:
    row = schedules.add(database, name="s", identity="a", anchor_at=START, now=START)

    with pytest.raises(apsw.ConstraintError):
        fires.add(database, a_fire(row.id, **wrong))


def test_an_instant_has_one_fate(database: Database) -> None:
    row = schedules.add(database, name="s", identity="a", anchor_at=START, now=START)
    fires.add(database, a_fire(row.id))

    with pytest.raises(apsw.ConstraintError):
        fires.add(database, a_fire(row.id, fate="skipped"))


def test_the_same_moment_of_another_rule_is_another_instant(database: Database) -> None:
    row = schedules.add(database, name="s", identity="a", anchor_at=START, now=START)
    fires.add(database, a_fire(row.id))
    begun(database, row)

    fires.add(database, a_fire(row.id, rule=2, fate="skipped"))

    told = fires.of_schedule(database, name="s", before=FAR, limit=9)
    assert [(fire["rule"], fire["fate"]) for fire in told] == [(2, "skipped"), (1, "missed")]


def test_a_fate_needs_its_rule(database: Database) -> None:
    row = schedules.add(database, name="s", identity="a", anchor_at=START, now=START)

    for schedule, rule in ((99, 1), (row.id, 2)):
        with pytest.raises(apsw.ConstraintError):
            fires.add(database, a_fire(schedule, rule=rule))


def test_a_job_is_made_for_one_instant(database: Database) -> None:
    row = schedules.add(database, name="s", identity="a", anchor_at=START, now=START)
    fires.add(database, a_fire(row.id, fate="submitted", job_id=7))

    assert fires.of_job(database, 7) == ("s", 1)
    assert fires.of_job(database, 8) is None
    with pytest.raises(apsw.ConstraintError):
        fires.add(database, a_fire(row.id, first=2, last=2, fate="submitted", job_id=7))


def test_fates_are_read_by_rule_and_place(database: Database) -> None:
    row = schedules.add(database, name="s", identity="a", anchor_at=START, now=START)
    begun(database, row)
    fires.add(database, a_fire(row.id, first=10, last=30, count=3))
    fires.add(database, a_fire(row.id, first=20, last=20, rule=2))
    fires.add(database, a_fire(row.id, first=40, last=40))

    def firsts(found: Any) -> list[tuple[int, int]]:
        return [(one["first"], one["rule"]) for one in found if one is not None]

    def page(**place: Any) -> list[tuple[int, int]]:
        return firsts(fires.page(database, schedule=row.id, **place))

    assert page(before=(FAR, 0), limit=9) == [(40, 1), (20, 2), (10, 1)]
    assert page(before=(20, 2), limit=9) == [(10, 1)]
    assert page(before=(20, 3), limit=1) == [(20, 2)]
    newest = [fires.newest(database, schedule=row.id, rule=1, at=at) for at in (9, 10, 39, 40)]
    assert firsts(newest) == [(10, 1), (10, 1), (40, 1)]
    following = [fires.following(database, schedule=row.id, rule=1, after=at) for at in (9, 30, 40)]
    assert firsts(following) == [(10, 1), (40, 1)]


def test_fates_are_read_with_what_is_known_of_their_jobs(database: Database) -> None:
    row = schedules.add(database, name="s", identity="a", anchor_at=START, now=START)
    in_state(database, "SUCCESS", id=7, schedule=row.id)
    in_state(database, "SUCCESS", id=8)
    for at, job in ((1, 7), (2, 8), (3, 9)):
        fires.add(database, a_fire(row.id, first=at, last=at, fate="submitted", job_id=job))
    fires.add(database, a_fire(row.id, first=4, last=4))

    told = fires.with_jobs(database, schedule=row.id, after=(0, 0), limit=9)

    assert [(one["job_id"], one["found"], one["job_schedule"]) for one in told] == [
        (7, 7, row.id),
        (8, 8, None),
        (9, None, None),
        (None, None, None),
    ]
    assert len(fires.with_jobs(database, schedule=row.id, after=(2, 1), limit=1)) == 1


def test_a_removed_schedule_is_found_by_who_looks_back(database: Database) -> None:
    row = schedules.add(database, name="s", identity="a", anchor_at=START, now=START)
    kept = schedules.add(database, name="t", identity="a", anchor_at=START, now=START)
    schedules.remove(database, row, ends_at=START + 5, now=START + 5)

    found = schedules.find(database, "s")

    assert found is not None
    assert (found.id, found.removed_at) == (row.id, START + 5)
    assert schedules.find(database, "u") is None
    assert [past.id for past in schedules.past(database, after=0, limit=9)] == [row.id, kept.id]
    assert schedules.past(database, after=row.id, limit=1)[0].removed_at is None


# -- daemons ------------------------------------------------------------------------------------------


def test_the_daemons_around_a_moment_are_told(database: Database) -> None:
    first = daemons.begin(database, now=100)
    daemons.stop(database, id=first, now=200)
    daemons.stop(database, id=first, now=250)  # said before
    daemons.begin(database, now=300)

    assert daemons.around(database, 99) == (None, (100, 200))
    assert daemons.around(database, 100) == ((100, 200), (300, None))
    assert daemons.around(database, 299) == ((100, 200), (300, None))
    assert daemons.around(database, 300) == ((300, None), None)


def test_only_the_newest_daemons_are_remembered(database: Database) -> None:
    for number in range(daemons.KEPT + 5):
        daemons.begin(database, now=number)

    assert database.row("SELECT count(*), min(began_at) FROM daemons") == (daemons.KEPT, 5)
