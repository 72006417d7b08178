"""Everything of a daemon but its processes and its socket, so that a model can be compared with it.

Store, handlers, dispatcher, beat, retention and the durable step are the real ones. The engine does what it
is told and outlives each daemon, as workers do; the clock is one that tests move. A crash ends the daemon
before or after the commit of a turn: what lies on the disk at that moment is what the next one opens.
"""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING, Any

from jobctl.beat import Beat
from jobctl.daemon.ballast import Ballast
from jobctl.daemon.due import due_row
from jobctl.daemon.following import Followers
from jobctl.daemon.handlers import HANDLERS
from jobctl.daemon.main import highest_id
from jobctl.daemon.retention import Retention
from jobctl.daemon.station import Ids, Station
from jobctl.daemon.storing import Storing
from jobctl.daemon.telling import Queueing
from jobctl.daemon.waiting import Waiters
from jobctl.dispatcher import Dispatcher
from jobctl.dispatcher.orders import Orders
from jobctl.engine.base import Attempt, Settled, Slot
from jobctl.errors import JobctlError, StorageError
from jobctl.notify.notifications import Notifications
from jobctl.paths import StateDirectory
from jobctl.result import Outcome, Verdict
from jobctl.store.database import open_database
from tests.support.dispatching import FakeEngine, FakeHost

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from jobctl.clock import Moment
    from jobctl.dispatcher.dispatcher import Effects
    from jobctl.engine.base import Adoptable
    from jobctl.plan import Plan, ScheduleSpec
    from jobctl.protocol.requests import Request
    from tests.support.clock import FakeClock


class Crashed(BaseException):
    """The daemon is no more."""


class Workers(FakeEngine):
    """Workers that hold what they were given until a test ends it, and keep each outcome until it is
    acknowledged. They outlive the daemon."""

    def __init__(self, rooms: Mapping[tuple[str, str], int]) -> None:
        super().__init__()
        self.rooms = dict(rooms)
        self.held: dict[int, tuple[str, Attempt]] = {}
        self.unacknowledged: dict[int, Settled] = {}
        self.to_stop: set[int] = set()
        self.begun_ever: list[tuple[int, int]] = []
        """``(job, token)`` of everything that has ever begun."""
        self._events: list[Settled] = []

    def adopt(self, running: Mapping[str, Sequence[Adoptable]]) -> None:
        self._events = list(self.unacknowledged.values())
        for worker, attempts in running.items():
            for attempt in attempts:
                is_known = attempt.token in self.held or attempt.token in self.unacknowledged
                if not is_known:
                    # It was claimed by a daemon that did not live to hand it over.
                    self._end(worker, attempt.job_id, attempt.token, Verdict.RELEASED, 0)

    def slots(self) -> list[Slot]:
        used = [worker for worker, _ in self.held.values()]
        return [
            Slot(worker, kind, "default", room - used.count(worker))
            for (worker, kind), room in self.rooms.items()
            if room > used.count(worker)
        ]

    def start(self, worker: str, attempts: Sequence[Attempt]) -> None:
        for attempt in attempts:
            self.held[attempt.token] = (worker, attempt)
            self.begun_ever.append((attempt.job_id, attempt.token))

    def stop(self, worker: str, token: int, verdict: str, *, signal: int | None = None) -> None:
        if token in self.held:
            self.to_stop.add(token)

    def collect(self) -> list[Settled]:
        events, self._events = self._events, []
        return events

    def acknowledge(self, settled: Settled) -> None:
        for outcome in settled.outcomes:
            self.unacknowledged.pop(outcome.token, None)

    def begun(self) -> set[int]:
        return set(self.held)

    def end(self, token: int, verdict: Verdict, now: Moment) -> None:
        """What is held has ended."""
        worker, attempt = self.held.pop(token)
        self.to_stop.discard(token)
        self._end(worker, attempt.job_id, token, verdict, now)

    def repeat(self, settled: Settled) -> None:
        """An outcome is reported although it was acknowledged, or another one was stored."""
        self._events.append(settled)

    def _end(self, worker: str, job_id: int, token: int, verdict: Verdict, now: Moment) -> None:
        outcome = Outcome(token=token, job_id=job_id, verdict=verdict, finished_at=now)
        settled = Settled(worker, outcomes=[outcome])
        self.unacknowledged[token] = settled
        self._events.append(settled)


