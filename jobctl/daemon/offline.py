"""Answers without a daemon: its own handlers, run once, read-only, in a child of the command line.

The child takes the daemon's lock for its second of life, so that no daemon starts under it; it opens
the store, adds the outcomes that wait on disk, and answers the same protocol over the inherited socket
to the daemon's user and to root. Every change it makes to the store is rolled back at its end: the next
daemon finds everything as it was.

``python -m jobctl.daemon.offline --state-dir DIR --socket-fd N [--config FILE]``
"""

from __future__ import annotations

import argparse
import os
import random
import socket
import sys
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobctl.beat import Beat
from jobctl.clock import SystemClock
from jobctl.config import load_in_child
from jobctl.daemon.following import Followers
from jobctl.daemon.handlers import HANDLERS, READ_ONLY
from jobctl.daemon.host_load import ProcLoad
from jobctl.daemon.lock import take_lock
from jobctl.daemon.loop import Loop
from jobctl.daemon.main import host_zone, state_id
from jobctl.daemon.roles import Access, Peer
from jobctl.daemon.server import Server
from jobctl.daemon.station import Ids, Station
from jobctl.daemon.stored_limits import with_stored_limits, with_stored_sizes
from jobctl.daemon.stored_schedules import stored_schedules
from jobctl.daemon.telling import Queueing
from jobctl.daemon.waiting import Waiters
from jobctl.dispatcher import Dispatcher
from jobctl.dispatcher.orders import Orders
from jobctl.engine.base import Settled
from jobctl.engine.local import cgroups, holder
from jobctl.engine.local.records import find_records
from jobctl.errors import ConfigError, JobctlError, NotAllowed
from jobctl.notify.notifications import Notifications
from jobctl.paths import StateDirectory
from jobctl.plan import FilePlan, merge
from jobctl.store import jobs as job_rows
from jobctl.store.database import Refused, open_database, storage_error
from jobctl.worker.freezer import is_frozen
from jobctl.worker.instance import boot_id

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from jobctl.engine.base import Adoptable, Attempt, Slot

LOCK_PATIENCE_S = 0.5


class NoEngine:
    """Stands where the engine stands in a daemon: nothing runs here, and nothing is started."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir

    def adopt(self, running: Mapping[str, Sequence[Adoptable]]) -> None:
        """Nothing is taken over."""

    def slots(self) -> list[Slot]:
        """No room."""
        return []

    def want(self, kind: str, group: str) -> None:
        """Nothing is started."""

    def start(self, worker: str, attempts: Sequence[Attempt]) -> None:
        """Never called: nothing is claimed."""
        raise AssertionError("an answer without a daemon starts nothing")

    def collect(self) -> list[Settled]:
        """Nothing ends."""
        return []

    def acknowledge(self, settled: Settled) -> None:
        """The records stay for the next daemon."""

    def flush(self) -> None:
        """Nothing waits."""

    def stop(self, worker: str, token: int, verdict: str) -> None:
        """Never called: a read-only request stops nothing."""
        raise AssertionError("an answer without a daemon stops nothing")

    def step(self, monotonic: float) -> float | None:
        """Nothing is due."""
        return None

    def follow(self, worker: str, token: int) -> bool:
        """Nobody can be asked for output that is not in a file yet."""
        return False

    def begun(self) -> set[int]:
        """Unknown without channels: what is claimed is shown as reserved."""
        return set()

    def busy(self) -> int:
        """Nothing runs here."""
        return 0

    def workers(self) -> list[dict[str, Any]]:
        """No workers."""
        return []

    def is_paused(self, worker: str) -> bool:
        """The command of this keeper is paused; its lock file says where that can be seen."""
        holders = (holder.read(folder) for folder in self._run_dir.glob(f"*/{worker}"))
        return any(
            found is not None and cgroups.is_of(worker, found.cgroup) and is_frozen(found.cgroup)
            for found in holders
        )

    def templates(self) -> dict[str, int]:
        """No templates."""
        return {}


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer over the inherited socket until the client goes."""
    parser = argparse.ArgumentParser(prog="jobctl.daemon.offline")
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--socket-fd", type=int, required=True)
    parser.add_argument("--config", type=Path)
    options = parser.parse_args(arguments)
    connection = socket.socket(fileno=options.socket_fd)
    clock = SystemClock()
    loop = Loop(clock)
    uid = os.geteuid()
    server = Server(loop, access=Access(owner=uid), mode="down")
    served = server.serve(connection, Peer(uid, os.getegid(), os.getppid()))
    try:
        state = StateDirectory(options.state_dir.absolute())
        if not state.database.exists():
            raise NotAllowed(
                f'there is no store in "{state.root}"',
                hint="No daemon has run with this state directory yet.",
            )
        lock = take_lock(state, LOCK_PATIENCE_S)
    except (JobctlError, OSError) as error:
        refusal = error if isinstance(error, JobctlError) else NotAllowed(str(error))
        return _refuse_all(loop, server, refusal)
    try:
        database = open_database(state.database, is_read_only=True)
        try:
            station = _build(database, state, options.config, clock, uid)
            if database.damage is None:
                database.begin()
                _add_waiting_outcomes(station)
            else:
                told = database.damage.message
                station.trouble = lambda: told
            server.on_close(lambda _connection: loop.end())
            loop.run(lambda: _turn(station, server))
        finally:
            database.rollback()
            database.close()
    except JobctlError as error:
        return _refuse_all(loop, server, error)
    except Refused as error:
        return _refuse_all(loop, server, storage_error(error, state.database))
    finally:
        lock.release()
        served.close()
        loop.close()
    return 0


