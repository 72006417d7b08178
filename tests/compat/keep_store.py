"""Write the store that is kept for the newest schema: ``python -m tests.compat.keep_store``.

Run once for each schema, when it is released; before its release it may be made again. A kept store of a
released schema is never touched.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import apsw.shell

from jobctl.result import Outcome, Verdict
from jobctl.store import (
    attempts,
    changes,
    dependencies,
    fires,
    keys,
    lates,
    meta,
    notices,
    queues,
    schedules,
    troubles,
    worker_groups,
    workflows,
)
from jobctl.store.database import Database, open_database
from jobctl.store.fires import Fire
from jobctl.store.lates import Late
from jobctl.store.statements import migrations
from jobctl.store.troubles import Trouble
from tests.support.builders import in_state
from tests.support.clock import START

HOUR = 3600 * 1_000_000

JOBS: list[tuple[str, dict[str, Any]]] = [
    ("PENDING", {}),
    ("STARTED", {}),
    ("RETRY", {}),
    ("SUCCESS", {}),
    ("FAILURE", {}),
    ("REVOKED", {}),
    ("PENDING", {"eta": START + HOUR, "line": "eta"}),
    ("PENDING", {"line": "task/gone", "task": "gone", "reason": "no such task"}),
    ("PENDING", {"kind": "limited", "task": "f"}),
    ("SUCCESS", {"kind": "function", "payload": '{"args":[1,"é"],"kwargs":{"a":null}}'}),
    ("PENDING", {"line": "schedule/1", "schedule": 1}),
    (
        "PENDING",
        {
            "expires_at": START + HOUR,
            "labels": '{"a":"b"}',
            "overrides": '{"retries":2,"queue":"other"}',
            "queue": "other",
            "priority": -5,
            "uid": 1000,
        },
    ),
    ("PENDING", {"line": "gate/sync/acme", "task": "sync", "unique_key": "key/sync/1"}),
    ("PENDING", {"line": "c/default/sync", "task": "sync"}),
    ("PENDING", {"line": "after"}),
]
"""A job of every state and line, by rising id from 1."""

ENDS: list[tuple[int, Verdict, dict[str, Any]]] = [
    (4, Verdict.SUCCESS, {"exit_code": 0, "output": bytes(range(256)), "output_bytes": 256}),
    (6, Verdict.CANCELLED, {"signal": 15, "stderr": b"e", "stderr_bytes": 1, "stderr_file": False}),
    (5, Verdict.FAILURE, {"signal": 9, "error": '{"type":"K","message":"m","traceback":""}'}),
    (3, Verdict.TIMEOUT, {}),
    (10, Verdict.SUCCESS, {"result": '{"x":[1]}'}),
]
"""Attempts that ended, by job."""


def fill(database: Database) -> None:
    """A row of every kind."""
    for id, (state, others) in enumerate(JOBS, 1):
        in_state(database, state, id=id, **others)
    with database.transaction():
        database.execute("UPDATE jobs SET token = 22 WHERE token IS NOT NULL")
        database.execute("UPDATE jobs SET gate = 'sync/acme' WHERE line = 'c/default/sync'")
        for id, verdict, others in ENDS:
            outcome = Outcome(
                token=id * 11,
                job_id=id,
                verdict=verdict,
                started_at=START,
                finished_at=START + 5,
                **others,
            )
            told = '{"argv":["/bin/true"]}'
            row = attempts.row_of(outcome, number=1, worker="w1", claimed_at=START, ran_with=told)
            attempts.add(database, [row])
        keys.add(database, [(0, "k1", 1, bytes(16))])
        dependencies.add(database, [(15, 1, "success", "open"), (15, 4, "end", "met")])
        workflows.add(database, id=39, uid=0, shape='["chain",4,15]', now=START)
        steps = [(4, 39, None, None, None, 0, 0), (15, 39, "4", 1.5, '[{"task":"a"}]', 1, 0)]
        workflows.add_steps(database, [workflows.Step._make(step) for step in steps])
        queues.pause(database, name="other", now=START)
        worker_groups.resize(database, name="default", size={"processes": 3, "commands": 8})
        fill_schedules(database)
        trouble = Trouble(failures=3, untold=1, told_at=START, thread="<first@host>")
        troubles.put(database, task="backup", route="ops", trouble=trouble)
        lates.add(database, Late(START + HOUR, 1, "ops", START))
        notices.add(database, route="ops", due_at=START + HOUR, notice='{"event":"failure"}')
        changes.add(
            database, at=START, uid=1000, request="cancel", subject="6", detail="signal=INT"
        )
        for name, value in (("state_id", "0123abcd"), ("highest_id", "40")):
            meta.set(database, name, value)


def fill_schedules(database: Database) -> None:
    """One of the configuration that was edited, and one that a command has added and paused."""
    identity = '{"kind":"interval","expression":"1h","timezone":"UTC"}'
    row = schedules.add(database, name="backup", identity=identity, anchor_at=START, now=START)
    row = schedules.begin_rule(
        database,
        row,
        identity='{"kind":"crontab","expression":"0 * * * *","timezone":"UTC","max_runs":9}',
        anchor_at=START,
        zone_data="0123456789abcdef",
        ends_at=START + HOUR,
        begins_at=START + HOUR,
        runs=1,
    )
    for n, fate, job_id in ((1, "submitted", 4), (2, "skipped", None)):
        at = START + n * HOUR
        fire = Fire(schedule=row.id, rule=n, first=at, last=at, count=1, fate=fate, job_id=job_id)
        fires.add(database, fire)
    schedules.advance(database, [(START + 2 * HOUR, 1, row.id)])
    row = schedules.add(
        database, name="added", identity=identity, anchor_at=START, now=START, boot_id="boot"
    )
    schedules.store(
        database, name="added", table='{"task":"backup","every":"1h"}', uid=1000, now=START
    )
    schedules.pause(database, id=row.id, until=START + 5 * HOUR, now=START + HOUR)
    schedules.note_pruned(database, id=row.id, before=START)


def main() -> None:
    """Make the newest schema's store and write it as SQL."""
    number = len(migrations())
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(Path(folder) / "jobctl.db")
        fill(database)
        told = io.StringIO()
        shell: Any = apsw.shell.Shell(stdout=told, db=database.connection)
        shell.process_command(".dump")
        database.close()
    kept = [line for line in told.getvalue().splitlines() if not line.startswith("--")]
    first = (
        f"-- A store of schema {number} with a row of every kind. Made by keep_store.py, and kept."
    )
    target = Path(__file__).parent / f"kept/store-{number}.sql"
    target.write_text("\n".join([first, *kept]) + "\n")


if __name__ == "__main__":
    main()
