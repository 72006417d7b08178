"""Signatures that are made of others: chains, groups, chords, and many calls in one job.

::

    (fetch.s(url) | parse.s() | store.si(17)).delay()       # one after the other
    group(fetch.s(url) for url in urls).delay().get()       # side by side
    chord([fetch.s(url) for url in urls], merge.s()).delay()  # and then one with all results

All jobs of one are stored in one transaction, in an order that nobody has to watch over: the end of each
decides in its own transaction who goes on. They fail as a whole explicitly: where a step does not succeed, those
that need it are revoked.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, cast

from jobctl.api.compiling import parts_of
from jobctl.api.group_results import GroupResult
from jobctl.api.signatures import Signature, signature
from jobctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping


class _Combined(Signature[Any]):
    """What is made of other signatures, which stand in ``kwargs``; arguments are given on to them."""

    def _begin(self, kind: str, parts: Mapping[str, Any], options: Mapping[str, Any]) -> None:
        dict.__init__(
            self,
            task=f"jobctl.{kind}",
            args=(),
            kwargs=dict(parts),
            options={name: value for name, value in options.items() if value is not None},
            subtask_type=kind,
            immutable=False,
        )

    def clone(
        self, args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Signature[Any]:
        """Give another one like it, which gives these arguments on."""
        other = super().clone((), None, **options)
        if not self.immutable:
            other["args"] = (*args, *other["args"])
            if kwargs:
                other["named"] = {**other.get("named", {}), **kwargs}
        return other

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Submit it: ``chain(…)()``, ``group(…)()``."""
        return self.apply_async(args, **options)

    @property
    def tasks(self) -> list[Signature[Any]]:
        """Its parts."""
        return cast("list[Signature[Any]]", self["kwargs"]["tasks"])

    def __repr__(self) -> str:
        return f"<{self.subtask_type}>"


def _told(kind: str, given: Mapping[str, Any], into: Signature[Any]) -> Any:
    """Take over what a mapping that came as JSON says beside its parts."""
    for name in ("args", "named", "options", "immutable"):
        if given.get(name):
            into[name] = given[name]
    return into


class chain(_Combined):  # noqa: N801 -- Celery's name
    """One after the other: each is given the result of the one before it, unless it is immutable.

    Its result is that of the last one; ``parent`` leads back to those before.
    """

    def __init__(self, *tasks: Any, **options: Any) -> None:
        self._begin("chain", {"tasks": _unchained(_listed(tasks))}, options)

    def __or__(self, other: Any) -> Any:
        """The same with another one after it."""
        if not isinstance(other, Signature):
            return NotImplemented
        longer = self.clone()
        longer["kwargs"]["tasks"] += _unchained([other])
        return longer

    def link(self, callback: Any) -> Any:
        """Let a job of this signature follow when the last one has succeeded; gives it back."""
        return self._add("link", callback)


