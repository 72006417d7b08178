"""Tasks that fail, as the routes of ``[notify]`` know them. The functions have the names of their statements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.store.statements import statement
from jobctl.values import dataclass

if TYPE_CHECKING:
    from jobctl.clock import Moment
    from jobctl.store.database import Database


@dataclass(frozen=True, kw_only=True, slots=True)
class Trouble:
    """A task that fails, as one route knows it.

    Attributes:
        failures: how often in a row, at least 1.
        untold: how many of them were not told since the last one that was.
        told_at: when that was; None: none was told.
        thread: the id of the first message about it, None as long as there is none.
    """

    failures: int
    untold: int = 0
    told_at: Moment | None = None
    thread: str | None = None


def all(database: Database) -> dict[str, dict[str, Trouble]]:
    """Every trouble, by task and route."""
    found: dict[str, dict[str, Trouble]] = {}
    for task, route, failures, untold, told_at, thread in database.rows(statement("troubles/all")):
        found.setdefault(task, {})[route] = Trouble(
            failures=failures, untold=untold, told_at=told_at, thread=thread
        )
    return found


def put(database: Database, *, task: str, route: str, trouble: Trouble) -> None:
    """Remember how a task fares in the eyes of a route."""
    bindings = {
        "task": task,
        "route": route,
        "failures": trouble.failures,
        "untold": trouble.untold,
        "told_at": trouble.told_at,
        "thread": trouble.thread,
    }
    database.execute(statement("troubles/put"), bindings)


def end(database: Database, *, task: str, route: str) -> None:
    """Forget that a task has failed."""
    database.execute(statement("troubles/end"), {"task": task, "route": route})
