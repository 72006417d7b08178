"""Limits by key: which of the jobs with one key may be claimed.

There may be as many keys as jobs, so they cannot have ready lines of their own as tasks have. A job whose
task has a ``concurrency_key`` comes to the line of its gate first. The first ones of all that wait, by
priority and age, hold the gate and stand in the ready lines of their queue, as many as the limit leaves room
for: a claim never meets a job that may not start. Whenever one that held the gate has ended, waits for its
next attempt or was put elsewhere, `admit` lets the next one in, in the same transaction. A newcomer with a
higher priority takes the place of one that has not started.

Who holds a gate is written in the jobs themselves and counted from them each time (P9): nothing can leak, and
a daemon that was killed anywhere finds everything in the rows. Which gates have to be looked at is
remembered only as a hint; after a start or a refused transaction all of them are looked at once, in slices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobctl.dispatcher.placement import gate_now, place_of
from jobctl.plan.gates import task_of_gate
from jobctl.store import jobs as job_rows
from jobctl.store.jobs import gate_line, gate_of_line, worker_of

if TYPE_CHECKING:
    from jobctl.plan import Plan
    from jobctl.store.database import Database
    from jobctl.store.jobs import Standing

SLICE: Final = 200
"""Gates that are looked at in one turn."""


class Gates:
    """See the module."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted: set[str] = set()
        self._cursor: str | None = None

    def note(self, gate: str) -> None:
        """Somebody waits at this gate, holds it, or has left it."""
        self._noted.add(gate)

    def note_left(self, job_ids: list[int]) -> None:
        """These jobs have ended, in this transaction; they may have held gates."""
        self._noted |= job_rows.gates_of(self._database, job_ids)

    def look_at_all(self) -> None:
        """What was remembered is not to be trusted."""
        self._cursor = ""

    @property
    def has_work(self) -> bool:
        """There are gates to be looked at."""
        return bool(self._noted) or self._cursor is not None

    def step(self, plan: Plan) -> set[str]:
        """Look at up to `SLICE` gates, inside a transaction; the lines in which jobs stand then."""
        lines: set[str] = set()
        for _ in range(SLICE):
            gate = self._noted.pop() if self._noted else self._next()
            if gate is None:
                break
            lines |= admit(self._database, plan, gate)
        return lines

    def _next(self) -> str | None:
        """The gate after the one that was looked at last, of all at which somebody waits."""
        if self._cursor is None:
            return None
        after = gate_line(self._cursor)
        line = job_rows.next_line(self._database, after=after, below="gate0")
        self._cursor = None if line is None else gate_of_line(line)
        return self._cursor


def admit(database: Database, plan: Plan, gate: str) -> set[str]:
    """Let the first ones of all that wait at a gate hold it; the lines in which those stand that moved.

    Reads no more rows than the limit of the key.
    """
    task = plan.find(task_of_gate(gate))
    if task is None or task.concurrency_key is None or task.name in plan.unavailable:
        # The walk that follows a new plan brings its jobs where they belong.
        return set()
    holders = job_rows.holders(database, gate=gate)
    standing = [job for job in holders if not worker_of(job.line)]
    room = max(task.per_key - (len(holders) - len(standing)), 0)
    line = gate_line(gate)
    waiting = job_rows.first_in(database, line=line, limit=room) if room else []
    chosen = sorted((*standing, *waiting), key=_order)[:room]
    lines = set()
    moves: list[tuple[str, str, str | None, str | None, int, str]] = [
        (line, job.queue, None, None, job.id, job.line) for job in standing if job not in chosen
    ]
    for job in chosen:
        if job.gate is not None:
            continue
        place = place_of(plan, job, gate_now(database, plan, job))
        if place.gate == gate:
            moves.append((place.line, place.queue, None, gate, job.id, line))
            lines.add(place.line)
        else:
            # The walk has not come here yet. The room that this one leaves is another's.
            target = place.line if place.gate is None else gate_line(place.gate)
            moves.append((target, place.queue, place.reason, None, job.id, line))
            lines |= {target, line}
    job_rows.move(database, moves)
    return lines


def _order(job: Standing) -> tuple[int, int]:
    return -job.priority, job.id
