"""The task queues of others as contestants: how each is set up, and how its driver is started."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from benchmarks.crowd import rate_of_crowd
from benchmarks.measure import Contestant, Kind
from benchmarks.peers import needs_packages
from benchmarks.processes import ENVIRONMENT, ROOT, naming, output_of
from benchmarks.servers import POSTGRES, RABBITMQ, REDIS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.measure import Figures, Round
    from benchmarks.peers import Peers
    from benchmarks.servers import Server

_MEMORY: Final = "what a loss of power leaves of it is up to the server (under *Machine*)"
_LOSES: Final = "a job that was taken and whose worker dies is lost"


@dataclass(frozen=True, kw_only=True)
class PeerQueue:
    """One peer in one set-up.

    Attributes:
        module: its file is ``benchmarks/queues/MODULE_queue.py``.
        variant: which set-up, for a file that has several.
        packages: the Python packages that it consists of.
        settings: how it is set up, and what survives a loss of power and of a worker; for the page.
        jobs: how many jobs that do nothing it does in one or two seconds, about.
    """

    name: str
    module: str
    variant: str = ""
    packages: tuple[str, ...]
    servers: tuple[Server, ...] = ()
    settings: str
    jobs: int

    def why_missing(self, peers: Peers) -> str | None:
        """For `Contestant.why_missing`: its packages must be installed, its server must answer."""
        if (why := needs_packages(*self.packages)(peers)) is not None:
            return why
        return next((why for server in self.servers if (why := server.why_missing())), None)


class Turn:
    """One turn of one peer: whatever it does is done under a name that nobody else has."""

    def __init__(self, peer: PeerQueue, turn: Round) -> None:
        self._peer = peer
        self._folder = turn.folder
        self._python = turn.peers.python
        # A name that is one everywhere: in Redis, in RabbitMQ, in SQL.
        self._name = turn.folder.name.replace("-", "_")

    @property
    def environment(self) -> dict[str, str]:
        """What the driver, the workers and a client are told."""
        told = {
            "BENCH_VARIANT": self._peer.variant,
            "BENCH_QUEUE": self._name,
            "BENCH_FOLDER": str(self._folder),
            "PYTHONPATH": str(ROOT),
            # As in an environment that was activated: some start `python`.
            "PATH": f"{self._python.parent}{os.pathsep}{ENVIRONMENT.get('PATH', os.defpath)}",
        }
        for server in self._peer.servers:
            told |= server.environment
        return told

    def argv(self, program: str) -> list[str]:
        """One that imports this peer's file as ``queue``, and then runs ``program``."""
        imported = f"from benchmarks.queues.{self._peer.module}_queue import queue; {program}"
        return [str(self._python), "-c", imported]

    def drive(self, work: str, count: int) -> Figures:
        """Let the driver do some work. Raises ContestantFailed."""
        figures: dict[str, float] = json.loads(self._run(work, count))
        return figures

    def crowd(self, clients: int, count: int) -> float:
        """Submits a second of many processes at once. Raises ContestantFailed."""
        return rate_of_crowd(clients, count, self._driver("crowd", count), env=self.environment)

    def _run(self, work: str, count: int) -> str:
        return output_of(self._driver(work, count), env=self.environment)

    def _driver(self, work: str, count: int) -> list[str]:
        driver = [str(self._python), "-m", "benchmarks.queues.driver"]
        return [*driver, self._peer.module, work, str(count)]

    @contextlib.contextmanager
    def cleaned(self) -> Iterator[Turn]:
        """Afterwards no process, queue, key or table is left."""
        try:
            yield self
        finally:
            # Of a driver that was ended, its workers go on.
            for pid in naming(str(self._folder)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if self._peer.servers:
                self._run("clean", 0)


Work: TypeAlias = "Callable[[PeerQueue, Turn, Round], Figures]"
"""What one does in a turn."""


def contestant(peer: PeerQueue, work: Work, *, settings: str = "{}") -> Contestant:
    """A peer in a measure. ``settings``: for the page; ``{}`` stands for those of the peer."""
    return Contestant(
        name=peer.name,
        kind=Kind.PEER,
        settings=settings.format(peer.settings),
        run=partial(_take, peer, work),
        why_missing=peer.why_missing,
    )


def _take(peer: PeerQueue, work: Work, turn: Round) -> Figures:
    with Turn(peer, turn).cleaned() as cleaned:
        return work(peer, cleaned, turn)


_HUEY_CONSUMER: Final = (
    "consumer -w 2 -k process --max-delay 0.1, the other delays as they come, store_none=True"
)

HUEY: Final = PeerQueue(
    name="Huey, SQLite",
    module="huey",
    variant="sqlite",
    packages=("huey",),
    settings=f"SqliteHuey as it comes (WAL, synchronous=FULL), {_HUEY_CONSUMER}; {_LOSES}",
    jobs=4_000,
)
HUEY_UNSYNCED: Final = PeerQueue(
    name="Huey, SQLite, fsync=False",
    module="huey",
    variant="sqlite-unsynced",
    packages=("huey",),
    settings=(
        f"SqliteHuey with fsync=False, {_HUEY_CONSUMER}; a loss of power loses or damages the queue; {_LOSES}"
    ),
    jobs=10_000,
)
HUEY_REDIS: Final = PeerQueue(
    name="Huey, Redis",
    module="huey",
    variant="redis",
    packages=("huey", "redis"),
    servers=(REDIS,),
    settings=f"RedisHuey as it comes, which waits in Redis, {_HUEY_CONSUMER}; {_MEMORY}; {_LOSES}",
    jobs=8_000,
)
_CELERY_WORKER: Final = "prefork -c 2, prefetch multiplier 64, without gossip, mingle and heartbeat"
CELERY_REDIS: Final = PeerQueue(
    name="Celery, Redis",
    module="celery",
    variant="redis",
    packages=("celery", "redis"),
    servers=(REDIS,),
    settings=f"{_CELERY_WORKER}; results in Redis; {_MEMORY}; {_LOSES}",
    jobs=3_000,
)
CELERY_RABBITMQ: Final = PeerQueue(
    name="Celery, RabbitMQ",
    module="celery",
    variant="rabbitmq",
    packages=("celery",),
    servers=(RABBITMQ,),
    settings=(
        f"{_CELERY_WORKER}; results by rpc, in memory; messages are persistent, but no submit waits "
        f"until the broker has confirmed its message; {_LOSES}"
    ),
    jobs=4_000,
)
CELERY_REDIS_LATE: Final = PeerQueue(
    name="Celery, Redis, acks late",
    module="celery",
    variant="redis-late",
    packages=("celery", "redis"),
    servers=(REDIS,),
    settings=(
        f"{_CELERY_WORKER}, task_acks_late and task_reject_on_worker_lost; results in Redis; {_MEMORY}"
    ),
    jobs=3_000,
)
CELERY_REDIS_GEVENT: Final = PeerQueue(
    name="Celery, Redis, gevent",
    module="celery",
    variant="redis",
    packages=("celery", "redis", "gevent"),
    servers=(REDIS,),
    settings=f"as above with greenlets in place of processes; results in Redis; {_MEMORY}",
    jobs=3_000,
)
RQ: Final = PeerQueue(
    name="RQ",
    module="rq",
    packages=("rq", "redis"),
    servers=(REDIS,),
    settings=(
        "worker-pool -n 2 with SimpleWorker, which does not fork for each job as it would by default; "
        f"{_MEMORY}; {_LOSES}"
    ),
    jobs=1_500,
)
DRAMATIQ: Final = PeerQueue(
    name="Dramatiq, Redis",
    module="dramatiq",
    packages=("dramatiq", "redis"),
    servers=(REDIS,),
    settings=(
        f"-p 2 -t 1; results in Redis; {_MEMORY}; a job whose worker dies is done again when the worker's "
        "heartbeat is a minute old, which no measure waits for"
    ),
    jobs=3_000,
)
TASKIQ: Final = PeerQueue(
    name="taskiq, Redis",
    module="taskiq",
    packages=("taskiq", "taskiq_redis", "redis"),
    servers=(REDIS,),
    settings=f"ListQueueBroker, 2 workers, `async def`; results in Redis; {_MEMORY}; {_LOSES}",
    jobs=8_000,
)
PROCRASTINATE: Final = PeerQueue(
    name="Procrastinate",
    module="procrastinate",
    packages=("procrastinate", "psycopg_binary"),
    servers=(POSTGRES,),
    settings=(
        "2 worker processes, 4 jobs at once in each, `async def`; PostgreSQL as it is set up (under "
        "*Machine*); it stores no results; a job that was taken and whose worker dies stays so until "
        "somebody asks for stalled jobs"
    ),
    jobs=800,
)
FLEXIQ: Final = PeerQueue(
    name="FlexiQ",
    module="flexiq",
    packages=("flexiq",),
    settings=(
        "SQLite (WAL, synchronous=NORMAL: a loss of power loses the last submits), prefork with 2 workers, "
        "polls every 5 ms, not 50, and takes up to 64 jobs, not 1"
    ),
    jobs=2_000,
)

ALL: Final = (
    HUEY,
    HUEY_REDIS,
    CELERY_REDIS,
    CELERY_RABBITMQ,
    RQ,
    DRAMATIQ,
    TASKIQ,
    PROCRASTINATE,
    FLEXIQ,
)
"""Each in the set-up in which it takes part everywhere."""


def contestants(work: Work, *peers: PeerQueue, settings: str = "{}") -> tuple[Contestant, ...]:
    """These in a measure; without ``peers`` all."""
    return tuple(contestant(peer, work, settings=settings) for peer in peers or ALL)
