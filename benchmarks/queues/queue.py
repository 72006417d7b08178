"""What the driver asks of a task queue. Each peer's file has one, called ``queue``."""

from __future__ import annotations

import os
import subprocess
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeVar

from benchmarks import tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Handle = TypeVar("Handle")
"""What a queue gives to whoever wants to hear of a job again."""

NAME: Final = os.environ["BENCH_QUEUE"]
"""What everything begins with that this turn writes into a server: queues, keys, schemas. It differs
from turn to turn."""

FOLDER: Final = Path(os.environ["BENCH_FOLDER"])
"""Where what is no server keeps its files."""

_LAST: Final = 500


def run_true() -> int:
    """A command with its output captured; its exit code."""
    return subprocess.run(["/bin/true"], capture_output=True, check=False).returncode


FUNCTIONS: Final[dict[str, Callable[[], Any]]] = {
    "noop": tasks.noop,
    "stamp": tasks.stamp,
    "run_true": run_true,
}
"""What the workers of every peer can be asked to call, by name."""


class Queue(ABC, Generic[Handle]):
    """A task queue, set up as its row on the page says."""

    has_supervisor: ClassVar = True
    """Its programs start the workers and watch over them; else they are the workers."""

    has_bulk: ClassVar = False
    """`submit_many` is quicker than one by one."""

    @abstractmethod
    def workers(self) -> list[list[str]]:
        """The programs that run: together two processes call functions."""

    @abstractmethod
    def submit(self, function: str) -> Handle:
        """Submit one job, as an application does; ``function`` is a name of `FUNCTIONS`."""

    def start_counting(self) -> None:
        """What is submitted from here on is asked for; no earlier job is at work."""

    @abstractmethod
    def ended(self, jobs: Sequence[Handle]) -> int:
        """How many of these have ended and their results are stored.

        ``jobs``: of those submitted since `start_counting`, and in their order.
        """

    @abstractmethod
    def result(self, job: Handle, limit_s: float) -> int:
        """Wait for the result of a ``stamp``. Raises an error of its own kind when it takes longer."""

    def nappers(self, count: int) -> list[list[str]]:
        """The program that runs ``nap``, in one process, ``count`` at once.

        Raises LookupError: this queue has nothing of that kind, and no row in the measure of coroutines.
        """
        raise LookupError(
            f"{type(self).__name__} runs no naps side by side, here asked for {count}"
        )

    def submit_many(self, function: str, count: int) -> list[Handle]:
        """Submit so many, in the quickest way that this queue has."""
        return [self.submit(function) for _ in range(count)]

    def have_ended(self, jobs: Sequence[Handle]) -> bool:
        """Whether all of these have, of those submitted since `start_counting`.

        Those that were submitted last are taken last, so as long as one of them is missing nobody else
        is looked up: to ask for each again and again would be part of what is measured.
        """
        last = jobs[-_LAST:]
        return self.ended(last) == len(last) and self.ended(jobs) == len(jobs)

    def failed(self, jobs: Sequence[Handle]) -> int:
        """How many of those that `ended` counts have failed: some store that as a result too."""
        del jobs
        return 0

    def prepare(self) -> None:
        """Make what must be there before the first submit."""

    def close(self) -> None:
        """Give back what only this process has the name of."""

    def clean(self) -> None:
        """Remove from the server whatever bears `NAME`; nobody works any more."""


def program(name: str) -> str:
    """A program that came with a peer."""
    return str(Path(sys.executable).with_name(name))
