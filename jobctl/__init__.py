"""jobctl runs the jobs of a server: scheduled and queued, commands and Python functions.

``from jobctl import task`` is the front door of the Python side. What it hands out lives in
`jobctl.api` and is imported at its first use: the commands import this package too and must not pay
for it.
"""

from __future__ import annotations

import sys

# Said by hand: importing typing would cost a hot verb more than all it does. Type checkers know it.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.api import AsyncResult as AsyncResult
    from jobctl.api import FunctionTask as FunctionTask
    from jobctl.api import GroupResult as GroupResult
    from jobctl.api import Signature as Signature
    from jobctl.api import around_attempts as around_attempts
    from jobctl.api import autodiscover as autodiscover
    from jobctl.api import chain as chain
    from jobctl.api import chord as chord
    from jobctl.api import chunks as chunks
    from jobctl.api import configure as configure
    from jobctl.api import group as group
    from jobctl.api import maybe_signature as maybe_signature
    from jobctl.api import send_task as send_task
    from jobctl.api import shared_task as shared_task
    from jobctl.api import signature as signature
    from jobctl.api import submit_many as submit_many
    from jobctl.api import task as task
    from jobctl.api import xmap as xmap
    from jobctl.api import xstarmap as xstarmap
    from jobctl.raised import Ignore as Ignore
    from jobctl.raised import MaxRetriesExceeded as MaxRetriesExceeded
    from jobctl.raised import Reject as Reject
    from jobctl.raised import Retry as Retry
    from jobctl.raised import SoftTimeout as SoftTimeout
    from jobctl.reports import progress as progress

__version__ = "0.1.0"

__all__ = [
    "AsyncResult",
    "FunctionTask",
    "GroupResult",
    "Ignore",
    "MaxRetriesExceeded",
    "Reject",
    "Retry",
    "Signature",
    "SoftTimeout",
    "__version__",
    "around_attempts",
    "autodiscover",
    "chain",
    "chord",
    "chunks",
    "configure",
    "group",
    "maybe_signature",
    "progress",
    "send_task",
    "shared_task",
    "signature",
    "submit_many",
    "task",
    "xmap",
    "xstarmap",
]

_RAISED = frozenset({"Ignore", "MaxRetriesExceeded", "Reject", "Retry", "SoftTimeout"})
_REPORTED = frozenset({"progress"})
_OF_API = frozenset(__all__) - {"__version__", "task"} - _RAISED - _REPORTED


if not TYPE_CHECKING:  # a type checker would take it for "has every name"

    def __getattr__(name: str) -> Any:
        if name in _OF_API:
            from jobctl import api

            found = globals()[name] = getattr(api, name)
            return found
        if name in _RAISED:
            from jobctl import raised

            found = globals()[name] = getattr(raised, name)
            return found
        if name in _REPORTED:
            from jobctl import reports

            found = globals()[name] = getattr(reports, name)
            return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _FrontDoor(type(sys)):  # type: ignore[misc]
    """This package's own type, because ``jobctl.task`` is two things.

    It is the decorator, and ``jobctl/task/`` is the package of what a task is. Importing that package
    binds it to the name ``task`` here, so whoever came second would win. A data descriptor of the type
    stands before the module's own names: the attribute is the decorator, whatever was imported before
    or is imported later, while ``from jobctl.task import Task`` goes by `sys.modules` and is not touched
    by it.
    """

    @property
    def task(self) -> Any:
        from jobctl.api import task

        return task

    @task.setter
    def task(self, package: Any) -> None:
        """Let the import system bind the package, and forget it."""


sys.modules[__name__].__class__ = _FrontDoor
