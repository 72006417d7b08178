"""What one attempt came to.

An `Outcome` is a plain value: made by a worker, a keeper, or by whoever proves that a worker is dead;
sent over the worker's channel, or kept as a record on disk while no daemon listens; written into the
store once. `Outcome.to_json` and `Outcome.from_json` give the form of channel and record.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from jobctl.errors import ProtocolError
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobctl.clock import Moment


class Verdict(StrEnum):
    """How an attempt ended."""

    SUCCESS = "success"
    """The command's exit code counts as success, or the function returned."""
    FAILURE = "failure"
    """Another exit code, a signal, or an exception."""
    TIMEOUT = "timeout"
    """Stopped because it ran past its limit."""
    CANCELLED = "cancelled"
    """Stopped because somebody asked."""
    LOST = "lost"
    """Its worker or keeper died, and with it the exit status."""
    RELEASED = "released"
    """Nothing of it had begun; it does not count."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The end of one attempt.

    Attributes:
        token: the attempt's random token; a result is accepted with the current one only.
        job_id: whose attempt it was.
        verdict: how it ended.
        exit_code: of a command that ended by itself; None otherwise.
        signal: number of the signal that ended the command or the worker; None otherwise.
        result: JSON text of what a function returned; None for commands and for failures.
        error: JSON text of ``{"type", "message", "traceback"}``; None for success.
        started_at: begin of the work (the begin mark); None if it never began.
        finished_at: end of the work.
        user_s, system_s, max_rss_bytes: resource usage, where it is known; the memory is that of the largest
            of its processes.
        peak_memory_bytes: the most memory that all of them used together, as their control group counted it;
            None for what had none of its own.
        output: what the attempt wrote, head and tail within the cap, if that is small enough to live
            in the attempt's row; empty when it lies in a file.
        output_bytes: how much was written in all.
        output_file: the kept output lies in the attempt's file.
        stderr, stderr_bytes, stderr_file: the same of standard error, where it is kept apart from the
            output; ``stderr_bytes`` is None where it is part of that.
        proof: how it is known that nothing of the attempt is left: ``"cgroup"``, ``"subreaper"``,
            ``"process"``, ``"boot"`` or ``"unproved"``; empty when nobody asked.
        remaining: processes that were still there, by pid.
        kinds: names of the classes that the exception of a function belongs to, its own first
            (`jobctl.raised.kinds_of`); they decide about another attempt and are not stored.
        retry: JSON text of what a function asked for that raised `jobctl.Retry`; likewise.
    """

    token: int
    job_id: int
    verdict: Verdict
    finished_at: Moment
    started_at: Moment | None = None
    exit_code: int | None = None
    signal: int | None = None
    result: str | None = None
    error: str | None = None
    user_s: float | None = None
    system_s: float | None = None
    max_rss_bytes: int | None = None
    peak_memory_bytes: int | None = None
    output: bytes = b""
    output_bytes: int = 0
    output_file: bool = False
    stderr: bytes = b""
    stderr_bytes: int | None = None
    stderr_file: bool = False
    proof: str = ""
    remaining: tuple[int, ...] = ()
    kinds: tuple[str, ...] = ()
    retry: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The outcome as a JSON object; fields that hold their default are left out.

        Bytes are given as Latin-1 text, so that any output survives.
        """
        data: dict[str, Any] = {
            "token": self.token,
            "job_id": self.job_id,
            "verdict": self.verdict.value,
            "finished_at": self.finished_at,
        }
        for name in _OPTIONAL:
            value = getattr(self, name)
            if value is not None and value != _DEFAULTS[name]:
                data[name] = value
        if self.output:
            data["output"] = self.output.decode("latin-1")
        if self.stderr:
            data["stderr"] = self.stderr.decode("latin-1")
        if self.remaining:
            data["remaining"] = list(self.remaining)
        if self.kinds:
            data["kinds"] = list(self.kinds)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Outcome:
        """Read the form of `to_json`.

        Raises:
            ProtocolError: an unknown field, a missing one, or a value of another type.
        """
        fields = dict(data)
        try:
            output = fields.pop("output", "").encode("latin-1")
            stderr = fields.pop("stderr", "").encode("latin-1")
            remaining = tuple(fields.pop("remaining", ()))
            kinds = tuple(fields.pop("kinds", ()))
            verdict = Verdict(fields.pop("verdict"))
            outcome = cls(
                verdict=verdict,
                output=output,
                stderr=stderr,
                remaining=remaining,
                kinds=kinds,
                **fields,
            )
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise ProtocolError(f"an outcome cannot be read: {error}") from error
        for name, value in fields.items():
            if not _fits(value, _TYPES[name]):
                raise ProtocolError(f'an outcome cannot be read: "{name}" is of a wrong type')
        if not all(_fits(pid, int) for pid in remaining):
            raise ProtocolError('an outcome cannot be read: "remaining" is of a wrong type')
        if not all(_fits(kind, str) for kind in kinds):
            raise ProtocolError('an outcome cannot be read: "kinds" is of a wrong type')
        return outcome


def _fits(value: object, kind: type) -> bool:
    """The value can be stored as what it says it is."""
    if kind is float:
        return type(value) in (int, float)
    if kind is int:
        return type(value) is int and -(2**63) <= value < 2**63
    return type(value) is kind


_TYPES: dict[str, type] = {
    **dict.fromkeys(
        (
            "token",
            "job_id",
            "started_at",
            "finished_at",
            "exit_code",
            "signal",
            "max_rss_bytes",
            "peak_memory_bytes",
            "output_bytes",
            "stderr_bytes",
        ),
        int,
    ),
    **dict.fromkeys(("user_s", "system_s"), float),
    **dict.fromkeys(("result", "error", "proof", "retry"), str),
    "output_file": bool,
    "stderr_file": bool,
}

_OPTIONAL = (
    "started_at",
    "exit_code",
    "signal",
    "result",
    "error",
    "user_s",
    "system_s",
    "max_rss_bytes",
    "peak_memory_bytes",
    "stderr_bytes",
    "retry",
    "output_bytes",
    "output_file",
    "stderr_file",
    "proof",
)
_DEFAULTS: dict[str, Any] = {
    "output_bytes": 0,
    "output_file": False,
    "stderr_file": False,
    "proof": "",
    **dict.fromkeys(_OPTIONAL[:11]),
}
