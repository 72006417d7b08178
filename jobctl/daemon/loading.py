"""Bringing a plan into force: the first one, and that of each reload.

The configuration is read by a child (`jobctl.config.child`), the code by the templates of its worker groups,
and then all of it is merged, compared and written. With twenty thousand tasks or a hundred thousand
schedules that takes seconds, and others wait for the loop: so it is done in parts, for `TURN_S` of each turn,
and only what must happen in one step does, after everything is known and in one transaction. Until then the
plan in force is the old one, whole: requests are answered by it, its schedules fire, time limits are kept.
What fails, is stopped or killed on the way has changed nothing (P10).

Requests that would change the plan as well (a schedule is added, a limit is set) wait until the new one is in
force or refused: they are judged by what then is. A reload that comes meanwhile waits for the one before.
"""

from __future__ import annotations

import gc
import os
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from jobctl.config import collecting_later, reading_result, start_child
from jobctl.daemon.groups import engine_groups, sizes_of
from jobctl.daemon.stored_limits import with_stored_limits, with_stored_sizes
from jobctl.daemon.stored_schedules import reading_stored, tell_hidden
from jobctl.daemon.unkept import tell_unkept, unkept_limits
from jobctl.dispatcher.orders import forget_accounts
from jobctl.errors import ConfigError, JobctlError, PlanError, Problem
from jobctl.logs import fields, logger
from jobctl.plan import (
    CodeReport,
    FilePlan,
    Plan,
    ScheduleSpec,
    differing,
    merging,
    reading_report,
)
from jobctl.protocol import requests
from jobctl.steps import Steps, at_once, parts
from jobctl.store import daemons as daemon_rows
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from jobctl.beat import Prepared
    from jobctl.daemon.loop import Loop
    from jobctl.daemon.metrics.publishing import Publishing
    from jobctl.daemon.notify import Notifier
    from jobctl.daemon.retention import Retention
    from jobctl.daemon.server import Call
    from jobctl.daemon.station import Station
    from jobctl.daemon.storing import Storing
    from jobctl.plan import DaemonSettings

TURN_S: Final = 0.01
"""After this long the rest of the work waits for the next turn."""

CHANGING_PLAN: Final = frozenset(
    {
        requests.AddSchedule,
        requests.EditSchedule,
        requests.RemoveSchedule,
        requests.EnableSchedule,
        requests.Limit,
        requests.Scale,
    }
)
"""Requests that wait while a plan is on its way into force."""

Answer = Callable[[list[str] | Exception], None]
Decide = Callable[[bool], None]
Reports = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class _Work:
    """Some parts of a load. ``refuse`` is called with why it ended early; without one it cannot: what it is
    about has happened already."""

    steps: Steps[None]
    refuse: Callable[[JobctlError], None] | None = None