class Call:
    """A request of somebody who is there for the answer."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.uid = 0
        self.connection: Any = object()
        self.answered: Any = None
        self.refusal: JobctlError | None = None

    def answer(self, data: Any) -> None:
        self.answered = data

    def refuse(self, error: JobctlError) -> None:
        self.refusal = error


class ModelDaemon:
    """One daemon after the other on one store."""

    def __init__(self, folder: Path, clock: FakeClock, workers: Workers, plan: Plan) -> None:
        self.folder = folder
        self.clock = clock
        self.workers = workers
        self.number = 0
        self.dies: str | None = None
        """``"before"`` or ``"after"``: the next commit is the last thing the daemon does."""
        self._place().mkdir(parents=True)
        self.start(plan)

    def _place(self) -> Path:
        return self.folder / str(self.number)

    def start(self, plan: Plan) -> None:
        """A daemon begins: it opens the store, adopts what runs and brings a plan into force."""
        self.database = open_database(self._place() / "jobctl.db")
        self._commit = self.database.commit
        self.database.commit = self._watched_commit  # type: ignore[method-assign]
        notifications = Notifications(
            database=self.database,
            queueing=Queueing(lambda: self.station),
            clock=self.clock,
            host="host",
            instance="abc",
            output_dir=self.folder / "output",
        )
        self.dispatcher = Dispatcher(
            database=self.database,
            engine=self.workers,
            clock=self.clock,
            rng=random.Random(1),
            orders=Orders(self.folder / "output"),
            host=FakeHost(),
            teller=notifications,
        )
        self.beat = Beat(
            database=self.database,
            make_job=self._make_job,
            cancel=self.dispatcher.cancel,
            host="host",
            boot_id="boot",
            clock=self.clock,
        )
        self.retention = Retention(
            database=self.database, clock=self.clock, output_dir=self.folder / "output"
        )
        engine: Any = self.workers
        self.station = Station(
            database=self.database,
            dispatcher=self.dispatcher,
            engine=engine,
            beat=self.beat,
            notifications=notifications,
            clock=self.clock,
            waiters=Waiters(),
            followers=Followers(),
            ids=Ids(highest_id(self.database)),
            state=StateDirectory(self.folder),
            config_path=None,
            plan=plan,
            uid=0,
            started_at=self.clock.now(),
        )
        self.storing = Storing(
            station=self.station,
            retention=self.retention,
            handle=self._handle,  # type: ignore[arg-type]
            follow=self._follow,
            ballast=Ballast(self.folder / "ballast"),
        )
        self.dispatcher.recover()
        self.take(plan)

    def take(self, plan: Plan) -> None:
        """Bring a plan into force."""

        def after(bring: Sequence[Callable[[], None]]) -> list[Callable[[], None]]:
            def all_of_them() -> None:
                for each in bring:
                    each()
                self.retention.take_settings(plan.settings, plan.tasks)
                self.station.plan = plan
                self.station.patterns.clear()

            return [all_of_them]

        self.storing.change(
            lambda: after(
                [self.beat.prepare(plan, self.clock.now()), self.dispatcher.prepare(plan)]
            )
        )

    def crash(self, plan: Plan) -> None:
        """The daemon is gone with everything that was not committed; the next one begins."""
        self._keep_disk()
        self._bury(plan)

    def _bury(self, plan: Plan) -> None:
        self.dies = None
        self.database.commit = self._commit  # type: ignore[method-assign]
        self.database.close()
        shutil.rmtree(self._place())
        self.number += 1
        self.start(plan)

    def close(self) -> None:
        self.database.close()

    # -- a turn --------------------------------------------------------------------------------------

    def ask(self, request: Request) -> Call:
        """A turn with a request. Raises Crashed: the daemon died in it."""
        call = Call(request)
        self.turn(call)
        return call

    def turn(self, *calls: Call) -> None:
        """A turn, as `jobctl.daemon.daemon.Daemon` takes it."""
        now = self.clock.now()
        events = self.storing.offer(self.workers.collect(), self.clock.monotonic())
        if calls or events or self.storing.wants_turn(now, self.clock.monotonic()):
            self.storing.step(calls, events, now)  # type: ignore[arg-type]

    def settle(self) -> None:
        """Turns until nothing is left to do."""
        for _ in range(500):
            before = len(self.workers.begun_ever)
            self.turn()
            now = self.clock.now()
            is_busy = self.dispatcher.has_chores or self.dispatcher.is_due(now)
            is_busy = is_busy or self.beat.is_due(now) or bool(self.workers._events)
            if not is_busy and before == len(self.workers.begun_ever):
                return
        raise AssertionError("the daemon is never done")

    def _handle(self, call: Call) -> Callable[[], None]:
        try:
            answer: Any = HANDLERS[type(call.request)](self.station, call, call.request)  # type: ignore[arg-type]
        except StorageError:
            raise
        except JobctlError as refusal:
            error = refusal
            return lambda: call.refuse(error)
        return answer if callable(answer) else lambda: call.answer(answer)

    def _follow(self, effects: Effects) -> None:
        for settled in effects.settled:
            self.workers.acknowledge(settled)
        for worker, attempts in effects.starts:
            self.workers.start(worker, attempts)
        for stop in effects.stops:
            self.workers.stop(stop.worker, stop.token, stop.verdict, signal=stop.signal)

    def _make_job(self, spec: ScheduleSpec, schedule: int, instant: Moment, *, waits: bool) -> Any:
        return due_row(self.station, spec, schedule, instant, waits=waits)

    # -- the disk at the moment of a crash -----------------------------------------------------------

    def _watched_commit(self) -> None:
        is_last = self.dies is not None and self.database.is_in_transaction
        if is_last and self.dies == "before":
            self._keep_disk()
            raise Crashed
        self._commit()
        if is_last:
            self._keep_disk()
            raise Crashed

    def _keep_disk(self) -> None:
        following = self.folder / str(self.number + 1)
        following.mkdir()
        for path in self._place().iterdir():
            shutil.copyfile(path, following / path.name)
