"""In which line a waiting job stands, by the plan in force; and bringing those there that stand elsewhere.

A job keeps its task's name and what its submitter overrode; its queue is read from the plan. Whenever a
job comes to a ready line by itself (its time has come, it was released, its task is back) it is placed by
the plan of that moment. Those that stood in a ready line when the plan changed are walked through in
slices, so that a million of them hold nobody up. What was placed is remembered as a digest: a change that
was made while no daemon ran is seen too, and a walk that was cut short is begun again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from jobctl.digest import blake2b
from jobctl.errors import InvalidArguments
from jobctl.job import Reason
from jobctl.plan.gates import gate_of, keyless_gate
from jobctl.protocol.compact import dumps
from jobctl.store import jobs as job_rows
from jobctl.store import meta
from jobctl.store.jobs import gate_line, parked_line, ready_line
from jobctl.task import Kind
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jobctl.plan import Plan
    from jobctl.store.database import Database
    from jobctl.store.jobs import Running, Standing

SLICE: Final = 500
"""Jobs that are looked at in one turn."""

_DIGEST: Final = "placement"
_HIGHEST: Final = 2**62


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job belongs; with a ``gate``, once it holds that."""

    line: str
    queue: str
    reason: str | None = None
    gate: str | None = None


def place_of(plan: Plan, job: Standing, gate: str | None) -> Place:
    """Where a job belongs that could start now. ``gate`` is what `gate_now` says."""
    if job.task is None:
        return Place(ready_line(job.kind, job.queue), job.queue)
    task = plan.find(job.task)
    if task is None:
        return Place(parked_line(job.task), job.queue, Reason.NO_TASK.value)
    if task.name in plan.unavailable:
        return Place(parked_line(job.task), job.queue, plan.unavailable[task.name])
    is_chosen = job.overrides is not None and "queue" in json.loads(job.overrides)
    queue = job.queue if is_chosen else task.queue
    kind = job.kind
    if (kind == Kind.COMMAND) != (task.kind is Kind.COMMAND):
        # Nobody would ask for it where it stands. At its claim it fails and says why.
        kind = task.kind.value
    line = ready_line(kind, queue, task.name if task.has_own_line else None)
    return Place(line, queue, gate=gate)


def gate_now(database: Database, plan: Plan, job: Standing | Running) -> str | None:
    """The gate of a job by this plan, None when its task has no key."""
    task = plan.find(job.task) if job.task is not None else None
    if task is None or task.concurrency_key is None:
        return None
    given = json.loads(job_rows.payload(database, job.id))
    try:
        return gate_of(task, given["args"], given["kwargs"], plan.parameters.get(task.name))
    except InvalidArguments:
        return keyless_gate(task)


def put_in_place(database: Database, plan: Plan, jobs: Iterable[Standing]) -> set[str]:
    """Bring jobs to where they belong, inside a transaction; the lines in which they stand then.

    A job that needs a gate which it does not hold comes to the line of that gate. That line is among the
    answers for one that holds it too: another may go before it.
    """
    lines = set()
    moves = []
    for job in jobs:
        place = place_of(plan, job, gate_now(database, plan, job))
        line, gate = place.line, place.gate
        if gate is not None:
            lines.add(gate_line(gate))
            if job.gate != gate:
                line, gate = gate_line(gate), None
        lines.add(line)
        if (line, gate) != (job.line, job.gate):
            moves.append((line, place.queue, place.reason, gate, job.id, job.line))
    job_rows.move(database, moves)
    return lines


def regate_running(database: Database, plan: Plan) -> None:
    """Let every running job hold the gate that this plan gives it, inside a transaction."""
    changes = []
    for running in job_rows.started(database):
        gate = gate_now(database, plan, running)
        if gate != running.gate:
            changes.append((gate, running.id))
    job_rows.regate(database, changes)


class Walk:
    """Goes once through ready lines and then the lines of gates, a slice a step."""

    def __init__(self, plan: Plan, lines: Iterable[str]) -> None:
        self._plan = plan
        self._lines = sorted(lines)
        self._gates_after: str | None = "gate/"
        self._priority = _HIGHEST
        self._id = 0

    def step(self, database: Database) -> set[str]:
        """Look at a slice, inside a transaction; gives back the lines in which its jobs stand now.

        A transaction that is rolled back costs nothing but this slice: the next plan or start walks again.
        """
        found: set[str] = set()
        budget = SLICE
        while budget > 0 and (self._lines or self._finds_gate(database)):
            jobs = job_rows.standing(
                database,
                line=self._lines[-1],
                priority=self._priority,
                after=self._id,
                limit=budget,
            )
            budget -= max(len(jobs), 1)
            if jobs:
                self._id = jobs[-1].id
                found |= put_in_place(database, self._plan, jobs)
                continue
            below = job_rows.next_priority(database, line=self._lines[-1], below=self._priority)
            self._id = 0
            if below is None:
                self._lines.pop()
                self._priority = _HIGHEST
            else:
                self._priority = below
        if self.is_over:
            meta.set(database, _DIGEST, digest_of(self._plan))
        return found

    def _finds_gate(self, database: Database) -> bool:
        """Go on with the line of the next gate. Jobs may be moved to gates that are still to come: they are
        looked at twice then, which does no harm."""
        if self._gates_after is None:
            return False
        after = max(self._gates_after, "gate/")
        line = job_rows.next_line(database, after=after, below="gate0")
        self._gates_after = line
        if line is not None:
            self._lines.append(line)
        return line is not None

    @property
    def is_over(self) -> bool:
        """Every line has been walked through."""
        return not self._lines and self._gates_after is None


def digest_of(plan: Plan) -> str:
    """What decides about places, as a short text."""
    places = sorted(
        (name, task.queue, task.kind, task.has_own_line, task.concurrency_key or "")
        for name, task in plan.tasks.items()
    )
    told = dumps([places, sorted(plan.aliases.items()), sorted(plan.unavailable)])
    return blake2b(told.encode(), digest_size=16).hexdigest()


def is_new(database: Database, plan: Plan) -> bool:
    """Jobs that wait may stand in other lines than this plan wants."""
    return meta.get(database, _DIGEST) != digest_of(plan)
