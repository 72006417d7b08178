"""The local engine: attempts on this host, in processes that outlive the daemon.

One folder below ``run/`` for each template, in it one for each of its workers. What the engine knows,
it knows from there, from its channels, and from pidfds: a new daemon finds everything again. Nothing
here has a heartbeat or a lease: the kernel says who lives.

The life of a worker, seen from here, and the files that know each step::

    STARTING --forked--> GREETING --hello, settled--> SERVING --pidfd--> DYING --acknowledged--> gone
    births.py            births, adoption  hearing    batches            deaths

`House` is what these parts share; this file puts them together and keeps the promise.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jobctl.clock import earliest
from jobctl.engine.base import Adoptable, Attempt, Poller, Settled, Slot
from jobctl.engine.local import burial
from jobctl.engine.local.adoption import Adoption
from jobctl.engine.local.batches import Batches
from jobctl.engine.local.births import Births
from jobctl.engine.local.deaths import Deaths
from jobctl.engine.local.hearing import Hearing
from jobctl.engine.local.house import Group, House, Size
from jobctl.engine.local.outbox import Outbox
from jobctl.engine.local.templates import Templates
from jobctl.engine.local.timers import Timers
from jobctl.engine.local.trash import Trash
from jobctl.engine.local.worker import Phase
from jobctl.result import Verdict
from jobctl.worker import freezer
from jobctl.worker.bounds import CONTROLLERS
from jobctl.worker.marks import read_marks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from jobctl.clock import Clock
    from jobctl.engine.local.cgroups import Cgroups
    from jobctl.engine.local.template import Recipe
    from jobctl.engine.local.templates import OnReady
    from jobctl.engine.local.worker import Worker
    from jobctl.errors import JobctlError

__all__ = ["Group", "LocalEngine", "Size"]


class LocalEngine:
    """See the module. Keeps the promises of `jobctl.engine.base.Engine`."""

    def __init__(
        self,
        *,
        run_dir: Path,
        poller: Poller,
        clock: Clock,
        corner: Cgroups,
        keeper_recipe: Recipe,
    ) -> None:
        timers = Timers(clock)
        self._house = House(
            run_dir=run_dir,
            poller=poller,
            clock=clock,
            cgroups=corner,
            timers=timers,
            trash=Trash(run_dir, timers),
            outbox=Outbox(),
        )
        self._hearing = Hearing(self._house)
        self._deaths = Deaths(self._house)
        self._acknowledged: list[Worker] = []
        self._batches = Batches(self._house)
        self._births = Births(self._house, self._deaths, self._hearing)
        self._templates = Templates(
            self._house,
            self._births,
            self._deaths,
            keeper_recipe=keeper_recipe,
            look_at=lambda worker: self._adoption.look_at(worker),
        )
        self._adoption = Adoption(
            self._house, self._births, self._deaths, self._templates, self._batches
        )
        self._hearing.on_idle = self._births.note_idle
        self._hearing.on_serving = self._births.note_serving
        self._hearing.on_worn = self._births.replace
        self._deaths.on_buried = self._births.after_burial

    # -- the promise ------------------------------------------------------------------------------

    def adopt(self, running: Mapping[str, Sequence[Adoptable]]) -> None:
        """Find every template and worker again, and bury the dead."""
        self._adoption.adopt(running)

    def slots(self) -> list[Slot]:
        """Workers with room; those that came first are first."""
        found = []
        for worker in self._house.workers.values():
            room = self._room(worker)
            if room > 0:
                kind = "command" if worker.kind == "keeper" else "function"
                is_shared = worker.is_concurrent
                found.append(Slot(worker.instance, kind, worker.group, room, is_shared))
        return found

    def _room(self, worker: Worker) -> int:
        """A function worker is never given more than it may make in its life."""
        room = worker.room()
        group = self._house.groups.get(worker.group)
        if worker.kind == "keeper" or group is None:
            return room
        return min(room, group.max_tasks_per_child - worker.made)

    def want(self, kind: str, group: str) -> None:
        """More keepers, up to the limit of the group. Function workers are kept at their number anyway."""
        if kind == "command":
            self._births.want_keepers(group)

    def start(self, worker: str, attempts: Sequence[Attempt]) -> None:
        """Hand durable claims over. If the worker has died meanwhile, nothing of them has begun."""
        holder = self._house.workers.get(worker)
        if holder is None or holder.link is None:
            now = self._house.clock.now()
            outcomes = [burial.released(attempt, now) for attempt in attempts]
            self._house.outbox.emit(Settled(worker, (), outcomes))
            return
        now_s = self._house.clock.monotonic()
        holder.give(attempts, now_s)
        if holder.kind == "keeper":
            return
        self._batches.given(holder, attempts, now_s)
        group = self._house.groups.get(holder.group)
        if group and holder.made >= group.max_tasks_per_child:
            self._births.fill(group)

    def collect(self) -> list[Settled]:
        """What ended since the last call."""
        return self._house.outbox.collect()

    def acknowledge(self, settled: Settled) -> None:
        """Forget outcomes that are in the store."""
        self._house.outbox.forget(settled)
        worker = self._house.workers.get(settled.worker)
        if worker is None:
            return
        worker.forget(settled)
        self._acknowledged.append(worker)
        if worker.phase is Phase.DYING and not worker.attempts:
            self._deaths.bury(worker)
        elif worker.kind == "keeper" and worker.room():
            self._births.note_idle(worker)

    def flush(self) -> None:
        """Send the acknowledgements that no order has taken along."""
        for worker in self._acknowledged:
            if worker.link is not None:
                worker.link.flush()
        self._acknowledged.clear()

    def stop(self, worker: str, token: int, verdict: str, *, signal: int | None = None) -> None:
        """Stop an attempt. Unbegun jobs of its batch are released."""
        holder = self._house.workers.get(worker)
        if holder is None or token not in holder.attempts:
            return
        if holder.kind == "function":
            self._batches.stop(holder, token, Verdict(verdict))
            return
        # One that does not answer yet is told when it does.
        holder.stopping[token] = verdict
        if signal is not None:
            holder.first_signals[token] = signal
        if holder.phase is Phase.SERVING:
            holder.stop(token, verdict, holder.attempts[token].stop)

    def step(self, monotonic: float) -> float | None:
        """Do what is due and give back the next deadline."""
        self._house.timers.step(monotonic)
        self._batches.step(monotonic)
        self._births.step(monotonic)
        return earliest(self._house.timers.deadline, self._batches.deadline, self._births.deadline)

    # -- beyond the promise: what is in force -----------------------------------------------------

    def load(self, groups: Iterable[Group], on_ready: OnReady) -> None:
        """Bring groups into force: start their templates, wait for the reports, then change over.

        ``on_ready`` gets the report of each group's template (`jobctl.plan.CodeReport` as JSON) and what
        to call, then or later, with whether to go on. After True the old templates and their workers go
        when they are idle; after False the new ones go and nothing has changed.
        """
        self._templates.load(groups, on_ready)

    def resize(self, sizes: Mapping[str, Size]) -> None:
        """Let groups have other sizes than they say, those too that are yet to be loaded.

        What a group has too many goes: idle ones at once, busy ones after what they have.
        """
        house = self._house
        house.sizes = dict(sizes)
        house.groups = {name: house.sized(group) for name, group in house.groups.items()}
        self._births.fill_all()

    def restart(
        self,
        group: str,
        judge: Callable[[Mapping[str, Any], Mapping[str, Any]], None],
        on_end: Callable[[int | JobctlError], None],
    ) -> None:
        """Replace the function workers of a group in force, which has functions: by forks of a new
        template, with the code as it is now.

        ``judge`` gets the report of the new template and the one that the plan in force was made of, and
        raises a JobctlError if it does not want the new one: then nothing has changed. A worker goes when a new
        one serves in its place, a busy one after its attempt. ``on_end`` gets how many are replaced, or the
        refusal; it may be called at once. Keepers stay: they hold no code of users.
        """
        self._templates.restart(group, judge, on_end)

    @property
    def unkept_limits(self) -> dict[str, str]:
        """Why limits of commands cannot be kept here, by key of the task; empty where all of them can."""
        missing = self._house.cgroups.missing
        return {key: missing[name] for key, name in CONTROLLERS.items() if name in missing}

    # -- output -----------------------------------------------------------------------------------

    @property
    def on_output(self) -> Callable[[int, Mapping[str, int]], None]:
        """Called when a followed command has written, with its token and how far the files of its
        streams go: of ``"stdout"``, and of ``"stderr"`` where that is kept apart."""
        return self._hearing.on_output

    @on_output.setter
    def on_output(self, callback: Callable[[int, Mapping[str, int]], None]) -> None:
        self._hearing.on_output = callback

    def follow(self, worker: str, token: int) -> bool:
        """Ask a keeper to write a running attempt's output to its file and to say when it grows."""
        holder = self._house.workers.get(worker)
        if holder is None or holder.link is None or holder.kind != "keeper":
            return False
        holder.link.send({"do": "follow", "token": token})
        return True

    # -- pausing ----------------------------------------------------------------------------------

    def pause(
        self, worker: str, token: int, *, is_paused: bool, answer: Callable[[str], None]
    ) -> None:
        """Pause the command of a running attempt, or let it go on. ``answer`` gets why that was not done, or
        an empty text when it was; it may be called at once."""
        holder = self._house.workers.get(worker)
        if holder is None or holder.kind != "keeper" or token not in holder.attempts:
            answer("it has just ended")
        elif holder.phase is not Phase.SERVING:
            answer("its keeper has not answered this daemon yet")
        else:
            holder.pause(token, is_paused=is_paused, answer=answer)

    def can_pause(self, worker: str) -> bool:
        """This keeper has a cgroup in which its command can be frozen."""
        holder = self._house.workers.get(worker)
        return holder is not None and freezer.can_freeze(holder.cgroup)

    def is_paused(self, worker: str) -> bool:
        """The command of this keeper is paused."""
        holder = self._house.workers.get(worker)
        return holder is not None and holder.kind == "keeper" and freezer.is_frozen(holder.cgroup)

    # -- what is there ----------------------------------------------------------------------------

    def busy(self) -> int:
        """How many attempts are running."""
        return sum(len(worker.attempts) for worker in self._house.workers.values())

    def running(self) -> list[tuple[str, int]]:
        """``(worker, token)`` of every attempt that is held."""
        return [(w.instance, token) for w in self._house.workers.values() for token in w.attempts]

    def begun(self) -> set[int]:
        """The tokens of attempts that have begun; those of a batch by their marks."""
        found: set[int] = set()
        for worker in self._house.workers.values():
            found.update(worker.attempts)
            if worker.kind == "function" and len(worker.attempts) > 1:
                # Unreadable marks say nothing: then all of the batch counts as begun.
                with suppress(OSError):
                    found -= worker.attempts.keys() - read_marks(str(worker.directory)).keys()
        return found

    def workers(self) -> list[dict[str, Any]]:
        """Every worker for ``inspect workers``, by group and kind."""
        workers = self._house.workers.values()
        begun = self.begun()
        return [
            {
                "instance": worker.instance,
                "kind": worker.kind,
                "group": worker.group,
                # Never 0, which means to kill(2) everybody in the caller's group: it is not born yet.
                "pid": worker.pid or None,
                "phase": worker.phase.value,
                "attempts": [attempt.job_id for attempt in worker.attempts.values()],
                "running": sum(token in begun for token in worker.attempts),
                "made": worker.made,
                "leftovers": worker.has_leftovers,
                "retiring": worker.is_retiring,
                "worn": worker.is_worn,
                "paused": self.is_paused(worker.instance),
                "blocked_by": self._batches.blocked_by(worker),
            }
            for worker in sorted(workers, key=lambda w: (w.group, w.kind, w.pid))
        ]

    def templates(self) -> dict[str, int]:
        """The pid of the function template in force, by group; a group without functions has none."""
        return self._templates.in_force()

    def children(self) -> set[int]:
        """Pids of the processes that this engine has started and reaps itself."""
        templates = self._house.templates.values()
        return {t.process.pid for t in templates if t.process is not None}

    @property
    def has_events(self) -> bool:
        """Something ended that nobody has collected."""
        return self._house.outbox.has_events

    # -- the end ----------------------------------------------------------------------------------

    def release_unbegun(self) -> None:
        """Take back what no worker has begun."""
        self._batches.release_unbegun()

    def retire_all(self) -> None:
        """Let every idle process go now and every busy one after its attempt."""
        self._house.is_closing = True
        for worker in self._house.workers.values():
            worker.retire()
        for template in self._house.templates.values():
            template.retire()

    @property
    def is_idle_gone(self) -> bool:
        """Only workers that hold an attempt or left-overs are there, and templates that have any; the
        folders of the others are removed."""
        workers = self._house.workers.values()
        if any(not w.attempts and not w.has_leftovers for w in workers):
            return False
        busy = {worker.directory.parent.name for worker in workers}
        return self._house.templates.keys() <= busy and self._house.trash.is_empty

    def close(self) -> None:
        """Let go of everything without ending anything: the next daemon takes over."""
        house = self._house
        house.trash.close()
        for worker in house.workers.values():
            worker.close(house.poller)
        for template in house.templates.values():
            if template.link is not None:
                template.link.close()
            if template.pidfd >= 0:
                house.poller.unwatch(template.pidfd)
                os.close(template.pidfd)
            if template.process is not None:
                # It shall outlive this process: no warning that it still runs.
                template.process.returncode = 0
        if not house.workers and not house.templates:
            house.cgroups.close()
