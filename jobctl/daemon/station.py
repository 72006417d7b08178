"""What the handlers work with: the parts of the daemon, put together by `main`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jobctl.beat import Beat
    from jobctl.clock import Clock, Moment
    from jobctl.daemon.following import Followers
    from jobctl.daemon.waiting import Waiters
    from jobctl.dispatcher import Dispatcher
    from jobctl.engine.local.engine import LocalEngine
    from jobctl.paths import StateDirectory
    from jobctl.plan import Plan
    from jobctl.store.database import Database


class Ids:
    """Gives out job ids: rising, never one twice, also not after the job was removed."""

    def __init__(self, highest: int) -> None:
        self._highest = highest

    def take(self) -> int:
        """The next id."""
        self._highest += 1
        return self._highest


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


@dataclass(kw_only=True)
class Station:
    """The parts. ``plan`` is the only one that is exchanged while the daemon runs."""

    database: Database
    dispatcher: Dispatcher
    engine: LocalEngine
    beat: Beat
    clock: Clock
    waiters: Waiters
    followers: Followers
    ids: Ids
    state: StateDirectory
    config_path: Path | None
    plan: Plan
    uid: int
    started_at: Moment
    counters: Counters = field(default_factory=Counters)
    ask_reload: Callable[[Callable[[list[str] | Exception], None]], None] | None = None
    ask_stop: Callable[[str | None], str] | None = None
