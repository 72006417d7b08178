"""Workflows: jobs that were submitted as one; and their steps, which say what each of these jobs takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jobctl.protocol.compact import dumps
from jobctl.store.statements import statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jobctl.clock import Moment
    from jobctl.store.database import Database


class Workflow(NamedTuple):
    """A workflow as it is stored. ``shape``: see its table."""

    id: int
    uid: int
    shape: str
    submitted_at: Moment


class Step(NamedTuple):
    """A job of a workflow, in the order of `add`. ``takes`` and ``on_error`` are JSON texts."""

    job_id: int
    workflow: int
    takes: str | None = None
    delay_s: float | None = None
    on_error: str | None = None
    joins: int = 0
    gathers: int = 0


class Stand(NamedTuple):
    """How a job of a workflow stands."""

    id: int
    state: str
    task: str | None
    reason: str | None
    submitted_at: Moment
    started_at: Moment | None
    finished_at: Moment | None


def add(database: Database, *, id: int, uid: int, shape: str, now: Moment) -> None:
    """Add a workflow; its steps are added by themselves."""
    database.execute(statement("workflows/add"), (id, uid, shape, now))


def get(database: Database, id: int) -> Workflow | None:
    """One workflow, or None."""
    row = database.row(statement("workflows/get"), (id,))
    return None if row is None else Workflow._make(row)


def page(database: Database, *, before: int, limit: int, uid: int | None = None) -> list[Workflow]:
    """A slice of the workflows, newest first; those of one submitter, or of all."""
    bindings = {"before": before, "limit": limit, "uid": uid}
    rows = database.rows(statement("workflows/page"), bindings)
    return [Workflow._make(row) for row in rows]


def reshape(database: Database, *, id: int, shape: str) -> None:
    """Say anew how the jobs of a workflow belong together."""
    database.execute(statement("workflows/reshape"), {"id": id, "shape": shape})


def add_steps(database: Database, steps: Iterable[Step]) -> None:
    """Make jobs the steps of workflows."""
    database.executemany(statement("steps/add"), steps)


def steps_of(database: Database, job_ids: Sequence[int]) -> dict[int, Step]:
    """Those of these jobs that are steps, by id."""
    rows = database.rows(statement("steps/of_jobs"), (dumps([*job_ids]),))
    return {row[0]: Step._make(row) for row in rows}


def jobs_of(
    database: Database, workflow: int, *, after: int = 0, limit: int = 2**62
) -> list[Stand]:
    """The jobs of a workflow that are still there, by id; a slice of them."""
    bindings = {"workflow": workflow, "after": after, "limit": limit}
    return [Stand._make(row) for row in database.rows(statement("steps/of_workflow"), bindings)]


def is_taken(database: Database, job_id: int) -> bool:
    """Some step waits for this job and takes results: its result is wanted."""
    return database.row(statement("steps/is_taken"), (job_id,)) is not None


def prune(database: Database, job_ids: Sequence[int]) -> None:
    """Forget that jobs which are removed were steps, and workflows of which nothing is left."""
    emptied = {row[0] for row in database.rows(statement("steps/prune"), (dumps([*job_ids]),))}
    if emptied:
        database.execute(statement("workflows/prune"), (dumps([*emptied]),))
