"""What a schedule means: in words, in normal form, its next instants, and what to beware of."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from jobctl.schedule.base import Kind, Schedule
from jobctl.schedule.crontab import parse_crontab
from jobctl.schedule.fields import Dialect
from jobctl.schedule.lints import Lint, lints_of
from jobctl.schedule.parse import checked_text, kind_of, parse_schedule
from jobctl.schedule.words import words_of
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """Everything ``jobctl explain`` shows. ``next`` rises and may be empty; microseconds, UTC."""

    expression: str
    kind: Kind
    normal: str
    words: str
    timezone: str
    next: tuple[int, ...]
    lints: tuple[Lint, ...]


def explain(
    expression: str,
    *,
    from_at: int,
    kind: str | None = None,
    timezone: str = "UTC",
    count: int = 5,
    anchor_at: int | None = None,
    dialect: str = "cronie",
    host_seed: str = "",
    others: Iterable[Schedule] = (),
) -> Explanation:
    """Explain an expression as seen from a moment (microseconds). Raises ScheduleError.

    Without ``kind`` it is judged by its shape. Unlike `parse_schedule` this takes a crontab that
    never fires, and says so. ``others`` are the schedules beside it (see `lints_of`).
    """
    wanted = kind_of(expression) if kind is None else kind
    if wanted == Kind.CRONTAB and dialect in list(Dialect):
        schedule: Schedule = parse_crontab(
            checked_text(expression),
            timezone=timezone,
            dialect=Dialect(dialect),
            seed=host_seed,
            allow_never=True,
        )
    else:
        schedule = parse_schedule(
            wanted,
            expression,
            timezone=timezone,
            anchor_at=anchor_at,
            dialect=dialect,
            host_seed=host_seed,
        )
    return explain_schedule(
        schedule, expression=expression, from_at=from_at, count=count, others=others
    )


def explain_schedule(
    schedule: Schedule,
    *,
    expression: str,
    from_at: int,
    count: int = 5,
    others: Iterable[Schedule] = (),
) -> Explanation:
    """Explain a schedule that exists; ``expression`` is the text it was made from."""
    return Explanation(
        expression=expression,
        kind=schedule.kind,
        normal=schedule.normal,
        words=words_of(schedule),
        timezone=schedule.timezone,
        next=tuple(islice(_instants(schedule, from_at), count)),
        lints=tuple(lints_of(schedule, from_at=from_at, others=others)),
    )


def _instants(schedule: Schedule, from_at: int) -> Iterator[int]:
    instant = schedule.next_after(from_at)
    while instant is not None:
        yield instant
        instant = schedule.next_after(instant)
