"""What a server of the peers is, and what it keeps when power is lost. Runs in the peers' environment:
``-m benchmarks.server_settings redis|rabbitmq|postgresql URL`` prints one line.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable


def _redis(url: str) -> str:
    with importlib.import_module("redis").Redis.from_url(url) as client:
        version = client.info("server")["redis_version"]
        kept = client.config_get("appendonly", "appendfsync", "save")
    snapshots = f"save {kept['save']}" if kept["save"] else "no snapshots"
    if kept["appendonly"] == "yes":
        return f"{version}, appendfsync {kept['appendfsync']}, {snapshots}"
    return f"{version}, appendonly no, {snapshots}"


def _rabbitmq(url: str) -> str:
    with importlib.import_module("kombu").Connection(url) as connection:
        connection.connect()
        told: Any = connection.connection.server_properties
        return f"{told['version']}"


def _postgresql(url: str) -> str:
    names = ("server_version", "fsync", "synchronous_commit")
    with importlib.import_module("psycopg").connect(url) as connection:
        version, *kept = (connection.execute(f"SHOW {name}").fetchone()[0] for name in names)
    return f"{version.split()[0]}, fsync {kept[0]}, synchronous_commit {kept[1]}"


_DESCRIBE: Final[dict[str, Callable[[str], str]]] = {
    "redis": _redis,
    "rabbitmq": _rabbitmq,
    "postgresql": _postgresql,
}

if __name__ == "__main__":
    sys.stdout.write(_DESCRIBE[sys.argv[1]](sys.argv[2]))
