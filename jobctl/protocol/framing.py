"""JSON lines: cutting a stream of bytes into frames, within a size limit.

A frame is one JSON object in UTF-8 without a raw line feed, ended by a line feed.
"""

from __future__ import annotations

from typing import Final

from jobctl.errors import ProtocolError

MAX_FRAME_BYTES: Final = 16 * 1024 * 1024
"""Longest frame between client and daemon, its line feed included."""


class FrameBuffer:
    """Collects received bytes and gives back whole frames.

    Memory is bounded: a frame that grows over ``limit`` bytes raises at once, not at its end.
    """

    def __init__(self, limit: int = MAX_FRAME_BYTES) -> None:
        self._limit = limit
        # One array, not a list of pieces: a frame that comes a byte at a time would cost forty bytes
        # for each.
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that ``data`` completes, without their line feeds; often none.

        Raises:
            ProtocolError: the frame under way is longer than the limit.
        """
        whole, feed, rest = data.rpartition(b"\n")
        if not feed:
            self._rest += rest
            if len(self._rest) >= self._limit:
                raise self._too_long()
            return []
        if self._rest:
            self._rest += whole
            whole = bytes(self._rest)
        self._rest = bytearray(rest)
        frames = whole.split(b"\n")
        if len(whole) >= self._limit and any(len(frame) >= self._limit for frame in frames):
            raise self._too_long()
        if len(rest) >= self._limit:
            raise self._too_long()
        return frames

    @property
    def size(self) -> int:
        """How many bytes wait for the end of their frame."""
        return len(self._rest)

    @property
    def is_empty(self) -> bool:
        """No part of a frame is waiting for its end."""
        return not self._rest

    def _too_long(self) -> ProtocolError:
        return ProtocolError(
            f"a frame is longer than {self._limit} bytes",
            hint="Put large data into a file and submit its name.",
        )
