"""Submitting jobs: one or many, each once however often it is asked for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from jobctl.daemon.handlers.jobs.looking import MAX_AFTER, state_of
from jobctl.daemon.handlers.jobs.rows import (
    announce,
    check_name,
    dumps,
    new_row,
    plain_task_row,
    row_like,
)
from jobctl.daemon.server import Encoded
from jobctl.digest import blake2b
from jobctl.errors import Conflict, UsageError
from jobctl.job import FINAL, State
from jobctl.protocol.requests import NewJob, check
from jobctl.store import dependencies as dependency_rows
from jobctl.store import jobs as job_rows
from jobctl.store import keys as key_rows
from jobctl.store.jobs import (
    AFTER_LINE,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jobctl.clock import Moment
    from jobctl.daemon.server import Call
    from jobctl.daemon.station import Station
    from jobctl.protocol import requests

MAX_SUBMIT: Final = 10_000
_PENDING: Final = State.PENDING.value
_sorted_dumps = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def submit(station: Station, call: Call, request: requests.Submit) -> Encoded:
    """Add jobs, all or none. A key that was used for the same request gives its job again."""
    if len(request.jobs) > MAX_SUBMIT:
        raise UsageError(
            f"one request may hold {MAX_SUBMIT} jobs, this one holds {len(request.jobs)}",
            hint="Submit them in several requests.",
        )
    now, uid = station.clock.now(), call.uid
    rows: list[job_rows.NewJob] = []
    bound: dict[str, tuple[int, bytes]] = {}
    answers: list[str] = []
    unique: dict[str, tuple[int, str]] = {}
    waits: dict[int, list[tuple[int, str]]] = {}
    keys = [key for data in request.jobs if isinstance(key := data.get("key"), str)]
    used = key_rows.find(station.database, uid=uid, keys=[key for key in keys if key.isprintable()])
    digest_of = Digests()
    for data in request.jobs:
        check(NewJob, data)
        key = data.get("key")
        digest = b""
        if key is not None:
            digest = digest_of(data)
            known = bound.get(checked_key(key))
            if known is not None:
                answers.append(dumps(duplicate_of(key, known, digest, _PENDING)))
                continue
            known = used.get(key)
            if known is not None:
                state = job_rows.state(station.database, known[0])
                answers.append(dumps(duplicate_of(key, known, digest, state)))
                continue
        row = _plain_row(station, uid, data, now)
        if row is None:
            row = new_row(station, uid, NewJob(**data), now)
        twin = unique.get(row.unique_key) if row.unique_key is not None else None
        if twin is None and row.unique_key is not None:
            twin = twin_of(station, row.task, row.unique_key)
            unique[row.unique_key] = twin or (row.id, _PENDING)
        if twin is not None:
            # The key is bound to it too: when this request is repeated, it means the same job again.
            if key is not None:
                bound[key] = (twin[0], digest)
            answers.append(dumps(_twin_answer(row.task, twin)))
            continue
        state = _PENDING
        if row.line == AFTER_LINE:
            waits[row.id], state = dependencies_of(station, data)
        rows.append(row)
        if key is not None:
            bound[key] = (row.id, digest)
        answers.append(f'{{"id":{row.id},"state":"{state}","duplicate":false}}')
    # Everything that can be refused has been; from here on the request is written whole.
    job_rows.submit(station.database, rows)
    _add_dependencies(station, waits)
    key_rows.add(
        station.database,
        [(uid, key, job_id, digest) for key, (job_id, digest) in bound.items()],
    )
    for line in {row.line for row in rows}:
        station.dispatcher.note_ready(line)
    for row in rows:
        if not row.eta is row.expires_at is row.deadline_at is None:
            announce(station, row)
    station.counters.submitted += len(rows)
    return Encoded(f'{{"jobs":[{",".join(answers)}]}}')


def submit_one(
    station: Station,
    uid: int,
    key: str | None,
    asked: Mapping[str, Any],
    make: Callable[[], job_rows.NewJob],
    place: Callable[[job_rows.NewJob], job_rows.NewJob],
) -> dict[str, Any]:
    """Add a job, as `submit` does with one, for requests that make it in a way of their own.

    ``asked`` is what they say, without the key. ``make`` gives the row. ``place`` is called when nothing is
    there that forbids the job; it may give it another line, and may write. Both refuse by raising. Answer:
    ``id``, ``state``, ``duplicate``.
    """
    digest = b""
    if key is not None:
        digest = Digests()(asked)
        known = key_rows.find(station.database, uid=uid, keys=[checked_key(key)]).get(key)
        if known is not None:
            state = job_rows.state(station.database, known[0])
            return duplicate_of(key, known, digest, state)
    row = make()
    twin = twin_of(station, row.task, row.unique_key) if row.unique_key is not None else None
    if twin is None:
        row = place(row)
        job_rows.submit(station.database, [row])
        announce(station, row)
        station.counters.submitted += 1
        answer: dict[str, Any] = {
            "id": row.id,
            "state": State.PENDING.value,
            "duplicate": False,
        }
    else:
        answer = _twin_answer(row.task, twin)
    if key is not None:
        key_rows.add(station.database, [(uid, key, answer["id"], digest)])
    return answer


_TEXTS: Final = frozenset({"task", "queue"})
"""Fields that hold texts: two requests with these fields alone are the same when they are equal."""

_SHORT_KEY: Final = 200 // 4
"""Characters that never have more than 200 bytes."""

_PLAIN: Final = frozenset({"task", "args", "kwargs", "typed", "key"})


def _plain_row(
    station: Station, uid: int, data: Mapping[str, Any], now: Moment
) -> job_rows.NewJob | None:
    """The row of a job that says nothing but its task and typed arguments; None for any other.

    Most jobs are like that, and bulk submits consist of them.
    """
    has_arguments = "args" in data or "kwargs" in data
    if not data.keys() <= _PLAIN or (has_arguments and not data.get("typed")):
        return None
    name = data.get("task")
    if name is None:
        return None
    args, kwargs = data.get("args") or (), data.get("kwargs") or {}
    pattern = station.patterns.get(name)
    if pattern is not None:
        return row_like(station, pattern, args, kwargs, now, uid=uid)
    if name not in station.plan.tasks:
        # Judged before anybody looks for a similar name, which takes a while with a long one.
        check_name("task", name)
    return plain_task_row(station, station.plan.task(name), args, kwargs, now, uid=uid)


def dependencies_of(station: Station, data: Mapping[str, Any]) -> tuple[list[tuple[int, str]], str]:
    """``(id, until)`` of the jobs that a new one waits for, and the state in which it is when its submit is
    answered. Raises NotFound, UsageError."""
    wanted = [(job_id, "success") for job_id in data.get("after") or ()]
    wanted += [(job_id, "end") for job_id in data.get("after_any") or ()]
    if len(wanted) > MAX_AFTER:
        raise UsageError(f"a job waits for {MAX_AFTER} others at most")
    found: dict[int, str] = {}
    state = _PENDING
    for job_id, until in wanted:
        if found.setdefault(job_id, until) != until:
            raise UsageError(
                f"job {job_id} is named with --after and with --after-any", hint="Keep one of them."
            )
        other = state_of(station, job_id)
        if until == "success" and other in FINAL and other is not State.SUCCESS:
            # It is made all the same: whether the other one failed a moment before or after makes no
            # difference to whoever looks at this one.
            state = State.REVOKED.value
    return list(found.items()), state


def _add_dependencies(station: Station, waits: Mapping[int, list[tuple[int, str]]]) -> None:
    for job_id, wanted in waits.items():
        rows = [(job_id, on_job, until, "open") for on_job, until in wanted]
        dependency_rows.add(station.database, rows)
        # Some may have ended before: they are followed in this transaction, as if they ended now.
        station.dispatcher.note_ended([on_job for on_job, _ in wanted])


def twin_of(station: Station, task: str | None, unique_key: str) -> tuple[int, str] | None:
    """``(id, state)`` of the job that waits or runs and of which there may be only one, or None."""
    found = job_rows.unfinished_with(station.database, unique_key=unique_key)
    if found is not None or task is None:
        return found
    # Jobs that were submitted before the task was renamed.
    kind, _, rest = unique_key.partition("/")
    for alias in station.plan.tasks[task].aliases:
        before = f"{kind}/{alias}{rest.removeprefix(task)}"
        found = found or job_rows.unfinished_with(station.database, unique_key=before)
    return found


def _twin_answer(task: str | None, twin: tuple[int, str]) -> dict[str, Any]:
    job_id, state = twin
    reason = f'task "{task}" is unique, and job {job_id} is {state}'
    return {"id": job_id, "state": state, "duplicate": True, "reason": reason}


class Digests:
    """Digests of what was asked for, without its key; remembers the last one.

    A bulk request often asks for the same thing a thousand times.
    """

    def __init__(self) -> None:
        self._asked: dict[str, Any] | None = None
        self._digest = b""

    def __call__(self, data: Mapping[str, Any]) -> bytes:
        """The digest of one."""
        asked = {name: value for name, value in data.items() if name != "key"}
        # By text: 1, 1.0 and True are equal, but not the same request.
        if asked != self._asked or not asked.keys() <= _TEXTS:
            text = _sorted_dumps(asked)
            self._asked, self._digest = asked, blake2b(text.encode(), digest_size=16).digest()
        return self._digest


def checked_key(key: str) -> str:
    """The key, if it can be one. Raises UsageError."""
    if 1 <= len(key) <= _SHORT_KEY and key.isprintable():
        return key
    if not 1 <= len(key.encode(errors="surrogatepass")) <= 200 or not key.isprintable():
        raise UsageError(
            "a key has 1 to 200 bytes and no control characters", hint="Choose another --key."
        )
    return key


def duplicate_of(
    key: str, known: tuple[int, bytes], digest: bytes, state: str | None
) -> dict[str, Any]:
    """The answer for a key that is bound already. Raises Conflict: to another request, or to a job that
    has ended and was removed, which must not be done a second time."""
    job_id, known_digest = known
    if known_digest != digest:
        raise Conflict(
            f'the key "{key}" was used for another request: job {job_id}',
            hint="Use a new key for a new job; the same key means the same job.",
        )
    if state is None:
        raise Conflict(
            f'the key "{key}" was used for job {job_id}, which has ended and was removed',
            hint="Use a new key to do it again.",
        )
    return {"id": job_id, "state": state, "duplicate": True}
