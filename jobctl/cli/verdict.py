"""The exit code of ``wait`` and ``submit --wait``: what a job's end means to a script, and to a person.

An exit code that is the command's own says what the command wanted to say, beside its output; nothing is
added, as ssh and env add nothing. Every other end (it could not be started, a signal, a time limit, an
exception, a loss, a cancellation) is told in one line, as a shell tells it of its own children: a bare 127
or 137 may be anybody's.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TIMED_OUT = 124
"""The wait itself timed out; the job goes on."""
UNKNOWN = 125
"""jobctl could not tell: the job was lost, or revoked before anything of it ran."""


def exit_code_of(answer: dict[str, Any]) -> int:
    """The code for an answer to ``wait``: that of the first job, in the order asked for, that is not 0."""
    if answer.get("timed_out"):
        return TIMED_OUT
    return next((code for code in map(code_of_job, answer["jobs"]) if code), 0)


def code_of_job(job: dict[str, Any]) -> int:
    """The command's own code, 128 + signal, 1 for a function that failed, else 125."""
    verdict, code, signal = job.get("verdict"), job.get("exit_code"), job.get("signal")
    if job["state"] == "SUCCESS":
        return int(code or 0)
    # A job may have been revoked after a round that ended in another way, or before any; and what is
    # known of a lost attempt is its keeper's end, not its own.
    if verdict is None or verdict in {"lost", "success"}:
        return UNKNOWN
    if job["state"] == "REVOKED" and verdict != "cancelled":
        return UNKNOWN
    if job.get("kind") == "function":
        return 1
    if signal is not None:
        return 128 + int(signal)
    # A command that was stopped may still end with 0; its job has not succeeded.
    return int(code or 0) or 1


def notes_of(answer: dict[str, Any]) -> list[str]:
    """A line for each job that ended in another way than by a command's own exit code; may be empty."""
    if answer.get("timed_out"):
        return []
    return [note for note in map(note_of_job, answer["jobs"]) if note]


def note_of_job(job: dict[str, Any]) -> str:
    """One line about a job's end; empty when its exit code says all."""
    name = f"job {job['id']}"
    state, verdict, signal = job["state"], job.get("verdict"), job.get("signal")
    error = job.get("error") or {}
    message = str(error.get("message") or "").split("\n", 1)[0]
    if state == "SUCCESS":
        return ""
    if state is None:
        return f"{name} has ended and was removed; how it ended is not known"
    if state == "REVOKED":
        return f"{name} was revoked: {job.get('reason') or 'no reason is known'}"
    if verdict == "timeout":
        return f"{name} was stopped at its time limit"
    if verdict == "lost":
        return f"{name} was {job.get('reason') or 'lost'}: {message}"
    if job.get("kind") == "function":
        what = ": ".join(part for part in (str(error.get("type") or ""), message) if part)
        return f"{name} failed: {what or job.get('reason')}"
    if error:
        return f"{name} could not be started: {message}"
    if signal is not None:
        return f"{name} was ended by {_signal_name(int(signal))}"
    return ""


def _signal_name(number: int) -> str:
    from signal import Signals

    try:
        return Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
