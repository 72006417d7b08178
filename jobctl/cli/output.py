"""The output of jobs on its way from the daemon's answers to the screen."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.cli.render import Screen


class OutputWriter:
    """Writes the answers to `jobctl.protocol.requests.Logs` as they come.

    ``offset`` is where the next part begins, for who must ask again; ``final`` is the last answer, with
    ``attempt``, ``bytes`` and ``state``, or None before it has come.
    """

    def __init__(self, screen: Screen, *, offset: int = 0, is_tail: bool = False) -> None:
        self._screen = screen
        self.offset = offset
        # The first part of a tail begins wherever it begins.
        self._may_begin_anywhere = is_tail
        self.final: dict[str, Any] | None = None

    def take(self, answer: dict[str, Any]) -> None:
        """Write one answer's part, and say so if bytes before it were not kept."""
        if "data" not in answer:
            self.final = answer
            return
        data = answer["data"].encode("latin-1")
        begin = answer.get("offset", self.offset)
        if begin > self.offset and not self._may_begin_anywhere:
            self._screen.note(f"jobctl: {begin - self.offset} bytes of output were not kept")
        self._may_begin_anywhere = False
        self._screen.raw(data)
        self.offset = begin + len(data)
