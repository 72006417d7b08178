"""What the parts of the local engine share, and the few things that all of them do with it."""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING

from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jobctl.clock import Clock
    from jobctl.engine.base import Poller
    from jobctl.engine.local.cgroups import Cgroups
    from jobctl.engine.local.outbox import Outbox
    from jobctl.engine.local.template import Recipe, Template
    from jobctl.engine.local.timers import Timers
    from jobctl.engine.local.trash import Trash
    from jobctl.engine.local.worker import Worker


@dataclass(frozen=True, kw_only=True)
class Group:
    """A worker group, as far as this engine needs it.

    ``functions`` is the recipe of its function template, None when it has no functions to serve. How many
    functions one worker makes side by side stands in its ``spec`` as ``concurrency``; missing: one.
    """

    name: str
    processes: int
    commands: int
    max_tasks_per_child: int
    functions: Recipe | None


@dataclass(frozen=True, kw_only=True)
class Size:
    """How many workers of a group run functions, and how many commands run in it, at once."""

    processes: int
    commands: int


@dataclass(kw_only=True)
class House:
    """Everything that lives below ``run_dir``, and how to reach the world.

    Attributes:
        templates, workers: by instance. A worker's folder lies in its template's.
        groups: in force, by name.
        sizes: of groups by name, in place of what they say themselves.
        is_closing: the daemon is ending; nothing new is started.
    """

    run_dir: Path
    poller: Poller
    clock: Clock
    cgroups: Cgroups
    timers: Timers
    trash: Trash
    outbox: Outbox
    templates: dict[str, Template] = field(default_factory=dict)
    workers: dict[str, Worker] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    sizes: Mapping[str, Size] = field(default_factory=dict)
    is_closing: bool = False

    def sized(self, group: Group) -> Group:
        """The group with the size that it has now."""
        size = self.sizes.get(group.name)
        if size is None:
            return group
        return replace(group, processes=size.processes, commands=size.commands)

    def template_of(self, worker: Worker) -> Template | None:
        """The template that forked a worker, if it is still known."""
        return self.templates.get(worker.directory.parent.name)

    def children_of(self, template: Template) -> list[Worker]:
        """The workers that a template has forked."""
        return [w for w in self.workers.values() if w.directory.parent == template.directory]
