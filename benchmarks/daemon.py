"""A real daemon of jobctl in a folder of its own, and a client of it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.measure import ContestantFailed
from benchmarks.processes import ROOT, family, naming, start
from benchmarks.waiting import until
from jobctl.client import Client
from jobctl.errors import JobctlError
from jobctl.paths import StateDirectory
from jobctl.protocol import requests
from jobctl.protocol.key import make_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from subprocess import Popen  # noqa: TID251 -- the type only
    from types import TracebackType

SETTINGS = (
    "synchronous=FULL: each answer and each start of an attempt follows a flush; every submit carries an "
    "idempotency key"
)
"""What every measure of jobctl has in common, for the page."""

_RUN = (
    "import sys; from pathlib import Path; from jobctl.daemon.main import run; "
    "sys.exit(run(Path(sys.argv[1]), state_dir=Path(sys.argv[2]), socket=Path(sys.argv[3])))"
)
_PATIENCE_S = 300.0
_LAST = 500

Job = dict[str, Any]
"""The fields of one job of a submit, as `jobctl.protocol.requests.NewJob` has them."""


def worker_group(name: str, settings: str) -> str:
    """TOML: a group of workers that finds `benchmarks.tasks`. ``settings``: lines of it."""
    # A daemon of root imports no module as root unless that is written down.
    user = 'user = "root"\n' if os.geteuid() == 0 else ""
    return f'[workers.{name}]\npythonpath = ["{ROOT}"]\n{user}{settings}\n'


class BenchDaemon:
    """A daemon for the length of a ``with``; afterwards nothing of it is left.

    ``processes`` functions and ``commands`` commands at once; ``parts``: TOML, each the text of a file
    more of its configuration; ``settings``: lines of its ``[daemon]``. A folder that has had a daemon before
    keeps its store. ``wrapper``: a program with arguments that executes the daemon in its own process;
    ``prelude``: Python that runs before it.

    Raises:
        ContestantFailed: it does not start, refuses, or leaves a process behind.
    """

    def __init__(
        self,
        folder: Path,
        *,
        processes: int = 2,
        commands: int = 4,
        parts: Sequence[str] = (),
        settings: str = "",
        wrapper: Sequence[str] = (),
        prelude: str = "",
    ) -> None:
        self.folder = folder
        self.socket = folder / "sock"
        self._state = StateDirectory(folder / "state")
        self._log = folder / "log"
        self._argv = [*wrapper, sys.executable, "-c", f"{prelude}{_RUN}"]
        self._config = folder / "jobctl.toml"
        self._config.write_text(
            f"[daemon]\n{settings}"
            f"{worker_group('default', f'processes = {processes}')}"
            f"commands = {commands}\n"
            f"max_tasks_per_child = 1000000\n"
            f'[tasks.noop]\nfunction = "benchmarks.tasks:noop"\n'
            f'[tasks.stamp]\nfunction = "benchmarks.tasks:stamp"\n'
        )
        (folder / "conf.d").mkdir(exist_ok=True)
        for number, part in enumerate(parts):
            (folder / "conf.d" / f"{number:03}.toml").write_text(part)
        self._process: Popen[bytes] | None = None
        self.client = Client(self.socket, timeout_s=300.0)

    def __enter__(self) -> BenchDaemon:
        state_dir = str(self._state.root)
        argv = [*self._argv, str(self._config), state_dir, str(self.socket)]
        self._process = start(argv, log=self._log)
        try:
            until("the daemon to listen", self._is_listening, limit_s=_PATIENCE_S)
        except TimeoutError as error:
            self._process.kill()
            self._process.wait()
            raise ContestantFailed(f"{error}\n{self._log.read_text()}") from error
        return self

    def _is_listening(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise ContestantFailed(f"the daemon has ended\n{self._log.read_text()}")
        with contextlib.suppress(JobctlError):
            self.client.connect()
            return True
        return False

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        with contextlib.suppress(JobctlError):
            self.call(requests.Stop(mode="kill"))
        self.client.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE_S)
        with contextlib.suppress(TimeoutError):
            until("its processes to go", lambda: not self._left(), limit_s=5.0, every_s=0.02)
        left = self._left()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        if left and kind is None:
            raise ContestantFailed(f"processes were left: {left}\n{self._log.read_text()}")

    def _left(self) -> list[int]:
        return naming(str(self.folder))

    @property
    def database(self) -> Path:
        """The store, for looking into it when the daemon has ended."""
        return self._state.database

    @property
    def pid(self) -> int:
        """The process id of the daemon itself."""
        assert self._process is not None
        return self._process.pid

    def processes(self) -> list[int]:
        """The daemon, its templates, workers and keepers, and what these run."""
        return family(self.pid)

    # -- requests ---------------------------------------------------------------------------------

    def call(self, request: requests.Request) -> dict[str, Any]:
        """Make a request."""
        return self.client.call(request)

    def submit(self, *jobs: Job) -> list[int]:
        """Submit jobs, each with a key; their ids."""
        keyed = [{**job, "key": make_key()} for job in jobs]
        return [job["id"] for job in self.call(requests.Submit(jobs=keyed))["jobs"]]

    def wait(self, ids: list[int]) -> list[dict[str, Any]]:
        """Wait for jobs; how each ended, in this order. Raises ContestantFailed after five minutes."""
        answer = self.call(requests.Wait(jobs=ids, timeout_s=280.0))
        if answer["timed_out"]:
            raise ContestantFailed("jobs did not end within 280 s")
        return list(answer["jobs"])

    def wait_for_all(self, ids: list[int], total: int) -> None:
        """Wait until ``total`` jobs of this daemon have ended, of which ``ids`` are the last.

        Without asking for each: to look every job up would be part of what is measured. Jobs of one
        line are taken in the order of their ids, so when the last ones have ended, only the few that
        another worker holds can be left; the daemon's counter says when these have ended too. Raises
        ContestantFailed, or TimeoutError.
        """
        self.wait(ids[-_LAST:])
        until("the last jobs", lambda: self._ended() >= total, limit_s=_PATIENCE_S, every_s=0.001)

    def _ended(self) -> int:
        return int(self.call(requests.Inspect(what="stats"))["ended"])

    def pause(self, *, is_paused: bool, queue: str = "default") -> None:
        """Pause or resume a queue; without a name that of all these jobs."""
        self.call(requests.Pause(queue=queue, paused=is_paused))

    def expect(self, count: int, *states: str) -> None:
        """Raises ContestantFailed unless exactly ``count`` jobs are in one of these states."""
        found = self.call(requests.List(states=list(states), count=True))["count"]
        if found != count:
            raise ContestantFailed(f"{found} jobs of {count} are {' or '.join(states)}")
