"""Building the daemon: the one place where its parts meet.

The order matters: the lock, then the store (whose own lock is the last word), and only then records,
workers and the socket.
"""

from __future__ import annotations

import grp
import logging
import os
import random
import re
import signal
import stat
import sys
import time
from dataclasses import replace
from pathlib import Path
from socket import gethostname
from typing import TYPE_CHECKING

from jobctl import __version__, paths
from jobctl.beat import Beat
from jobctl.clock import SECOND, HostClock, Moment, SystemClock
from jobctl.config import load_in_child, problems_text
from jobctl.daemon import activation, first_process
from jobctl.daemon.alarm import Alarm
from jobctl.daemon.ballast import Ballast
from jobctl.daemon.daemon import Daemon
from jobctl.daemon.due import due_row
from jobctl.daemon.following import Followers
from jobctl.daemon.groups import keeper_recipe
from jobctl.daemon.handover import hand_over
from jobctl.daemon.host_load import ProcLoad
from jobctl.daemon.lock import serve, take_lock
from jobctl.daemon.loop import Loop
from jobctl.daemon.metrics import expose
from jobctl.daemon.metrics.publishing import Publishing
from jobctl.daemon.notify import Notifier
from jobctl.daemon.retention import Retention
from jobctl.daemon.roles import Access, access_by
from jobctl.daemon.server import Server
from jobctl.daemon.station import Ids, Station
from jobctl.daemon.step_ends import StepEnds
from jobctl.daemon.telling import Queueing
from jobctl.daemon.waiting import Waiters
from jobctl.dispatcher import Dispatcher
from jobctl.dispatcher.orders import Orders
from jobctl.engine.local import cgroups
from jobctl.engine.local.engine import LocalEngine
from jobctl.errors import (
    ConfigError,
    JobctlError,
    PlanError,
    StateDirectoryUnusable,
)
from jobctl.logs import fields, is_journal, logger, prioritized, start_logging
from jobctl.notify.notifications import Notifications
from jobctl.paths import StateDirectory
from jobctl.plan import DaemonSettings, FilePlan, PlanRefused, ScheduleSpec, merge
from jobctl.store import jobs as job_rows
from jobctl.store import meta
from jobctl.store.database import Database, open_database
from jobctl.worker.instance import boot_id

if TYPE_CHECKING:
    from socket import socket as Listener  # noqa: N812 -- here a socket is a path

LOCK_PATIENCE_S = 5.0
"""An answer without a daemon holds the lock for about a second, and a daemon that stops for a moment more: a
starting daemon waits for that."""


def run(
    config_path: Path | None,
    *,
    state_dir: Path | None = None,
    socket: Path | None = None,
    log_format: str | None = None,
    in_container: bool = False,
) -> int:
    """Be the daemon until it is stopped; gives back the exit code.

    ``config_path`` None: the default place if there is a file, else no configuration at all.
    ``in_container``: jobs end with the daemon, and the log goes to standard output.
    """
    clock = SystemClock()
    if first_process.is_first():
        first_process.end_on_signals()
    listener: Listener | None = None
    try:
        listener = activation.take_listener(os.environ)
        return _serve(
            config_path, state_dir, socket, listener, log_format, clock, in_container=in_container
        )
    except JobctlError as error:
        if in_container:
            start_logging(clock, form=log_format or "json", in_container=True)
            _log(error)
        else:
            _tell(error)
        if listener is not None:
            activation.turn_away(listener, error)
        return error.exit_code


def _tell(error: JobctlError) -> None:
    """Say why there is no daemon. Not through the log: whoever starts it by hand must see all of it."""
    if isinstance(error, (ConfigError, PlanRefused)):
        text = problems_text(error.problems)
    else:
        text = f"jobctl daemon: {error.message}\n"
        if error.hint:
            text += f"hint: {error.hint}\n"
    if is_journal(sys.stderr, os.environ):
        text = prioritized(text.rstrip("\n"), logging.ERROR) + "\n"
    sys.stderr.write(text)


def _log(error: JobctlError) -> None:
    """The same where every line has to be a record."""
    if not isinstance(error, (ConfigError, PlanRefused)):
        logger.error(error.message, extra=fields(code=error.code, hint=error.hint))
        return
    for problem in error.problems:
        logger.error(
            problem.message,
            extra=fields(
                code=error.code,
                file=problem.file,
                line=problem.line,
                key=problem.key,
                hint=problem.hint,
            ),
        )


