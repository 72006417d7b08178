"""The daemon: its turn, its plan, its end.

A turn takes what has arrived (requests, outcomes, due instants), makes *one* durable step of it
(`jobctl.daemon.storing`), and after the commit sends what follows: answers, acknowledgements, attempts.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from jobctl.clock import earliest
from jobctl.daemon import first_process
from jobctl.daemon.handlers import HANDLERS, WRITING
from jobctl.daemon.handlers import jobs as job_handlers
from jobctl.daemon.handlers import logs as log_handlers
from jobctl.daemon.loading import Loading
from jobctl.daemon.lock import serve_no_more
from jobctl.daemon.roles import Role, authorise
from jobctl.daemon.server import Encoded
from jobctl.daemon.slices import Slice, Slices
from jobctl.daemon.storing import Storing, refuse_fault
from jobctl.daemon.trail import TRAIL, Noted, note
from jobctl.errors import JobctlError, PlanError, StorageError, UsageError
from jobctl.logs import fields, logger
from jobctl.plan import CodeReport
from jobctl.protocol.requests import Logs
from jobctl.result import Verdict
from jobctl.store import daemons as daemon_rows
from jobctl.store.database import Refused, storage_error

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jobctl.clock import Moment
    from jobctl.daemon.alarm import Alarm
    from jobctl.daemon.ballast import Ballast
    from jobctl.daemon.loop import Loop
    from jobctl.daemon.metrics.publishing import Publishing
    from jobctl.daemon.notify import Notifier
    from jobctl.daemon.retention import Retention
    from jobctl.daemon.server import Call, Server
    from jobctl.daemon.station import Station
    from jobctl.dispatcher.dispatcher import Effects
    from jobctl.engine.base import Settled
    from jobctl.plan import DaemonSettings, FilePlan

RETIRE_PATIENCE_S: Final = 2.0
"""How long a stopping daemon waits for its idle processes to go."""

Answer = Callable[[list[str] | Exception], None]
RestartAnswer = Callable[[int | JobctlError], None]
Answered = Slice | dict[str, Any] | Encoded | Callable[[], None] | None


class Daemon:
    """See the module. `main` builds it; `run` returns when the daemon has stopped."""

    def __init__(
        self,
        *,
        station: Station,
        server: Server,
        loop: Loop,
        alarm: Alarm,
        notifier: Notifier,
        retention: Retention,
        publishing: Publishing,
        host_timezone: str,
        socket: Path,
        ballast: Ballast,
        on_ready: Callable[[], None],
        on_settings: Callable[[DaemonSettings], None],
        in_container: bool,
    ) -> None:
        self._station = station
        self._server = server
        self._loop = loop
        self._alarm = alarm
        self._notifier = notifier
        self._retention = retention
        self._publishing = publishing
        self._on_ready = on_ready
        self._in_container = in_container
        self._slices = Slices(station.clock)
        self._storing = Storing(
            station=station,
            retention=retention,
            handle=self._handle,
            follow=self._follow,
            ballast=ballast,
        )
        self._slices.on_trouble = self._storing.note_read
        self._stop_mode: str | None = None
        self._stopped_at: Moment | None = None
        self._is_retiring = False
        self._end_at = 0.0
        self._engine_due: float | None = None
        self._waiting_restarts: list[tuple[str, RestartAnswer]] = []
        self._loading = Loading(
            station=station,
            loop=loop,
            storing=self._storing,
            notifier=notifier,
            retention=retention,
            publishing=publishing,
            host_timezone=host_timezone,
            socket=socket,
            on_first_plan=self._serve_first_plan,
            on_settings=on_settings,
            is_stopping=lambda: self._stop_mode is not None,
        )
        station.ask_prune = retention.run_now
        station.ask_reload = self._loading.reload
        station.ask_restart = self.restart
        station.ask_stop = self.stop
        station.go_on = self._slices.add
        station.change = self._storing.change
        station.trouble = lambda: self._storing.trouble
        station.engine.on_output = station.followers.grown
        server.on_close(station.waiters.forget)
        server.on_close(station.followers.forget)

    def run(self) -> None:
        """Serve until stopped.

        Raises:
            JobctlError: the daemon could not begin to serve. What it had started is gone.
        """
        try:
            try:
                self._loop.run(self._turn)
            finally:
                self._publishing.close()
        except JobctlError:
            self._retire()
            self._loop.run(self._wait_for_idle_processes)
            raise
        self._note_end()

    # -- the turn ---------------------------------------------------------------------------------

    def _turn(self) -> float | None:
        station = self._station
        began = station.clock.monotonic()
        self._take_signals()
        if self._engine_due is not None and self._engine_due <= began:
            station.engine.step(began)
        now = station.clock.now()
        calls = self._loading.admit(self._server.take())
        events = self._take_events(began)
        self._serve(calls, events, now)
        station.followers.go_on()
        self._slices.step()
        self._loading.step()
        if self._publishing.is_used:
            self._publishing.step(began)
        self._begin_waiting_restarts()
        self._go_on_stopping()
        station.counters.turns += 1
        ended = station.clock.monotonic()
        station.counters.longest_turn_s = max(station.counters.longest_turn_s, ended - began)
        return self._deadline(ended)

    def _take_events(self, monotonic: float) -> Sequence[Settled]:
        """What ended, and what could not be stored before when it is time to try again."""
        if not self._loading.has_plan:
            # What ended while no daemon ran is judged by the rules of its task: they must be known.
            return []
        return self._storing.offer(self._station.engine.collect(), monotonic)

    def _serve(self, calls: Sequence[Call], events: Sequence[Settled], now: Moment) -> None:
        """What writes goes into one durable step; what only looks is done after it."""
        writing = [call for call in calls if type(call.request) in WRITING]
        monotonic = self._station.clock.monotonic()
        if writing or events or self._storing.wants_turn(now, monotonic):
            self._storing.step(writing, events, now)
        if len(writing) < len(calls):
            for call in calls:
                if type(call.request) not in WRITING:
                    self._look(call)

    def _follow(self, effects: Effects) -> None:
        """What a commit allows: acknowledge, start, stop, and tell whoever waits."""
        station = self._station
        engine = station.engine
        if effects.claims or effects.done or effects.runs:
            station.counts.take(effects)
        if station.beat.fates:
            station.counts.take_fates(station.beat.take_fates())
        for settled in effects.settled:
            engine.acknowledge(settled)
        for worker, attempts in effects.starts:
            engine.start(worker, attempts)
            station.counters.started += len(attempts)
        engine.flush()
        station.dispatcher.want()
        for stop in effects.stops:
            engine.stop(stop.worker, stop.token, stop.verdict, signal=stop.signal)
        if effects.ended:
            station.counters.ended += len(effects.ended)
            station.waiters.end(effects.ended)
        if not station.followers.is_empty:
            self._follow_outputs(effects)

    def _follow_outputs(self, effects: Effects) -> None:
        """Followers of attempts that ended get the rest; those who waited for a start get going."""
        station = self._station
        tokens = [o.token for settled in effects.settled for o in settled.outcomes]
        for follower in station.followers.take(tokens):
            self._slices.add(follower.call, self._show_rest(follower.call, follower.rest()))
        begun = [attempt.job_id for _, attempts in effects.starts for attempt in attempts]
        for call, request in station.followers.started([*begun, *effects.ended]):
            answer = log_handlers.logs(station, call, request)
            self._take_answer(call, answer)

    def _show_rest(self, call: Call, request: Logs) -> Slice:
        """The rest of an attempt's output; then, if the job goes on, what its next attempt writes."""
        found = log_handlers.logs(self._station, call, replace(request, follow=False))
        end = (yield from found) if isinstance(found, Generator) else (found or {})
        row = job_handlers.found(self._station, request.job)
        if request.follow and row["finished_at"] is None:
            following = Logs(job=request.job, stream=request.stream, follow=True)
            self._station.followers.await_start(call, following)
            return {}
        return end

    def _handle(self, call: Call) -> Callable[[], None]:
        """Run the handler of a request that writes, inside the transaction; gives back how to answer
        after the commit. A refusal is an answer: its handler has written nothing."""
        self._station.counters.requests += 1
        try:
            if call.connection.role is not Role.ADMINISTRATOR:
                self._authorise(call)
            answer = HANDLERS[type(call.request)](self._station, call, call.request)
            if type(call.request) in TRAIL:
                note(self._station.database, self._station.clock.now(), call)
        except StorageError:
            raise
        except JobctlError as refusal:
            error = refusal
            return lambda: call.refuse(error)
        return lambda: self._take_answer(call, answer)

    def _look(self, call: Call) -> None:
        """Answer a request that writes nothing."""
        self._station.counters.requests += 1
        try:
            if call.connection.role is not Role.ADMINISTRATOR:
                self._authorise(call)
            answer = self._ask(call)
            self._take_answer(call, answer)
        except JobctlError as error:
            call.refuse(error)
        except Refused as error:
            trouble = storage_error(error)
            self._storing.note_read(trouble)
            call.refuse(trouble)
        except Exception:  # noqa: BLE001 -- a fault of ours in one handler is not everybody's
            refuse_fault(call)

    def _ask(self, call: Call) -> Answered:
        """The handler's answer; what it changes is noted."""
        noted = TRAIL.get(type(call.request))
        if noted is None:
            return HANDLERS[type(call.request)](self._station, call, call.request)
        station = self._station

        def note_it() -> None:
            note(station.database, station.clock.now(), call)

        if noted is Noted.IN_STEP:
            self._storing.along = note_it
            try:
                return HANDLERS[type(call.request)](station, call, call.request)
            finally:
                self._storing.along = None
        answer: Answered = HANDLERS[type(call.request)](station, call, call.request)
        try:
            with station.database.transaction():
                note_it()
        except StorageError as error:
            # A store in trouble must not keep anybody from stopping the daemon.
            told = fields(request=call.request.do, uid=call.uid, reason=error.message)
            logger.warning("a change is not in the audit trail", extra=told)
        return answer

    def _authorise(self, call: Call) -> None:
        """Raises NotAllowed."""
        authorise(self._station.database, call.connection.role, call.uid, call.request)

    def _take_answer(self, call: Call, answer: Answered) -> None:
        if isinstance(answer, Generator):
            self._slices.add(call, answer)
        elif callable(answer):
            answer()
        elif answer is not None:
            call.answer(answer)

    def _deadline(self, monotonic: float) -> float | None:
        """When the next turn must be, if nothing happens before."""
        station = self._station
        # First: the answer to a wait whose time is over goes in slices, which want a turn.
        waits_until = station.waiters.step(monotonic)
        self._engine_due = station.engine.step(monotonic)
        self._feed_watchdog()
        if self._slices.wants_turn or self._server.has_calls or self._loading.wants_turn:
            return monotonic
        retry_at = self._storing.deadline()
        if retry_at is None and not self._storing.is_damaged:
            due = earliest(
                station.dispatcher.next_due(),
                station.beat.next_due(),
                station.notifications.next_due(),
            )
            if due is not None and due <= station.clock.now():
                return monotonic
            self._alarm.set(due)
            if station.dispatcher.has_chores or (
                station.engine.has_events and self._loading.has_plan
            ):
                return monotonic
        return earliest(
            self._engine_due,
            waits_until,
            self._notifier.deadline(),
            self._retention.deadline(),
            self._publishing.deadline(monotonic) if self._publishing.is_used else None,
            retry_at,
            self._end_at if self._is_retiring else None,
        )

    def _feed_watchdog(self) -> None:
        if not self._notifier.is_ping_due:
            return
        try:
            # A real question: a daemon that hangs in its store is not alive.
            self._station.database.row("SELECT count(*) FROM queues")
        except Refused as error:
            # An error is an answer too. Being killed for it would mend no disk, and P11 promises that
            # the daemon stays to heal.
            logger.error(storage_error(error).message)
        self._notifier.ping()

    # -- signals ----------------------------------------------------------------------------------

    def _take_signals(self) -> None:
        for number in self._loop.signals():
            if number == signal.SIGHUP:
                self._loading.reload(_answer_nobody)
            elif number in (signal.SIGTERM, signal.SIGINT):
                if self._stop_mode is None:
                    self.stop(None)
                else:
                    self._hurry()
            elif number == signal.SIGCHLD and self._in_container:
                first_process.reap_orphans(self._own_children())

    def _own_children(self) -> set[int]:
        """Children whose exit code somebody of this process waits for."""
        child = self._loading.child
        return self._station.engine.children() | (set() if child is None else {child})

    # -- the plan ---------------------------------------------------------------------------------

    def start(self, file: FilePlan) -> None:
        """Begin to bring the first plan into force. Raises PlanError: there can be no such worker groups."""
        self._loading.start(file)

    def _serve_first_plan(self) -> None:
        self._on_ready()
        if self._in_container and self._station.plan.settings.shutdown == "keep":
            logger.warning(
                "jobs end with the container, so they cannot be kept running over the daemon's end: "
                'TERM drains, as with shutdown = "drain"'
            )

    def restart(self, group: str, answer: RestartAnswer) -> None:
        """Replace the processes of a worker group, with its code as it is now.

        While the daemon starts or reloads, this waits until that has ended.
        """
        self._waiting_restarts.append((group, answer))
        self._begin_waiting_restarts()

    def _begin_waiting_restarts(self) -> None:
        if self._loading.is_under_way or not self._waiting_restarts:
            return
        waiting, self._waiting_restarts = self._waiting_restarts, []
        for name, answer in waiting:
            try:
                group = self._group_to_restart(name)
            except JobctlError as refusal:
                answer(refusal)
            else:
                self._station.engine.restart(group, _refuse_other_declarations, answer)

    def _group_to_restart(self, name: str) -> str:
        plan = self._station.plan
        group = plan.group(name)
        if self._stop_mode is not None:
            raise PlanError("the daemon is stopping; nothing is restarted any more")
        if not plan.modules_of(group):
            raise UsageError(
                f'worker group "{name}" has no functions: nothing of it holds code',
                hint="Each command is started anew anyway.",
            )
        return group.name

    # -- the end ----------------------------------------------------------------------------------

    def stop(self, mode: str | None) -> str:
        """Begin to stop; gives back the way in which.

        ``mode`` None: the configured way. The first process of a container cannot leave jobs running:
        it drains where ``keep`` is asked for.
        """
        station = self._station
        mode = mode or station.plan.settings.shutdown
        if mode == "keep" and self._in_container:
            mode = "drain"
        if not self._loading.has_plan:
            # Nothing was begun, and how to judge what ended is not known: all is the next daemon's.
            mode = "keep"
        self._begin_to_stop(mode)
        if mode == "kill":
            for worker, token in station.engine.running():
                station.engine.stop(worker, token, Verdict.CANCELLED.value)
        return mode

    def _begin_to_stop(self, mode: str) -> None:
        station = self._station
        if self._stop_mode != mode:
            self._notifier.stopping(f"stopping: {mode}")
            logger.info("stopping", extra=fields(mode=mode, running=station.engine.busy()))
        self._stop_mode = mode
        station.dispatcher.drain()
        station.beat.stop()
        if self._stopped_at is None:
            self._stopped_at = station.clock.now()
            serve_no_more(station.state)

    def _hurry(self) -> None:
        """One more signal while stopping: whatever is running is left to the next daemon.

        The first process of a container would kill it by that: there the second signal stops the
        jobs in order, and only the third one leaves them.
        """
        if self._in_container and self._stop_mode == "drain":
            self.stop("kill")
        else:
            self._begin_to_stop("keep")

    def _go_on_stopping(self) -> None:
        """End when nothing is left to be waited for."""
        if self._stop_mode is None:
            return
        engine = self._station.engine
        if self._stop_mode == "keep":
            if self._loading.has_plan:
                engine.release_unbegun()
                events = engine.collect()
                if events:
                    now = self._station.clock.now()
                    self._storing.step((), self._storing.offer(events, now), now)
        elif engine.busy() or engine.has_events or self._storing.has_waiting:
            self._notifier.still_stopping(
                f"stopping: {self._stop_mode}, waiting for {engine.busy()} attempts"
            )
            return
        self._retire()
        self._end_when_idle_processes_are_gone()

    def _retire(self) -> None:
        if not self._is_retiring:
            self._is_retiring = True
            self._station.engine.retire_all()
            self._end_at = self._station.clock.monotonic() + RETIRE_PATIENCE_S

    def _end_when_idle_processes_are_gone(self) -> None:
        """They go within milliseconds, and their folders with them; the busy ones stay."""
        monotonic = self._station.clock.monotonic()
        if self._station.engine.is_idle_gone or monotonic >= self._end_at:
            self._loop.end()

    def _note_end(self) -> None:
        """Let the next daemon tell since when none served. Who was killed says nothing."""
        number = self._loading.number
        if number is None or self._stopped_at is None or self._storing.is_damaged:
            return
        database = self._station.database
        try:
            with database.transaction():
                daemon_rows.stop(database, id=number, now=self._stopped_at)
        except Refused as error:
            logger.error(storage_error(error).message)

    def _wait_for_idle_processes(self) -> float | None:
        """The only turn of a daemon that never began to serve."""
        deadline = self._station.engine.step(self._station.clock.monotonic())
        self._end_when_idle_processes_are_gone()
        return self._end_at if deadline is None else min(deadline, self._end_at)


def _refuse_other_declarations(found: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """A restart brings new code, not a new plan: that must go on saying what is so.

    Raises:
        PlanError: a module cannot be imported any more, or tasks and signatures are not those of the plan.
    """
    new, old = CodeReport.from_json(found), CodeReport.from_json(known)
    failed_before = {failure.module for failure in old.failures}
    for failure in new.failures:
        if failure.module not in failed_before:
            raise PlanError(
                f'module "{failure.module}" of worker group "{new.group}" cannot be imported any more: '
                f"{failure.message}",
                hint="Nothing was replaced; the group goes on with the code that it has.",
            )
    if replace(new, failures=()) != replace(old, failures=()):
        raise PlanError(
            f'the code of worker group "{new.group}" declares other tasks or signatures than those in force',
            hint="jobctl reload brings them into force, and replaces the processes of every group.",
        )


def _answer_nobody(_end: list[str] | Exception) -> None:
    """A signal waits for no answer; the log has it."""
