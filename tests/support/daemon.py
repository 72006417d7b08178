"""The real daemon in a short temporary folder; nothing of it may be left afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobctl.client import Client
from jobctl.protocol import requests
from tests.support.waiting import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_RUN = "import sys; from jobctl.daemon.main import run; from pathlib import Path; sys.exit(run(Path(sys.argv[1]), state_dir=Path(sys.argv[2]), socket=Path(sys.argv[3])))"


def with_patch(code: str) -> Sequence[str]:
    """The launcher of a daemon of which one part is replaced: ``code`` runs in it before it starts."""
    return (sys.executable, "-c", f"{code}\n{_RUN}")


class Daemon:
    """A daemon that a test starts, kills and starts again on one state directory."""

    def __init__(self, folder: Path, config: str = "") -> None:
        self.folder = folder
        self.state_dir = folder / "state"
        self.socket = folder / "sock"
        self.config = folder / "jobctl.toml"
        self.config.write_text(config or "[daemon]\n")
        self.process: subprocess.Popen[str] | None = None
        self.lines: list[str] = []
        self.environment = {**os.environ, "TZ": "UTC"}
        self.launcher: Sequence[str] = (sys.executable, "-c", _RUN)
        self.pass_fds: Sequence[int] = ()
        self._client: Client | None = None

    # -- life -------------------------------------------------------------------------------------

    def launch(self) -> None:
        """Start the process without waiting for anything."""
        self._forget_client()
        self.process = subprocess.Popen(
            [*self.launcher, str(self.config), str(self.state_dir), str(self.socket)],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            text=True,
            env=self.environment,
            start_new_session=True,
            pass_fds=self.pass_fds,
        )
        self.ready = threading.Event()
        threading.Thread(
            target=self._read_log, args=(self.process, self.ready), daemon=True
        ).start()

    def start(self) -> Daemon:
        """Start and wait until it says that it is ready."""
        self.launch()
        assert self.process is not None
        if not self.ready.wait(20 * PATIENCE) or self.process.poll() is not None:
            raise AssertionError(f"the daemon did not become ready\n--- log\n{self.log()}")
        return self

    def _read_log(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                self.lines.append(line)
                if " ready version=" in line:
                    ready.set()
        ready.set()

    @property
    def pid(self) -> int:
        """The process id of the running daemon."""
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """kill -9 of the daemon alone: what it started lives on."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self._forget_client()

    def signal(self, number: signal.Signals) -> None:
        """Send the daemon a signal."""
        os.kill(self.pid, number)

    def wait_for_exit(self) -> int:
        """Wait until the daemon has ended; its exit code."""
        assert self.process is not None
        try:
            return self.process.wait(20 * PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the daemon does not end\n--- log\n{self.log()}") from None

    def stop(self, mode: str | None = None) -> int:
        """Stop it over the socket; its exit code."""
        self.call(requests.Stop(mode=mode))
        return self.wait_for_exit()

    def log(self) -> str:
        """Everything that its runs have logged."""
        return "".join(self.lines)

    # -- talking ----------------------------------------------------------------------------------

    @property
    def client(self) -> Client:
        """A connection to the running daemon."""
        if self._client is None:
            self._client = Client(self.socket, timeout_s=60 * PATIENCE)
        return self._client

    def _forget_client(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def call(self, request: requests.Request) -> dict[str, Any]:
        """Make a request."""
        return self.client.call(request)

    def submit(self, **job: Any) -> int:
        """Submit one job; its id."""
        return self.submit_many([job])[0]

    def submit_many(self, jobs: Sequence[dict[str, Any]]) -> list[int]:
        """Submit jobs; their ids."""
        answer = self.call(requests.Submit(jobs=list(jobs)))
        return [job["id"] for job in answer["jobs"]]

    def shell(self, line: str, **options: Any) -> int:
        """Submit an ad-hoc shell line; the job's id."""
        return self.submit(command=["/bin/sh", "-c", line], cwd=str(self.folder), **options)

    def status(self, job: int) -> dict[str, Any]:
        """A job whole."""
        return self.call(requests.Status(job=job))

    def wait(self, *jobs: int, limit_s: float = 30.0) -> list[dict[str, Any]]:
        """Wait until jobs have ended; fails with the log when they do not."""
        answer = self.call(requests.Wait(jobs=list(jobs), timeout_s=limit_s * PATIENCE))
        if answer["timed_out"]:
            states = [self.status(job) for job in jobs if job]
            raise AssertionError(f"jobs did not end: {states}\n--- log\n{self.log()}")
        return list(answer["jobs"])

    def ended(self, job: int) -> dict[str, Any]:
        """Wait for one job and give it back whole."""
        self.wait(job)
        return self.status(job)

    def output(self, job: int, **options: Any) -> str:
        """The output of a job."""
        answers = list(self.client.stream(requests.Logs(job=job, **options)))
        return "".join(answer.get("data", "") for answer in answers[:-1])

    def workers(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What ``inspect workers`` says."""
        found = self.call(requests.Inspect(what="workers"))["workers"]
        return [worker for worker in found if kind in (None, worker["kind"])]

    def until(self, what: str, look: Any, *, limit_s: float = 20.0) -> Any:
        """Wait for an event; a failure shows the log."""
        return until(what, look, limit_s=limit_s, log=self.log)

    # -- what is left -----------------------------------------------------------------------------

    def processes(self) -> list[int]:
        """Living processes of this state directory: daemon, templates, workers, keepers, commands."""
        found = []
        for name in (path.name for path in Path("/proc").iterdir()):
            if not name.isdigit() or int(name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                state = Path(f"/proc/{name}/stat").read_bytes().rpartition(b")")[2].split()[0]
                told = (
                    Path(f"/proc/{name}/cmdline").read_bytes()
                    + Path(f"/proc/{name}/environ").read_bytes()
                )
                if state not in (b"Z", b"X") and str(self.folder).encode() in told:
                    found.append(int(name))
        return found

    def clean_up(self) -> None:
        """End everything; fails when something is left that should not be."""
        was_stopped_here = self._end()
        left = _settle(self.processes)
        if not left and not was_stopped_here and self._sockets():
            # The test has stopped it while something ran: who has ended since is for the next daemon to bury.
            self.start()
            self._end()
            left = _settle(self.processes)
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        sockets = self._sockets()
        groups = _cgroups_of(self.state_dir)
        shutil.rmtree(self.folder, ignore_errors=True)
        told = f"\n--- log\n{self.log()}"
        assert not left, f"processes are left: {left}{told}"
        assert not sockets, f"sockets are left: {sockets}{told}"
        assert not groups, f"cgroups are left: {groups}{told}"

    def _end(self) -> bool:
        """Stop the daemon with its jobs; False when there was none any more."""
        is_running = self.process is not None and self.process.poll() is None
        if is_running:
            assert self.process is not None
            with contextlib.suppress(Exception):
                self.call(requests.Stop(mode="kill"))
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10 * PATIENCE)
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
        self._forget_client()
        return is_running

    def _sockets(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_socket()]


def _settle(look: Any) -> list[int]:
    with contextlib.suppress(AssertionError):
        until("every process to be gone", lambda: not look(), limit_s=5)
    return list(look())


def _cgroups_of(state_dir: Path) -> list[str]:
    """Cgroups that carry the name of an instance of this state directory, its attempts' included.

    Other tests make and remove theirs meanwhile: os.walk passes over what goes while it looks.
    """
    names = {path.name for path in state_dir.glob("run/*/*")}
    if not names:
        return []
    return [
        folder
        for folder, _, _ in os.walk("/sys/fs/cgroup")
        if Path(folder).name.partition(".")[0] in names
    ]


@contextlib.contextmanager
def running_daemon(config: str = "", *, start: bool = True) -> Iterator[Daemon]:
    """A daemon in a short folder of its own; afterwards nothing of it may be left."""
    # Short: a socket's address holds 107 bytes, and tmp_path of a long test name does not fit.
    folder = Path(tempfile.mkdtemp(prefix="jobctl-"))
    daemon = Daemon(folder, config)
    try:
        if start:
            daemon.start()
        yield daemon
    except BaseException:
        with contextlib.suppress(AssertionError):
            daemon.clean_up()
        raise
    daemon.clean_up()
