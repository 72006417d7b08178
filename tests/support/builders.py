"""Valid values with one line: a test states only what matters to it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from jobctl.plan import FilePlan, Plan, Queue, ScheduleSpec, WorkerGroup, merge
from jobctl.plan.schedule_table import read_schedule
from jobctl.plan.tables import read_task_table
from jobctl.result import Outcome, Verdict
from jobctl.store import jobs as job_rows
from jobctl.store.jobs import NewJob, ready_line
from jobctl.task import Source, Task
from jobctl.task.keys import keys_of, read_values
from tests.support.clock import START

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jobctl.clock import Moment
    from jobctl.store.database import Database

_ids = itertools.count(1)
_HERE = Source(file="test.toml", line=1, column=1)


def a_job(
    *,
    id: int | None = None,
    kind: str = "command",
    task: str | None = "backup",
    queue: str = "default",
    priority: int = 0,
    line: str | None = None,
    now: Moment = START,
    **others: Any,
) -> NewJob:
    """A new job, ready unless ``line`` says otherwise."""
    given: dict[str, Any] = {
        "payload": '{"args":[],"kwargs":{}}',
        "overrides": None,
        "labels": None,
        "uid": 0,
        "schedule": None,
        "eta": None,
        "expires_at": None,
        "reason": None,
        "unique_key": None,
        **others,
    }
    return NewJob(
        id=next(_ids) if id is None else id,
        kind=kind,
        task=task,
        queue=queue,
        priority=priority,
        line=ready_line(kind, queue) if line is None else line,
        submitted_at=now,
        **given,
    )


def submitted(database: Database, *jobs: NewJob) -> list[int]:
    """Put jobs into the store, durably; their ids."""
    with database.transaction():
        job_rows.submit(database, jobs)
    return [job.id for job in jobs]


def claimed(database: Database, job: NewJob, *, now: Moment = START) -> job_rows.Claimed:
    """Put a job into the store and claim it for the worker ``w1``, whatever else is ready."""
    alone = f"c/only-{job.id}"
    submitted(database, job._replace(line=alone))
    with database.transaction():
        (taken,) = job_rows.claim(database, line=alone, instance="w1", limit=1, now=now)
    return taken


def in_state(database: Database, state: str, *, now: Moment = START, **job: Any) -> int:
    """Put a job into the store and bring it into a state by allowed changes; its id."""
    new = a_job(now=now, **job)
    if state == "PENDING":
        submitted(database, new)
        return new.id
    if state == "REVOKED":
        submitted(database, new)
        with database.transaction():
            assert job_rows.revoke_waiting(database, id=new.id, reason="cancelled", now=now)
        return new.id
    taken = claimed(database, new, now=now)
    key: dict[str, Any] = {"id": new.id, "token": taken.token}
    with database.transaction():
        if state == "SUCCESS":
            assert job_rows.succeed(database, [(now, new.id, taken.token)])
        elif state == "FAILURE":
            assert job_rows.fail(database, **key, failures=1, losses=0, reason="failed", now=now)
        elif state == "RETRY":
            assert job_rows.try_again(
                database, **key, failures=1, losses=0, reason="failed", eta=now
            )
        else:
            assert state == "STARTED"
    return new.id


def an_outcome(taken: Any, verdict: Verdict = Verdict.SUCCESS, **others: Any) -> Outcome:
    """The end of a claimed job or attempt."""
    job_id = getattr(taken, "job_id", None) or taken.id
    given = {"finished_at": START, "exit_code": 0 if verdict is Verdict.SUCCESS else 1, **others}
    return Outcome(token=taken.token, job_id=job_id, verdict=verdict, **given)


def a_task(name: str = "backup", **keys: object) -> Task:
    """A task as ``[tasks.<name>]`` would declare it; a command that does nothing unless told."""
    written = (
        {"command": ["/bin/true"], **keys} if not keys.keys() & {"shell", "function"} else keys
    )
    table = read_task_table(name, written, source=_HERE)
    assert table.task is not None
    return table.task


def a_schedule(name: str = "backup", *, task: str = "backup", **keys: object) -> ScheduleSpec:
    """A schedule as ``[schedules.<name>]`` would declare it; each minute unless told."""
    when = {} if keys.keys() & {"every", "cron", "at", "solar"} else {"every": "1m"}
    return read_schedule(name, {"task": task, **when, **keys}, source=_HERE)


def a_queue(name: str = "default", **keys: object) -> Queue:
    """A queue as ``[queues.<name>]`` would declare it."""
    return Queue(name=name, **read_values(keys_of(Queue), keys))


def a_plan(
    *,
    tasks: Iterable[Task] = (),
    schedules: Iterable[ScheduleSpec] = (),
    queues: Iterable[Queue] = (),
    groups: Iterable[WorkerGroup] = (),
    **others: Any,
) -> Plan:
    """A plan in force with these parts; without tasks it has ``backup``."""
    file = FilePlan(
        tasks=tuple(tasks) or (a_task(),),
        schedules=tuple(schedules),
        queues=tuple(queues),
        groups=tuple(groups),
        **others,
    )
    return merge(file, strict=False)


def rows(database: Database, table: str, order: str = "1") -> list[Mapping[str, Any]]:
    """Everything in a table, as mappings."""
    return list(database.dicts(f"SELECT * FROM {table} ORDER BY {order}"))
