"""What becomes of a worker's attempts when it is dead.

The same rules serve a worker that dies under a living daemon and one that a new daemon finds dead:
they go by what lies in the worker's folder.

A function attempt ends with its worker: unbegun, it is released uncounted; with an end mark it is
settled from what was stored before the mark; else it is lost. A command's attempt is lost only when its
keeper is dead and nothing of the command is left (see `jobctl.engine.local.sweep`); one that the keeper
had not noted was never begun.
"""

from __future__ import annotations

import os
import signal
import stat
from dataclasses import replace
from typing import TYPE_CHECKING

from jobctl.errors import ProtocolError
from jobctl.protocol.compact import dumps, loads
from jobctl.result import Outcome, Verdict
from jobctl.worker.marks import RETURNED, RUNNING, TIMED_OUT, Mark
from jobctl.worker.record import record_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from jobctl.clock import Moment
    from jobctl.engine.base import Adoptable, Attempt

_MAX_RECORD_BYTES = 64 * 1024 * 1024


def read_record(outcomes_dir: Path, token: int) -> Outcome | None:
    """The record of an attempt, or None.

    The folder of a worker group with a user of its own belongs to that user: what lies there need not
    be a record, nor a file.

    Raises:
        ProtocolError: it cannot be read as an outcome of this attempt.
        OSError: it cannot be read at all.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(outcomes_dir / record_name(token), flags)
    except FileNotFoundError:
        return None
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MAX_RECORD_BYTES:
            raise ProtocolError("the record is no file of a reasonable size")
        data = file.read()
    try:
        value = loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"the record is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ProtocolError("the record is not an outcome")
    outcome = Outcome.from_json(value)
    if outcome.token != token:
        raise ProtocolError("the record is that of another attempt")
    return outcome


def settle_function(
    attempts: Iterable[Attempt | Adoptable],
    marks: Mapping[int, Mark],
    *,
    exit_code: int | None,
    verdicts: Mapping[int, Verdict],
    proof: str,
    now: Moment,
    cause: str = "",
    last_words: tuple[int, bytes, int] | None = None,
) -> list[Outcome]:
    """The outcomes of a dead function worker's attempts that left no record.

    ``exit_code`` is how the worker died as far as its template knows (negative: a signal);
    ``verdicts`` are, by token, those of attempts that this daemon was stopping: what had begun and not
    ended is lost otherwise; ``cause`` is why it did, when that was no wish of a user; ``last_words`` is what
    the worker had printed in the attempt that it was in (`jobctl.worker.printed.read_last_words`).
    """
    spoke_in, words, words_bytes = last_words or (0, b"", 0)
    outcomes = []
    for attempt in attempts:
        mark = marks.get(attempt.token)
        if mark is None:
            outcomes.append(released(attempt, now))
        elif mark.how == RETURNED:
            outcomes.append(_returned(mark))
        else:
            # Ended with a record that cannot be read: how it ended is lost, whoever ended the worker.
            asked = verdicts.get(attempt.token, Verdict.LOST)
            chosen = asked if mark.how in (RUNNING, TIMED_OUT) else Verdict.LOST
            if mark.how == TIMED_OUT and chosen is Verdict.LOST:
                chosen = Verdict.TIMEOUT
            outcome = lost(
                attempt,
                mark.ended_at if mark.how == TIMED_OUT else now,
                proof=proof,
                cause=(chosen is Verdict.LOST and cause) or _why(chosen, "worker", exit_code),
                verdict=chosen,
                exit_signal=_signal_of(exit_code),
                started_at=mark.begun_at,
            )
            if attempt.token == spoke_in:
                outcome = replace(outcome, output=words, output_bytes=words_bytes)
            outcomes.append(outcome)
    return outcomes


def settle_command(
    attempt: Attempt | Adoptable,
    *,
    was_begun: bool,
    exit_code: int | None,
    verdict: Verdict,
    proof: str,
    now: Moment,
) -> Outcome:
    """The outcome of a dead keeper's attempt that left no record, when nothing of it is left."""
    if not was_begun:
        return released(attempt, now)
    return lost(
        attempt,
        now,
        proof=proof,
        cause=_why(verdict, "keeper", exit_code),
        verdict=verdict,
        exit_signal=_signal_of(exit_code),
    )


def released(attempt: Attempt | Adoptable, now: Moment) -> Outcome:
    """The outcome of an attempt of which nothing had begun."""
    return Outcome(
        token=attempt.token, job_id=attempt.job_id, verdict=Verdict.RELEASED, finished_at=now
    )


def lost(
    attempt: Attempt | Adoptable,
    now: Moment,
    *,
    proof: str,
    cause: str,
    verdict: Verdict = Verdict.LOST,
    exit_signal: int | None = None,
    started_at: Moment | None = None,
) -> Outcome:
    """The outcome of an attempt whose own end nobody saw."""
    kind = "Lost" if verdict is Verdict.LOST else verdict.value.capitalize()
    return Outcome(
        token=attempt.token,
        job_id=attempt.job_id,
        verdict=verdict,
        started_at=started_at,
        finished_at=now,
        signal=exit_signal,
        error=dumps({"type": kind, "message": cause, "traceback": ""}),
        proof=proof,
    )


def out_of_memory(outcome: Outcome) -> Outcome:
    """The same loss, when the kernel says that it ended the process for want of memory."""
    if outcome.verdict is not Verdict.LOST:
        return outcome
    cause = "the kernel killed it because memory ran out"
    error = dumps({"type": "OutOfMemory", "message": cause, "traceback": ""})
    return replace(outcome, error=error)


def _returned(mark: Mark) -> Outcome:
    return Outcome(
        token=mark.token,
        job_id=mark.job_id,
        verdict=Verdict.SUCCESS,
        started_at=mark.begun_at,
        finished_at=mark.ended_at,
        result=mark.result,
    )


def _why(verdict: Verdict, what: str, exit_code: int | None) -> str:
    match verdict:
        case Verdict.TIMEOUT:
            return "stopped at its time limit"
        case Verdict.CANCELLED:
            return "stopped on request"
        case _:
            return describe_death(what, exit_code)


def _signal_of(exit_code: int | None) -> int | None:
    return -exit_code if exit_code is not None and exit_code < 0 else None


def describe_death(what: str, exit_code: int | None) -> str:
    """How a worker or keeper died, in words."""
    if exit_code is None:
        return f"its {what} died; how is not known, because its parent was dead too"
    if exit_code >= 0:
        return f"its {what} ended with exit code {exit_code}"
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = f"signal {-exit_code}"
    return f"its {what} was killed by {name}"
