"""The servers that some peers need: where they are, and whether they answer."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_PATIENCE_S: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class Server:
    """One of them. ``variable`` of the environment says where it is; else it is here, at its usual port."""

    name: str
    variable: str
    default: str
    port: int

    @property
    def url(self) -> str:
        """Where it is, as its clients write it."""
        return os.environ.get(self.variable, self.default)

    @property
    def environment(self) -> Mapping[str, str]:
        """What tells a driver of it."""
        return {f"BENCH_{self.variable}": self.url}

    def why_missing(self) -> str | None:
        """That nobody answers there, and what to do about it; None when somebody does."""
        parts = urlsplit(self.url)
        address = (parts.hostname or "127.0.0.1", parts.port or self.port)
        try:
            socket.create_connection(address, _PATIENCE_S).close()
        except OSError:
            return f"no {self.name} answers; {self.variable} says where it is"
        return None


REDIS: Final = Server(
    name="Redis", variable="REDIS_URL", default="redis://127.0.0.1:6379/0", port=6379
)
RABBITMQ: Final = Server(
    name="RabbitMQ",
    variable="AMQP_URL",
    default="amqp://guest:guest@127.0.0.1:5672//",
    port=5672,
)
POSTGRES: Final = Server(
    name="PostgreSQL",
    variable="POSTGRES_URL",
    default="postgresql://127.0.0.1:5432/postgres",
    port=5432,
)

SERVERS: Final = (REDIS, RABBITMQ, POSTGRES)
"""All of them, for the page."""
