"""Requests that look at schedules and their fires: list, agenda, history.

There may be a hundred thousand schedules, so each walk over them goes in slices.
"""

from __future__ import annotations

import heapq
import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from jobctl.clock import SECOND
from jobctl.errors import NotFound, UsageError
from jobctl.store import fires as fire_rows
from jobctl.store import rules as rule_rows
from jobctl.store import schedules as schedule_rows

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    from jobctl.beat import Entry
    from jobctl.clock import Moment
    from jobctl.daemon.server import Call
    from jobctl.daemon.station import Station
    from jobctl.protocol import requests

    Slice = Generator[None, None, dict[str, Any]]

T = TypeVar("T")

Place: TypeAlias = tuple[int, int, int]
"""Where a row of fates stands among those of all schedules: its first instant, the id of its schedule, the
number of its rule."""

_CURSOR: Final = re.compile(r"(-?[0-9]{1,18})\.([0-9]{1,18})\.([0-9]{1,18})")

MAX_FIRES: Final = 1000
MAX_SCHEDULES: Final = 5000

FATES: Final = ("submitted", "skipped", "missed", "coalesced", "held")

SLICE_NAMES: Final = 2000
"""Schedules whose name or next instant is looked at in one turn."""

SLICE_ROWS: Final = 100
"""Rows that are read, or instants that are computed, in one turn."""

_NEVER: Final = 2**62


# -- list -----------------------------------------------------------------------------------------


def schedules(station: Station, call: Call, request: requests.Schedules) -> Slice:
    """A page of the schedules of the plan, by name."""
    if not 1 <= request.limit <= MAX_SCHEDULES:
        raise UsageError(f"limit lies between 1 and {MAX_SCHEDULES}")
    return _page(station, request)


def _page(station: Station, request: requests.Schedules) -> Slice:
    first: list[str] = []
    for names in _slices(list(station.plan.schedules)):
        some = [
            name
            for name in names
            if name.startswith(request.prefix) and (request.after is None or name > request.after)
        ]
        first = heapq.nsmallest(request.limit + 1, first + some)
        yield
    found = []
    for number, name in enumerate(first[: request.limit], start=1):
        described = _describe_schedule(station, name)
        if described is not None:
            found.append(described)
        if number % SLICE_ROWS == 0:
            yield
    return {
        "schedules": found,
        "next": first[request.limit - 1] if len(first) > request.limit else None,
    }


def _describe_schedule(station: Station, name: str) -> dict[str, Any] | None:
    """A schedule for people; None when a reload has removed it meanwhile."""
    spec = station.plan.schedules.get(name)
    if spec is None:
        return None
    entry = station.beat.entries().get(name)
    last = fire_rows.of_schedule(station.database, name=name, before=_NEVER, limit=1)
    return {
        "name": name,
        "task": spec.task,
        "kind": spec.kind,
        "expression": spec.expression,
        "normal": entry.rule.normal if entry else None,
        "timezone": spec.timezone,
        "enabled": spec.enabled,
        "state": entry.state.value if entry else None,
        "paused_until": entry.paused_until if entry else None,
        "next": entry.next_at if entry else None,
        "last": describe_fire(last[0], name, spec.task) if last else None,
        "source": str(spec.source),
    }


# -- agenda ---------------------------------------------------------------------------------------


def next_fires(station: Station, call: Call, request: requests.Next) -> Slice:
    """The agenda: the next instants of all schedules, or of one, or of those of a task."""
    if not 1 <= request.limit <= MAX_FIRES:
        raise UsageError(f"limit lies between 1 and {MAX_FIRES}")
    return _agenda(station, request)


def _agenda(station: Station, request: requests.Next) -> Slice:
    if request.schedule is None:
        names = list(station.beat.entries())
    else:
        names = [name for name, _ in (yield from schedules_named(station, request.schedule))]
    until = _NEVER
    if request.within_s is not None:
        until = station.clock.now() + int(request.within_s * SECOND)
    # What is not among the first so many now is not among them later either: an instant only brings
    # forth a later one of its own schedule.
    wanted = request.limit + 1
    first: list[tuple[Moment, str]] = []
    for some in _slices(names):
        entries = station.beat.entries()
        first = heapq.nsmallest(wanted, first + list(_upcoming(entries, some, until)))
        yield
    fires: list[dict[str, Any]] = []
    while first and len(fires) < wanted:
        at, name = first[0]
        entry = station.beat.entries().get(name)
        if entry is None:
            heapq.heappop(first)
            continue
        fires.append({"schedule": name, "task": entry.spec.task, "at": at})
        following = entry.rule.next_after(at)
        if following is not None and following <= until:
            heapq.heapreplace(first, (following, name))
        else:
            heapq.heappop(first)
        if len(fires) % SLICE_ROWS == 0:
            yield
    return {"fires": fires[: request.limit], "more": len(fires) > request.limit}


def _upcoming(
    entries: Mapping[str, Entry], names: Iterable[str], until: Moment
) -> Iterable[tuple[Moment, str]]:
    for name in names:
        entry = entries.get(name)
        if entry is not None and entry.next_at is not None and entry.next_at <= until:
            yield entry.next_at, name


# -- history --------------------------------------------------------------------------------------


