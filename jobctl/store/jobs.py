"""Jobs: submitted, claimed, ended, and looked at. The functions have the names of their statements.

Every function runs inside the caller's transaction and changes nothing but what its statement says.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from jobctl.job import Reason
from jobctl.protocol.compact import dumps
from jobctl.store.statements import statement
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from jobctl.clock import Moment
    from jobctl.store.database import Database

ETA_LINE = "eta"
AFTER_LINE = "after"
_ABOVE_ALL: Final = 2**62
_MOST_PRIORITIES: Final = 20
ALL: Final = 2**62
"""No limit."""


def ready_line(kind: str, queue: str, task: str | None = None) -> str:
    """The line in which jobs of a kind and a queue wait to be claimed; ``task``: those of one that has
    limits of its own."""
    return f"{kind[0]}/{queue}" if task is None else f"{kind[0]}/{queue}/{task}"


def is_ready_line(line: str) -> bool:
    """Jobs of this line can be claimed."""
    return line[1:2] == "/" and line[0] in "fcl"


def owner_of(line: str) -> tuple[str, str | None]:
    """The queue of a ready line, and the task whose own line it is, or None."""
    queue, _, task = line[2:].partition("/")
    return queue, task or None


def gate_line(gate: str) -> str:
    """The line of the jobs that wait until fewer jobs hold their gate."""
    return f"gate/{gate}"


def gate_of_line(line: str) -> str | None:
    """The gate in whose line jobs wait; None for any other line."""
    return line[5:] if line.startswith("gate/") else None


def worker_line(instance: str) -> str:
    """The line of the jobs that one worker holds."""
    return f"w/{instance}"


def parked_line(task: str) -> str:
    """The line of the jobs whose task the plan does not have."""
    return f"task/{task}"


def schedule_line(schedule: int) -> str:
    """The line of the job that waits until an earlier one of its schedule is gone."""
    return f"schedule/{schedule}"


def worker_of(line: str) -> str:
    """The instance whose line this is; empty for any other line."""
    return line[2:] if line.startswith("w/") else ""


class NewJob(NamedTuple):
    """What `submit` writes, in the order of its statement.

    ``payload``, ``overrides`` and ``labels`` are JSON texts. A named tuple, because it is made and bound
    for every job: a frozen dataclass costs 2 µs more.
    """

    id: int
    kind: str
    task: str | None
    queue: str
    priority: int
    line: str
    payload: str
    overrides: str | None
    labels: str | None
    uid: int
    schedule: int | None
    submitted_at: Moment
    eta: Moment | None
    expires_at: Moment | None
    reason: str | None
    unique_key: str | None = None
    deadline_at: Moment | None = None

    def again(
        self, *, id: int, payload: str, uid: int, schedule: int | None, now: Moment
    ) -> NewJob:
        """The row of another job that differs in nothing else. By slices: `_replace` takes three times as
        long, for each job of a bulk submit."""
        before, options, after = self[1:6], self[7:9], self[12:]
        return NewJob._make((id, *before, payload, *options, uid, schedule, now, *after))


class Claimed(NamedTuple):
    """A job that was just taken for a worker, as `claim` gives it back. A tuple as `NewJob` is.

    ``ready_at`` is since when it could have started but for limits and pauses: its submission or its ETA.
    """

    id: int
    priority: int
    kind: str
    task: str | None
    queue: str
    payload: str
    overrides: str | None
    token: int
    number: int
    failures: int
    losses: int
    uid: int
    started_at: Moment
    deadline_at: Moment | None
    ready_at: Moment


@dataclass(frozen=True, slots=True)
class Running:
    """The running attempt of a job, as the store knows it."""

    id: int
    token: int
    number: int
    line: str
    claimed_at: Moment
    task: str | None
    kind: str
    overrides: str | None
    failures: int
    losses: int
    stop_asked: str | None
    ran_with: str | None
    gate: str | None
    deadline_at: Moment | None

    @property
    def worker(self) -> str:
        """The instance that holds the attempt."""
        return worker_of(self.line)


class Standing(NamedTuple):
    """A waiting job and the line it stands in: what deciding about its place needs."""

    id: int
    kind: str
    line: str
    task: str | None
    queue: str
    overrides: str | None
    gate: str | None
    priority: int


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An unfinished job of a schedule."""

    id: int
    state: str
    line: str
    stop_asked: str | None

    @property
    def is_held_back(self) -> bool:
        """It waits for an earlier job of its schedule."""
        return self.line.startswith("schedule/")

    @property
    def is_stopping(self) -> bool:
        """Its attempt was asked to stop."""
        return self.stop_asked is not None


