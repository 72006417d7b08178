"""What the handlers work with: the parts of the daemon, put together by `main`."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, NamedTuple

from jobctl.daemon.counts import Counts
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from jobctl.beat import Beat
    from jobctl.clock import HostClock, Moment
    from jobctl.daemon.following import Followers
    from jobctl.daemon.server import Call
    from jobctl.daemon.waiting import Waiters
    from jobctl.dispatcher import Dispatcher
    from jobctl.engine.local.engine import LocalEngine
    from jobctl.errors import JobctlError
    from jobctl.notify.notifications import Notifications
    from jobctl.paths import StateDirectory
    from jobctl.plan import Plan
    from jobctl.store.database import Database
    from jobctl.store.jobs import NewJob
    from jobctl.task import Task


class Ids:
    """Gives out job ids: rising, never one twice, also not after the job was removed."""

    def __init__(self, highest: int) -> None:
        self._highest = highest

    def take(self) -> int:
        """The next id."""
        self._highest += 1
        return self._highest


class Pattern(NamedTuple):
    """The row of a plain job of a task, and its payload when it is given no arguments (None: not known
    yet)."""

    task: Task
    row: NewJob
    payload: str | None


@dataclass
class Counters:
    """What happened since the start, for ``inspect stats``."""

    turns: int = 0
    requests: int = 0
    submitted: int = 0
    started: int = 0
    ended: int = 0
    commits: int = 0
    commit_seconds: float = 0.0
    longest_commit_s: float = 0.0
    longest_turn_s: float = 0.0
    reloaded_at: Moment | None = None
    is_reload_refused: bool = False

    def note_commit(self, seconds: float) -> None:
        """A commit took this long, the disk's flush included."""
        self.commits += 1
        self.commit_seconds += seconds
        self.longest_commit_s = max(self.longest_commit_s, seconds)


def _nowhere(call: Call, work: Generator[None, None, dict[str, Any]]) -> None:
    raise AssertionError("the station was not connected")


def _never(work: Callable[[], list[Callable[[], None]]]) -> None:
    raise AssertionError("nothing is changed here")


def _none() -> None:
    return None


@dataclass(kw_only=True)
class Station:
    """The parts. ``plan`` is the only one that is exchanged while the daemon runs."""

    database: Database
    dispatcher: Dispatcher
    engine: LocalEngine
    beat: Beat
    notifications: Notifications
    clock: HostClock
    waiters: Waiters
    followers: Followers
    ids: Ids
    state: StateDirectory
    config_path: Path | None
    plan: Plan
    uid: int
    started_at: Moment
    counters: Counters = field(default_factory=Counters)
    counts: Counts = field(default_factory=Counts)
    patterns: dict[str, Pattern] = field(default_factory=dict)
    """What is the same in every plain job of a task; forgotten with the plan."""
    go_on: Callable[[Call, Generator[None, None, dict[str, Any]]], None] = _nowhere
    """Work on an answer a slice a turn, and send it at its end."""
    change: Callable[[Callable[[], list[Callable[[], None]]]], None] = _never
    """Do work in a durable step of its own and, after the commit, what it gave back. Raises StorageError,
    and what the work raises; then nothing of it has happened."""
    trouble: Callable[[], str | None] = _none
    """What is wrong with the store; None: it takes writes."""
    ask_prune: Callable[[float | None, int | None, Callable[[int], None]], None] | None = None
    ask_reload: Callable[[Callable[[list[str] | Exception], None]], None] | None = None
    ask_restart: Callable[[str, Callable[[int | JobctlError], None]], None] | None = None
    ask_stop: Callable[[str | None], str] | None = None