def history(station: Station, call: Call, request: requests.History) -> Slice:
    """What became of the instants of a schedule, or of all schedules of a task; newest first."""
    if not 1 <= request.limit <= MAX_FIRES:
        raise UsageError(f"limit lies between 1 and {MAX_FIRES}")
    for fate in request.fates or ():
        if fate not in FATES:
            raise UsageError(f'there is no fate "{fate}"', hint=f"Fates: {', '.join(FATES)}")
    return _history(station, request, _read_cursor(request))


def _read_cursor(request: requests.History) -> Place:
    """Where the page begins: only rows below this place."""
    before = _NEVER if request.before is None else request.before
    if request.cursor is None:
        return before, 0, 0
    found = _CURSOR.fullmatch(request.cursor)
    if found is None:
        raise UsageError(
            f'"{request.cursor[:50]}" is no cursor', hint="Take the one that a page before it gave."
        )
    at, schedule, rule = map(int, found.groups())
    return min((before, 0, 0), (at, schedule, rule))


def _history(station: Station, request: requests.History, below: Place) -> Slice:
    found = yield from schedules_named(
        station, request.schedule, is_schedule=request.is_schedule, also_removed=True
    )
    # The newest rows are kept, the oldest of them on top: what is older than that one is not read.
    newest: list[tuple[Place, dict[str, Any]]] = []
    wanted = request.limit + 1
    work = 0
    for name, task in found:
        schedule = schedule_rows.find(station.database, name)
        if schedule is None:
            continue
        rules = _rules_since(station, name, request.since)
        before = below[0], _begin_rule(schedule.id, below)
        is_over = not rules
        while not is_over:
            limit = min(wanted, SLICE_ROWS)
            rows = fire_rows.page(
                station.database, schedule=schedule.id, before=before, limit=limit
            )
            is_over = len(rows) < limit
            for row in rows:
                place = row["first"], schedule.id, row["rule"]
                before = row["first"], row["rule"]
                if len(newest) == wanted and place < newest[0][0]:
                    is_over = True
                    break
                if request.since is not None and row["last"] < request.since:
                    # What is older of this rule does not reach there either.
                    rules.discard(row["rule"])
                    is_over = is_over or not rules
                elif not request.fates or row["fate"] in request.fates:
                    heapq.heappush(newest, (place, describe_fire(row, name, task)))
                    if len(newest) > wanted:
                        heapq.heappop(newest)
            work += 5 + len(rows)
            if work >= SLICE_ROWS:
                work = 0
                yield
    newest.sort(key=lambda one: one[0], reverse=True)
    page = newest[: request.limit]
    following = None
    if len(newest) > request.limit:
        following = "{}.{}.{}".format(*page[-1][0])
    return {"fires": [fire for _, fire in page], "next": following}


def _rules_since(station: Station, name: str, since: Moment | None) -> set[int]:
    """The rules of a schedule that may have rows of instants since a moment; without one some set."""
    if since is None:
        return {0}
    rules = rule_rows.of_schedule(station.database, name)
    return {rule.number for rule in rules if rule.ends_at is None or rule.ends_at >= since}


def _begin_rule(schedule: int, below: Place) -> int:
    """Below which rule of a schedule the rows at the first moment of a page lie."""
    _, cut, rule = below
    if schedule == cut:
        return rule
    return _NEVER if schedule < cut else 0


def describe_fire(row: Mapping[str, Any], schedule: str, task: str | None) -> dict[str, Any]:
    """A row of fates for people."""
    return {
        "schedule": schedule,
        "task": task,
        "at": row["first"],
        "last": row["last"],
        "count": row["count"],
        "fate": row["fate"],
        "job_id": row["job_id"],
        "reason": row["reason"],
    }


# -- names ----------------------------------------------------------------------------------------


def _slices(of: Sequence[T]) -> Iterator[Sequence[T]]:
    """As much of a long list as is looked at in one turn, until its end."""
    return (of[place : place + SLICE_NAMES] for place in range(0, len(of), SLICE_NAMES))


def schedules_named(
    station: Station, name: str, *, is_schedule: bool = False, also_removed: bool = False
) -> Generator[None, None, list[tuple[str, str | None]]]:
    """``(schedule, task)`` of all schedules of a task, or of the schedule of that name.

    The task goes first: its own schedule has its name, and is one of them. A schedule that was removed
    has no task any more. Raises NotFound.
    """
    plan = station.plan
    task = None if is_schedule else plan.find(name)
    found: list[tuple[str, str | None]] = []
    if task is not None:
        for specs in _slices(list(plan.schedules.values())):
            found += [
                (spec.name, spec.task)
                for spec in specs
                if task.name in (spec.task, plan.aliases.get(spec.task))
            ]
            yield
    elif name in plan.schedules:
        found.append((name, plan.schedules[name].task))
    is_missing = also_removed and all(schedule != name for schedule, _ in found)
    if is_missing and schedule_rows.find(station.database, name) is not None:
        found.append((name, None))
    if not found and task is None:
        what = "schedule" if is_schedule else "schedule and no task"
        raise NotFound(f'there is no {what} "{name}"', hint="jobctl schedule list shows them.")
    return found
