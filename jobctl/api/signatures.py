"""Signatures: calls that are not made yet, as values that can be passed on and combined.

A signature is a mapping, as Celery's is, so it can be an argument of a job: JSON turns it into a plain
mapping, and `signature` makes one of that again. What is made of several (`jobctl.api.canvas`) is a
signature, too. As in Celery, ``set``, ``link`` and ``link_error`` change the signature itself; ``clone``
gives another one.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeVar, Unpack, cast

from jobctl.api import workflows
from jobctl.api.calls import Plain, asubmit, submit
from jobctl.errors import NotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from jobctl.api.options import CallOptions
    from jobctl.api.results import AsyncResult

R = TypeVar("R")

_KEYS: Final = frozenset(
    {"task", "args", "kwargs", "options", "subtask_type", "immutable", "chord_size"}
)


class Signature(dict[str, Any], Generic[R]):
    """A task's name with arguments and options. Made by `FunctionTask.s`, `FunctionTask.si`, `signature`.

    Keys, which are attributes, too: ``task`` (a name), ``args`` (a tuple, or a list that came as JSON),
    ``kwargs``, ``options`` (as of `FunctionTask.apply_async`), ``subtask_type`` (None for a plain call),
    ``immutable``: it is given no result of an earlier step.
    """

    _kinds: ClassVar[dict[str, Callable[[Mapping[str, Any]], Signature[Any]]]] = {}

    def __init__(
        self,
        task: Any = None,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        options: CallOptions | None = None,
        subtask_type: str | None = None,
        immutable: bool = False,
        **more: Any,
    ) -> None:
        name = task if isinstance(task, str) else getattr(task, "name", None)
        if not isinstance(name, str):
            raise UsageError("a signature is of a task or of the name of one")
        super().__init__(
            task=name,
            args=tuple(args or ()),
            kwargs=dict(kwargs or {}),
            options={**(options or {}), **more},
            subtask_type=subtask_type,
            immutable=immutable,
        )

    @property
    def task(self) -> str:
        """The task's name."""
        return cast("str", self["task"])

    name = task

    @property
    def args(self) -> tuple[Any, ...]:
        """Its positional arguments."""
        return tuple(self["args"])

    @property
    def kwargs(self) -> dict[str, Any]:
        """Its named arguments."""
        return cast("dict[str, Any]", self["kwargs"])

    @property
    def options(self) -> CallOptions:
        """Its options."""
        return cast("CallOptions", self["options"])

    @property
    def subtask_type(self) -> str | None:
        """What it is made of; None: one call."""
        return cast("str | None", self.get("subtask_type"))

    @property
    def immutable(self) -> bool:
        """It is given no result of an earlier step."""
        return bool(self.get("immutable"))

    # -- others of it -----------------------------------------------------------------------------

    def clone(
        self, args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Signature[R]:
        """Give another one like it; arguments come before its own, options and named ones over its own."""
        other = copy.copy(self)
        other.update(copy.deepcopy(dict(self)))
        is_immutable = options.pop("immutable", None)
        if is_immutable is not None:
            other["immutable"] = bool(is_immutable)
        if not self.immutable:
            other["args"] = (*args, *other["args"])
            other["kwargs"].update(kwargs or {})
        other["options"].update(options)
        return other

    def set(self, immutable: bool | None = None, **options: Unpack[CallOptions]) -> Signature[R]:
        """Add options, or make it immutable; gives itself."""
        if immutable is not None:
            self["immutable"] = immutable
        self["options"].update(options)
        return self

    def set_immutable(self, immutable: bool) -> None:
        """Say whether it is given the result of an earlier step."""
        self["immutable"] = immutable

    def link(self, callback: Any) -> Any:
        """Let a job of this signature follow each of its jobs that succeeds, with the result; gives it back."""
        return self._add("link", callback)

    def link_error(self, errback: Any) -> Any:
        """Let a job of this signature be made for each of its jobs that fails; gives it back.

        A function that takes more than one positional argument is given the request, the exception and the
        traceback of the failed job, any other its id.
        """
        return self._add("link_error", errback)

    def on_error(self, errback: Any) -> Signature[R]:
        """`link_error`; gives itself."""
        self.link_error(errback)
        return self

    def _add(self, option: str, given: Any) -> Any:
        known = self["options"].get(option) or []
        listed = [*known] if isinstance(known, (list, tuple)) else [known]
        if given not in listed:
            listed.append(given)
        self["options"][option] = listed
        return given

    # -- made -------------------------------------------------------------------------------------

    def apply_async(
        self,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncResult[R]:
        """Submit it; returns when all of it is on stable storage. Arguments come before its own.

        Raises as `jobctl.api.send_task` does.
        """
        call = self.clone(args, kwargs, **options) if args or kwargs or options else self
        task = _find_task(workflows.first_task(call))
        if task is not None and task.is_made_in_place:
            return cast("AsyncResult[R]", workflows.apply(call, _find_task))
        if workflows.is_one_job(call):
            return submit(call)
        return cast("AsyncResult[R]", workflows.submit(call))

    def delay(self, *args: Any, **kwargs: Any) -> AsyncResult[R]:
        """`apply_async` with these arguments."""
        return self.apply_async(args, kwargs)

    async def adelay(self, *args: Any, **kwargs: Any) -> AsyncResult[R]:
        """`delay` for coroutines: other tasks of the loop go on meanwhile."""
        call = self.clone(args, kwargs) if args or kwargs else self
        if workflows.is_one_job(call):
            return await asubmit(call)
        return cast("AsyncResult[R]", await workflows.asubmit(call))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, here and now."""
        call = self.clone(args, kwargs)
        found = _find_task(self.task)
        if found is None:
            raise NotFound(
                f'there is no function task "{self.task}" to call here',
                hint="Import the module that declares it.",
            )
        return found(*call.args, **call.kwargs)

    def apply(self, args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        """Make its jobs here and now, without a daemon; see `FunctionTask.apply`."""
        return workflows.apply(self.clone(args, kwargs), _find_task)

    def __invert__(self) -> Any:
        """``~signature``: submit it and wait for its result."""
        return self.apply_async().get()

    def __or__(self, other: Any) -> Any:
        """``first | second``: the second is given the result of the first."""
        if not isinstance(other, Signature):
            return NotImplemented
        return Signature._kinds["chain"]({"kwargs": {"tasks": [self, other]}})

    def __copy__(self) -> Signature[R]:
        other = type(self).__new__(type(self))
        dict.update(other, self)
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> Signature[R]:
        other = type(self).__new__(type(self))
        dict.update(other, {name: copy.deepcopy(value, memo) for name, value in self.items()})
        return other

    def __reduce__(self) -> Any:
        return signature, (dict(self),)

    def __repr__(self) -> str:
        # Without arguments, which may be secrets.
        return f"<signature {self.task}>"


def signature(
    given: Any,
    args: Iterable[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    **options: Any,
) -> Signature[Any]:
    """A signature of a task, of its name, or of what JSON has made of one.

    Raises UsageError for a mapping that is none.
    """
    if isinstance(given, Signature):
        return (
            given.clone()
            if not (args or kwargs or options)
            else given.clone(args or (), kwargs, **options)
        )
    if not isinstance(given, dict):
        immutable = bool(options.pop("immutable", False))
        return Signature(given, args, kwargs, cast("CallOptions", options), immutable=immutable)
    known = cast("dict[str, Any]", given)
    if "task" not in known or not known.keys() <= _KEYS:
        raise UsageError(
            "this mapping is no signature", hint="Pass one on as it is: its keys are task, args, …"
        )
    kind = known.get("subtask_type")
    if kind is not None:
        make = Signature._kinds.get(kind)
        if make is None:
            raise UsageError(f'there is no kind "{kind}" of signatures')
        return make(known)
    return Signature(
        known["task"],
        known.get("args"),
        known.get("kwargs"),
        cast("CallOptions", known.get("options") or {}),
        immutable=bool(known.get("immutable")),
    )


def send_task(
    name: str,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    **options: Unpack[CallOptions],
) -> AsyncResult[Any]:
    """Submit a job of a task by its name, also of a command's; nothing of it need be imported here.

    Args:
        name: the task's name, or an alias.
        args, kwargs: its arguments, JSON values.
        options: see `FunctionTask.apply_async`.

    Raises:
        NotFound: no such task. InvalidArguments: it does not take these arguments, or they are not JSON.
        UsageError: an option that cannot be kept.
        Conflict: the ``task_id`` was used for another request.
        DaemonNotRunning, Unreachable: no daemon answered within the patience; the job may or may not be
            submitted (with a ``task_id`` the call can be repeated).
        StorageError: the daemon could not store it; nothing was submitted.
    """
    if options.get("link") or options.get("link_error"):
        return Signature[Any](name, args, kwargs, options).apply_async()
    return submit(Plain(name, tuple(args), dict(kwargs or {}), options))


def maybe_signature(given: Any, *_app: Any, **_named: Any) -> Signature[Any] | None:
    """A signature of what may be one; None for None."""
    return None if given is None else signature(given)


def find_tasks_by(find: Callable[[str], Any]) -> None:
    """Let signatures that are called here find their tasks like this: they are declared above this module."""
    _finders[:] = [find]


def _find_task(name: str) -> Any:
    return _finders[0](name) if _finders else None


_finders: Final[list[Callable[[str], Any]]] = []