def submit(database: Database, jobs: Iterable[NewJob]) -> None:
    """Add jobs, waiting."""
    database.executemany(statement("jobs/submit"), jobs)


def claim(
    database: Database, *, line: str, instance: str, limit: int, now: Moment
) -> list[Claimed]:
    """Take up to ``limit`` jobs of a line for a worker; highest priority first, then oldest."""
    rows = database.rows(
        statement("jobs/claim"),
        {"line": line, "worker_line": worker_line(instance), "limit": limit, "now": now},
    )
    if len(rows) > 1:
        # Twice, since sorting keeps the order of equals: no function of ours is called for each row.
        rows.sort(key=itemgetter(0))
        rows.sort(key=itemgetter(1), reverse=True)
    return [Claimed._make(row) for row in rows]


def head(database: Database, *, line: str) -> tuple[int, int] | None:
    """``(-priority, id)`` of the first job of a line, or None: the smallest one goes first."""
    row = database.row(statement("jobs/head"), (line,))
    return None if row is None else (-row[0], row[1])


def set_apart(database: Database, *, id: int, token: int, line: str) -> None:
    """Give a job back that was claimed in this transaction, to a line of jobs that share no batch."""
    database.execute(statement("jobs/set_apart"), {"id": id, "token": token, "line": line})


def note_order(database: Database, orders: Iterable[tuple[str, int]]) -> None:
    """Remember what claimed attempts run with, by ``(JSON text, id)``."""
    database.executemany(statement("jobs/note_order"), orders)


def succeed(database: Database, ends: Sequence[tuple[Moment, int, int]]) -> bool:
    """End jobs by ``(finished_at, id, token)``, all or none.

    False when one of them was not running with that token: then nothing has changed, and the caller
    finds out which by settling them one by one.
    """
    database.execute("SAVEPOINT succeed")
    before = database.total_changes()
    database.executemany(statement("jobs/succeed"), ends)
    is_complete = database.total_changes() - before == len(ends)
    if not is_complete:
        database.execute("ROLLBACK TO succeed")
    database.execute("RELEASE succeed")
    return is_complete


def fail(
    database: Database,
    *,
    id: int,
    token: int,
    failures: int,
    losses: int,
    reason: str,
    now: Moment,
) -> bool:
    """End a job as failed; False when the token is stale."""
    bindings = {
        "id": id,
        "token": token,
        "failures": failures,
        "losses": losses,
        "reason": reason,
        "now": now,
    }
    database.execute(statement("jobs/fail"), bindings)
    return database.changes() == 1


def try_again(
    database: Database,
    *,
    id: int,
    token: int,
    failures: int,
    losses: int,
    reason: str,
    eta: Moment,
) -> bool:
    """Let a job wait for its next attempt; False when the token is stale."""
    bindings = {
        "id": id,
        "token": token,
        "failures": failures,
        "losses": losses,
        "reason": reason,
        "eta": eta,
    }
    database.execute(statement("jobs/try_again"), bindings)
    return database.changes() == 1


def release(database: Database, *, id: int, token: int) -> Standing | None:
    """Give a claimed job back uncounted; where it stands now, or None when the token is stale."""
    row = database.row(statement("jobs/release"), (id, token))
    return None if row is None else Standing._make(row)


def revoke_started(database: Database, *, id: int, token: int, reason: str, now: Moment) -> bool:
    """End a job whose attempt was stopped; False when the token is stale."""
    database.execute(
        statement("jobs/revoke_started"), {"id": id, "token": token, "reason": reason, "now": now}
    )
    return database.changes() == 1