class Loading:
    """See the module.

    ``on_first_plan`` is called when the first plan is in force; ``is_stopping`` tells that none is wanted
    any more.
    """

    def __init__(
        self,
        *,
        station: Station,
        loop: Loop,
        storing: Storing,
        notifier: Notifier,
        retention: Retention,
        publishing: Publishing,
        host_timezone: str,
        socket: Path,
        on_first_plan: Callable[[], None],
        on_settings: Callable[[DaemonSettings], None],
        is_stopping: Callable[[], bool],
    ) -> None:
        self._station = station
        self._loop = loop
        self._storing = storing
        self._notifier = notifier
        self._retention = retention
        self._publishing = publishing
        self._host_timezone = host_timezone
        self._socket = socket
        self._on_first_plan = on_first_plan
        self._on_settings = on_settings
        self._is_stopping = is_stopping
        self._works: deque[_Work] = deque()
        self._child: Any = None
        self.is_under_way = False
        """A start or a reload, from its beginning to its end, the import of modules included."""
        self._waiting_reloads: list[Answer] = []
        self._held: list[Call] = []
        self.has_plan = False
        self.number: int | None = None
        """The row of this daemon, once it serves."""

    # -- the turn -----------------------------------------------------------------------------------

    @property
    def wants_turn(self) -> bool:
        """There is more to do, or to answer."""
        return bool(self._works or self._held)

    @property
    def child(self) -> int | None:
        """The process that reads the configuration now."""
        return None if self._child is None else self._child.pid

    def admit(self, calls: Sequence[Call]) -> Sequence[Call]:
        """The requests that can be served now, in the order in which they came."""
        if not self._works:
            admitted, self._held = [*self._held, *calls], []
            return admitted
        self._held += [call for call in calls if type(call.request) in CHANGING_PLAN]
        return [call for call in calls if type(call.request) not in CHANGING_PLAN]

    def step(self) -> None:
        """Do some of the work. Raises JobctlError: there can be no first plan."""
        clock = self._station.clock
        end = clock.monotonic() + TURN_S
        while self._works and clock.monotonic() < end:
            work = self._works[0]
            try:
                if self._is_stopping():
                    self._end_early(work)
                    continue
                next(work.steps)
            except StopIteration:
                self._works.remove(work)
            except JobctlError as error:
                self._works.remove(work)
                if work.refuse is None:
                    raise
                work.refuse(error)

    def _end_early(self, work: _Work) -> None:
        self._works.remove(work)
        if work.refuse is None:
            at_once(work.steps)
        else:
            work.steps.close()
            work.refuse(PlanError("the daemon is stopping; nothing was reloaded"))

    def _end(self) -> None:
        """A start or reload has ended, one way or the other; begin the reload that waits for that."""
        self.is_under_way = False
        waiting, self._waiting_reloads = self._waiting_reloads, []

        def answer(end: list[str] | Exception) -> None:
            for one in waiting:
                one(end)

        if waiting:
            self.reload(answer)

    # -- the first plan -----------------------------------------------------------------------------

    def start(self, file: FilePlan) -> None:
        """Bring the first plan into force; modules that do not import make their tasks wait.

        Raises:
            PlanError: there can be no such worker groups.
        """
        station = self._station
        self.is_under_way = True

        def on_reports(reports: Reports, decide: Decide) -> None:
            def refuse(error: JobctlError) -> None:
                decide(False)
                if not self._is_stopping():
                    raise error
                self._end()

            self._works.append(_Work(self._bringing_first(file, reports, decide), refuse))

        groups = at_once(engine_groups(file, station.uid, self._socket))
        station.engine.load(groups, on_reports)

    def _bringing_first(self, file: FilePlan, reports: Reports, decide: Decide) -> Steps[None]:
        # A module that took too long to be imported is told of later.
        is_late = self.has_plan
        with collecting_later():
            found = yield from _reading_reports(reports)
            for report in found:
                for failure in report.failures:
                    logger.error(
                        "a module could not be imported; its tasks wait",
                        extra=fields(
                            group=report.group, module=failure.module, error=failure.message
                        ),
                    )
            stored = yield from reading_stored(self._station.database)
            plan = yield from self._merging(file, found, stored, strict=False)
            tell_hidden(stored, plan)
            tell_unkept((yield from self._finding_unkept(plan)))
            if not is_late:
                now = self._station.clock.now()
                self._storing.commit(lambda: self._take_up_clock(now))
            prepared = yield from self._station.beat.preparing(plan)
            self._storing.commit(lambda: [self._put_into_force(prepared)])
        if not is_late:
            self._on_first_plan()
        decide(True)
        self._notifier.ready(self.status())
        self._works.append(_Work(prepared.letting_go()))
        if not is_late:
            self._end()

    def _take_up_clock(self, now: int) -> list[Callable[[], None]]:
        self._station.beat.begin(now)
        return []

    # -- a reload -----------------------------------------------------------------------------------

    def reload(self, answer: Answer) -> None:
        """Read the configuration again and bring it into force, or change nothing and say why.

        While the daemon starts or reloads already, this waits until that has ended: what it is about
        may have been written after the file was read.
        """
        if self.is_under_way:
            logger.info("a reload waits until the start or reload before it has ended")
            self._waiting_reloads.append(answer)
            return
        refusal = self._why_not_reload()
        if refusal is not None:
            _refuse_reload(refusal, answer)
            return
        assert self._station.config_path is not None
        try:
            child = start_child(self._station.config_path)
        except OSError as error:
            reason = f"no process could be started to read the configuration: {error.strerror}"
            _refuse_reload(PlanError(reason, hint="Try again."), answer)
            return
        self.is_under_way = True
        self._notifier.reloading()
        self._child = child
        assert child.stdout is not None
        pipe = child.stdout
        output = bytearray()

        def on_output() -> None:
            data = os.read(pipe.fileno(), 1 << 16)
            output.extend(data)
            if not data:
                self._loop.unwatch(pipe.fileno())
                pipe.close()
                child.wait()
                self._child = None
                self._works.append(_Work(self._reading(output, answer), self._refusing(answer)))

        self._loop.watch(pipe.fileno(), on_output)

    def _why_not_reload(self) -> JobctlError | None:
        if self._station.config_path is None:
            return PlanError(
                "this daemon was started without a configuration file",
                hint="Restart it to read one; running jobs go on.",
            )
        if self._is_stopping():
            return PlanError("the daemon is stopping; nothing is reloaded any more")
        return None

    def _refusing(
        self, answer: Answer, decide: Decide | None = None
    ) -> Callable[[JobctlError], None]:
        def refuse(error: JobctlError) -> None:
            if decide is not None:
                decide(False)
            self._notifier.ready(self.status())
            self._station.counters.is_reload_refused = True
            _refuse_reload(error, answer)
            self._end()

        return refuse

    def _reading(self, output: bytearray, answer: Answer) -> Steps[None]:
        station = self._station
        assert station.config_path is not None
        # What was thrown away before: what comes now is no garbage, and is not looked through for some.
        gc.collect()
        with collecting_later():
            file = yield from reading_result(bytes(output), station.config_path)
            output.clear()
            groups = yield from engine_groups(file, station.uid, self._socket)
            gc.freeze()
        forget_accounts()

        def on_reports(reports: Reports, decide: Decide) -> None:
            steps = self._bringing_next(file, reports, decide, answer)
            self._works.append(_Work(steps, self._refusing(answer, decide)))

        station.engine.load(groups, on_reports)

    def _bringing_next(
        self, file: FilePlan, reports: Reports, decide: Decide, answer: Answer
    ) -> Steps[None]:
        station = self._station
        with collecting_later():
            found = yield from _reading_reports(reports)
            stored = yield from reading_stored(station.database)
            plan = yield from self._merging(file, found, stored, strict=True)
            if unkept := (yield from self._finding_unkept(plan)):
                raise ConfigError(tuple(unkept))
            differences = yield from differing(station.plan, plan)
            changes: list[str] = []
            for some in parts(differences):
                changes.extend(map(str, some))
                yield
            prepared = yield from station.beat.preparing(plan)
            self._storing.commit(lambda: [self._put_into_force(prepared)])
        decide(True)
        self._notifier.ready(self.status())
        self._works.append(_Work(self._telling(changes, prepared, answer)))

    def _telling(self, changes: list[str], prepared: Prepared, answer: Answer) -> Steps[None]:
        """Say what has changed, and forget what it was."""
        for some in parts(changes):
            for change in some:
                logger.info(f"reload: {change}")
            yield
        answer(changes)
        yield from prepared.letting_go()
        self._end()

    # -- both ---------------------------------------------------------------------------------------

    def _merging(
        self,
        file: FilePlan,
        found: Sequence[CodeReport],
        stored: Sequence[ScheduleSpec],
        *,
        strict: bool,
    ) -> Steps[Plan]:
        merged = yield from merging(
            file, found, stored, host_timezone=self._host_timezone, strict=strict
        )
        database = self._station.database
        return with_stored_sizes(database, with_stored_limits(database, merged))

    def _finding_unkept(self, plan: Plan) -> Steps[list[Problem]]:
        unkept = self._station.engine.unkept_limits
        found: list[Problem] = []
        for tasks in parts(plan.tasks.values()):
            found += unkept_limits(tasks, unkept)
            yield
        return found

    def _put_into_force(self, prepared: Prepared) -> Callable[[], None]:
        """The one step from plan to plan, inside a transaction."""
        station = self._station
        plan = prepared.plan
        now = station.clock.now()
        # What a refused commit leaves behind in memory would be half a reload: each part only prepares.
        bring_schedules = station.beat.finish(prepared, now)
        bring_tasks = station.dispatcher.prepare(plan)
        number = self.number or daemon_rows.begin(station.database, now=now)

        def after() -> None:
            bring_schedules()
            bring_tasks()
            self._retention.take_settings(plan.settings, plan.tasks)
            self._on_settings(plan.settings)
            self._publishing.take_settings(plan.metrics)
            station.plan = plan
            station.engine.resize(sizes_of(plan))
            station.patterns.clear()
            # A hundred thousand schedules are no garbage: looking through them for some would hold the
            # loop for a tenth of a second each time, also this first one.
            gc.freeze()
            self.has_plan = True
            self.number = number
            station.counters.reloaded_at = station.clock.now()
            station.counters.is_reload_refused = False

        return after

    def status(self) -> str:
        """What is in force, in a few words for whoever supervises the daemon."""
        plan = self._station.plan
        # What is there for routes is no task of anybody's.
        tasks = len(plan.tasks) - len(plan.routes)
        return f"{tasks} tasks, {len(plan.schedules)} schedules"


def _reading_reports(reports: Mapping[str, Mapping[str, Any]]) -> Steps[tuple[CodeReport, ...]]:
    found: tuple[CodeReport, ...] = ()
    for report in reports.values():
        found = (*found, (yield from reading_report(report)))
    return found


def _refuse_reload(error: JobctlError, answer: Answer) -> None:
    """Say why nothing changes, to whoever asked and in the log: who sent a HUP sees nothing else."""
    problems = error.problems if isinstance(error, ConfigError) else ()
    for problem in problems:
        place = f"{problem.file}:{problem.line}" if problem.line else problem.file
        logger.error(
            "the configuration is refused", extra=fields(place=place, reason=problem.message)
        )
    if not problems:
        logger.error("the configuration is not reloaded", extra=fields(reason=error.message))
    answer(error)
