"""Workflows as jobs: what a signature made of others means, step by step, before it is submitted.

Each job is given what the step before it comes to: the result of one job, or a list of results, where a group
came before. A chain hands on from one to the next, a group gives the same to all of its members, a chord is a
group with a job after it. So nothing is left to be decided when it runs: which job waits for which, and whose
results it takes, is known here.
"""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Final

from jobctl.api.options import make_job
from jobctl.errors import UsageError
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from jobctl.clock import Moment

MAX_JOBS: Final = 10_000
_DEEPEST: Final = 40
_EACH: Final = {"xmap": "one", "xstarmap": "star"}


@dataclass(frozen=True)
class Came:
    """What a part of a workflow comes to.

    Attributes:
        value: the place of the job whose result it is, or a list of such.
        after: the places of the jobs that have ended then.
        tree: the results that a program is given: ``(place, parent)`` or ``([trees], parent)``.
        shape: how it is shown, as the store keeps it.
    """

    value: Any
    after: tuple[int, ...]
    tree: Any
    shape: Any


@dataclass
class Workflow:
    """The jobs of a workflow, in an order in which each comes after those that it waits for."""

    now: Moment
    jobs: list[dict[str, Any]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        sig: Mapping[str, Any],
        before: Came | None,
        *,
        until: str,
        joins: bool,
        depth: int = 0,
    ) -> Came:
        """Add what a signature means, after what came before. Raises UsageError, InvalidArguments."""
        if depth > _DEEPEST:
            raise UsageError(f"a workflow has at most {_DEEPEST} parts in each other")
        kind = sig.get("subtask_type")
        if kind == "chain":
            came = self._add_chain(sig, before, until=until, joins=joins, depth=depth + 1)
        elif kind == "group":
            came = self._add_group(sig, before, until=until, joins=joins, depth=depth + 1)
        elif kind == "chord":
            came = self._add_chord(sig, before, until=until, joins=joins, depth=depth + 1)
        elif kind == "chunks":
            came = self._add_group(
                {**sig, "kwargs": {"tasks": parts_of(sig)}},
                before,
                until=until,
                joins=joins,
                depth=depth + 1,
            )
        else:
            came = self._add_job(sig, before, until=until, joins=joins)
        return self._link(sig, came, depth=depth + 1)

    def _add_chain(
        self, sig: Mapping[str, Any], before: Came | None, *, until: str, joins: bool, depth: int
    ) -> Came:
        tasks = sig["kwargs"]["tasks"]
        if not tasks:
            raise UsageError("the chain has no tasks", hint="Leave it out.")
        came = before
        shapes = []
        for task in _spread(sig, tasks):
            came = self.add(task, came, until=until, joins=joins, depth=depth)
            shapes.append(came.shape)
            # One after a group is the body of a chord.
            until, joins = "success", isinstance(came.value, list)
        assert came is not None
        return replace(came, shape=["chain", *shapes] if len(shapes) > 1 else shapes[0])

    def _add_group(
        self, sig: Mapping[str, Any], before: Came | None, *, until: str, joins: bool, depth: int
    ) -> Came:
        parts = [
            self.add(task, before, until=until, joins=joins, depth=depth)
            for task in _flat(_spread_to_all(sig, sig["kwargs"]["tasks"]))
        ]
        after = tuple(dict.fromkeys(place for part in parts for place in part.after))
        return Came(
            value=[part.value for part in parts],
            after=after or (before.after if before is not None else ()),
            tree=([part.tree for part in parts], before.tree if before is not None else None),
            shape=["group", *(part.shape for part in parts)],
        )

    def _add_chord(
        self, sig: Mapping[str, Any], before: Came | None, *, until: str, joins: bool, depth: int
    ) -> Came:
        parts = sig["kwargs"]
        body = parts.get("body")
        if body is None:
            raise UsageError(
                "the chord has no body", hint="chord(header)(body), or chord(header, body)."
            )
        header = {"subtask_type": "group", "kwargs": {"tasks": _tasks_of(parts["header"])}}
        given = {name: sig[name] for name in ("args", "named") if name in sig}
        came = self.add({**header, **given}, before, until=until, joins=joins, depth=depth)
        last = self.add(
            _with_options(body, sig.get("options") or {}),
            came,
            until=parts.get("until") or "success",
            joins=True,
            depth=depth,
        )
        return replace(last, shape=["chord", came.shape, last.shape])

    def _add_job(
        self, sig: Mapping[str, Any], before: Came | None, *, until: str, joins: bool
    ) -> Came:
        if len(self.jobs) >= MAX_JOBS:
            raise UsageError(
                f"a workflow has {MAX_JOBS} jobs at most",
                hint="chunks() puts many calls into one job.",
            )
        options = {
            name: value
            for name, value in (sig.get("options") or {}).items()
            if name not in ("link", "link_error") and value is not None
        }
        if "task_id" in options:
            raise UsageError(
                f'task "{sig["task"]}": a job of a workflow has no task_id of its own',
                hint="Give it to apply_async of the whole.",
            )
        args, kwargs = (*sig.get("args", ()),), sig.get("kwargs") or {}
        step: dict[str, Any] = {}
        takes = before is not None and not sig.get("immutable")
        kind = sig.get("subtask_type")
        if kind in _EACH:
            args, kwargs, takes = ([*kwargs["it"]],), {}, False
        elif kind is not None:
            raise UsageError(f'there is no kind "{kind}" of signatures')
        if takes and before is not None:
            is_known = not [*_places(before.value)]
            # Of a group without tasks: there is nobody to wait for.
            args = (before.value if is_known else None, *args)
            if not is_known:
                step["takes"] = before.value
        job = make_job(sig["task"], args, kwargs, options, now=self.now)
        if kind in _EACH:
            job["each"] = _EACH[kind]
        if before is not None and before.after:
            step["after"] = [*before.after]
            if until != "success":
                step["until"] = until
            if "delay_s" in job:
                # Counted from when its turn has come.
                step["delay_s"] = job.pop("delay_s")
        on_error = [self._on_error(errback) for errback in _listed(sig, "link_error")]
        if on_error:
            step["on_error"] = on_error
            if joins:
                step["joins"] = True
        place = len(self.jobs)
        self.jobs.append(job)
        self.steps.append(step)
        return Came(
            value=place,
            after=(place,),
            tree=(place, before.tree if before is not None else None),
            shape=place,
        )

    def _on_error(self, errback: Mapping[str, Any]) -> dict[str, Any]:
        if errback.get("subtask_type") is not None or _listed(errback, "link"):
            raise UsageError(
                "what follows an error is one job",
                hint="Let its function submit what else is to be done.",
            )
        options = {
            name: value
            for name, value in (errback.get("options") or {}).items()
            if name != "link_error" and value is not None
        }
        args, kwargs = errback.get("args", ()), errback.get("kwargs") or {}
        job = make_job(errback["task"], args, kwargs, options, now=self.now)
        return {**job, "immutable": True} if errback.get("immutable") else job

    def _link(self, sig: Mapping[str, Any], came: Came, *, depth: int) -> Came:
        """Let what is linked follow."""
        if sig.get("subtask_type") in ("chord", "group", "chunks"):
            return came  # Their methods have linked their parts.
        linked = [
            self.add(callback, came, until="success", joins=False, depth=depth).shape
            for callback in _listed(sig, "link")
        ]
        return replace(came, shape=["link", came.shape, *linked]) if linked else came

    def keep_what_is_taken(self) -> None:
        """What another step takes is kept, whatever its call says of its result."""
        for step in self.steps:
            for place in _places(step.get("takes")):
                self.jobs[place].pop("ignore_result", None)


