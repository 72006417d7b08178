"""The exit code of ``wait`` and ``submit --wait``: what a job's end means to a script."""

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
