"""Procrastinate: a schema of its own in a PostgreSQL."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import psycopg  # type: ignore[import-not-found]
from procrastinate import App, PsycopgConnector  # type: ignore[import-not-found]

from benchmarks.naps import nap
from benchmarks.queues.queue import FOLDER, FUNCTIONS, NAME, Queue, program
from benchmarks.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_URL: Final = os.environ["BENCH_POSTGRES_URL"]
_OPTIONS: Final = f"-c search_path={NAME}"
_STAMPS: Final = FOLDER / "stamps"
_CONCURRENCY: Final = 4

app = App(connector=PsycopgConnector(conninfo=_URL, kwargs={"options": _OPTIONS}))


def _coroutine(name: str, function: Callable[[], Any]) -> Callable[..., Any]:
    # It would call a plain function in a thread, which costs more.
    async def call(context: Any) -> None:
        value = function()
        if name == "stamp":
            # It stores no results.
            with _STAMPS.open("a") as file:
                file.write(f"{context.job.id} {value}\n")

    return call


_TASKS: Final[dict[str, Any]] = {
    name: app.task(_coroutine(name, function), name=name, queue=NAME, pass_context=True)
    for name, function in FUNCTIONS.items()
}
_TASKS["nap"] = app.task(nap, name="nap", queue=NAME)


class ProcrastinateQueue(Queue[int]):
    """Two workers, which nobody watches over."""

    has_supervisor = False
    has_bulk = True

    def __init__(self) -> None:
        self._connection: Any = None
        self._stamps: dict[int, int] = {}

    def prepare(self) -> None:
        """The schema with its tables, functions and triggers."""
        with psycopg.connect(_URL, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {NAME}")
        with app.open():
            app.schema_manager.apply_schema()

    def _open(self) -> None:
        app.open()
        self._connection = psycopg.connect(_URL, options=_OPTIONS, autocommit=True)

    def workers(self) -> list[list[str]]:
        """Each is a process with a loop."""
        return [self._worker(_CONCURRENCY)] * 2

    def nappers(self, count: int) -> list[list[str]]:
        """One of these with more slots."""
        return [self._worker(count)]

    @staticmethod
    def _worker(concurrency: int) -> list[str]:
        argv = [program("procrastinate"), "--app", f"{__name__}.app", "worker", "-q", NAME]
        return [*argv, "--concurrency", str(concurrency)]

    def submit(self, function: str) -> int:
        """What ``defer`` does."""
        if self._connection is None:
            self._open()
        job: int = _TASKS[function].defer()
        return job

    def submit_many(self, function: str, count: int) -> list[int]:
        """In one statement."""
        if self._connection is None:
            self._open()
        jobs: list[int] = _TASKS[function].batch_defer(*[{}] * count)
        return jobs

    def ended(self, jobs: Sequence[int]) -> int:
        """By the state of their rows."""
        found = self._connection.execute(
            "SELECT count(*) FROM procrastinate_jobs WHERE id = ANY(%s) AND status = 'succeeded'",
            [list(jobs)],
        )
        ((count,),) = found
        return int(count)

    def result(self, job: int, limit_s: float) -> int:
        """Where the function has written it."""

        def read() -> int | None:
            if job not in self._stamps and _STAMPS.exists():
                lines = _STAMPS.read_text().splitlines()
                self._stamps = {int(job): int(value) for job, value in map(str.split, lines)}
            return self._stamps.get(job)

        return until(f"the stamp of job {job}", read, limit_s=limit_s, every_s=0.001) or 0

    def clean(self) -> None:
        """With all that is in it."""
        with psycopg.connect(_URL, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {NAME} CASCADE")


queue = ProcrastinateQueue()
