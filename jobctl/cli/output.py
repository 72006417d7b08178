"""The output of jobs on its way from the daemon's answers to the screen."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.cli.render import Screen


class OutputWriter:
    """Writes the answers to `jobctl.protocol.requests.Logs` as they come.

    Standard error that was kept apart goes to standard error, unless it is all that was asked for
    (``stream``).

    ``offset`` and ``stderr_offset`` are where the next parts begin, for who must ask again; ``final`` is
    the last answer, with ``attempt``, ``bytes``, ``stderr_bytes`` and ``state``, or None before it has come.
    """

    def __init__(self, screen: Screen, *, stream: str | None = None, is_tail: bool = False) -> None:
        self._screen = screen
        self._stream = stream
        self._offsets = {"stdout": 0, "stderr": 0}
        # The first part of a tail begins wherever it begins.
        self._may_begin_anywhere = {"stdout", "stderr"} if is_tail else set[str]()
        self._has_come = {"stdout": False, "stderr": False}
        self._is_tail = is_tail
        self.final: dict[str, Any] | None = None

    @property
    def offset(self) -> int:
        """How far standard output has come."""
        return self._offsets["stdout"]

    @property
    def stderr_offset(self) -> int:
        """How far standard error has come."""
        return self._offsets["stderr"]

    def take(self, answer: dict[str, Any]) -> None:
        """Write one answer's part, and say so if bytes before it were not kept."""
        if "data" not in answer:
            self._end(answer)
            return
        data = answer["data"].encode("latin-1")
        stream = answer.get("stream", "stdout")
        begin = answer.get("offset", self._offsets[stream])
        self._has_come[stream] = True
        missing = begin - self._offsets[stream]
        if missing > 0 and stream not in self._may_begin_anywhere:
            what = "standard error" if stream == "stderr" else "output"
            self._screen.note(f"jobctl: {missing} bytes of {what} were not kept")
        self._may_begin_anywhere.discard(stream)
        self._screen.raw(data, is_error=stream == "stderr" and self._stream is None)
        self._offsets[stream] = begin + len(data)

    def _end(self, answer: dict[str, Any]) -> None:
        self.final = answer
        for stream, name in (("stdout", "bytes"), ("stderr", "stderr_bytes")):
            is_wanted = self._stream in (None, stream)
            if is_wanted and answer.get(name) and not self._has_come[stream] and not self._is_tail:
                what = "standard error" if stream == "stderr" else "output"
                self._screen.note(f"jobctl: {answer[name]} bytes of {what} are not kept any more")
        is_apart = answer.get("stderr_bytes") is not None
        if self._stream == "stderr" and answer.get("attempt") is not None and not is_apart:
            self._screen.note(
                "jobctl: standard error was kept together with the output; without --stderr it is shown"
            )
