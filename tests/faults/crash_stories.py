"""The transactions whose crash states are tried: what is there before, and what is done.

Each is done by the part of the daemon that does it: handlers, dispatcher, beat, retention. The engine is a
fake, the clock is one that tests move.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

from jobctl.daemon.handlers import HANDLERS
from jobctl.daemon.retention import PAUSE_S, Retention
from jobctl.engine.base import Done, Settled
from jobctl.plan import DaemonSettings
from jobctl.protocol import requests
from jobctl.result import Verdict
from jobctl.store import dependencies as dependency_rows
from jobctl.store import jobs as job_rows
from tests.support.asking import Asking
from tests.support.beating import Beating, every
from tests.support.builders import a_job, a_plan, a_task, an_outcome, in_state
from tests.support.clock import FakeClock
from tests.support.dispatching import Dispatching

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from jobctl.store.database import Database

PLAN: Final = a_plan(
    tasks=[
        a_task("backup", retries=1, retry_delay="1s", on_lost="retry"),
        a_task("count", function="shop.tasks:count", on_lost="retry"),
    ]
)
_TASK_OF: Final = {"command": "backup", "function": "count"}
_PAYLOAD: Final = '{"args":["' + "x" * 300 + '"],"kwargs":{}}'
NARROW: Final = a_plan(
    tasks=[a_task("backup", concurrency=2, unique="task"), a_task("mail", rate_limit="1/s")]
)


class World:
    """The parts over one store."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.folder = folder
        self.clock = FakeClock()

    def dispatching(self) -> Dispatching:
        """A dispatcher with room for functions and commands."""
        found = Dispatching(self.database, self.folder, PLAN)
        found.engine.room = {("k1", "command"): 1, ("k2", "command"): 1, ("f1", "function"): 8}
        return found

    def beating(self) -> Beating:
        """A beat with two schedules, of which one is due each minute."""
        found = Beating(self.database, self.clock)
        found.take(every("1m"), every("7m", name="slow", on_overlap="allow"))
        return found


def _nothing(world: World) -> None:
    return


def _some_jobs(world: World, queue: str = "default") -> None:
    for state in ("PENDING", "SUCCESS", "FAILURE", "REVOKED"):
        for kind in ("command", "function"):
            task = _TASK_OF[kind]
            in_state(world.database, state, kind=kind, task=task, payload=_PAYLOAD, queue=queue)


def _submit(world: World) -> None:
    """One job with a key; many in one group; one that waits for its time."""
    asking = Asking(Beating(world.database, world.clock), world.folder)
    asking.beating.take(every("1m"))
    station, call = asking.station(), SimpleNamespace(uid=0)
    for jobs in (
        [{"task": "backup", "key": "0190-a"}],
        [{"task": "backup", "args": [str(n)], "key": f"0190-b{n}"} for n in range(10)],
        [{"task": "backup", "key": "0190-c"}],
    ):
        with world.database.transaction():
            HANDLERS[requests.Submit](station, call, requests.Submit(jobs=jobs))  # type: ignore[arg-type]


def _claim(world: World) -> None:
    world.dispatching().turn()


def _running(world: World) -> None:
    _some_jobs(world)
    for number in range(6):
        kind = "function" if number < 4 else "command"
        with world.database.transaction():
            job_rows.submit(world.database, [a_job(kind=kind, task=_TASK_OF[kind])])
    world.dispatching().turn()


def _settle(world: World) -> None:
    """Functions that returned together; a failure that is tried again, a loss, a success with its output."""
    bench = world.dispatching()
    running = job_rows.started(world.database)
    functions = [row for row in running if row.kind == "function"]
    commands = [row for row in running if row.kind == "command"]
    now = world.clock.now()
    done = [
        Done(row.token, row.id, now, now, '"done"', row.number, row.claimed_at, row.task)
        for row in functions[1:]
    ]
    ends = (Verdict.FAILURE, Verdict.SUCCESS)
    bench.turn(
        Settled("f1", done=done, outcomes=[an_outcome(functions[0], Verdict.LOST)]),
        *(
            Settled(row.worker, outcomes=[an_outcome(row, verdict, output=b"o" * 3000)])
            for row, verdict in zip(commands, ends, strict=False)
        ),
    )
    bench.clock.advance(60.0)
    bench.turn()


def _cancel(world: World) -> None:
    bench = world.dispatching()
    for row in job_rows.page(world.database, before=2**62, limit=100):
        if row["line"] is not None:
            with world.database.transaction():
                bench.dispatcher.cancel(row["id"], world.clock.now())
            bench.turn()


def _scheduled(world: World) -> None:
    world.beating()


def _fire(world: World) -> None:
    """An instant with its job, one that is skipped because of it, and many that were missed."""
    beating = world.beating()
    for seconds in (61.0, 60.0, 3600.0):
        beating.after(seconds)


def _reload(world: World) -> None:
    """Other limits for jobs that wait; a schedule less, another, and one that changed."""
    bench = world.dispatching()
    bench.take(NARROW)
    bench.turns()
    beating = Beating(world.database, world.clock)
    beating.take(every("2m"), every("1h", name="new"))


def _schedules_and_jobs(world: World) -> None:
    _some_jobs(world)
    _scheduled(world)


def _old_jobs(world: World) -> None:
    _some_jobs(world, "other")
    beating = world.beating()
    beating.after(120.0)
    beating.begin_all()
    beating.end_all()
    beating.after(120.0)


def _prune(world: World) -> None:
    """Everything that has ended is too old."""
    world.clock.advance(90 * 86_400.0)
    retention = Retention(
        database=world.database, clock=world.clock, output_dir=world.folder / "output"
    )
    retention.take_settings(DaemonSettings())
    world.clock.advance(PAUSE_S)
    for _ in range(12):
        with world.database.transaction():
            retention.step(world.clock.now(), world.clock.monotonic())


def _chain(world: World) -> None:
    """A job that runs, five that wait for its success, and one that waits for its end."""
    first = a_job()
    rows = [a_job(line="after") for _ in range(6)]
    with world.database.transaction():
        job_rows.submit(world.database, [first, *rows])
        on = [first, *rows[:4], first]
        until = ["success"] * 5 + ["end"]
        dependency_rows.add(
            world.database,
            [
                (row.id, other.id, how, "open")
                for row, other, how in zip(rows, on, until, strict=True)
            ],
        )
    world.dispatching().turn()


def _cascade(world: World) -> None:
    """It fails: four are revoked one after the other, the last one goes."""
    bench = Dispatching(world.database, world.folder, a_plan())
    (row,) = job_rows.started(world.database)
    bench.turn(Settled(row.worker, outcomes=[an_outcome(row, Verdict.FAILURE)]))
    bench.turns()


STORIES: Final[Mapping[str, tuple[Callable[[World], None], Callable[[World], None]]]] = {
    "submit": (_nothing, _submit),
    "claim": (_some_jobs, _claim),
    "settle": (_running, _settle),
    "cancel": (_running, _cancel),
    "fire": (_scheduled, _fire),
    "reload": (_schedules_and_jobs, _reload),
    "prune": (_old_jobs, _prune),
    "cascade": (_chain, _cascade),
}
