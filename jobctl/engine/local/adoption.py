"""After a restart of the daemon: everything that lives is found again, and everything that died.

The folders below ``run/`` say who there is, their locks who lives. Nothing is asked of anybody here: a
worker may be stopped, or busy in user code for hours. Crash recovery is this same code.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from jobctl.engine.base import Settled
from jobctl.engine.local import burial, cgroups, holder, trash
from jobctl.engine.local.template import Template
from jobctl.engine.local.worker import Phase, Worker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobctl.engine.base import Adoptable
    from jobctl.engine.local.batches import Batches
    from jobctl.engine.local.births import Births
    from jobctl.engine.local.deaths import Deaths
    from jobctl.engine.local.house import House
    from jobctl.engine.local.templates import Templates

_BIRTH_PROBE_S = 0.02


class Adoption:
    """See the module."""

    def __init__(
        self, house: House, births: Births, deaths: Deaths, templates: Templates, batches: Batches
    ) -> None:
        self._house = house
        self._births = births
        self._deaths = deaths
        self._templates = templates
        self._batches = batches

    def adopt(self, running: Mapping[str, Sequence[Adoptable]]) -> None:
        """Find every template and worker again, with what the store says that each of them holds."""
        run_dir = self._house.run_dir
        run_dir.mkdir(mode=0o711, exist_ok=True)
        self._house.trash.resume()
        unknown = dict(running)
        for directory in _folders(run_dir):
            if directory.suffix != trash.SUFFIX:
                self._adopt_template(directory, unknown)
        now = self._house.clock.now()
        cause = "the folder of its worker is gone"
        for instance, attempts in unknown.items():
            outcomes = [burial.lost(a, now, proof="unproved", cause=cause) for a in attempts]
            self._house.outbox.emit(Settled(instance, (), outcomes))
        self._house.cgroups.prune(self._house.workers.keys())

    def _adopt_template(self, directory: Path, running: dict[str, Sequence[Adoptable]]) -> None:
        house = self._house
        template = Template(directory.name, directory, None)
        house.templates[directory.name] = template
        for folder in _folders(directory):
            if folder != template.outcomes_dir:
                self._adopt_worker(folder, running.pop(folder.name, ()))
        self._emit_records(template)
        self._look_at_template(template)

    def _look_at_template(self, template: Template) -> None:
        directory = template.directory
        if holder.read(directory) is None and holder.is_locked(directory):
            # It is being born: the daemon that started it died before it could write its name.
            self._house.timers.after(_BIRTH_PROBE_S, lambda: self._look_at_template(template))
            return
        living = holder.living(directory)
        if living is None:
            self._deaths.clear(template)
            return
        template.pid = living.pid
        template.kind = living.kind.removeprefix("template-")
        self._templates.adopt(template)

    def _adopt_worker(self, folder: Path, attempts: Sequence[Adoptable]) -> None:
        worker = Worker(instance=folder.name, kind="keeper", group="", directory=folder, cgroup="")
        worker.attempts = {attempt.token: attempt for attempt in attempts}
        worker.not_running = list(worker.attempts)
        worker.made = len(attempts)
        self._house.workers[folder.name] = worker
        self.look_at(worker)

    def look_at(self, worker: Worker) -> None:
        """Find out whether a worker lives that this daemon knows by its folder only."""
        if worker.phase is not Phase.STARTING or worker.pid:
            return
        folder = worker.directory
        found = holder.read(folder)
        if found is None and holder.is_locked(folder):
            # It is being born: it has its lock and has not written its name there yet.
            self._house.timers.after(_BIRTH_PROBE_S, lambda: self.look_at(worker))
            return
        # It wrote its name before it was given anything: what is lost of that was lost with the power.
        worker.is_nameless = found is None
        if found is not None:
            worker.kind, worker.group = found.kind, found.group
            worker.concurrency = found.concurrency
            worker.is_from_earlier_boot = not found.is_of_this_boot
            cgroup = found.cgroup
            if folder.stat().st_uid != os.geteuid():
                # Another user's worker is put into its cgroup by the daemon, and does not know it.
                cgroup = self._house.cgroups.of(worker.instance)
            else:
                worker.corners = {
                    name: path
                    for name, path in found.corners.items()
                    if cgroups.is_corner(Path(path))
                }
            if cgroup and cgroups.is_of(worker.instance, cgroup):
                worker.cgroup = cgroup
            worker.watch_memory(self._house.cgroups.limiting)
        living = holder.living(folder)
        if living is None:
            worker.phase = Phase.GREETING
            # Not at once: its template may live, and say how it died.
            self._house.timers.after(0.0, lambda: self._deaths.notice(worker))
            return
        worker.pid = living.pid
        worker.phase = Phase.GREETING
        if worker.kind == "function":
            self._batches.adopted(worker, list(worker.attempts.values()))
        self._births.watch(worker)
        template = self._house.template_of(worker)
        if template is not None and template.is_retiring:
            worker.retire()

    def _emit_records(self, template: Template) -> None:
        """Outcomes that nobody has acknowledged: of the living, the dead, and of nobody known."""
        holders = {
            token: worker.instance
            for worker in self._house.workers.values()
            for token in worker.attempts
        }
        for record in self._house.outbox.records(template.outcomes_dir, holders.keys()):
            worker = holders.get(record.token, "")
            self._house.outbox.emit(Settled(worker, (), [record]))


def _folders(directory: Path) -> list[Path]:
    """The folders in a folder, which may be another user's: a link could lead to any other worker."""
    return sorted(p for p in directory.iterdir() if p.is_dir() and not p.is_symlink())
