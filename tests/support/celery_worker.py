"""A worker of the real Celery, over two databases of Redis that nothing else uses."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
_LOCK = "jobctl-tests"


@contextlib.contextmanager
def two_databases() -> Iterator[tuple[str, str]]:
    """Addresses of two empty databases, for a broker and for results; they are emptied in the end.

    One that holds anything is somebody's and is left alone.
    """
    import redis

    parts = urlsplit(_REDIS_URL)
    base = f"redis://{parts.netloc}"
    with contextlib.ExitStack() as stack:
        found: list[str] = []
        for number in range(15, 0, -1):
            client = stack.enter_context(redis.Redis.from_url(f"{base}/{number}"))
            if client.dbsize() or not client.set(_LOCK, os.getpid(), nx=True, ex=900):
                continue
            stack.callback(client.flushdb)
            found.append(f"{base}/{number}")
            if len(found) == 2:
                yield found[0], found[1]
                return
    raise AssertionError(f"Redis at {base} has no two empty databases")


class Worker:
    """``celery -A APP worker`` that has said that it is ready."""

    def __init__(self, app: str, folder: Path, *options: str) -> None:
        self._lines: list[str] = []
        self._is_ready = threading.Event()
        command = [*(sys.executable, "-m", "celery", "-A", app, "worker"), *options]
        self.process = subprocess.Popen(
            [*command, "-l", "info", "-c", "2", "--without-mingle", "--without-gossip"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()
        if not self._is_ready.wait(60 * PATIENCE) or self.process.poll() is not None:
            self.end()
            raise AssertionError(f"the worker of Celery does not start\n{self.log()}")

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                self._lines.append(line)
                if " ready." in line:
                    self._is_ready.set()
        self._is_ready.set()

    def log(self) -> str:
        """What it has said."""
        return "".join(self._lines)

    def end(self) -> None:
        """End it with its children."""
        self.process.terminate()
        try:
            self.process.wait(30 * PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
