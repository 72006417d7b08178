"""Handlers that look, over a real store and a beat whose clock tests move; no daemon, no socket."""

from __future__ import annotations

import random
from collections.abc import Generator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from jobctl.daemon.following import Followers
from jobctl.daemon.handlers import HANDLERS
from jobctl.daemon.station import Ids, Station
from jobctl.daemon.telling import Queueing
from jobctl.daemon.waiting import Waiters
from jobctl.dispatcher import Dispatcher
from jobctl.dispatcher.orders import Orders
from jobctl.notify.notifications import Notifications
from jobctl.paths import StateDirectory
from jobctl.store import jobs as job_rows
from tests.support.dispatching import FakeEngine, FakeHost

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jobctl.protocol.requests import Request
    from tests.support.beating import Beating


_ROOT = SimpleNamespace(uid=0, sees_all=True, changes_all=True)
"""The call of one who may do everything."""


class Asking:
    """What a client would be answered about what a `Beating` has in its store."""

    def __init__(self, beating: Beating, folder: Path) -> None:
        self.beating = beating
        self.engine = FakeEngine()
        self.dispatcher = Dispatcher(
            database=beating.database,
            engine=cast("Any", self.engine),
            clock=beating.clock,
            rng=random.Random(1),
            orders=Orders(folder),
            host=FakeHost(),
        )
        self.folder = folder
        self.slices = 0
        self.is_up = True

    def ask(
        self, request: Request, *, between: Callable[[int], None] | None = None
    ) -> dict[str, Any]:
        """The answer to a request; ``slices`` says in how many turns it came about. ``between`` is what
        happens between two of them, by the number of the first."""
        answer: Any = HANDLERS[type(request)](self.station(), cast("Any", _ROOT), request)
        self.slices = 1
        if not isinstance(answer, Generator):
            return cast("dict[str, Any]", answer)
        while True:
            try:
                next(answer)
            except StopIteration as end:
                return cast("dict[str, Any]", end.value)
            if between is not None:
                between(self.slices)
            self.slices += 1

    def begin_all(self) -> None:
        """The workers have begun what they were given."""
        self.engine.working = {job.token for job in job_rows.started(self.beating.database)}

    def station(self) -> Station:
        """The parts as they are now."""
        beating = self.beating
        with beating.database.transaction():
            bring_into_force = self.dispatcher.prepare(beating.plan)
        bring_into_force()
        self.dispatcher.refresh()
        station = Station(
            database=beating.database,
            notifications=Notifications(
                database=beating.database,
                queueing=Queueing(lambda: station),
                clock=beating.clock,
                host="host",
                instance="abc",
                output_dir=self.folder,
            ),
            dispatcher=self.dispatcher,
            engine=cast("Any", self.engine),
            beat=beating.beat,
            clock=beating.clock,
            waiters=Waiters(),
            followers=Followers(),
            ids=Ids(0),
            state=StateDirectory(self.folder),
            config_path=None,
            plan=beating.plan,
            uid=0,
            started_at=beating.clock.now(),
            ask_stop=(lambda mode: mode or "keep") if self.is_up else None,
        )
        return station