def revoke_waiting(database: Database, *, id: int, reason: str, now: Moment) -> bool:
    """End a job that waits; False when it runs or has ended."""
    database.execute(statement("jobs/revoke_waiting"), {"id": id, "reason": reason, "now": now})
    return database.changes() == 1


def revoke_many(database: Database, *, ids: Sequence[int], reason: str, now: Moment) -> list[int]:
    """End those of these jobs that wait; which they were."""
    bindings = {"ids": dumps([*ids]), "reason": reason, "now": now}
    return [row[0] for row in database.rows(statement("jobs/revoke_many"), bindings)]


def ask_stop(database: Database, *, id: int, reason: str) -> tuple[int, str] | None:
    """Remember that a running attempt shall stop: ``(token, instance)``, or None if none runs."""
    row = database.row(statement("jobs/ask_stop"), {"id": id, "reason": reason})
    return None if row is None else (row[0], worker_of(row[1]))


def expire(database: Database, *, now: Moment, limit: int) -> list[int]:
    """End waiting jobs whose latest start has passed; their ids."""
    return [row[0] for row in database.rows(statement("jobs/expire"), {"now": now, "limit": limit})]


def pass_deadline(database: Database, *, now: Moment, limit: int) -> list[int]:
    """End waiting jobs whose deadline has passed; their ids."""
    bindings = {"now": now, "limit": limit, "reason": Reason.DEADLINE.value}
    return [row[0] for row in database.rows(statement("jobs/pass_deadline"), bindings)]


def ripen(database: Database, *, now: Moment, limit: int) -> list[Standing]:
    """Let jobs stand in their ready lines whose time has come; those that were moved."""
    return _standing(database, "jobs/ripen", {"now": now, "limit": limit})


def unfinished_with(database: Database, *, unique_key: str) -> tuple[int, str] | None:
    """``(id, state)`` of the job with a unique key that waits or runs, or None."""
    row = database.row(statement("jobs/unfinished_with"), (unique_key,))
    return None if row is None else (row[0], row[1])


def renew(
    database: Database,
    *,
    id: int,
    unique_key: str | None = None,
    deadline_at: Moment | None = None,
) -> Standing | None:
    """Begin a fresh round of an ended job; where it stands now, or None when it has not ended.

    No other job with ``unique_key`` may wait or run.
    """
    bindings = {"id": id, "unique_key": unique_key, "deadline_at": deadline_at}
    row = database.row(statement("jobs/renew"), bindings)
    return None if row is None else Standing._make(row)


def park(database: Database, *, id: int, token: int) -> None:
    """Put a job aside that was claimed in this transaction: its task is not in the plan."""
    database.execute(statement("jobs/park"), {"id": id, "token": token})


def unpark(database: Database, *, task: str, limit: int) -> list[Standing]:
    """Bring jobs back whose task is in the plan again; those that were moved."""
    return _standing(database, "jobs/unpark", {"task": task, "limit": limit})


def standing(
    database: Database, *, line: str, priority: int, after: int, limit: int
) -> list[Standing]:
    """A slice of the jobs of one priority in a line, by id."""
    bindings = {"line": line, "priority": priority, "after": after, "limit": limit}
    return _standing(database, "jobs/standing", bindings)


def _standing(database: Database, name: str, bindings: dict[str, Any]) -> list[Standing]:
    return [Standing._make(row) for row in database.rows(statement(name), bindings)]


def next_priority(database: Database, *, line: str, below: int) -> int | None:
    """The highest priority below one of the jobs in a line, or None."""
    row = database.row(statement("jobs/next_priority"), {"line": line, "below": below})
    return None if row is None else row[0]


def move(
    database: Database, moves: Iterable[tuple[str, str, str | None, str | None, int, str]]
) -> None:
    """Bring waiting jobs to other lines, by ``(line, queue, reason, gate, id, line before)``."""
    database.executemany(statement("jobs/move"), moves)


def get(database: Database, id: int, *, longest_bytes: int = ALL) -> dict[str, Any] | None:
    """The row of one job, or None. Its ``payload`` is None when that is longer."""
    rows = database.dicts(statement("jobs/get"), {"id": id, "longest": longest_bytes})
    return rows[0] if rows else None


