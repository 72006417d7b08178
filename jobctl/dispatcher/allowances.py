"""How many more jobs of a ready line may start now, by the limits of its queue and of its task.

Decided in the transaction that claims, from the rows of those that run (P9): there is no counter that could
leak. The jobs of a task with limits stand in ready lines of their own, so that a claim never has to read a
job to find out that it may not start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from jobctl.store import jobs as job_rows
from jobctl.store.jobs import owner_of

if TYPE_CHECKING:
    from jobctl.plan import Plan
    from jobctl.store.database import Database

UNLIMITED: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class _Limit:
    """``most`` jobs of a queue, or of the tasks of these names, at once."""

    about: str
    most: int
    queue: str | None = None
    tasks: frozenset[str] = frozenset()

    def covers(self, queue: str, task: str | None) -> bool:
        return task in self.tasks if self.queue is None else queue == self.queue


class Allowances:
    """See the module. What it remembers holds for one transaction; `begin` forgets it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._plan: Plan | None = None
        self._limits: dict[str, tuple[_Limit, ...]] = {}
        self._free: dict[str, int] = {}

    def take(self, plan: Plan) -> None:
        """Go by this plan from now on."""
        self._plan = plan
        self._limits.clear()
        self._free.clear()

    def begin(self) -> None:
        """A transaction begins: count again."""
        self._free.clear()

    def of(self, line: str) -> int:
        """How many more jobs of a ready line may start; not above zero: none."""
        limits = self._limits_of(line)
        return min(map(self._free_of, limits)) if limits else UNLIMITED

    def note(self, line: str, count: int) -> None:
        """So many jobs of the line were claimed."""
        for limit in self._limits_of(line):
            self._free[limit.about] = self._free_of(limit) - count

    def why_not(self, line: str) -> str | None:
        """Which limit keeps the jobs of a line from starting, for people; None: no limit does."""
        self.begin()
        for limit in self._limits_of(line):
            if self._free_of(limit) <= 0:
                return f"{limit.about} runs as many jobs as its concurrency allows"
        return None

    def _limits_of(self, line: str) -> tuple[_Limit, ...]:
        limits = self._limits.get(line)
        if limits is None:
            limits = self._limits[line] = self._find_limits(*owner_of(line))
        return limits

    def _find_limits(self, queue: str, name: str | None) -> tuple[_Limit, ...]:
        assert self._plan is not None
        found = []
        most = self._plan.queue(queue).concurrency
        if most is not None:
            found.append(_Limit(f'queue "{queue}"', most, queue=queue))
        task = self._plan.find(name) if name is not None else None
        if task is not None and task.concurrency is not None:
            # A job that was submitted before a renaming counts too.
            names = frozenset((task.name, *task.aliases))
            found.append(_Limit(f'task "{task.name}"', task.concurrency, tasks=names))
        return tuple(found)

    def _free_of(self, limit: _Limit) -> int:
        if limit.about not in self._free:
            running = sum(
                count
                for queue, task, count in job_rows.count_started(self._database)
                if limit.covers(queue, task)
            )
            self._free[limit.about] = limit.most - running
        return self._free[limit.about]
