"""A Redis that others may use at the same time: only what bears our name is counted and removed."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any, Final

from benchmarks.queues.queue import NAME

if TYPE_CHECKING:
    from collections.abc import Iterable

# With its types, or without them where it is not installed: a checker is to say the same of both.
_redis: Any = importlib.import_module("redis")

URL: Final = os.environ.get("BENCH_REDIS_URL", "")
"""Empty for those who need none."""

_PART: Final = 1_000


def connect() -> Any:
    """A client with connections of its own."""
    return _redis.Redis.from_url(URL)


def count_existing(client: Any, keys: Iterable[str]) -> int:
    """How many of these keys there are."""
    found: int = client.exists(*keys)
    return found


def remove(*patterns: str) -> None:
    """Delete keys that match; without patterns all whose names begin with `NAME`."""
    with connect() as client:
        for pattern in patterns or (f"{NAME}*",):
            part: list[Any] = []
            for key in client.scan_iter(match=pattern, count=_PART):
                part.append(key)
                if len(part) == _PART:
                    client.delete(*part)
                    part.clear()
            if part:
                client.delete(*part)