class group(_Combined):  # noqa: N801 -- Celery's name
    """Side by side: their result is a `GroupResult`, the list of what they come to."""

    def __init__(self, *tasks: Any, **options: Any) -> None:
        self._begin("group", {"tasks": [signature(one) for one in _listed(tasks)]}, options)

    def __len__(self) -> int:
        return len(self.tasks)

    def __bool__(self) -> bool:
        return True

    def __or__(self, other: Any) -> Any:
        """``group | task`` is a chord."""
        if not isinstance(other, Signature):
            return NotImplemented
        return chord(self, other)

    def apply_async(  # type: ignore[override]
        self, args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> GroupResult:
        """Submit all of it; options are those of each job. Raises as `Signature.apply_async` does."""
        for name in ("link", "link_error"):
            if options.get(name) or self["options"].get(name):
                raise UsageError(
                    f"{name} is for single tasks, and this is a group",
                    hint="A chord has a task after a group; link_error() of the group links each of it.",
                )
        if not self.tasks:
            return GroupResult([], id=0)
        return cast("GroupResult", super().apply_async(args, kwargs, **options))

    def delay(self, *args: Any, **kwargs: Any) -> GroupResult:  # type: ignore[override]
        """`apply_async` with these arguments."""
        return self.apply_async(args, kwargs)

    def link(self, callback: Any) -> Any:
        """Let a job of this signature follow the first of them, without its result."""
        return self.tasks[0].link(signature(callback).clone(immutable=True))

    def link_error(self, errback: Any) -> Any:
        """Let a job of this signature be made for each of them that fails, without what is known of it."""
        return tuple(
            task.link_error(signature(errback).clone(immutable=True)) for task in self.tasks
        )

    def skew(self, start: float = 1.0, stop: float | None = None, step: float = 1.0) -> group:
        """Let each begin a step later than the one before it, the first after ``start`` seconds, and none after
        ``stop``; gives itself."""
        for task, countdown in zip(self.tasks, _delays(start, stop, step), strict=False):
            task.set(countdown=countdown)
        return self


class chord(_Combined):  # noqa: N801 -- Celery's name
    """A group and what comes after it: the body is given the list of all results.

    It is revoked when one of the header does not succeed; with ``until="end"`` it goes on, and what did not
    succeed stands as None in the list.
    """

    def __init__(
        self, header: Any, body: Any = None, *, until: str = "success", **options: Any
    ) -> None:
        if until not in ("success", "end"):
            raise UsageError('until is "success" or "end"', hint='Say until="end" to go on.')
        given = header if isinstance(header, group) else group(_header(header))
        after = None if body is None else signature(body)
        self._begin("chord", {"header": given, "body": after, "until": until}, options)

    @property
    def tasks(self) -> list[Signature[Any]]:
        """Its header."""
        return cast("group", self["kwargs"]["header"]).tasks

    @property
    def body(self) -> Any:
        """What comes after the header."""
        return self["kwargs"]["body"]

    def __call__(self, body: Any = None, **options: Any) -> Any:
        """Submit it: ``chord(header)(body)``."""
        made = self.clone()
        if body is not None:
            made["kwargs"]["body"] = signature(body)
        return made.apply_async((), None, **options)

    def __or__(self, other: Any) -> Any:
        """The same with another one after its body."""
        if not isinstance(other, Signature):
            return NotImplemented
        longer = self.clone()
        longer["kwargs"]["body"] = longer["kwargs"]["body"] | other
        return longer

    def link(self, callback: Any) -> Any:
        """Let a job of this signature follow the body."""
        return self.body.link(callback)

    def link_error(self, errback: Any) -> Any:
        """Let a job of this signature be made when the body fails, or cannot be made because of the header."""
        return self.body.link_error(errback)


class xmap(_Combined):  # noqa: N801 -- Celery's name
    """One job that calls its task for each of a list, one after the other; its result is a list."""

    _kind = "xmap"

    def __init__(self, task: Any, it: Iterable[Any], **options: Any) -> None:
        call = signature(task)
        self._begin(self._kind, {"it": [*it]}, {**call.options, **options})
        self["task"] = call.task
        self["immutable"] = True


class xstarmap(xmap):  # noqa: N801 -- Celery's name
    """The same with a list of arguments for each call."""

    _kind = "xstarmap"


class chunks(_Combined):  # noqa: N801 -- Celery's name
    """Many calls as a group of jobs that make ``n`` of them each."""

    def __init__(self, task: Any, it: Iterable[Any], n: int, **options: Any) -> None:
        call = signature(task)
        self._begin("chunks", {"it": [*it], "n": n}, {**call.options, **options})
        self["task"] = call.task
        parts_of(self)

    def group(self) -> group:
        """The group that it is."""
        return group([signature(part) for part in parts_of(self)])

    def apply_async(  # type: ignore[override]
        self, args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> GroupResult:
        """Submit the group."""
        return self.group().apply_async(args, kwargs, **options)


def _listed(tasks: tuple[Any, ...]) -> list[Any]:
    """The parts as they are given: one by one, as one list, or as what makes one."""
    if len(tasks) != 1 or isinstance(tasks[0], str):
        return [*tasks]
    (only,) = tasks
    if isinstance(only, group):
        return [*only.tasks]
    return [only] if isinstance(only, dict) else [*only]


def _unchained(tasks: Iterable[Any]) -> list[Signature[Any]]:
    """The tasks of a chain; chains among them are part of it."""
    found: list[Signature[Any]] = []
    for one in tasks:
        task = signature(one)
        if isinstance(task, chain) and not task["options"] and not task["args"]:
            found += _unchained(task.tasks)
        else:
            found.append(task)
    return found


def _header(header: Any) -> list[Any]:
    if isinstance(header, chunks):
        return header.group().tasks
    return [header] if isinstance(header, dict) else [*header]


def _delays(start: float, stop: float | None, step: float) -> Iterator[float]:
    for delay in itertools.count(start, step):
        if stop is not None and delay >= stop:
            return
        yield delay


def _made(make: Callable[[Mapping[str, Any]], Any], kind: str) -> None:
    Signature._kinds[kind] = lambda given: _told(kind, given, make(given["kwargs"]))


_made(lambda parts: chain(*parts["tasks"]), "chain")
_made(lambda parts: group([*parts["tasks"]]), "group")
_made(
    lambda parts: chord(
        signature(parts["header"]) if isinstance(parts["header"], dict) else parts["header"],
        parts.get("body"),
        until=parts.get("until", "success"),
    ),
    "chord",
)
Signature._kinds["xmap"] = lambda given: _told(
    "xmap", given, xmap(given["task"], given["kwargs"]["it"])
)
Signature._kinds["xstarmap"] = lambda given: _told(
    "xstarmap", given, xstarmap(given["task"], given["kwargs"]["it"])
)
Signature._kinds["chunks"] = lambda given: _told(
    "chunks", given, chunks(given["task"], given["kwargs"]["it"], given["kwargs"]["n"])
)
