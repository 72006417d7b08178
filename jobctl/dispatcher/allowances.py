"""How many more jobs of a ready line may start now, by the limits and rates of its queue and of its task and by
the load of the host.

Decided in the transaction that claims: limits from the rows of those that run (P9), so that there is no
counter that could leak; rates from one stored moment each (`jobctl.dispatcher.pace`), which moves on in that
transaction too; limits by load from the kernel's figures (`jobctl.dispatcher.load`). The jobs of a task with limits stand in ready lines of their own, so that a claim never has
to read a job to find out that it may not start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.clock import SECOND
from jobctl.dispatcher.load import LOOK_S, UNLIMITED, HostLoad, LoadLimits
from jobctl.dispatcher.pace import Pace, pace_of
from jobctl.plan.gates import is_paced
from jobctl.store import jobs as job_rows
from jobctl.store import rates as rate_rows
from jobctl.store.jobs import owner_of
from jobctl.values import dataclass

if TYPE_CHECKING:
    from jobctl.clock import Moment
    from jobctl.plan import Plan
    from jobctl.store.database import Database
    from jobctl.task import Task


@dataclass(frozen=True, slots=True)
class _Limit:
    """``most`` jobs of a queue, or of the tasks of these names, at once."""

    about: str
    most: int
    queue: str | None = None
    tasks: frozenset[str] = frozenset()

    def covers(self, queue: str, task: str | None) -> bool:
        return task in self.tasks if self.queue is None else queue == self.queue


@dataclass(frozen=True, slots=True)
class _Rate:
    """A pace of a queue or of a task; ``name`` is that of its row."""

    about: str
    name: str
    pace: Pace


class Allowances:
    """See the module. What it remembers of limits holds for one transaction; `begin` forgets it."""

    def __init__(self, database: Database, host: HostLoad) -> None:
        self._database = database
        self._load = LoadLimits(database, host)
        self._plan: Plan | None = None
        self._limits: dict[str, tuple[_Limit, ...]] = {}
        self._rates: dict[str, tuple[_Rate, ...]] = {}
        self._free: dict[str, int] = {}
        self._used_until: dict[str, Moment] = {}
        self._now: Moment = 0
        self.next_at: Moment | None = None
        """When a rate lets jobs start that nothing else keeps from it, or the host has to be looked at again for
        such jobs, of those that were asked about since `begin`; None: there are none."""

    def take(self, plan: Plan) -> None:
        """Go by this plan from now on."""
        self._plan = plan
        self._limits.clear()
        self._rates.clear()
        self._free.clear()
        self._load.take(plan)

    def refresh(self) -> None:
        """Read the rates again: what was remembered may not have happened."""
        self._used_until = rate_rows.all(self._database)

    def begin(self, now: Moment) -> None:
        """A transaction begins: count again."""
        self._now = now
        self._free.clear()
        self._load.begin(now)
        self.next_at = None

    def of(self, line: str) -> int:
        """How many more jobs of a ready line may start; not above zero: none."""
        limits, rates = self._limits_of(line), self._rates_of(line)
        free = min(map(self._free_of, limits)) if limits else UNLIMITED
        if free > 0 and rates:
            allowed = min(map(self._allowed_by, rates))
            if allowed <= 0:
                self._wake_at(max(rate.pace.next_at(self._used_until[rate.name]) for rate in rates))
            free = min(free, allowed)
        if free > 0:
            room = self._load.room(line)
            if room <= 0:
                self._look_again(line)
            free = min(free, room)
        return free

    def _look_again(self, line: str) -> None:
        """Look at the host again in a while, unless nobody waits in the line."""
        moment = self._now + int(LOOK_S * SECOND)
        is_new = self.next_at is None or moment < self.next_at
        if is_new and job_rows.head(self._database, line=line) is not None:
            self._wake_at(moment)

    def _wake_at(self, moment: Moment) -> None:
        self.next_at = moment if self.next_at is None else min(self.next_at, moment)

    def note(self, line: str, count: int) -> None:
        """So many jobs of the line were claimed and start, in this transaction."""
        for limit in self._limits_of(line):
            self._free[limit.about] = self._free_of(limit) - count
        for rate in self._rates_of(line) if count else ():
            self._settle(rate)
            used_until = rate.pace.advance(self._used_until[rate.name], count)
            self._used_until[rate.name] = used_until
            rate_rows.use(self._database, name=rate.name, used_until=used_until)
        self._load.note(line, count)

    def is_paced(self, queue: str, task: Task | None) -> bool:
        """A rate or the host's load says when the jobs of a queue and task start: none may wait behind another
        with a worker."""
        assert self._plan is not None
        return is_paced(self._plan, queue, task)

    def why_not(self, line: str, now: Moment) -> str | None:
        """Which limit keeps the jobs of a line from starting, for people; None: no limit does."""
        next_at = self.next_at
        self.begin(now)
        self.next_at = next_at
        for limit in self._limits_of(line):
            if self._free_of(limit) <= 0:
                return f"{limit.about} runs as many jobs as its concurrency allows"
        for rate in self._rates_of(line):
            if self._allowed_by(rate) <= 0:
                return f"{rate.about} starts no more jobs than its rate_limit allows"
        return self._load.why_not(line)

    def _limits_of(self, line: str) -> tuple[_Limit, ...]:
        limits = self._limits.get(line)
        if limits is None:
            limits = self._limits[line] = self._find_limits(*owner_of(line))
        return limits

    def _rates_of(self, line: str) -> tuple[_Rate, ...]:
        rates = self._rates.get(line)
        if rates is None:
            rates = self._rates[line] = self._find_rates(*owner_of(line))
        return rates

    def _find_rates(self, queue: str, name: str | None) -> tuple[_Rate, ...]:
        assert self._plan is not None
        found = []
        given = self._plan.queue(queue)
        if given.rate_limit is not None:
            pace = pace_of(given.rate_limit, given.rate_burst)
            found.append(_Rate(f'queue "{queue}"', f"queue/{queue}", pace))
        task = self._plan.find(name) if name is not None else None
        if task is not None and task.rate_limit is not None:
            pace = pace_of(task.rate_limit, task.rate_burst)
            found.append(_Rate(f'task "{task.name}"', f"task/{task.name}", pace))
        return tuple(found)

    def _settle(self, rate: _Rate) -> Moment:
        used_until = rate.pace.settle(self._used_until.get(rate.name, 0), self._now)
        self._used_until[rate.name] = used_until
        return used_until

    def _allowed_by(self, rate: _Rate) -> int:
        return rate.pace.allowed(self._settle(rate), self._now)

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
