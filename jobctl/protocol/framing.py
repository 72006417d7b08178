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
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that ``data`` completes, without their line feeds; often none.

        Raises:
            ProtocolError: the frame under way is longer than the limit.
        """
        *frames, rest = data.split(b"\n")
        if frames:
            if self._parts:
                self._parts.append(frames[0])
                frames[0] = b"".join(self._parts)
                self._parts.clear()
                self._size = 0
            if any(len(frame) >= self._limit for frame in frames):
                raise self._too_long()
        if rest:
            self._parts.append(rest)
            self._size += len(rest)
            if self._size >= self._limit:
                raise self._too_long()
        return frames

    @property
    def is_empty(self) -> bool:
        """No part of a frame is waiting for its end."""
        return not self._parts

    def _too_long(self) -> ProtocolError:
        return ProtocolError(
            f"a frame is longer than {self._limit} bytes",
            hint="Put large data into a file and submit its name.",
        )
