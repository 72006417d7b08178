"""A time limit that is said as a share of how long a task usually takes: ``timeout = "300%"``.

What is usual is the median of its last successful attempts, kept by `jobctl.dispatcher.run_times`.
"""

from __future__ import annotations

import re
from typing import Final

from jobctl.task.keys import POSITIVE_SPAN, Json, Mark
from jobctl.task.units import InvalidValue, shown
from jobctl.values import dataclass

LEAST_SAMPLES: Final = 5
"""With fewer successful attempts nothing is usual yet, and there is no limit."""

MOST_SAMPLES: Final = 21
"""The last ones that count."""

LEAST_LIMIT_S: Final = 1.0
"""No such limit is shorter: what takes a millisecond takes ten of them when the host is busy."""

_PERCENT: Final = re.compile(r"([0-9]{1,6})\s*%")
_LOWEST, _HIGHEST = 110, 100_000


@dataclass(frozen=True, slots=True)
class Share:
    """So many percent of what is usual."""

    percent: int

    def __str__(self) -> str:
        return f"{self.percent}%"

    def of(self, usual_s: float) -> float:
        """The limit in seconds for attempts that usually take so long."""
        return max(usual_s * self.percent / 100, LEAST_LIMIT_S)


def _read(value: object) -> float | Share:
    if not isinstance(value, str) or not value.rstrip().endswith("%"):
        span_s: float = POSITIVE_SPAN.read(value)
        return span_s
    found = _PERCENT.fullmatch(value.strip())
    if found is None or not _LOWEST <= int(found[1]) <= _HIGHEST:
        raise InvalidValue(
            f"{shown(value)} is not a share of the usual time",
            hint=f'Write "300%", from {_LOWEST}% to {_HIGHEST}%.',
        )
    return Share(int(found[1]))


def _write(value: float | Share) -> Json:
    return str(value) if isinstance(value, Share) else value


TIME_LIMIT: Final = Mark(
    word='span or `"300%"`',
    read=_read,
    write=_write,
    schema={"type": ["string", "number"], "examples": ["30s", "1h30m", "300%"]},
    unit="seconds",
)