def _read_configuration(config_path: Path | None) -> tuple[FilePlan, Path | None]:
    if config_path is not None:
        return load_in_child(config_path), config_path.absolute()
    default = paths.defaults(os.environ, os.geteuid()).config
    if default.exists():
        return load_in_child(default), default
    return FilePlan(), None


def _serve(
    config_path: Path | None,
    state_dir: Path | None,
    socket: Path | None,
    listener: Listener | None,
    log_format: str | None,
    clock: HostClock,
    *,
    in_container: bool,
) -> int:
    file, path = _read_configuration(config_path)
    settings = file.settings
    usual_form = "json" if in_container else settings.log_format
    start_logging(
        clock,
        form=log_format or usual_form,
        level=settings.log_level,
        in_container=in_container,
    )
    defaults = paths.defaults(os.environ, os.geteuid())
    root = state_dir or Path(settings.state_dir or defaults.state_dir)
    listen_at = socket or Path(settings.socket or defaults.socket)
    if listener is not None:
        activation.check_place(listener, listen_at.absolute())
    state = StateDirectory(root.absolute())
    prepare_state_directory(state)
    lock = take_lock(state, LOCK_PATIENCE_S)
    try:
        serve(state)
        database = open_database(state.database)
        try:
            daemon, server, station, loop = build(
                file,
                path,
                state,
                database,
                listen_at,
                clock,
                listener,
                in_container=in_container,
            )
            # What it declares is in the plan; there may be a hundred thousand schedules.
            del file
            try:
                daemon.run()
            finally:
                server.close()
                station.engine.close()
                loop.close()
        finally:
            database.close()
    finally:
        lock.release()
    logger.info("stopped")
    return 0


def prepare_state_directory(state: StateDirectory) -> None:
    """Make the state directory and its parts. Raises StateDirectoryUnusable."""
    try:
        # Workers of other users pass through it to their own folders; nobody else can list it.
        state.root.mkdir(mode=0o711, parents=True, exist_ok=True)
        if stat.S_IMODE(state.root.stat().st_mode) & stat.S_IWOTH:
            raise StateDirectoryUnusable(
                f'everybody may write into the state directory "{state.root}"',
                hint=f"chmod o-w {state.root}",
            )
        state.output.mkdir(mode=0o700, exist_ok=True)
        probe = state.root / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StateDirectoryUnusable(
            f'the state directory "{state.root}" cannot be used: {error.strerror}',
            hint="It must exist and be writable for the daemon's user; or set state_dir.",
        ) from error


