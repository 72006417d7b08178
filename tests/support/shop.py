"""A daemon whose workers import the module ``shop`` from a folder beside it."""

from __future__ import annotations

import os
import pwd
import textwrap
from typing import TYPE_CHECKING, Any

from jobctl import AsyncResult, send_task
from jobctl.errors import RemoteError
from jobctl.protocol import requests

if TYPE_CHECKING:
    from tests.support.daemon import Daemon

ME = pwd.getpwuid(os.geteuid()).pw_name
LIMIT_S = 60.0


class Shop:
    """A daemon whose workers import the module ``shop`` from a folder beside it."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.code = daemon.folder / "code"
        self.code.mkdir()

    def write(self, text: str, module: str = "shop") -> None:
        """Write a module."""
        (self.code / f"{module}.py").write_text(textwrap.dedent(text))

    def configure(self, tables: str = "", *, group: str = "", daemon: str = "") -> None:
        """Write the configuration; takes effect at the next start or reload."""
        self.daemon.config.write_text(
            f"[daemon]\n{daemon}\n"
            f'[workers.default]\nuser = "{ME}"\npythonpath = ["{self.code}"]\n{group}\n'
            f"{textwrap.dedent(tables)}"
        )

    def start(
        self, text: str, tables: str = "", *, group: str = "processes = 1", daemon: str = ""
    ) -> Shop:
        """Start the daemon with this module and these tables."""
        self.write(text)
        self.configure(tables, group=group, daemon=daemon)
        self.daemon.start()
        return self

    def reload(self) -> list[str]:
        """Reload; gives back what changed."""
        return list(self.daemon.call(requests.Reload())["changes"])

    def worker(self) -> int:
        """The pid of the only function worker."""
        pids = self.daemon.until(
            "one worker to serve",
            lambda: [w["pid"] for w in self.daemon.workers("function") if w["pid"]],
        )
        (pid,) = pids
        return int(pid)

    def ended(self, result: AsyncResult[Any]) -> dict[str, Any]:
        """Wait for a job and give it back whole."""
        return self.daemon.ended(result.id)

    def value(self, task: str, *args: Any, **kwargs: Any) -> Any:
        """Submit a job and give back what it returned."""
        return send_task(task, args, kwargs).get(timeout=LIMIT_S)

    def failure(self, task: str, *args: Any) -> RemoteError:
        """Submit a job and give back what it failed with."""
        found = send_task(task, args).get(timeout=LIMIT_S, propagate=False)
        assert isinstance(found, RemoteError), found
        return found
