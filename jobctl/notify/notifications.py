"""The daemon's part of telling people: a job for each message, made with what it tells of.

Inside the transaction that writes the end of an attempt (or its begin, or the fate of an instant) the routes
that want to tell of it each get a job of their task: a crash loses no message, and no restart makes a second
one. What happens to that job is what happens to any: it waits, is sent by a process of its own, is tried again.

What a route remembers of a task that fails is in the store too; this keeps a copy, and reads it anew after a
transaction that was rolled back.

A ping says how a task is, not how it was. One that waits is taken back when there is a newer one of its
task and route, and one that is being sent is waited for: a service that was away for an hour is not told of
an old failure after a new success.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

from jobctl.clock import SECOND, earliest
from jobctl.errors import StorageError
from jobctl.job import Change, Reason, State
from jobctl.logs import fields, logger
from jobctl.notify.notice import head_and_tail, one_line, readable, to_text
from jobctl.notify.rules import judge
from jobctl.paths import output_file
from jobctl.plan.senders import route_of
from jobctl.store import dependencies as dependency_rows
from jobctl.store import jobs as job_rows
from jobctl.store import lates as late_rows
from jobctl.store import notices as notice_rows
from jobctl.store import troubles as trouble_rows
from jobctl.store.database import Refused
from jobctl.store.lates import Late

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from jobctl.clock import Clock, Moment
    from jobctl.plan import Plan, ScheduleSpec
    from jobctl.plan.routes import Route
    from jobctl.result import Outcome
    from jobctl.store.database import Database
    from jobctl.store.jobs import Claimed, NewJob, Running
    from jobctl.store.troubles import Trouble
    from jobctl.task import Task

MOST_ITEMS: Final = 100
"""What one digest tells one by one; of the rest it tells how many they are."""
MOST_LATE: Final = 500
"""Jobs that are late and looked at in one turn."""
_ITEM_OUTPUT_BYTES: Final = 500
_LONGEST_MESSAGE: Final = 4096
_MISSED_S: Final = 10.0
"""A host that was away has missed instants of many schedules: one message tells all of them."""


class Queueing(Protocol):
    """The daemon's side of making jobs."""

    def make(self, route: str, notice: str) -> NewJob:
        """The row of a message; nothing is written yet."""
        ...

    def submit(self, row: NewJob) -> None:
        """Write it, in this transaction."""
        ...

    def revoke(self, job_id: int) -> None:
        """End a message that waits, in this transaction."""
        ...

    def wait_for(self, job_id: int) -> None:
        """Some job was just made that waits for this one."""
        ...


