"""The local engine: attempts on this host, in processes that outlive the daemon.

One folder below ``run/`` for each template, in it one for each of its workers. What the engine knows,
it knows from there, from its channels, and from pidfds: a new daemon finds everything again. Nothing
here has a heartbeat or a lease: the kernel says who lives.

The life of a worker, seen from here::

    STARTING --forked--> GREETING --hello, settled--> SERVING --pidfd--> DYING --acknowledged--> gone
"""

from __future__ import annotations

import heapq
import json
import os
import secrets
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobctl import __version__
from jobctl.clock import SECOND, Clock
from jobctl.engine.base import Adoptable, Attempt, Poller, Settled, Slot
from jobctl.engine.local import burial, cgroups
from jobctl.engine.local.link import Link
from jobctl.engine.local.template import Recipe, Template, spawn
from jobctl.engine.local.worker import Phase, Worker
from jobctl.errors import ProtocolError
from jobctl.logs import fields, logger
from jobctl.paths import connect_unix
from jobctl.result import Outcome, Verdict
from jobctl.worker import processes
from jobctl.worker.instance import COMMAND_OFFSET, boot_id, process_start
from jobctl.worker.marks import read_marks
from jobctl.worker.record import SUFFIX, drop_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

_CAUSE_WAIT_S = 0.5
"""How long a dead worker's parent may take to say how it died."""

_RESPAWN_S = 1.0
"""Pause after a start that failed."""

_GREETING_S = 1.0
"""How long a template of an earlier daemon may take to answer before another takes its place."""

_IDLE_KEEPERS = 4
"""Keepers that stay when there is nothing to do; on two cores more of them gain no speed."""

_IDLE_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Group:
    """A worker group, as far as this engine needs it.

    ``functions`` is the recipe of its function template, None when it has no functions to serve.
    """

    name: str
    processes: int
    commands: int
    max_tasks_per_child: int
    functions: Recipe | None


@dataclass
class _Load:
    """A set of groups on its way into force: its templates are started and have to report."""

    groups: tuple[Group, ...]
    templates: dict[str, Template]
    on_ready: Callable[[dict[str, dict[str, Any]]], bool]


