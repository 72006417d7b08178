"""Which templates are in force, how one set of them gives way to another, and what they say.

A load brings a set of groups into force: their templates are started, or taken over from an earlier
daemon, and report what they found in the code; when all have reported, whoever asked decides, and only
then the old ones go. A template that dies takes nothing with it but the causes of its children's
deaths: they finish what they have, and another one takes its place.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, TypeAlias

from jobctl import __version__
from jobctl.engine.local import holder, messages, reach
from jobctl.engine.local.births import pause_s
from jobctl.engine.local.link import Link
from jobctl.engine.local.template import Recipe, Template, spawn
from jobctl.engine.local.worker import Phase, Worker
from jobctl.errors import Conflict, JobctlError, PlanError
from jobctl.logs import fields, logger
from jobctl.values import dataclass
from jobctl.worker import processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from jobctl.engine.local.births import Births
    from jobctl.engine.local.deaths import Deaths
    from jobctl.engine.local.house import Group, House
    from jobctl.errors import ProtocolError

_GREETING_S = 1.0
"""How long a template of an earlier daemon may take to answer before another takes its place."""

_IMPORT_PATIENCE_S = 10.0
"""How long modules may take to be imported before everything else goes into force without them: one
module that hangs must not keep the night's backup from running."""

_SETTLED_S = 10.0
"""A template that lived so long after its report has not failed at its start."""

_RESTART_PATIENCE_S = 300.0
"""How long modules may take to be imported when a group is restarted: who serves goes on meanwhile."""

Reports: TypeAlias = "dict[str, dict[str, Any]]"
Decide: TypeAlias = "Callable[[bool], None]"
OnReady: TypeAlias = "Callable[[Reports, Decide], None]"


@dataclass
class _Load:
    """A set of groups on its way into force."""

    groups: tuple[Group, ...]
    templates: dict[str, Template]
    on_ready: OnReady
    number: int
    is_asking: bool = False


@dataclass
class _Restart:
    """A new template of a group, on its way to take the place of the one in force."""

    template: Template
    judge: Callable[[Mapping[str, Any], Mapping[str, Any]], None]
    on_end: Callable[[int | JobctlError], None]


