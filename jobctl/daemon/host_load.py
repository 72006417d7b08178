"""How busy this host is, as the kernel tells: proc_loadavg(5), proc_meminfo(5).

In a container both are usually those of the whole machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")


class ProcLoad:
    """Reads the kernel's files; ``folder`` is where they are."""

    def __init__(self, folder: Path = _PROC) -> None:
        self._folder = folder

    def average(self) -> float | None:
        """The load average of the last minute; None when it cannot be read."""
        try:
            return float((self._folder / "loadavg").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def free_bytes(self) -> int | None:
        """What new processes could be given without swapping, caches that would be given up included; None
        when it cannot be read."""
        try:
            lines = (self._folder / "meminfo").read_text().splitlines()
            (value,) = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
            return int(value) << 10
        except (OSError, ValueError, IndexError):
            return None