class Notifications:
    """See the module.

    Attributes:
        starts: the tasks of whose attempts the begin is told.
        watched: the tasks of whose attempts the success has to be looked at, because it is told or because
            it is the end of a trouble.
    """

    def __init__(
        self,
        *,
        database: Database,
        queueing: Queueing,
        clock: Clock,
        host: str,
        instance: str,
        output_dir: Path,
    ) -> None:
        self._database = database
        self._queueing = queueing
        self._clock = clock
        self._host = host
        self._instance = instance
        self._output_dir = output_dir
        self._plan: Plan | None = None
        self._routes: tuple[Route, ...] = ()
        self._chosen: dict[tuple[str | None, str], tuple[Route, ...]] = {}
        self._lasting: frozenset[str] = frozenset()
        self._tells_late = False
        self.starts: frozenset[str] = frozenset()
        self.watched: frozenset[str] = frozenset()
        self.recover()

    # -- the plan -----------------------------------------------------------------------------------

    def take(self, plan: Plan) -> None:
        """Go by the routes of this plan from now on."""
        self._plan = plan
        self._routes = tuple(plan.routes.values())
        self._chosen.clear()
        self._tells_late = any("late" in route.events for route in self._routes)
        starts: set[str] = set()
        lasting: set[str] = set()
        if self._routes:
            for task in plan.tasks.values():
                events = {event for route in self._of(task, task.queue) for event in route.events}
                names = (task.name, *task.aliases)
                if "start" in events:
                    starts.update(names)
                if events & {"success", "output"}:
                    lasting.update(names)
        self.starts, self._lasting = frozenset(starts), frozenset(lasting)
        self._watch()

    def recover(self) -> None:
        """Read what the store knows: at start, and after a transaction that was rolled back."""
        self._troubles = trouble_rows.all(self._database)
        self._due = notice_rows.due(self._database)
        self._next_late = late_rows.next(self._database)
        self._find_due()
        self._watch()

    def _watch(self) -> None:
        self.watched = self._lasting | self._troubles.keys()

    def _of(self, task: Task | None, queue: str) -> tuple[Route, ...]:
        """The routes that tell of such a job."""
        key = (task.name if task is not None else None, queue)
        found = self._chosen.get(key)
        if found is None:
            if task is not None and route_of(task.name) is not None:
                # A message about a message would never end.
                found = ()
            elif task is not None and task.notify is not None:
                found = tuple(route for route in self._routes if route.name in task.notify)
            else:
                found = tuple(route for route in self._routes if route.chooses(key[0], queue))
            self._chosen[key] = found
        return found

    # -- what happens -------------------------------------------------------------------------------

    def begun(self, job: Claimed, now: Moment) -> None:
        """An attempt of one of `starts` was claimed."""
        with _harmless(job.id):
            self._tell_begin(job, now)

    def _tell_begin(self, job: Claimed, now: Moment) -> None:
        task = self._plan.find(job.task) if self._plan and job.task else None
        for route in self._of(task, job.queue):
            if task is not None and "start" in route.events:
                about = {"id": job.id, "attempt": job.number, "state": State.STARTED.value}
                notice = self._notice("start", route, now, task=task.name, queue=job.queue)
                notice |= {**about, "started_at": job.started_at}
                notice["message_id"] = self._message_id(job.id, job.number, "start")
                self._send(route, notice)

    def settled(
        self, running: Running, task: Task | None, change: Change, outcome: Outcome, now: Moment
    ) -> None:
        """An attempt has ended, in this transaction, and this became of its job."""
        if not self._routes and not self._troubles:
            return
        with _harmless(running.id):
            self._tell_end(running, task, change, outcome, now)

    def _tell_end(
        self, running: Running, task: Task | None, change: Change, outcome: Outcome, now: Moment
    ) -> None:
        if task is not None and route_of(task.name) is not None:
            self._sent(running, change, outcome)
            return
        row: Mapping[str, Any] | None = None
        if task is None:
            row = job_rows.get(self._database, running.id, longest_bytes=16 * 1024)
            queue = str(row["queue"]) if row else ""
        else:
            queue = _queue_of(running, task)
        for route in self._of(task, queue):
            before = self._troubles.get(task.name, {}).get(route.name) if task else None
            message_id = self._message_id(running.id, running.number, change.name.lower())
            prints = outcome.output_bytes > 0 or bool(outcome.stderr_bytes)
            judged = judge(route, before, change, prints=prints, message_id=message_id, now=now)
            if task is not None and judged.trouble != before:
                self._note_trouble(task.name, route.name, judged.trouble)
            if judged.event is None:
                continue
            notice = self._notice(
                judged.event, route, now, task=task.name if task else None, queue=queue
            )
            row = row or job_rows.get(self._database, running.id, longest_bytes=16 * 1024) or {}
            notice |= self._facts(running, task, change, outcome, row)
            notice |= _series(judged.trouble if change is Change.FAIL else before)
            notice["message_id"] = message_id
            self._add_output(notice, route, running, outcome)
            self._tell(route, notice, now)
        self._forget_routes_of(task)

    def _forget_routes_of(self, task: Task | None) -> None:
        """Troubles that only routes know of which do not tell of the task any more are over."""
        known = self._troubles.get(task.name) if task is not None else None
        if task is None or not known:
            return
        routes = {route.name for route in self._routes}
        for name in [name for name in known if name not in routes]:
            self._note_trouble(task.name, name, None)

    def scheduled(self, name: str | None, job_id: int, instant: Moment) -> None:
        """A job of a task was made for an instant, in this transaction."""
        task = self._plan.find(name) if self._plan and name and self._tells_late else None
        if task is None:
            return
        for route in self._of(task, task.queue):
            if "late" in route.events and route.late_after_s is not None:
                due_at = instant + round(route.late_after_s * SECOND)
                late_rows.add(self._database, Late(due_at, job_id, route.name, instant))
                self._next_late = earliest(self._next_late, due_at)
                self._find_due()

    def _tell_late(self, now: Moment) -> None:
        for late in late_rows.take(self._database, now=now, limit=MOST_LATE):
            route = self._plan.routes.get(late.route) if self._plan else None
            row = job_rows.get(self._database, late.job_id, longest_bytes=0)
            if route is None or row is None or not _is_late(row):
                continue
            notice = self._notice("late", route, now, task=row["task"], queue=row["queue"])
            notice |= {
                "id": row["id"],
                "attempt": max(row["number"], 1),
                "state": row["state"],
                "reason": one_line(str(row["reason"] or "")) or None,
                "submitted_at": row["submitted_at"],
                "started_at": row["started_at"],
                "due_at": late.instant_at,
                "late_s": (now - late.instant_at) / SECOND,
                "message_id": self._message_id(row["id"], row["number"], "late"),
            }
            self._tell(route, notice, now, gather_s=_MISSED_S)
        self._next_late = late_rows.next(self._database)

    def missed(
        self,
        spec: ScheduleSpec,
        first: Moment,
        last: Moment,
        count: int,
        reason: str | None,
        now: Moment,
    ) -> None:
        """Instants of a schedule have passed unserved."""
        task = self._plan.find(spec.task) if self._plan else None
        if task is None or not self._routes:
            return
        for route in self._of(task, task.queue):
            if "missed" in route.events:
                notice = self._notice("missed", route, now, task=task.name, queue=task.queue)
                notice |= {"schedule": spec.name, "first": first, "last": last, "count": count}
                notice |= {"reason": reason, "timezone": spec.timezone}
                notice["message_id"] = f"<jobctl.{self._instance}.{spec.name}.{last}@{self._host}>"
                self._tell(route, notice, now, gather_s=_MISSED_S)

    def test(self, route: Route, now: Moment) -> NewJob:
        """Make a message that says that it is a test; not tried again."""
        notice = self._notice("test", route, now, task=None, queue=None)
        notice["message_id"] = f"<jobctl.{self._instance}.test.{now}@{self._host}>"
        row = self._queueing.make(route.name, to_text(notice))
        row = row._replace(overrides=json.dumps({"retries": 0}))
        self._queueing.submit(row)
        return row

    # -- digests ------------------------------------------------------------------------------------

    def next_due(self) -> Moment | None:
        """When a digest is due, or a job is late."""
        return self._due_at

    def is_due(self, now: Moment) -> bool:
        """A digest is due, or a job is late."""
        return self._due_at is not None and self._due_at <= now

    def _find_due(self) -> None:
        # Asked for several times in every turn: it is worked out when it changes.
        self._due_at = earliest(self._next_late, *self._due.values())

    def step(self, now: Moment) -> None:
        """Tell of jobs that are late, and send the digests that are due."""
        if self._due_at is None or self._due_at > now:
            return
        if self._next_late is not None and self._next_late <= now:
            self._tell_late(now)
        for name in [name for name, due_at in self._due.items() if due_at <= now]:
            del self._due[name]
            texts, count = notice_rows.of_route(self._database, route=name, limit=MOST_ITEMS)
            notice_rows.end(self._database, route=name)
            route = self._plan.routes.get(name) if self._plan else None
            if route is None or not texts:
                continue
            items = [json.loads(text) for text in texts]
            if count == 1:
                self._send(route, items[0])
                continue
            digest = self._notice("digest", route, now, task=None, queue=None)
            digest |= {"items": items, "count": count}
            digest["message_id"] = f"<jobctl.{self._instance}.digest.{now}@{self._host}>"
            self._send(route, digest)
        self._find_due()

    # -- messages -----------------------------------------------------------------------------------

    def _tell(
        self, route: Route, notice: dict[str, Any], now: Moment, *, gather_s: float | None = None
    ) -> None:
        gather_s = route.digest_s or gather_s
        if gather_s is None:
            self._send(route, notice)
            return
        if "output" in notice:
            notice["output"] = notice["output"][-_ITEM_OUTPUT_BYTES:]
        due_at = now + round(gather_s * SECOND)
        notice_rows.add(self._database, route=route.name, due_at=due_at, notice=to_text(notice))
        self._due.setdefault(route.name, due_at)
        self._find_due()

    def _send(self, route: Route, notice: Mapping[str, Any]) -> None:
        row = self._queueing.make(route.name, to_text(notice))
        if route.kind == "ping":
            self._submit_in_place_of_earlier(row, route.name, str(notice["task"] or ""))
        else:
            self._queueing.submit(row)

    def _submit_in_place_of_earlier(self, row: NewJob, route: str, task: str) -> None:
        """Submit a ping; see the module."""
        keys = (f"notify/{route}/{task}", f"notify/{route}/{task}/next")
        sending: tuple[str, int] | None = None
        for key in keys:
            found = job_rows.unfinished_with(self._database, unique_key=key)
            if found is None:
                continue
            if found[1] == State.STARTED:
                sending = (key, found[0])
            else:
                self._queueing.revoke(found[0])
        if sending is None:
            self._queueing.submit(row._replace(unique_key=keys[0]))
            return
        other = keys[1] if sending[0] == keys[0] else keys[0]
        row = row._replace(unique_key=other, line=job_rows.AFTER_LINE, reason=Reason.AFTER.value)
        self._queueing.submit(row)
        dependency_rows.add(self._database, [(row.id, sending[1], "end", "open")])
        self._queueing.wait_for(sending[1])

    def _sent(self, running: Running, change: Change, outcome: Outcome) -> None:
        """A message was sent, or could not be."""
        if change is Change.SUCCEED:
            return
        route = route_of(running.task)
        tail = readable(outcome.output[-2000:]).strip().rpartition("\n")[2]
        error = json.loads(outcome.error) if outcome.error else {}
        why = one_line(tail or str(error.get("message", "")) or outcome.verdict.value, 300)
        if change is Change.TRY_AGAIN:
            logger.warning(
                "a notification could not be sent and is tried again",
                extra=fields(route=route, job=running.id, attempt=running.number, why=why),
            )
            if self._is_overtaken(running):
                self._queueing.revoke(running.id)
        else:
            logger.error(
                "a notification was given up",
                extra=fields(route=route, job=running.id, attempt=running.number, why=why),
            )

    def _is_overtaken(self, running: Running) -> bool:
        """A newer ping waits for this one."""
        waited_for = dependency_rows.open_after(self._database, after=running.id - 1, limit=1)
        return waited_for == [running.id]

    def _note_trouble(self, task: str, route: str, trouble: Trouble | None) -> None:
        if trouble is None:
            trouble_rows.end(self._database, task=task, route=route)
            known = self._troubles.get(task, {})
            known.pop(route, None)
            if not known:
                self._troubles.pop(task, None)
        else:
            trouble_rows.put(self._database, task=task, route=route, trouble=trouble)
            self._troubles.setdefault(task, {})[route] = trouble
        self._watch()

    # -- what a notice says -------------------------------------------------------------------------

    def _message_id(self, job_id: int, number: int, what: str) -> str:
        return f"<jobctl.{self._instance}.{job_id}.{number}.{what}@{self._host}>"

    def _notice(
        self, event: str, route: Route, now: Moment, *, task: str | None, queue: str | None
    ) -> dict[str, Any]:
        return {
            "event": event,
            "route": route.name,
            "host": self._host,
            "instance": self._instance,
            "at": now,
            "task": task,
            "queue": queue,
        }

    def _facts(
        self,
        running: Running,
        task: Task | None,
        change: Change,
        outcome: Outcome,
        row: Mapping[str, Any],
    ) -> dict[str, Any]:
        error = json.loads(outcome.error) if outcome.error else None
        told = None
        if isinstance(error, dict):
            message = str(error.get("message") or "")
            told = {
                "type": one_line(str(error.get("type") or "")),
                "message": readable(message[:_LONGEST_MESSAGE].encode(errors="replace")),
            }
        began_at = outcome.started_at or running.claimed_at
        eta = row.get("eta") if change is Change.TRY_AGAIN else None
        return {
            "id": running.id,
            "attempt": running.number,
            "state": change.target.value,
            "verdict": outcome.verdict.value,
            "reason": one_line(str(row.get("reason") or "")) or None,
            "command": _command(running, task, row),
            "user": _user(task, row),
            "exit_code": outcome.exit_code,
            "signal": outcome.signal,
            "error": told,
            "submitted_at": row.get("submitted_at"),
            "started_at": began_at,
            "finished_at": outcome.finished_at,
            "duration_s": max(outcome.finished_at - began_at, 0) / SECOND,
            "next_at": eta,
        }

    def _add_output(
        self, notice: dict[str, Any], route: Route, running: Running, outcome: Outcome
    ) -> None:
        most = route.most_output_bytes
        text = self._output(running, outcome, most, stderr=False)
        errors = self._output(running, outcome, most // 2, stderr=True)
        if errors:
            text = f"{text}\n--- standard error ---\n{errors}" if text else errors
        notice["output"] = text
        notice["output_bytes"] = outcome.output_bytes + (outcome.stderr_bytes or 0)

    def _output(self, running: Running, outcome: Outcome, most: int, *, stderr: bool) -> str:
        data = outcome.stderr if stderr else outcome.output
        whole = (outcome.stderr_bytes or 0) if stderr else outcome.output_bytes
        is_file = outcome.stderr_file if stderr else outcome.output_file
        if not is_file:
            return head_and_tail(lambda at, size: data[at : at + size], len(data), whole, most)
        path = output_file(self._output_dir, running.id, running.number, stderr=stderr)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return ""
        try:
            return head_and_tail(lambda at, size: os.pread(fd, size, at), whole, whole, most)
        except OSError:
            return ""
        finally:
            os.close(fd)


@contextmanager
def _harmless(job_id: int) -> Iterator[None]:
    """What has begun or ended has done so, whatever becomes of telling it: only a store that refuses undoes it."""
    try:
        yield
    except (Refused, StorageError):
        raise
    except Exception:  # noqa: BLE001 -- a fault of ours in a message must not cost an outcome
        logger.exception("people could not be told", extra=fields(job=job_id))


def _is_late(row: Mapping[str, Any]) -> bool:
    """A job that is still to succeed, or that was given up because its time was over. What has failed was told
    as a failure, and who cancelled it knows."""
    if row["state"] == State.REVOKED:
        return row["reason"] in (Reason.EXPIRED, Reason.DEADLINE)
    return row["state"] not in (State.SUCCESS, State.FAILURE)


def _queue_of(running: Running, task: Task) -> str:
    """The queue of a job: its submitter may have named another than its task does."""
    given = json.loads(running.overrides) if running.overrides else {}
    return str(given.get("queue") or task.queue)


def _command(running: Running, task: Task | None, row: Mapping[str, Any]) -> str | None:
    """What cron would call the command: the line, or the words of it."""
    if task is not None and task.shell is not None:
        return one_line(task.shell)
    words: list[str] = []
    if task is not None:
        words = list(task.command or ())
    elif row.get("payload"):
        words = [str(word) for word in json.loads(row["payload"]).get("command") or ()]
    return one_line(" ".join(words)) or None


def _user(task: Task | None, row: Mapping[str, Any]) -> str | int | None:
    """Whose job it is: the name of its user, or the uid of its submitter."""
    if task is not None and task.user is not None:
        return task.user
    uid = row.get("uid")
    return uid if isinstance(uid, int) else None


def _series(trouble: Trouble | None) -> dict[str, Any]:
    if trouble is None:
        return {"failures": 0, "untold": 0, "thread": None}
    return {
        "failures": trouble.failures,
        "untold": trouble.untold,
        "thread": trouble.thread,
    }