def state(database: Database, id: int) -> str | None:
    """The state of one job, or None."""
    row = database.row(statement("jobs/state"), (id,))
    return None if row is None else str(row[0])


def owner(database: Database, id: int) -> int | None:
    """The uid whose one job is, or None."""
    row = database.row(statement("jobs/owner"), (id,))
    return None if row is None else int(row[0])


def started(database: Database) -> list[Running]:
    """Every running attempt, by worker and in the order of claims."""
    return [
        Running(row[0], row[1], row[2], *row[3:])
        for row in database.rows(statement("jobs/started"))
    ]


def running(database: Database, *, id: int, token: int) -> Running | None:
    """The running attempt of a job, or None when the token is stale."""
    row = database.row(statement("jobs/running"), (id, token))
    return None if row is None else Running(row[0], token, *row[1:])


def next_eta(database: Database) -> Moment | None:
    """When the next waiting job becomes ready."""
    row = database.row(statement("jobs/next_eta"))
    return row[0] if row else None


def next_expiry(database: Database) -> Moment | None:
    """When the next waiting job expires."""
    row = database.row(statement("jobs/next_expiry"))
    return row[0] if row else None


def next_deadline(database: Database) -> Moment | None:
    """The next deadline of a waiting job."""
    row = database.row(statement("jobs/next_deadline"))
    return row[0] if row else None


def count_lines(database: Database) -> dict[str, int]:
    """How many unfinished jobs stand in each line; those of all gates together under ``gate``."""
    return {row[0]: row[1] for row in database.rows(statement("jobs/count_lines"))}


def count_started(database: Database) -> list[tuple[str, str | None, int]]:
    """``(queue, task, jobs with workers)`` of every queue and task that have any."""
    return [(row[0], row[1], row[2]) for row in database.rows(statement("jobs/count_started"))]


def begun(database: Database, *, since: Moment) -> list[tuple[str, str | None, Moment]]:
    """``(queue, task, claimed at)`` of the jobs with workers that were claimed after a moment."""
    rows = database.rows(statement("jobs/begun"), {"since": since})
    return [(row[0], row[1], row[2]) for row in rows]


def holders(database: Database, *, gate: str) -> list[Standing]:
    """The jobs that hold a gate: ready, or with a worker."""
    return [Standing._make(row) for row in database.rows(statement("jobs/holders"), (gate,))]


def first_in(database: Database, *, line: str, limit: int) -> list[Standing]:
    """The first jobs of a line: highest priority first, then oldest."""
    return _standing(database, "jobs/first_in", {"line": line, "limit": limit})


def gates_of(database: Database, ids: Iterable[int]) -> set[str]:
    """The gates that jobs hold, or held until they ended."""
    return {row[0] for row in database.rows(statement("jobs/gates_of"), (dumps([*ids]),))}


def waiting_since(database: Database, line: str) -> Iterator[Moment]:
    """Since when the first job of each priority in a line waits: lower ones may wait for ever. Of very many
    priorities the highest."""
    below = _ABOVE_ALL
    for _ in range(_MOST_PRIORITIES):
        priority = next_priority(database, line=line, below=below)
        if priority is None:
            return
        row = database.row(statement("jobs/waits_since"), {"line": line, "priority": priority})
        if row is not None:
            yield int(row[0])
        below = priority


def next_line(database: Database, *, after: str, below: str) -> str | None:
    """The first line between two names in which jobs stand, or None; both bounds are excluded."""
    row = database.row(statement("jobs/next_line"), {"after": after, "below": below})
    return None if row is None else str(row[0])


def payload(database: Database, id: int) -> str:
    """The arguments of a job that is there, as JSON."""
    row = database.row(statement("jobs/payload"), (id,))
    assert row is not None
    return str(row[0])


def gate(database: Database, id: int) -> str | None:
    """The gate that a job holds, or held until it ended; None: none."""
    row = database.row(statement("jobs/gate"), (id,))
    return None if row is None else row[0]


def regate(database: Database, changes: Iterable[tuple[str | None, int]]) -> None:
    """Let running jobs hold other gates, by ``(gate, id)``."""
    database.executemany(statement("jobs/regate"), changes)