class Templates:
    """See the module. ``look_at`` takes another look at a child whose template died at its birth."""

    def __init__(
        self,
        house: House,
        births: Births,
        deaths: Deaths,
        *,
        keeper_recipe: Recipe,
        look_at: Callable[[Worker], None],
    ) -> None:
        self._house = house
        self._births = births
        self._deaths = deaths
        self._keeper_recipe = keeper_recipe
        self._look_at = look_at
        self._keepers: Template | None = None
        self._functions: dict[str, Template] = {}
        self._load: _Load | None = None
        self._loads = 0
        self._deferred: tuple[tuple[Group, ...], OnReady] | None = None
        self._may_wait = True
        self._failed_starts: dict[str, int] = {}
        # What the plan in force was made of, by group.
        self._reports: Reports = {}
        self._restarts: dict[str, _Restart] = {}
        births.find_keepers = lambda: self._keepers
        births.find_functions = self._functions_of

    def _functions_of(self, group: str) -> Template | None:
        return self._functions.get(group)

    def in_force(self) -> dict[str, int]:
        """The pid of each group's function template, by name; of one that lives."""
        return {name: t.pid for name, t in self._functions.items() if not t.is_dead}

    # -- a set of groups --------------------------------------------------------------------------

    def load(self, groups: Iterable[Group], on_ready: OnReady) -> None:
        """Bring groups into force; see `jobctl.engine.local.engine.LocalEngine.load`."""
        groups = tuple(groups)
        if self._may_wait and self._is_greeting():
            # Templates of an earlier daemon have not said yet what they are made of.
            self._deferred = (groups, on_ready)
            self._house.timers.after(_GREETING_S, lambda: self._go_on_loading(may_wait=False))
            return
        is_reload = bool(self._house.groups)
        templates = {
            group.name: self._template_for(group.functions, is_new=is_reload)
            for group in groups
            if group.functions is not None
        }
        self._loads += 1
        load = self._load = _Load(groups, templates, on_ready, self._loads)
        self._house.timers.after(_IMPORT_PATIENCE_S, lambda: self._go_on_without(load))
        if self._keepers is None or self._keepers.is_retiring:
            self._keepers = self._template_for(self._keeper_recipe, is_new=False)
        self._finish_load()

    def _is_greeting(self) -> bool:
        return any(
            template.recipe is None and template.link is not None and template.report is None
            for template in self._house.templates.values()
        )

    def _go_on_loading(self, *, may_wait: bool) -> None:
        if self._deferred is not None:
            groups, on_ready = self._deferred
            self._deferred = None
            self._may_wait = may_wait
            self.load(groups, on_ready)

    def _finish_load(self) -> None:
        """Change over when every template of the load has reported or died."""
        load = self._load
        if load is None or load.is_asking:
            return
        if any(template.report is None for template in load.templates.values()):
            return
        self._load = None
        reports = {name: template.report or {} for name, template in load.templates.items()}
        self._ask(load, reports)

    def _go_on_without(self, load: _Load) -> None:
        """Patience is over: what has not reported counts as failed until it does, and then is asked
        for again."""
        if self._load is not load:
            return
        message = "its modules are still being imported"
        reports = {
            name: _without_report(template, message) for name, template in load.templates.items()
        }
        self._ask(load, reports)

    def _ask(self, load: _Load, reports: Reports) -> None:
        """Ask whether to go on with these reports. The answer may come turns later: a large plan is much
        to think about. Until then the old groups serve."""

        def decide(is_accepted: bool) -> None:
            load.is_asking = False
            if not is_accepted:
                self._drop(load)
            elif load.number == self._loads:
                self._change_over(load, reports)
                # What counted as failed may have reported meanwhile.
                self._finish_load()

        load.is_asking = True
        load.on_ready(reports, decide)

    def _drop(self, load: _Load) -> None:
        """The new groups are not wanted; nothing has changed."""
        if self._load is load:
            self._load = None
        in_use = self._in_use()
        for template in load.templates.values():
            if template.instance not in in_use:
                template.retire()

    def _change_over(self, load: _Load, reports: Reports) -> None:
        """The new groups come into force, and the old ones go."""
        self._house.groups = {group.name: self._house.sized(group) for group in load.groups}
        self._functions = load.templates
        self._let_others_go()
        self._reports = reports
        self._births.fill_all()
        restarts, self._restarts = self._restarts, {}
        for name, restart in restarts.items():
            # Every group has new processes now.
            restart.on_end(len(self._functions_workers(name)))
        for template in load.templates.values():
            if template.is_dead and template.said is not None:
                # It has reported, and was of no plan in force when it died: nobody has replaced it.
                self._replace_later(template)

    def _let_others_go(self) -> None:
        """Whatever is not of the plan in force ends: idle children at once, busy ones after their work."""
        kept = self._in_use()
        for template in self._house.templates.values():
            if template.instance not in kept:
                template.retire()
        for worker in list(self._house.workers.values()):
            template_of = self._house.template_of(worker)
            is_wanted = worker.group in self._house.groups and (
                template_of is not None and not template_of.is_retiring
            )
            if not is_wanted and not worker.is_retiring:
                worker.retire()

    def _in_use(self) -> set[str]:
        used = {template.instance for template in self._functions.values()}
        if self._keepers is not None:
            used.add(self._keepers.instance)
        return used

    # -- one group, anew --------------------------------------------------------------------------

    def restart(
        self,
        name: str,
        judge: Callable[[Mapping[str, Any], Mapping[str, Any]], None],
        on_end: Callable[[int | JobctlError], None],
    ) -> None:
        """Replace a group's processes; see `jobctl.engine.local.engine.LocalEngine.restart`."""
        if name in self._restarts:
            on_end(
                Conflict(
                    f'worker group "{name}" is being restarted already',
                    hint="Try again when its modules have been imported.",
                )
            )
            return
        recipe = self._house.groups[name].functions
        assert recipe is not None, "only a template has anything to begin anew with"
        restart = _Restart(self._template_for(recipe, is_new=True), judge, on_end)
        self._restarts[name] = restart
        self._house.timers.after(_RESTART_PATIENCE_S, lambda: self._give_up(name, restart))
        self._finish_restart(name)

    def _finish_restart(self, name: str) -> None:
        """Change over when the group's new template has reported or died."""
        restart = self._restarts.get(name)
        if restart is None or restart.template.report is None:
            return
        del self._restarts[name]
        try:
            restart.judge(restart.template.report, self._reports[name])
        except JobctlError as refusal:
            restart.template.retire()
            restart.on_end(refusal)
            return
        self._functions[name].retire()
        self._functions[name] = restart.template
        replaced = self._functions_workers(name)
        for worker in replaced:
            # It goes on until another one serves in its place.
            worker.is_worn = True
        self._births.fill(self._house.groups[name])
        restart.on_end(len(replaced))

    def _functions_workers(self, name: str) -> list[Worker]:
        return [
            worker
            for worker in self._house.workers.values()
            if worker.kind == "function" and worker.group == name and not worker.is_retiring
        ]

    def _give_up(self, name: str, restart: _Restart) -> None:
        if self._restarts.get(name) is not restart:
            return
        del self._restarts[name]
        restart.template.retire()
        restart.on_end(
            PlanError(
                f'the modules of worker group "{name}" have not been imported for '
                f"{_RESTART_PATIENCE_S:.0f} s; nothing was replaced",
                hint="See what they do when they are imported.",
            )
        )

    # -- one template -----------------------------------------------------------------------------

    def _template_for(self, recipe: Recipe, *, is_new: bool) -> Template:
        """A template of this recipe: one that an earlier daemon left, unless new code is wanted."""
        left = None if is_new else self._left_by_earlier(recipe)
        if left is not None:
            left.recipe = recipe
            left.kind, left.group = recipe.kind, recipe.group
            return left
        house = self._house
        instance = os.urandom(8).hex()
        template = Template(instance, house.run_dir / instance, recipe)
        try:
            template.process = spawn(recipe, template.directory)
        except OSError as error:
            message = f'the interpreter "{recipe.python}" could not be started: {error}'
            logger.error(message, extra=fields(group=recipe.group))
            template.report = failed_report(recipe, message)
            template.is_retiring = True
            import shutil

            shutil.rmtree(template.directory, ignore_errors=True)
            if recipe.kind == "keeper":
                self._replace_later(template)
            return template
        house.templates[instance] = template
        template.started_at = house.clock.monotonic()
        template.pid = template.process.pid
        template.pidfd = os.pidfd_open(template.pid)
        house.poller.watch(template.pidfd, lambda: self._died(template))
        self._connect(template)
        return template

    def _left_by_earlier(self, recipe: Recipe) -> Template | None:
        wanted = json.loads(json.dumps(recipe.to_json()))
        in_use = self._in_use()
        for template in self._house.templates.values():
            said = template.said
            if (
                template.is_ready
                and said is not None
                and said.spec == wanted
                and said.version == __version__
                and template.instance not in in_use
            ):
                return template
        return None

    def adopt(self, template: Template) -> None:
        """Take over a living template of an earlier daemon; its kind and pid are known."""
        template.pidfd = os.pidfd_open(template.pid)
        self._house.poller.watch(template.pidfd, lambda: self._died(template))
        try:
            self._connect(template)
        except reach.Unreachable as error:
            # A function of one of its workers did that. Its children need nobody but this daemon.
            logger.error(
                "a template cannot be reached any more and is ended",
                extra=fields(pid=template.pid, reason=str(error)),
            )
            template.is_retiring = True
            processes.send(template.pid, 9)
        except OSError as error:
            logger.warning("a template does not answer", extra=fields(reason=str(error)))
            template.is_retiring = True
        if not holder.shares_mounts(template.pid):
            # Its children see folders that this daemon does not see.
            template.is_retiring = True

    def _connect(self, template: Template) -> None:
        def hear(said: list[dict[str, Any]]) -> None:
            for message in said:
                self._hear(template, message)

        def end(error: ProtocolError) -> None:
            logger.error(
                "a template broke the protocol and is ended",
                extra=fields(pid=template.pid, reason=error.message),
            )
            processes.send(template.pid, 9)

        # Until it has announced itself, the daemon that started it is who called listen.
        listeners = {template.pid} if template.process is None else {template.pid, os.getpid()}
        connection = reach.connect(template.directory, listeners)
        template.greet(Link(connection, self._house.poller, on_messages=hear, on_fault=end))

    # -- what it says -----------------------------------------------------------------------------

    def _hear(self, template: Template, message: dict[str, Any]) -> None:
        match messages.text(message, "is"):
            case "hello":
                self._meet(template, messages.template_hello(message))
            case "forked":
                instance = messages.text(message, "instance")
                self._births.meet(template, instance, messages.number(message, "pid"))
            case "refused":
                instance = messages.text(message, "instance")
                self._births.refused(template, instance, messages.text(message, "message"))
            case "ended":
                instance = messages.text(message, "instance")
                self._deaths.learn_cause(instance, messages.number(message, "code"))
            case unknown:
                logger.warning("a template says what is not known", extra=fields(kind=unknown))

    def _meet(self, template: Template, hello: messages.TemplateHello) -> None:
        template.said = hello
        template.report = hello.report
        template.kind = hello.kind
        for instance, pid in hello.children.items():
            if instance not in self._house.workers:
                # Forked for a daemon that died before it heard of it: it holds nothing.
                processes.send(pid, 9)
        if hello.is_retiring:
            # Told so by an earlier daemon, which had one with newer code in its place.
            template.is_retiring = True
            for worker in self._house.children_of(template):
                worker.retire()
            self._go_on_loading(may_wait=True)
            return
        if template.recipe is None and not template.is_retiring:
            # Left by an earlier daemon: wanted if its recipe is in the plan that comes into force.
            if self._deferred is None:
                template.retire()
            else:
                self._go_on_loading(may_wait=True)
            return
        self._finish_load()
        self._finish_restart(template.group)
        if template is self._keepers:
            self._births.fill_all()
        elif self._functions.get(template.group) is template:
            if _failed_modules(hello.report) <= _failed_modules(self._reports[template.group]):
                self._births.fill_all()
            else:
                self._refuse(template)

    def _refuse(self, template: Template) -> None:
        """A replacement that cannot import what its predecessor could: its jobs wait for one that can."""
        assert template.report is not None
        for failure in template.report["failures"]:
            logger.error(
                "a module cannot be imported any more; its group's jobs wait",
                extra=fields(
                    group=template.group, module=failure["module"], error=failure["message"]
                ),
            )
        template.retire()
        self._replace_later(template)

    # -- its end ----------------------------------------------------------------------------------

    def _died(self, template: Template) -> None:
        """Its children live on and serve; only their causes of death will not be known."""
        house = self._house
        if template.link is not None:
            template.link.read()
            template.link.close()
            template.link = None
        house.poller.unwatch(template.pidfd)
        os.close(template.pidfd)
        template.pidfd = -1
        if template.process is not None:
            template.process.wait()
            template.process = None
        was_wanted = not template.is_retiring and template.instance in self._in_use()
        template.is_retiring = True
        for worker in house.children_of(template):
            if worker.phase is Phase.STARTING:
                self._look_at(worker)
            elif worker.phase is Phase.DYING:
                self._deaths.begin_burial(worker)
            elif not worker.is_retiring:
                worker.retire()
        if template.report is None and template.recipe is not None:
            message = "its template ended before it had loaded the modules"
            template.report = failed_report(template.recipe, message)
            self._finish_load()
            self._finish_restart(template.group)
        self._deaths.clear(template)
        if was_wanted:
            logger.error("a template died; a new one is started", extra=fields(kind=template.kind))
            self._replace_later(template)

    def _replace_later(self, template: Template) -> None:
        key = f"{template.kind}/{template.group}"
        lived_s = self._house.clock.monotonic() - template.started_at
        has_settled = template.said is not None and lived_s >= _SETTLED_S
        self._failed_starts[key] = 1 if has_settled else self._failed_starts.get(key, 0) + 1
        pause = pause_s(self._failed_starts[key])
        self._house.timers.after(pause, lambda: self._replace(template))

    def _replace(self, template: Template) -> None:
        recipe = template.recipe
        if recipe is None or self._house.is_closing:
            return
        if template is self._keepers:
            self._keepers = self._template_for(recipe, is_new=True)
        elif self._functions.get(template.group) is template:
            self._functions[template.group] = self._template_for(recipe, is_new=True)


def failed_report(recipe: Recipe, message: str) -> dict[str, Any]:
    """The report of a template that could not make one: none of its modules can be used."""
    functions = recipe.spec.get("functions", {}).values()
    modules = [*recipe.spec.get("imports", ()), *(place.partition(":")[0] for place in functions)]
    failures = [{"module": module, "message": message} for module in dict.fromkeys(modules)]
    return {
        "group": recipe.group,
        "tasks": [],
        "functions": {},
        "coroutines": [],
        "bound": [],
        "schedules": [],
        "failures": failures,
    }


def _without_report(template: Template, message: str) -> dict[str, Any]:
    """What a template has reported, or that it has not."""
    if template.report is not None:
        return template.report
    assert template.recipe is not None
    return failed_report(template.recipe, message)


def _failed_modules(report: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(failure["module"] for failure in report.get("failures", ()))