class LocalEngine:
    """See the module. Keeps the promises of `jobctl.engine.base.Engine`."""

    def __init__(
        self,
        *,
        run_dir: Path,
        poller: Poller,
        clock: Clock,
        corner: cgroups.Cgroups,
        keeper_recipe: Recipe,
    ) -> None:
        self._run_dir = run_dir
        self._poller = poller
        self._clock = clock
        self._cgroups = corner
        self._keeper_recipe = keeper_recipe
        self._groups: dict[str, Group] = {}
        self._templates: dict[str, Template] = {}
        self._workers: dict[str, Worker] = {}
        self._keepers: Template | None = None
        self._functions: dict[str, Template] = {}
        self._load: _Load | None = None
        self._events: list[Settled] = []
        self._reported: set[int] = set()
        self._from_record: dict[int, Path] = {}
        self._sweeps: dict[str, burial.Sweep] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timer_count = 0
        self._wanted_keepers: dict[str, int] = {}
        self._respawn_at = 0.0
        self._batch_check_at: float | None = None
        self._deferred_load: (
            tuple[tuple[Group, ...], Callable[[dict[str, dict[str, Any]]], bool]] | None
        ) = None
        self._may_wait = True
        self._is_closing = False

    # -- the promise ------------------------------------------------------------------------------

    def adopt(self, running: Mapping[str, Sequence[Adoptable]]) -> None:
        """Find every template and worker again, and bury the dead."""
        self._run_dir.mkdir(mode=0o711, exist_ok=True)
        unknown = dict(running)
        for directory in sorted(path for path in self._run_dir.iterdir() if path.is_dir()):
            self._adopt_template(directory, unknown)
        for instance, attempts in unknown.items():
            now = self._clock.now()
            self._emit(
                Settled(
                    instance,
                    (),
                    [
                        burial.lost(
                            attempt,
                            now,
                            proof="unproved",
                            cause="the folder of its worker is gone",
                        )
                        for attempt in attempts
                    ],
                )
            )

    def slots(self) -> list[Slot]:
        """Workers with room; idle ones with fewer finished jobs come in no special order."""
        found = []
        for worker in self._workers.values():
            room = worker.room()
            if room > 0:
                kind = "command" if worker.kind == "keeper" else "function"
                found.append(Slot(worker.instance, kind, worker.group, room))
        return found

    def want(self, kind: str, group: str) -> None:
        """More keepers, up to the limit of the group. Function workers are kept at their number anyway."""
        if kind == "command" and group in self._groups and not self._is_closing:
            self._more_keepers(self._groups[group])

    def start(self, worker: str, attempts: Sequence[Attempt]) -> None:
        """Hand durable claims over. A worker that died meanwhile is buried with them."""
        holder = self._workers[worker]
        if holder.link is None:
            for attempt in attempts:
                holder.attempts[attempt.token] = attempt
            self._settle_dead(holder, attempts)
            return
        now = self._clock.monotonic()
        holder.give(attempts, now)
        if len(holder.attempts) > 1:
            self._check_batches_at(now)
        for attempt in attempts:
            if attempt.timeout_s is not None and holder.kind == "function":
                self._limit(holder, attempt.token, attempt.timeout_s)
        group = self._groups.get(holder.group)
        if group and holder.kind == "function" and holder.made >= group.max_tasks_per_child:
            holder.retire()
            self._fill(group)

    def collect(self) -> list[Settled]:
        """What ended since the last call."""
        events, self._events = self._events, []
        return events

    def acknowledge(self, settled: Settled) -> None:
        """Forget outcomes that are in the store."""
        for outcome in settled.outcomes:
            self._reported.discard(outcome.token)
            folder = self._from_record.pop(outcome.token, None)
            if folder is not None:
                drop_record(str(folder), outcome.token)
        for row in settled.done:
            self._reported.discard(row.token)
        worker = self._workers.get(settled.worker)
        if worker is None:
            return
        worker.forget(settled)
        if worker.phase is Phase.DYING and not worker.attempts:
            self._bury(worker)

    def stop(self, worker: str, token: int, verdict: str) -> None:
        """Stop an attempt. Unbegun jobs of its batch are released."""
        holder = self._workers.get(worker)
        if holder is None or token not in holder.attempts:
            return
        attempt = holder.attempts[token]
        holder.stopping[token] = verdict
        if holder.kind == "keeper":
            if holder.phase is Phase.SERVING:
                holder.stop(token, verdict, attempt.stop)
            return
        now = self._clock.now()
        taken = holder.take_back()
        outcomes = []
        for back in taken:
            chosen = Verdict(verdict) if back.token == token else Verdict.RELEASED
            outcomes.append(
                Outcome(token=back.token, job_id=back.job_id, verdict=chosen, finished_at=now)
            )
        if outcomes:
            self._emit(Settled(worker, (), outcomes))
        if token in holder.attempts and holder.phase is not Phase.DYING:
            # A function cannot be asked from outside: its worker goes, and what it started.
            for pid in [*processes.descendants(holder.pid), holder.pid]:
                processes.send(pid, 9)

    def step(self, monotonic: float) -> float | None:
        """Do what is due and give back the next deadline."""
        while self._timers and self._timers[0][0] <= monotonic:
            heapq.heappop(self._timers)[2]()
        if self._batch_check_at is not None and self._batch_check_at <= monotonic:
            self._take_back_held_up(monotonic)
        deadlines = [self._timers[0][0]] if self._timers else []
        if self._batch_check_at is not None:
            deadlines.append(self._batch_check_at)
        return min(deadlines, default=None)

    # -- what is in force -------------------------------------------------------------------------

    def load(
        self, groups: Iterable[Group], on_ready: Callable[[dict[str, dict[str, Any]]], bool]
    ) -> None:
        """Bring groups into force: start their templates, wait for the reports, then change over.

        ``on_ready`` gets the report of each group's template (`jobctl.plan.CodeReport` as JSON)
        and says whether to go on. After True the old templates and their workers go when they are
        idle; after False the new ones go and nothing has changed.
        """
        groups = tuple(groups)
        if self._is_greeting():
            # Templates of an earlier daemon have not said yet what they are made of.
            self._deferred_load = (groups, on_ready)
            self._after(_GREETING_S, self._begin_deferred_load)
            return
        templates: dict[str, Template] = {}
        for group in groups:
            if group.functions is not None:
                templates[group.name] = self._template_for(
                    group.functions, is_new=bool(self._groups)
                )
        self._load = _Load(groups, templates, on_ready)
        if self._keepers is None or self._keepers.is_retiring:
            self._keepers = self._template_for(self._keeper_recipe, is_new=False)
        self._finish_load()

    def _is_greeting(self) -> bool:
        return self._may_wait and any(
            template.recipe is None and template.link is not None and template.report is None
            for template in self._templates.values()
        )

    def _begin_deferred_load(self, *, may_wait: bool = False) -> None:
        if self._deferred_load is not None:
            groups, on_ready = self._deferred_load
            self._deferred_load = None
            self._may_wait = may_wait
            self.load(groups, on_ready)

    def _template_for(self, recipe: Recipe, *, is_new: bool) -> Template:
        """A template of this recipe: one that an earlier daemon left, unless new code is wanted."""
        if not is_new:
            for template in self._templates.values():
                said = template.said
                if (
                    template.is_ready
                    and said.get("spec") == json.loads(json.dumps(recipe.to_json()))
                    and said.get("version") == __version__
                    and template.instance not in self._in_use()
                ):
                    template.recipe = recipe
                    template.kind, template.group = recipe.kind, recipe.group
                    return template
        instance = secrets.token_hex(8)
        directory = self._run_dir / instance
        template = Template(instance, directory, recipe)
        self._templates[instance] = template
        try:
            template.process = spawn(recipe, directory)
        except OSError as error:
            message = f'the interpreter "{recipe.python}" could not be started: {error}'
            logger.error(message, extra=fields(group=recipe.group))
            template.report = _failed(recipe.group, recipe.python, message)
            template.is_retiring = True
            self._templates.pop(instance)
            shutil.rmtree(directory, ignore_errors=True)
            return template
        template.pid = template.process.pid
        template.pidfd = os.pidfd_open(template.pid)
        self._poller.watch(template.pidfd, lambda: self._template_died(template))
        self._connect_template(template)
        return template

    def _in_use(self) -> set[str]:
        used = {template.instance for template in self._functions.values()}
        if self._keepers is not None:
            used.add(self._keepers.instance)
        return used

    def _connect_template(self, template: Template) -> None:
        connection = connect_unix(template.directory / "sock")
        template.greet(
            Link(
                connection,
                self._poller,
                on_messages=lambda messages: self._hear_template(template, messages),
                on_end=lambda: None,
            )
        )

    def _hear_template(self, template: Template, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            match message["is"]:
                case "hello":
                    self._meet_template(template, message)
                case "forked":
                    self._meet_worker(template, message["instance"], message["pid"])
                case "refused":
                    self._lose_birth(message["instance"], message["message"])
                case "ended":
                    self._learn_cause(message["instance"], message["code"])
                case unknown:
                    logger.warning("a template says what is not known", extra=fields(kind=unknown))

    def _meet_template(self, template: Template, message: dict[str, Any]) -> None:
        template.said = message
        template.report = message["report"]
        template.kind = message["kind"]
        for instance, pid in message["children"].items():
            if instance not in self._workers:
                # Forked for a daemon that died before it heard of it: nobody knows it, it holds nothing.
                processes.send(pid, 9)
        if template.recipe is None and not template.is_retiring:
            # Left by an earlier daemon: wanted if its recipe is in the plan that comes into force.
            self._begin_deferred_load(may_wait=True)
            return
        self._finish_load()
        if template is self._keepers:
            for group in self._groups.values():
                self._more_keepers(group, at_least=1)

    def _finish_load(self) -> None:
        """Change over when every template of the load has reported or died."""
        load = self._load
        if load is None or any(t.report is None for t in load.templates.values()):
            return
        self._load = None
        reports = {name: template.report or {} for name, template in load.templates.items()}
        if not load.on_ready(reports):
            for template in load.templates.values():
                if template.instance not in self._in_use():
                    template.retire()
            return
        self._groups = {group.name: group for group in load.groups}
        self._functions = load.templates
        kept = self._in_use()
        for template in self._templates.values():
            if template.instance not in kept:
                template.retire()
        for worker in list(self._workers.values()):
            self._regroup(worker)
        for group in load.groups:
            self._fill(group)
            if self._keepers is not None and self._keepers.is_ready:
                self._more_keepers(group, at_least=1)

    def _regroup(self, worker: Worker) -> None:
        """Under a new plan a worker stays, or goes when its work is done."""
        template = self._templates.get(worker.directory.parent.name)
        group = self._groups.get(worker.group)
        gone = template is None or template.is_retiring or group is None
        if gone and not worker.is_retiring:
            worker.retire()

    # -- births -----------------------------------------------------------------------------------

    def _fill(self, group: Group) -> None:
        """Bring a group to its number of function workers."""
        template = self._functions.get(group.name)
        if template is None or not template.is_ready or self._is_closing:
            return
        alive = sum(
            worker.kind == "function"
            and worker.group == group.name
            and not worker.is_retiring
            and worker.phase is not Phase.DYING
            for worker in self._workers.values()
        )
        for _ in range(alive, group.processes):
            self._fork(template, group, "function")

    def _more_keepers(self, group: Group, *, at_least: int = 0) -> None:
        """Fork keepers: as many as there are, so that their number doubles, up to the limit."""
        template = self._keepers
        if template is None or not template.is_ready or self._clock.monotonic() < self._respawn_at:
            return
        keepers = [
            w for w in self._workers.values() if w.kind == "keeper" and w.group == group.name
        ]
        # Left-overs hold their keeper, but they are not commands any more.
        counted = [
            w
            for w in keepers
            if not w.has_leftovers and not w.is_retiring and w.phase is not Phase.DYING
        ]
        starting = sum(w.phase in (Phase.STARTING, Phase.GREETING) for w in counted)
        if starting or any(w.room() for w in counted):
            return
        wanted = at_least or max(len(counted), 1)
        for _ in range(min(wanted, group.commands - len(counted))):
            self._fork(template, group, "keeper")

    def _fork(self, template: Template, group: Group, kind: str) -> None:
        instance = secrets.token_hex(8)
        cgroup = self._cgroups.make(instance)
        worker = Worker(
            instance=instance,
            kind=kind,
            group=group.name,
            directory=template.directory / instance,
            cgroup=cgroup,
        )
        self._workers[instance] = worker
        assert template.link is not None
        template.link.send(
            {"do": "fork", "instance": instance, "cgroup": cgroup, "group": group.name}
        )

    def _meet_worker(self, template: Template, instance: str, pid: int) -> None:
        worker = self._workers.get(instance)
        if worker is None:
            return
        worker.pid = pid
        self._watch_worker(worker)
        if template.is_retiring:
            worker.retire()

    def _watch_worker(self, worker: Worker) -> None:
        try:
            worker.pidfd = os.pidfd_open(worker.pid)
        except OSError:
            self._worker_died(worker)
            return
        self._poller.watch(worker.pidfd, lambda: self._worker_died(worker))
        try:
            connection = connect_unix(worker.directory / "sock")
        except (BlockingIOError, ConnectionRefusedError, FileNotFoundError):
            # Its backlog is full: it lives, but is stopped. Try again later; the pidfd says if it dies.
            self._after(_RESPAWN_S, lambda: self._connect_again(worker))
            return
        self._connect_worker(worker, connection)

    def _connect_again(self, worker: Worker) -> None:
        if worker.phase is Phase.DYING or worker.link is not None:
            return
        if worker.pidfd >= 0:
            self._poller.unwatch(worker.pidfd)
            os.close(worker.pidfd)
            worker.pidfd = -1
        self._watch_worker(worker)

    def _connect_worker(self, worker: Worker, connection: Any) -> None:
        link = Link(
            connection,
            self._poller,
            on_messages=lambda messages: self._hear_worker(worker, messages),
            on_end=lambda: None,
            on_drained=worker.pay_tickets,
        )
        worker.connect(link)

    def _lose_birth(self, instance: str, message: str) -> None:
        self._workers.pop(instance, None)
        self._cgroups.remove(instance)
        logger.error("a worker could not be started", extra=fields(reason=message))
        self._respawn_later()

    def _respawn_later(self) -> None:
        self._respawn_at = self._clock.monotonic() + _RESPAWN_S
        self._after(_RESPAWN_S, self._fill_all)

    def _fill_all(self) -> None:
        for group in self._groups.values():
            self._fill(group)
            self._more_keepers(group, at_least=1)

    # -- what workers say -------------------------------------------------------------------------

    def _hear_worker(self, worker: Worker, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            match message["is"]:
                case "hello":
                    self._hear_hello(worker, message)
                case "settled":
                    self._hear_settled(worker)
                case "outcomes":
                    self._hear_outcomes(worker, message)
                case "forgot":
                    worker.is_forgetting = False
                case "clear":
                    worker.has_leftovers = False
                case "wrote":
                    self.on_output(message["token"], message["bytes"])
                case unknown:
                    logger.warning("a worker says what is not known", extra=fields(kind=unknown))

    on_output: Callable[[int, int], None] = staticmethod(lambda _token, _bytes: None)
    """Called when a followed command has written: ``(token, bytes in all)``."""

    def _hear_hello(self, worker: Worker, message: dict[str, Any]) -> None:
        if message["protocol"] is None:
            # It speaks no protocol of ours: it finishes what it has and leaves records.
            logger.warning(
                "a worker of another version is left to finish", extra=fields(pid=message["pid"])
            )
            return
        worker.has_leftovers = bool(message.get("leftovers"))
        running = set(message["running"])
        worker.is_forgetting = False
        for token in running & worker.stopping.keys():
            worker.stop(token, worker.stopping[token], worker.attempts[token].stop)
        self._unheard(worker, running)

    def _unheard(self, worker: Worker, running: set[int]) -> None:
        worker.not_running = [t for t in worker.attempts if t not in running]

    def _hear_settled(self, worker: Worker) -> None:
        """It has said all it knows: what it did not name was never begun, or has its record."""
        outcomes = []
        now = self._clock.now()
        for token in worker.not_running:
            attempt = worker.attempts.get(token)
            if attempt is None or token in self._reported:
                continue
            outcomes_dir = worker.directory.parent / "outcomes"
            record = self._read_record(outcomes_dir, token)
            outcomes.append(record or burial.released(attempt, now))
        worker.not_running = []
        try:
            worker.serve()
        except OSError as error:
            logger.error("a worker's tickets cannot be opened", extra=fields(reason=str(error)))
            return
        if outcomes:
            self._emit(Settled(worker.instance, (), outcomes))

    def _read_record(self, outcomes_dir: Path, token: int) -> Outcome | None:
        try:
            record = burial.read_record(outcomes_dir, token)
        except (ProtocolError, ValueError, OSError) as error:
            logger.error("an outcome's record cannot be read", extra=fields(reason=str(error)))
            return None
        if record is not None:
            self._from_record[token] = outcomes_dir
        return record

    def _hear_outcomes(self, worker: Worker, message: dict[str, Any]) -> None:
        settled = worker.take_outcomes(message, self._clock.monotonic())
        self._emit(settled)

    def _emit(self, settled: Settled) -> None:
        """Queue an event; what is reported already is not reported twice."""
        done = [row for row in settled.done if row.token not in self._reported]
        outcomes = [o for o in settled.outcomes if o.token not in self._reported]
        if not done and not outcomes:
            return
        self._reported.update(row.token for row in done)
        self._reported.update(outcome.token for outcome in outcomes)
        self._events.append(Settled(settled.worker, done, outcomes))

    # -- batches and limits -----------------------------------------------------------------------

    def _check_batches_at(self, now: float) -> None:
        if self._batch_check_at is None:
            self._batch_check_at = now + 0.010

    def _take_back_held_up(self, monotonic: float) -> None:
        self._batch_check_at = None
        now = self._clock.now()
        for worker in self._workers.values():
            if worker.kind != "function" or len(worker.attempts) < 2:
                continue
            if worker.phase is Phase.SERVING and worker.is_held_up(monotonic):
                taken = worker.take_back()
                if taken:
                    worker.mean_us = 1e9
                    outcomes = [burial.released(attempt, now) for attempt in taken]
                    self._emit(Settled(worker.instance, (), outcomes))
            if len(worker.attempts) > 1 and not worker.is_forgetting:
                self._check_batches_at(monotonic)

    def _limit(self, worker: Worker, token: int, timeout_s: float) -> None:
        def end() -> None:
            if token in worker.attempts and token not in self._reported:
                self.stop(worker.instance, token, Verdict.TIMEOUT.value)

        self._after(timeout_s, end)

    def _after(self, delay_s: float, action: Callable[[], None]) -> None:
        self._timer_count += 1
        at = self._clock.monotonic() + delay_s
        heapq.heappush(self._timers, (at, self._timer_count, action))

    # -- deaths -----------------------------------------------------------------------------------

    def _worker_died(self, worker: Worker) -> None:
        """The kernel ended it: hear what it still said, then settle what it held."""
        if worker.phase is Phase.DYING:
            return
        if worker.link is not None:
            worker.link.read()
        worker.phase = Phase.DYING
        worker.close(self._poller)
        template = self._templates.get(worker.directory.parent.name)
        if worker.exit_code is None and template is not None and template.link is not None:
            # Only its parent knows how it died, and says so at once.
            self._after(_CAUSE_WAIT_S, lambda: self._begin_burial(worker))
            return
        self._begin_burial(worker)

    def _learn_cause(self, instance: str, code: int) -> None:
        worker = self._workers.get(instance)
        if worker is None:
            return
        worker.exit_code = code
        if worker.phase is Phase.STARTING:
            self._worker_died(worker)
        elif worker.phase is Phase.DYING:
            self._begin_burial(worker)

    def _begin_burial(self, worker: Worker) -> None:
        if (
            worker.instance in self._sweeps
            or worker.instance not in self._workers
            or worker.is_buried
        ):
            return
        worker.is_buried = True
        held = [a for a in worker.attempts.values() if a.token not in self._reported]
        if worker.kind == "keeper" and not held:
            self._after_sweep(worker, "")
            return
        sweep = burial.Sweep(
            directory=worker.directory, cgroup=worker.cgroup, tokens=[a.token for a in held]
        )
        self._sweeps[worker.instance] = sweep
        self._sweep(worker, sweep)

    def _sweep(self, worker: Worker, sweep: burial.Sweep) -> None:
        wait_s = sweep.step()
        if wait_s is not None:
            self._after(wait_s, lambda: self._sweep(worker, sweep))
            return
        self._sweeps.pop(worker.instance, None)
        self._after_sweep(worker, sweep.proof)

    def _after_sweep(self, worker: Worker, proof: str) -> None:
        held = [a for a in worker.attempts.values() if a.token not in self._reported]
        if held:
            self._settle_dead(worker, held, proof)
        if not worker.attempts:
            self._bury(worker)

    def _settle_dead(
        self, worker: Worker, held: Sequence[Attempt | Adoptable], proof: str = "process"
    ) -> None:
        now = self._clock.now()
        outcomes_dir = worker.directory.parent / "outcomes"
        if worker.kind == "function":
            verdict = next((Verdict(v) for v in worker.stopping.values()), Verdict.LOST)
            outcomes = burial.settle_function(
                held,
                directory=worker.directory,
                outcomes_dir=outcomes_dir,
                exit_code=worker.exit_code,
                verdict=verdict,
                now=now,
            )
        else:
            outcomes = []
            for attempt in held:
                record = self._read_record(outcomes_dir, attempt.token)
                stopping = worker.stopping.get(attempt.token)
                if record is not None:
                    outcomes.append(record)
                elif worker.is_from_earlier_boot:
                    outcomes.append(
                        burial.lost(attempt, now, proof="boot", cause="the computer was restarted")
                    )
                else:
                    number = -worker.exit_code if (worker.exit_code or 0) < 0 else None  # type: ignore[operator]
                    outcomes.append(
                        burial.lost(
                            attempt,
                            now,
                            proof=proof,
                            cause=burial.describe_death("keeper", worker.exit_code),
                            verdict=Verdict(stopping) if stopping else Verdict.LOST,
                            exit_signal=number,
                        )
                    )
        for outcome in outcomes:
            if worker.kind == "function":
                self._from_record[outcome.token] = outcomes_dir
        self._emit(Settled(worker.instance, (), outcomes))

    def _bury(self, worker: Worker) -> None:
        """Nothing of it is needed any more: its folder and cgroup go, a successor comes."""
        self._workers.pop(worker.instance, None)
        worker.close(self._poller)
        shutil.rmtree(worker.directory, ignore_errors=True)
        if worker.cgroup:
            cgroups.remove(worker.cgroup)
        template = self._templates.get(worker.directory.parent.name)
        if template is not None and template.pidfd < 0 and template.process is None:
            self._clear_template(template)
        group = self._groups.get(worker.group)
        if group is None or self._is_closing:
            return
        if worker.made == 0 and not worker.is_retiring:
            # It died before it did anything: do not spin.
            self._respawn_later()
        else:
            self._fill(group)

    def _template_died(self, template: Template) -> None:
        """Its children live on and serve; only their causes of death will not be known."""
        if template.link is not None:
            template.link.read()
            if template.link is not None:
                template.link.close()
            template.link = None
        self._poller.unwatch(template.pidfd)
        os.close(template.pidfd)
        template.pidfd = -1
        if template.process is not None:
            template.process.wait()
            template.process = None
        was_wanted = not template.is_retiring
        template.is_retiring = True
        for worker in list(self._workers.values()):
            if worker.directory.parent == template.directory:
                if worker.phase is Phase.STARTING:
                    self._workers.pop(worker.instance)
                    self._cgroups.remove(worker.instance)
                elif worker.phase is Phase.DYING:
                    self._begin_burial(worker)
                elif not worker.is_retiring:
                    worker.retire()
        if template.report is None:
            message = "its template ended before it had loaded the modules"
            template.report = _failed(template.group, template.group, message)
            self._finish_load()
        self._clear_template(template)
        if was_wanted and not self._is_closing:
            logger.error("a template died; a new one is started", extra=fields(kind=template.kind))
            self._after(_RESPAWN_S, lambda: self._replace_template(template))

    def _replace_template(self, template: Template) -> None:
        assert template.recipe is not None
        if template is self._keepers:
            self._keepers = self._template_for(template.recipe, is_new=True)
        elif self._functions.get(template.group) is template:
            groups = tuple(self._groups.values())
            self._functions[template.group] = self._template_for(template.recipe, is_new=True)
            self._load = _Load(groups, dict(self._functions), lambda _reports: True)

    def _clear_template(self, template: Template) -> None:
        """Remove the folder of a dead template when no child and no outcome is left in it."""
        if any(w.directory.parent == template.directory for w in self._workers.values()):
            return
        if any(folder == template.outcomes_dir for folder in self._from_record.values()):
            self._after(_RESPAWN_S, lambda: self._clear_template(template))
            return
        shutil.rmtree(template.directory, ignore_errors=True)
        self._templates.pop(template.instance, None)

    # -- after a restart --------------------------------------------------------------------------

    def _adopt_template(self, directory: Path, running: dict[str, Sequence[Adoptable]]) -> None:
        template = Template(directory.name, directory, None)
        self._templates[directory.name] = template
        holder = _living_holder(directory)
        for folder in sorted(path for path in directory.iterdir() if path.is_dir()):
            if folder.name != "outcomes":
                self._adopt_worker(folder, running.pop(folder.name, ()))
        self._read_records(template)
        if holder is None:
            self._clear_template(template)
            return
        template.pid = holder["pid"]
        template.kind = holder["kind"].removeprefix("template-")
        template.pidfd = os.pidfd_open(template.pid)
        self._poller.watch(template.pidfd, lambda: self._template_died(template))
        try:
            self._connect_template(template)
        except OSError as error:
            logger.warning("a template does not answer", extra=fields(reason=str(error)))
            template.is_retiring = True

    def _adopt_worker(self, folder: Path, attempts: Sequence[Adoptable]) -> None:
        found = _read_holder(folder)
        holder = _living_holder(folder)
        worker = Worker(
            instance=folder.name,
            kind=(found or {}).get("kind", "keeper"),
            group=(found or {}).get("group", ""),
            directory=folder,
            cgroup=(found or {}).get("cgroup", ""),
        )
        worker.attempts = {attempt.token: attempt for attempt in attempts}
        worker.made = len(attempts)
        worker.not_running = list(worker.attempts)
        self._workers[folder.name] = worker
        if found is not None and found.get("boot") != boot_id():
            worker.is_from_earlier_boot = True
        if holder is None:
            worker.phase = Phase.DYING
            self._after(0.0, lambda: self._begin_burial(worker))
            return
        worker.pid = holder["pid"]
        worker.phase = Phase.GREETING
        if worker.kind == "function":
            self._release_unbegun(worker)
            for attempt in attempts:
                if attempt.timeout_s is not None:
                    spent_s = (self._clock.now() - attempt.claimed_at) / SECOND
                    self._limit(worker, attempt.token, max(attempt.timeout_s - spent_s, 0.0))
        self._watch_worker(worker)

    def _release_unbegun(self, worker: Worker) -> None:
        """Take back what waits in a batch behind a job that may run for hours, without asking.

        Certain only if every job without a mark still had its ticket: else the worker is just about
        to begin one of them, and will say so when it answers.
        """
        try:
            worker.open_tickets()
        except OSError:
            return
        marks = read_marks(str(worker.directory))
        unbegun = [a for a in worker.attempts.values() if a.token not in marks]
        tickets = worker.drain_tickets()
        if not unbegun or tickets < len(unbegun):
            return
        for attempt in unbegun:
            del worker.attempts[attempt.token]
        now = self._clock.now()
        outcomes = [burial.released(attempt, now) for attempt in unbegun]
        self._emit(Settled(worker.instance, (), outcomes))

    def _read_records(self, template: Template) -> None:
        """Outcomes that nobody has acknowledged: of the living, the dead, and of nobody known."""
        holders = {
            token: worker.instance for worker in self._workers.values() for token in worker.attempts
        }
        try:
            names = sorted(path.name for path in template.outcomes_dir.iterdir())
        except FileNotFoundError:
            return
        for name in names:
            if not name.endswith(SUFFIX):
                continue
            try:
                token = int(name.removesuffix(SUFFIX), 16)
            except ValueError:
                continue
            record = self._read_record(template.outcomes_dir, token)
            if record is not None:
                self._emit(Settled(holders.get(token, ""), (), [record]))

    # -- the end ----------------------------------------------------------------------------------

    def busy(self) -> int:
        """How many attempts are running."""
        return sum(len(worker.attempts) for worker in self._workers.values())

    def running(self) -> list[tuple[str, int]]:
        """``(worker, token)`` of every attempt that is held."""
        return [(w.instance, token) for w in self._workers.values() for token in w.attempts]

    @property
    def has_events(self) -> bool:
        """Something ended that nobody has collected."""
        return bool(self._events)

    def release_unbegun(self) -> None:
        """Take back what no worker has begun."""
        now = self._clock.now()
        for worker in self._workers.values():
            taken = worker.take_back()
            if taken:
                outcomes = [burial.released(attempt, now) for attempt in taken]
                self._emit(Settled(worker.instance, (), outcomes))

    def retire_all(self) -> None:
        """Let every idle process go now and every busy one after its attempt."""
        self._is_closing = True
        for worker in self._workers.values():
            worker.retire()
        for template in self._templates.values():
            template.retire()

    @property
    def is_idle_gone(self) -> bool:
        """Only workers that hold an attempt or left-overs are there, and templates that have any."""
        if any(not w.attempts and not w.has_leftovers for w in self._workers.values()):
            return False
        busy = {worker.directory.parent.name for worker in self._workers.values()}
        return self._templates.keys() <= busy

    @property
    def is_empty(self) -> bool:
        """No worker and no template is left."""
        return not self._workers and not self._templates

    def close(self) -> None:
        """Let go of everything without ending anything: the next daemon takes over."""
        for worker in self._workers.values():
            worker.close(self._poller)
        for template in self._templates.values():
            if template.link is not None:
                template.link.close()
            if template.pidfd >= 0:
                self._poller.unwatch(template.pidfd)
                os.close(template.pidfd)
            if template.process is not None:
                # It shall outlive this process: no warning that it still runs.
                template.process.returncode = 0
        if self.is_empty:
            self._cgroups.close()

    def children(self) -> set[int]:
        """Pids of the processes that this engine has started and reaps itself."""
        return {t.process.pid for t in self._templates.values() if t.process is not None}

    def workers(self) -> list[dict[str, Any]]:
        """Every worker for ``inspect workers``, by group and kind."""
        return [
            {
                "instance": worker.instance,
                "kind": worker.kind,
                "group": worker.group,
                "pid": worker.pid,
                "phase": worker.phase.value,
                "attempts": [attempt.job_id for attempt in worker.attempts.values()],
                "made": worker.made,
                "leftovers": worker.has_leftovers,
                "retiring": worker.is_retiring,
            }
            for worker in sorted(self._workers.values(), key=lambda w: (w.group, w.kind, w.pid))
        ]

    def begun(self) -> set[int]:
        """The tokens of attempts that have begun; those of a batch by their marks."""
        found: set[int] = set()
        for worker in self._workers.values():
            if worker.kind == "function" and len(worker.attempts) > 1:
                found.update(read_marks(str(worker.directory)).keys() & worker.attempts.keys())
            else:
                found.update(worker.attempts)
        return found

    def follow(self, worker: str, token: int) -> bool:
        """Ask a keeper to write a running attempt's output to its file and to say when it grows."""
        holder = self._workers.get(worker)
        if holder is None or holder.link is None or holder.kind != "keeper":
            return False
        holder.link.send({"do": "follow", "token": token})
        return True


def _failed(group: str, module: str, message: str) -> dict[str, Any]:
    """The report of a template that could not make one."""
    failure = {"module": module, "message": message}
    return {"group": group, "tasks": [], "functions": {}, "failures": [failure]}


def _read_holder(folder: Path) -> dict[str, Any] | None:
    """What the holder of an instance's lock wrote about itself."""
    try:
        fd = os.open(folder / "lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        line = os.pread(fd, COMMAND_OFFSET, 0).split(b"\n")[0]
    finally:
        os.close(fd)
    try:
        holder = json.loads(line)
    except ValueError:
        return None
    return holder if isinstance(holder, dict) and isinstance(holder.get("pid"), int) else None


def _living_holder(folder: Path) -> dict[str, Any] | None:
    """The process that holds an instance's lock, if it is the one that wrote itself there.

    A held lock without that process is a fork of user code: the worker is dead.
    """
    if not burial.is_locked(folder):
        return None
    holder = _read_holder(folder)
    if holder is None:
        return None
    try:
        if holder["boot"] != boot_id() or process_start(holder["pid"]) != holder["start"]:
            return None
        return holder if processes.is_alive(holder["pid"]) else None
    except (OSError, KeyError):
        return None