def build(
    file: FilePlan,
    config_path: Path | None,
    state: StateDirectory,
    database: Database,
    listen_at: Path,
    clock: HostClock,
    listener: Listener | None = None,
    *,
    in_container: bool = False,
) -> tuple[Daemon, Server, Station, Loop]:
    """Make every part and hand each what it needs. ``listener`` is the socket, if there is one already."""
    uid = os.geteuid()
    loop = Loop(clock)
    loop.catch((signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD))
    notifier = Notifier(os.environ, clock)
    corner = cgroups.find(state_id(database))
    corner.drop_abandoned(clock.now() / SECOND)
    engine = LocalEngine(
        run_dir=state.run,
        poller=loop,
        clock=clock,
        corner=corner,
        keeper_recipe=keeper_recipe(uid),
    )
    orders = Orders(state.output)
    rng = random.Random()  # noqa: S311 -- jitter, no secret
    host_timezone = host_zone()
    station: Station
    notifications = Notifications(
        database=database,
        queueing=Queueing(lambda: station),
        clock=clock,
        host=host_name(),
        instance=state_id(database),
        output_dir=state.output,
    )
    dispatcher = Dispatcher(
        database=database,
        engine=engine,
        clock=clock,
        rng=rng,
        orders=orders,
        host=ProcLoad(),
        hand_over=lambda name, facts: hand_over(station, name, facts),
        teller=notifications,
        workflows=StepEnds(lambda: station),
    )

    def make_job(
        spec: ScheduleSpec, schedule: int, instant: Moment, *, waits: bool
    ) -> job_rows.NewJob:
        return due_row(station, spec, schedule, instant, waits=waits)

    beat = Beat(
        database=database,
        make_job=make_job,
        cancel=dispatcher.cancel,
        host=state_id(database),
        boot_id=boot_id(),
        clock=clock,
        tell_missed=notifications.missed,
    )
    retention = Retention(database=database, clock=clock, output_dir=state.output)
    station = Station(
        database=database,
        dispatcher=dispatcher,
        engine=engine,
        beat=beat,
        notifications=notifications,
        clock=clock,
        waiters=Waiters(),
        followers=Followers(),
        ids=Ids(highest_id(database)),
        state=state,
        config_path=config_path,
        # Until the templates have reported and the whole is merged: nothing is served before.
        plan=merge(replace(file, schedules=()), host_timezone=host_timezone, strict=False),
        uid=uid,
        started_at=clock.now(),
    )
    publishing = Publishing(
        loop=loop, clock=clock, expose=lambda is_open: expose(station, is_open=is_open)
    )
    server = Server(loop, access=Access(owner=uid))
    gid = _gid_of(file.settings.socket_group)

    ballast = Ballast(state.ballast)
    ballast.take()
    made_with = (os.getegid() if gid is None else gid, file_mode(file.settings))
    if listener is not None:
        # The configuration says who may connect, and says it again when it has changed; the unit cannot know.
        activation.give_access(listen_at, gid=gid, mode=made_with[1])
        found = listen_at.stat()
        made_with = (found.st_gid, stat.S_IMODE(found.st_mode))

    def take_access(settings: DaemonSettings) -> None:
        server.take_access(access_by(settings, uid, gid=made_with[0], mode=made_with[1]))

    def on_ready() -> None:
        if listener is None:
            server.listen(listen_at, gid=gid, mode=made_with[1])
        else:
            server.take_over(listener)
        logger.info(
            "ready",
            extra=fields(
                version=__version__, pid=os.getpid(), socket=listen_at, state_dir=state.root
            ),
        )

    daemon = Daemon(
        station=station,
        server=server,
        loop=loop,
        alarm=Alarm(loop),
        notifier=notifier,
        retention=retention,
        publishing=publishing,
        host_timezone=host_timezone,
        socket=listen_at.absolute(),
        ballast=ballast,
        on_ready=on_ready,
        on_settings=take_access,
        in_container=in_container or first_process.is_first(),
    )
    # Before anything is started that would have to be stopped again.
    if listener is None:
        server.inspect(listen_at)
    dispatcher.recover()
    daemon.start(file)
    return daemon, server, station, loop


def file_mode(settings: DaemonSettings) -> int:
    """The mode of the socket's file."""
    default = "0660" if settings.socket_group is not None else "0600"
    return int(settings.socket_mode or default, 8)


def _gid_of(group: str | None) -> int | None:
    """Raises PlanError: this host has no such group."""
    if group is None:
        return None
    try:
        return int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise PlanError(
            f'socket_group: this host has no group "{group}"',
            hint=f"Make it: groupadd --system {group}",
        ) from None


def highest_id(database: Database) -> int:
    """The highest job id that was ever given out: of the jobs that are there, or that were removed."""
    return max(job_rows.highest_id(database), int(meta.get(database, "highest_id") or 0))


def host_name() -> str:
    """The name of this host as it may stand in the header of a mail."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", gethostname())[:200] or "localhost"


def state_id(database: Database) -> str:
    """A short random name of this state directory, made once."""
    found = meta.get(database, "state_id")
    if found is None:
        found = os.urandom(4).hex()
        with database.transaction():
            meta.set(database, "state_id", found)
    return found


def host_zone() -> str:
    """The host's time zone by name: ``TZ``, else what /etc/localtime points to, else UTC."""
    named = os.environ.get("TZ", "").lstrip(":")
    if named and not named.startswith("/"):
        return named
    try:
        target = Path("/etc/localtime").resolve(strict=True).parts
    except OSError:
        return "UTC"
    if "zoneinfo" in target:
        name = "/".join(target[target.index("zoneinfo") + 1 :])
        if name:
            return name
    return "UTC" if time.timezone == 0 else time.tzname[0]