def _build(
    database: Any, state: StateDirectory, config: Path | None, clock: SystemClock, uid: int
) -> Station:
    file = FilePlan()
    if config is not None:
        try:
            file = load_in_child(config)
        except ConfigError:
            # What the store knows can be told without the plan.
            file = FilePlan()
    engine: Any = NoEngine(state.run)
    stored = stored_schedules(database)
    plan = merge(file, (), stored, host_timezone=host_zone(), strict=False)
    plan = with_stored_sizes(database, with_stored_limits(database, plan))
    dispatcher = Dispatcher(
        database=database,
        engine=engine,
        clock=clock,
        rng=random.Random(),  # noqa: S311 -- jitter, no secret
        orders=Orders(state.output),
        host=ProcLoad(),
    )
    # Not prepared: that writes, and this plan knows nothing of what the code declares.
    dispatcher.go_by(plan)
    with suppress(*((Refused,) if database.damage is not None else ())):
        # Of a damaged store: what it tells of the whole is missing then, not what is asked for.
        dispatcher.refresh()
    beat = Beat(
        database=database,
        make_job=_make_nothing,
        cancel=dispatcher.cancel,
        host=state_id(database),
        boot_id=boot_id(),
        clock=clock,
    )
    # It looks at what is waited for; without a teller the dispatcher tells nobody of anything.
    notifications = Notifications(
        database=database,
        queueing=Queueing(lambda: station),
        clock=clock,
        host="",
        instance="",
        output_dir=state.output,
    )
    station = Station(
        database=database,
        dispatcher=dispatcher,
        engine=engine,
        beat=beat,
        notifications=notifications,
        clock=clock,
        waiters=Waiters(),
        followers=Followers(),
        # It submits nothing.
        ids=Ids(0),
        state=state,
        config_path=config,
        plan=plan,
        uid=uid,
        started_at=clock.now(),
    )
    return station


def _make_nothing(*_: object, **__: object) -> job_rows.NewJob:
    raise AssertionError("an answer without a daemon submits nothing")


def _add_waiting_outcomes(station: Station) -> None:
    """Count in what workers have left on disk, as the next daemon will; it is rolled back at the end.

    The plan takes effect too, so that schedules are shown as they will go on, but in memory alone: what the
    next daemon will decide about them has not been decided. Nor can it be told here: without the code that
    it imports, schedules of the code would seem to be gone.
    """
    now = station.clock.now()
    expected = {running.token for running in job_rows.started(station.database)}
    for record in _records(station.state.run, expected):
        station.dispatcher.settle([record], now)
    station.dispatcher.take_effects()
    database = station.database
    database.execute("SAVEPOINT plan")
    bring_schedules = station.beat.prepare(station.plan, now)
    database.execute("ROLLBACK TO plan")
    database.execute("RELEASE plan")
    bring_schedules()


def _records(run_dir: Path, expected: Collection[int]) -> Iterator[Settled]:
    for folder in sorted(run_dir.glob("*/outcomes")):
        # What cannot be read is for the daemon to complain about.
        for outcome in find_records(folder, expected).outcomes:
            yield Settled("", (), [outcome])


def _turn(station: Station, server: Server) -> float | None:
    for call in server.take():
        if type(call.request) not in READ_ONLY:
            call.refuse(
                NotAllowed("no daemon is running: only looking is possible", hint="Start it first.")
            )
            continue
        try:
            answer = HANDLERS[type(call.request)](station, call, call.request)
            if isinstance(answer, Generator):
                answer = _run_through(answer)
            assert not callable(answer), "only what writes has something to do after the commit"
        except JobctlError as error:
            call.refuse(error)
            continue
        except Refused as error:
            call.refuse(storage_error(error))
            continue
        if answer is not None:
            call.answer(answer)
    return None


def _run_through(work: Generator[None, None, dict[str, Any]]) -> dict[str, Any]:
    """Nobody else waits here: all slices at once."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: dict[str, Any] = end.value
            return found


def _refuse_all(loop: Loop, server: Server, error: JobctlError) -> int:
    """Tell the client why there is no answer, then go when it goes."""
    server.on_close(lambda _connection: loop.end())

    def turn() -> None:
        for call in server.take():
            call.refuse(error)

    if not server.is_alone:
        loop.run(turn)
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
