"""Births: how many workers and keepers there are, and how each begins.

A group has a fixed number of function workers. Keepers come when commands wait, doubling up to the
group's limit, and go again when a few of them have nothing to do for a while. What fails at birth is
tried again later, and each time later: nothing spins.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, Final

from jobctl.engine.local import cgroups, reach
from jobctl.engine.local.link import Link
from jobctl.engine.local.worker import Phase, Worker
from jobctl.logs import fields, logger
from jobctl.worker import processes
from jobctl.worker.marks import is_working

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from jobctl.engine.local.deaths import Deaths
    from jobctl.engine.local.hearing import Hearing
    from jobctl.engine.local.house import Group, House
    from jobctl.engine.local.template import Template
    from jobctl.errors import ProtocolError

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 30.0
"""Pauses after births that fail: the first, and the longest of their doublings."""

_SETTLED_S = 10.0
"""A worker that lived so long has not failed at its birth."""

_GONE = -1
"""The user of a process that has died already."""

_BIRTH_S = 1.0
"""A birth that has taken so long (its process may be stopped) does not hold others up."""

_AGAIN_S = 1.0

IDLE_KEEPERS: Final = 4
"""Keepers of a group that stay when there is nothing to do; on two cores more gain no speed."""

IDLE_S: Final = 10.0
"""How long the others wait for work before they go."""


def pause_s(failures: int) -> float:
    """How long to wait after so many failures in a row (at least one)."""
    return float(min(FIRST_PAUSE_S * 2 ** min(failures - 1, 20), LONGEST_PAUSE_S))


def _retire_all_but(count: int, workers: Sequence[Worker]) -> None:
    """Let go what a group has too many: of those with little to do first."""
    by_load = sorted(workers, key=lambda worker: len(worker.attempts))
    for worker in by_load[: max(len(workers) - count, 0)]:
        worker.retire()


class Births:
    """See the module. ``find_keepers`` and ``find_functions`` give the templates in force."""

    def __init__(self, house: House, deaths: Deaths, hearing: Hearing) -> None:
        self._house = house
        self._deaths = deaths
        self._hearing = hearing
        self._trim_at: float | None = None
        self._wanted: set[str] = set()
        self.find_keepers: Callable[[], Template | None] = lambda: None
        self.find_functions: Callable[[str], Template | None] = lambda _group: None

    # -- how many ---------------------------------------------------------------------------------

    def fill_all(self) -> None:
        """Bring every group to its number of function workers, and to one keeper at least."""
        for group in self._house.groups.values():
            self.fill(group)
            _retire_all_but(group.commands, self._keepers(group))
            self.more_keepers(group, at_least=1)

    def fill(self, group: Group) -> None:
        """Bring a group to its number of function workers; those that have made their share go."""
        alive = []
        for worker in self._house.workers.values():
            if worker.kind != "function" or worker.group != group.name or worker.is_retiring:
                continue
            if worker.made >= group.max_tasks_per_child:
                worker.retire()
            elif worker.phase is not Phase.DYING:
                alive.append(worker)
        worn = [worker for worker in alive if worker.is_worn]
        fresh = [worker for worker in alive if not worker.is_worn]
        _retire_all_but(group.processes, fresh)
        serving = sum(not w.is_worn and w.phase is Phase.SERVING for w in alive)
        # Those that go on until another can take their place.
        for worker in worn[: max(serving + len(worn) - group.processes, 0)]:
            worker.retire()
        template = self.find_functions(group.name)
        if template is None or not self._may_fork(template):
            return
        for _ in range(len(fresh), group.processes):
            self._fork(template, group, "function")

    def replace(self, worker: Worker) -> None:
        """It says that another one shall take its place; until that serves, it goes on."""
        worker.is_worn = True
        group = self._house.groups.get(worker.group)
        if group is not None:
            self.fill(group)

    def note_serving(self, worker: Worker) -> None:
        """It has answered. One of an earlier daemon may have made its share before that one died."""
        group = self._house.groups.get(worker.group)
        if worker.kind == "function" and group is not None:
            self.fill(group)

    def want_keepers(self, group: str) -> None:
        """Commands of this group wait. Looked into at the next step: what was claimed in this turn
        has not been handed over yet, and its keepers still seem to be free."""
        self._wanted.add(group)

    def more_keepers(self, group: Group, *, at_least: int = 0) -> None:
        """Fork keepers: as many as there are, so that their number doubles, up to the limit."""
        template = self.find_keepers()
        if template is None or not self._may_fork(template):
            return
        counted = self._keepers(group)
        now = self._house.clock.monotonic()
        if any(w.room() or self._is_being_born(w, now) for w in counted):
            return
        wanted = at_least or max(len(counted), 1)
        for _ in range(min(wanted, group.commands - len(counted))):
            self._fork(template, group, "keeper")

    def _keepers(self, group: Group) -> list[Worker]:
        """Those that count. Left-overs hold their keeper, but they are not commands any more."""
        return [
            w
            for w in self._house.workers.values()
            if w.kind == "keeper"
            and w.group == group.name
            and not w.has_leftovers
            and not w.is_retiring
            and w.phase is not Phase.DYING
        ]

    @staticmethod
    def _is_being_born(worker: Worker, monotonic: float) -> bool:
        return (
            worker.phase in (Phase.STARTING, Phase.GREETING)
            and worker.born_at is not None
            and monotonic - worker.born_at < _BIRTH_S
        )

    def _may_fork(self, template: Template) -> bool:
        return (
            template.is_ready
            and not self._house.is_closing
            and self._house.clock.monotonic() >= template.may_fork_at
        )

    # -- one birth --------------------------------------------------------------------------------

    def _fork(self, template: Template, group: Group, kind: str) -> None:
        instance = os.urandom(8).hex()
        cgroup = self._house.cgroups.make(instance)
        worker = Worker(
            instance=instance,
            kind=kind,
            group=group.name,
            directory=template.directory / instance,
            cgroup=cgroup,
        )
        if kind == "keeper":
            worker.corners = self._house.cgroups.limiting
        worker.watch_memory(self._house.cgroups.limiting)
        worker.born_at = self._house.clock.monotonic()
        if kind == "function":
            worker.concurrency = template.concurrency
        self._house.workers[instance] = worker
        assert template.link is not None
        template.link.send(
            {
                "do": "fork",
                "instance": instance,
                "cgroup": cgroup,
                "group": group.name,
                "corners": dict(worker.corners),
            }
        )

    def meet(self, template: Template, instance: str, pid: int) -> None:
        """A template has forked what it was asked for."""
        owner = template.directory.stat().st_uid
        if processes.uid_of(pid) not in (owner, _GONE):
            # User code runs in a template: it could name any process, and have this daemon end it.
            logger.error("a template names a process of another user", extra=fields(pid=pid))
            return
        worker = self._house.workers.get(instance)
        if worker is None:
            # Asked for by a daemon that died before it heard of it: nobody knows it, it holds nothing.
            processes.send(pid, 9)
            return
        worker.pid = pid
        if worker.cgroup and owner != os.geteuid() and not cgroups.join(worker.cgroup, pid):
            # What is in none must not seem to be gone because a cgroup is empty.
            cgroups.remove(worker.cgroup)
            worker.cgroup = ""
        self.watch(worker)
        if template.is_retiring:
            worker.retire()

    def refused(self, template: Template, instance: str, message: str) -> None:
        """A template could not fork: the kernel or the disk refused."""
        logger.error("a worker could not be started", extra=fields(reason=message))
        worker = self._house.workers.pop(instance, None)
        if worker is not None:
            self._house.cgroups.remove(instance)
            import shutil

            shutil.rmtree(worker.directory, ignore_errors=True)
        self._try_later(template)

    def _try_later(self, template: Template) -> None:
        now = self._house.clock.monotonic()
        if now < template.may_fork_at:
            return
        template.failed_births += 1
        pause = pause_s(template.failed_births)
        template.may_fork_at = now + pause
        self._house.timers.after(pause, self.fill_all)

    def after_burial(self, worker: Worker) -> None:
        """One has gone: another takes its place, at once or, if births fail, later."""
        house = self._house
        template, group = house.template_of(worker), house.groups.get(worker.group)
        if group is None or house.is_closing:
            return
        if template is not None and not worker.is_retiring:
            age_s = house.clock.monotonic() - (worker.born_at or 0.0)
            if worker.made == 0 and age_s < _SETTLED_S:
                self._try_later(template)
                logger.error(
                    "a worker ended before it did anything; the next one comes later",
                    extra=fields(group=worker.group, kind=worker.kind, exit_code=worker.exit_code),
                )
            else:
                template.failed_births = 0
        if worker.kind == "function":
            self.fill(group)
        else:
            self.more_keepers(group, at_least=1)

    # -- reaching it ------------------------------------------------------------------------------

    def watch(self, worker: Worker) -> None:
        """Learn of its death from now on, and greet it. Its pid is known."""
        if worker.phase is Phase.DYING:
            return
        try:
            worker.pidfd = os.pidfd_open(worker.pid)
        except ProcessLookupError:
            self._deaths.notice(worker)
            return
        except OSError:
            # It lives. What is missing is here, mostly a free descriptor.
            self._house.timers.after(_AGAIN_S, lambda: self.watch(worker))
            return
        self._house.poller.watch(worker.pidfd, lambda: self._deaths.notice(worker))
        self._connect(worker)

    def _connect(self, worker: Worker) -> None:
        if worker.phase is Phase.DYING or (worker.link is not None and worker.link.is_open):
            return
        try:
            connection = reach.connect(worker.directory, self._listeners(worker))
        except reach.Unreachable as error:
            self._miss(worker, str(error))
            return
        except OSError:
            # Its backlog is full: it lives, but is stopped. The pidfd says if it dies.
            self._connect_later(worker)
            return
        self._link(worker, connection)

    def _listeners(self, worker: Worker) -> set[int]:
        """Who may listen at its socket: itself or, until it has announced itself, its template."""
        template = self._house.template_of(worker)
        return {worker.pid} if template is None else {worker.pid, template.pid}

    def _connect_later(self, worker: Worker) -> None:
        self._house.timers.after(_AGAIN_S, lambda: self._connect(worker))

    def _miss(self, worker: Worker, reason: str) -> None:
        """Its own user code has destroyed its socket: nobody will ever speak to it again.

        It would keep its slot for as long as it lives, so it is ended, and with it what it was doing:
        marks and records say what that was. Not ended is what goes by itself: a keeper with its
        command, and a worker that only this daemon's connection has left, with the job that it has
        begun.
        """
        if self._goes_by_itself(worker):
            self._connect_later(worker)
            return
        logger.error(
            "a worker cannot be reached any more and is ended",
            extra=fields(pid=worker.pid, group=worker.group, reason=reason),
        )
        worker.unreachable = reason
        if worker.attempts:
            processes.end_tree(worker.pid)
        else:
            # What earlier attempts have left running is left alone.
            processes.send(worker.pid, signal.SIGKILL)

    @staticmethod
    def _goes_by_itself(worker: Worker) -> bool:
        if worker.kind == "keeper":
            # Unless it has to be told to stop.
            return bool(worker.attempts) and not worker.stopping
        return worker.link is not None and is_working(str(worker.directory), worker.attempts)

    def _link(self, worker: Worker, connection: socket.socket) -> None:
        def hear(messages: list[dict[str, Any]]) -> None:
            for message in messages:
                self._hearing.hear(worker, message)

        def end(error: ProtocolError) -> None:
            # What it says cannot be trusted any more; what it has recorded and marked can.
            logger.error(
                "a worker broke the protocol and is ended",
                extra=fields(pid=worker.pid, reason=error.message),
            )
            processes.send(worker.pid, 9)

        link = Link(
            connection,
            self._house.poller,
            on_messages=hear,
            on_fault=end,
            # It is dying, and its pidfd will say so; or user code has closed what was not its own.
            on_end=lambda: self._part(worker),
            on_drained=worker.pay_tickets,
        )
        worker.connect(link)

    def _part(self, worker: Worker) -> None:
        """The channel has ended: no more work until it has answered over another one."""
        if worker.phase is Phase.SERVING:
            worker.phase = Phase.GREETING
        self._connect_later(worker)

    # -- too many ---------------------------------------------------------------------------------

    def note_idle(self, worker: Worker) -> None:
        """A keeper has nothing to do now; if it stays so, it may be one too many."""
        worker.idle_since = self._house.clock.monotonic()
        if self._trim_at is None and len(self._idle_keepers(worker.group)) > IDLE_KEEPERS:
            self._trim_at = worker.idle_since + IDLE_S

    def step(self, monotonic: float) -> None:
        """More keepers where commands wait; fewer where, beyond a few, they have been idle for long."""
        wanted, self._wanted = self._wanted, set()
        for name in wanted & self._house.groups.keys():
            self.more_keepers(self._house.groups[name])
        if self._trim_at is None or self._trim_at > monotonic:
            return
        self._trim_at = None
        for group in self._house.groups:
            # Those that came first get work first; the others are the ones that idle.
            extra = self._idle_keepers(group)[IDLE_KEEPERS:]
            for worker in extra:
                if worker.idle_since + IDLE_S <= monotonic:
                    worker.retire()
                else:
                    ripe_at = worker.idle_since + IDLE_S
                    self._trim_at = min(self._trim_at or ripe_at, ripe_at)

    @property
    def deadline(self) -> float | None:
        """When `step` has something to do."""
        return self._trim_at

    def _idle_keepers(self, group: str) -> list[Worker]:
        return [
            w
            for w in self._house.workers.values()
            if w.kind == "keeper" and w.group == group and w.room()
        ]
