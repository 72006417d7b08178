"""Attempts: one row each, written once, when the attempt has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jobctl.protocol.compact import dumps
from jobctl.store.statements import statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jobctl.clock import Moment
    from jobctl.result import Outcome
    from jobctl.store.database import Database

ALL: Final = 2**62
"""No limit."""


def row_of(
    outcome: Outcome, *, number: int, worker: str, claimed_at: Moment, ran_with: str | None
) -> tuple[Any, ...]:
    """The bindings of `add` for an outcome."""
    return (
        outcome.job_id,
        number,
        outcome.token,
        worker,
        outcome.verdict.value,
        claimed_at,
        outcome.started_at,
        outcome.finished_at,
        outcome.exit_code,
        outcome.signal,
        outcome.result,
        outcome.error,
        outcome.user_s,
        outcome.system_s,
        outcome.max_rss_bytes,
        outcome.peak_memory_bytes,
        outcome.output or None,
        outcome.output_bytes,
        int(outcome.output_file),
        outcome.stderr or None,
        outcome.stderr_bytes,
        int(outcome.stderr_file),
        _proof(outcome),
        ran_with,
    )


def _proof(outcome: Outcome) -> str | None:
    if outcome.remaining:
        return f"{outcome.proof}: {', '.join(map(str, outcome.remaining))} remain"
    return outcome.proof or None


def add(database: Database, rows: Iterable[tuple[Any, ...]]) -> None:
    """Write attempts that have ended, each as `row_of` gives it."""
    database.executemany(statement("attempts/add"), rows)


def add_done(
    database: Database,
    done: Iterable[tuple[int, int, Moment, Moment, str, int, Moment, str | None]],
    *,
    worker: str,
) -> None:
    """Write the attempts of functions that returned: ``(token, job_id, started_at, finished_at, result,
    number, claimed_at, task)``."""
    rows = (
        (job_id, number, token, worker, claimed_at, started_at, finished_at, result)
        for token, job_id, started_at, finished_at, result, number, claimed_at, _ in done
    )
    database.executemany(statement("attempts/add_done"), rows)


def of_job(
    database: Database, job_id: int, *, limit: int = ALL, longest_bytes: int = ALL
) -> list[dict[str, Any]]:
    """A job's newest ended attempts, first to last.

    ``result``, ``error``, ``ran_with`` and ``late`` are None where they are longer; ``result_bytes`` and
    ``error_bytes`` tell how long they are.
    """
    bindings = {"job_id": job_id, "limit": limit, "longest": longest_bytes}
    return database.dicts(statement("attempts/of_job"), bindings)[::-1]


def get(
    database: Database, job_id: int, *, number: int | None = None, longest_bytes: int = ALL
) -> dict[str, Any] | None:
    """One ended attempt of a job as `of_job` gives it, the newest without a number; None: there is none."""
    bindings = {"job_id": job_id, "number": number, "longest": longest_bytes}
    rows = database.dicts(statement("attempts/get"), bindings)
    return rows[0] if rows else None


def with_files(database: Database, job_id: int) -> list[tuple[int, bool, bool]]:
    """A job's attempts of which a stream lies in a file: number, the output does, standard error does."""
    rows = database.rows(statement("attempts/with_files"), (job_id,))
    return [(number, bool(output), bool(stderr)) for number, output, stderr in rows]


def drop_output(database: Database, *, job_id: int, number: int | None = None) -> bool:
    """Forget what a job's attempts wrote, or one of them; their files are the caller's to remove. False:
    nothing of it was kept."""
    database.execute(statement("attempts/drop_output"), {"job_id": job_id, "number": number})
    return database.changes() > 0


def find_token(database: Database, *, job_id: int, token: int) -> tuple[int, str] | None:
    """``(number, verdict)`` of the recorded attempt with this token, or None."""
    row = database.row(statement("attempts/find_token"), (job_id, token))
    return None if row is None else (row[0], row[1])


def add_late(database: Database, *, job_id: int, token: int, late: str) -> bool:
    """Keep an outcome that came too late beside its attempt; False when none is recorded."""
    database.execute(
        statement("attempts/add_late"), {"job_id": job_id, "token": token, "late": late}
    )
    return database.changes() == 1


def drop_results(database: Database, job_ids: Iterable[int]) -> None:
    """Forget what the attempts of these jobs have returned."""
    bindings = ({"job_id": job_id} for job_id in job_ids)
    database.executemany(statement("attempts/drop_results"), bindings)


def prune(database: Database, job_ids: Iterable[int]) -> None:
    """Remove all attempts of these jobs."""
    database.executemany(statement("attempts/prune"), ((job_id,) for job_id in job_ids))


def results_of(database: Database, job_ids: Sequence[int]) -> dict[int, str]:
    """What those of these jobs have returned that succeeded, as JSON texts; ``null`` where nothing is kept."""
    rows = database.rows(statement("attempts/results_of"), (dumps([*job_ids]),))
    return {row[0]: row[1] if row[1] is not None else "null" for row in rows}


def size_of_results(database: Database, job_ids: Sequence[int]) -> int:
    """How many bytes the newest results of these jobs have together."""
    row = database.row(statement("attempts/size_of_results"), (dumps([*job_ids]),))
    assert row is not None
    return int(row[0])
