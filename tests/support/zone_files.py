"""Zone data of a test's own, in place of the host's."""

from __future__ import annotations

import zoneinfo
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jobctl.schedule import reread_zones

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def zones_from(folder: Path) -> Iterator[None]:
    """Look for zone data in this folder and nowhere else, while the block lasts."""
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath([folder])
    try:
        yield
    finally:
        zoneinfo.reset_tzpath(before)
        reread_zones()


def zone_file(offset_s: int, *changes: tuple[int, int]) -> bytes:
    """A zone file of the second version (RFC 8536): an offset, then moments with new ones."""
    offsets = [offset_s, *(offset for _, offset in changes)]

    def block(width: int) -> bytes:
        counts = (0, 0, 0, len(changes), len(offsets), 4)
        return b"".join([
            b"TZif2" + bytes(15),
            *(count.to_bytes(4, "big") for count in counts),
            *(moment.to_bytes(width, "big", signed=True) for moment, _ in changes),
            bytes(range(1, len(changes) + 1)),
            *(offset.to_bytes(4, "big", signed=True) + b"\0\0" for offset in offsets),
            b"XXX\0",
        ])  # fmt: skip

    last = offsets[-1] // 3600
    return block(4) + block(8) + f"\nXXX{-last}\n".encode()