def compile_workflow(sig: Mapping[str, Any], *, now: Moment) -> tuple[Workflow, Came]:
    """What a signature means. Raises UsageError, InvalidArguments."""
    workflow = Workflow(now=now)
    came = workflow.add(sig, None, until="success", joins=False)
    workflow.keep_what_is_taken()
    return workflow, came


def parts_of(sig: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parts of chunks: signatures of jobs that make ``n`` calls each."""
    told = sig["kwargs"]
    calls, size = [*told["it"]], told["n"]
    if type(size) is not int or size < 1:
        raise UsageError("chunks are of one call or more", hint="add.chunks(calls, 10)")
    return [
        {
            "task": sig["task"],
            "args": (),
            "kwargs": {"it": calls[begin : begin + size]},
            "options": dict(sig.get("options") or {}),
            "subtask_type": "xstarmap",
            "immutable": True,
        }
        for begin in range(0, len(calls), size)
    ]


def _tasks_of(header: Any) -> list[Any]:
    """The members of a header: of a group, of chunks, of a list, or the one that it is."""
    if not isinstance(header, dict):
        return [*header]
    if header.get("subtask_type") == "group":
        return [*header["kwargs"]["tasks"]]
    return parts_of(header) if header.get("subtask_type") == "chunks" else [header]


def _flat(tasks: Iterable[Any]) -> list[Any]:
    """The members of a group; groups among them are spread out, as Celery does."""
    found: list[Any] = []
    for task in tasks:
        if task.get("subtask_type") == "group":
            found += _flat(_spread_to_all(task, task["kwargs"]["tasks"]))
        elif task.get("subtask_type") == "chunks":
            found += parts_of(task)
        else:
            found.append(task)
    return found


def _spread(sig: Mapping[str, Any], tasks: Sequence[Any]) -> list[Any]:
    """The tasks of a chain: the first is given its arguments and options, the last what is linked, and each
    what is wanted on errors."""
    first, *rest = tasks
    options = dict(sig.get("options") or {})
    options.pop("link", None)
    errbacks = _listed({"options": options}, "link_error")
    options.pop("link_error", None)
    first = _with_arguments(first, sig)
    spread = [_with_options(first, options), *rest]
    if not errbacks:
        return spread
    return [_with_options(task, {"link_error": errbacks}) for task in spread]


def _spread_to_all(sig: Mapping[str, Any], tasks: Iterable[Any]) -> list[Any]:
    options = {
        name: value for name, value in (sig.get("options") or {}).items() if value is not None
    }
    return [_with_options(_with_arguments(task, sig), options) for task in tasks]


def _with_arguments(task: Mapping[str, Any], sig: Mapping[str, Any]) -> Mapping[str, Any]:
    """A signature that is given the arguments of the whole that it is a part of."""
    args, named = sig.get("args") or (), sig.get("named") or {}
    if (not args and not named) or task.get("immutable"):
        return task
    given = {**task, "args": (*args, *(task.get("args") or ()))}
    if task.get("subtask_type") is None:
        given["kwargs"] = {**(task.get("kwargs") or {}), **named}
    else:
        given["named"] = {**(task.get("named") or {}), **named}
    return given


def _with_options(task: Mapping[str, Any], options: Mapping[str, Any]) -> Mapping[str, Any]:
    if not options:
        return task
    own = task.get("options") or {}
    together = {**own, **options}
    for name in ("link", "link_error"):
        both = [*_listed(task, name), *_listed({"options": options}, name)]
        if both:
            together[name] = both
    return {**task, "options": together}


def _listed(sig: Mapping[str, Any], option: str) -> list[Any]:
    given = (sig.get("options") or {}).get(option)
    if given is None:
        return []
    return [*given] if isinstance(given, (list, tuple)) else [given]


def _places(takes: Any) -> Iterator[int]:
    if isinstance(takes, int):
        yield takes
    elif isinstance(takes, list):
        for part in takes:
            yield from _places(part)