def fill(database: Database, *, id: int, payload: str) -> None:
    """Give a job that waits its arguments anew."""
    database.execute(statement("jobs/fill"), {"id": id, "payload": payload})


def postpone(database: Database, *, id: int, eta: Moment) -> None:
    """Let a job that was let go wait for a time."""
    database.execute(statement("jobs/postpone"), {"id": id, "eta": eta})


def begin_here(database: Database, *, id: int, now: Moment) -> tuple[int, int] | None:
    """Begin an attempt of a job that nobody runs: its token and number, or None when it does not wait."""
    row = database.row(statement("jobs/begin_here"), {"id": id, "now": now})
    return None if row is None else (row[0], row[1])


def replace(database: Database, job: NewJob, *, token: int) -> Standing | None:
    """Make a running job this one, which waits; where it stands now, or None when the token is stale."""
    row = database.row(statement("jobs/replace"), {**job._asdict(), "token": token})
    return None if row is None else Standing._make(row)


def scheduled(database: Database, *, limit: int, longest_bytes: int) -> list[dict[str, Any]]:
    """The jobs that wait for their time, soonest first; a ``payload`` that is longer is None."""
    bindings = {"limit": limit, "longest": longest_bytes}
    return database.dicts(statement("jobs/scheduled"), bindings)


def page(
    database: Database, *, before: int, limit: int, longest_bytes: int = ALL
) -> list[dict[str, Any]]:
    """A slice of all jobs below an id, newest first; a ``payload`` that is longer is None."""
    bindings = {"before": before, "limit": limit, "longest": longest_bytes}
    return database.dicts(statement("jobs/page"), bindings)


def highest_id(database: Database) -> int:
    """The highest id in the store, 0 when it is empty."""
    row = database.row(statement("jobs/highest_id"))
    return (row[0] or 0) if row else 0


def unfinished_of_schedule(
    database: Database, *, schedule: int, limit: int = 1000
) -> list[Unfinished]:
    """A schedule's unfinished jobs, oldest first."""
    bindings = {"schedule": schedule, "limit": limit}
    return [
        Unfinished(*row)
        for row in database.rows(statement("jobs/unfinished_of_schedule"), bindings)
    ]


def schedules_with_unfinished(database: Database, schedules: Iterable[int]) -> set[int]:
    """Those of the schedules that have an unfinished job."""
    told = dumps([*schedules])
    return {row[0] for row in database.rows(statement("jobs/schedules_with_unfinished"), (told,))}


def schedule_of(database: Database, id: int) -> int | None:
    """The schedule that made a job, or None."""
    row = database.row(statement("jobs/schedule_of"), (id,))
    return None if row is None else row[0]


def let_go(database: Database, *, schedule: int) -> list[Standing]:
    """Let the job go that waited for an earlier one of its schedule, if that is gone; where it stands."""
    return _standing(database, "jobs/let_go", {"schedule": schedule})


def let_after(database: Database, *, ids: Iterable[int], now: Moment) -> list[Standing]:
    """Let those of these jobs go that waited for others and now wait for none; where they stand."""
    return _standing(database, "jobs/let_after", {"ids": dumps([*ids]), "now": now})


def oldest_with_task(
    database: Database, *, after: int, limit: int
) -> list[tuple[int, str | None, Moment, Moment | None]]:
    """``(id, task, submitted_at, finished_at)`` of the next jobs above an id, by id."""
    bindings = {"after": after, "limit": limit}
    rows = database.rows(statement("jobs/oldest_with_task"), bindings)
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def oldest(
    database: Database, *, after: int, limit: int
) -> list[tuple[int, Moment, Moment | None]]:
    """``(id, submitted_at, finished_at)`` of a slice of all jobs, oldest ids first."""
    bindings = {"after": after, "limit": limit}
    return [(row[0], row[1], row[2]) for row in database.rows(statement("jobs/oldest"), bindings)]


def prune(database: Database, ids: Iterable[int]) -> None:
    """Remove ended jobs. Their attempts are the caller's to remove."""
    database.executemany(statement("jobs/prune"), ((id,) for id in ids))
