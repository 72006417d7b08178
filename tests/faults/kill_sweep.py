"""Kill -9 at the Nth call of each system call by which the daemon or its workers make something so.

``strace --inject`` ends a process as it enters its Nth call of a kind: each flush, write into the store,
renaming, removal, message and fork of the daemon, from its start to its end; and each message, flush, write,
fork and exec of templates, workers, keepers and commands. One point is one daemon on a state directory of
its own:

* a client with keys submits functions and commands, cancels one, reloads, and repeats what was not answered;
* when the victim is dead, a daemon that nobody traces goes on, and everything has to end;
* the jobs' own ledger, the client's book and the store are compared: what was acknowledged has ended, nothing
  ran twice at once, nothing ran more often than recorded, what may be lost but not repeated began once, each
  instant has one fate, and the store is whole.

``python -m tests.faults.kill_sweep`` prints how many points there were. Needs strace.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobctl.client import Client
from jobctl.errors import JobctlError
from jobctl.protocol import requests
from jobctl.protocol.key import make_key
from jobctl.store import checks
from jobctl.store.database import open_database
from tests.faults.kill_daemon import COMMAND
from tests.faults.kill_daemon import configuration as load_configuration
from tests.support.daemon import Daemon, running_daemon
from tests.support.waiting import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DAEMON_CALLS = (
    "fdatasync",
    "fsync",
    "pwrite64",
    "ftruncate",
    "rename",
    "unlink",
    "unlinkat",
    "sendto",
    "vfork",
    "bind",
)
WORKER_CALLS = (
    "pwrite64",
    "write",
    "fsync",
    "rename",
    "unlink",
    "clone",
    "clone3",
    "execve",
    "accept4",
)
MOST = 200
"""Calls of one kind after which a sweep ends in any case."""

_TASKS = """
[tasks.gate]
shell = 'echo "begin $2" >>"$1/ledger"; read line <"$1/gate"; echo "end $2" >>"$1/ledger"'
[tasks.fragile]
shell = 'echo "begin $2" >>"$1/ledger"; echo "end $2" >>"$1/ledger"'
[tasks.sleeper]
shell = 'echo "begin $2" >>"$1/ledger"; exec sleep 1000'
[tasks.tick]
shell = ':'
every = "1s"
on_overlap = "allow"
on_missed = "once"
"""


_PLAIN = 'echo "begin $2" >>"$1/ledger"; echo "end $2" >>"$1/ledger"'


def configuration(who: str) -> str:
    """A command that is killed with its helpers cannot use any to prove that it is alone."""
    text = load_configuration() + _TASKS
    return text if who == "daemon" else text.replace(COMMAND, _PLAIN)


@dataclass
class Point:
    """Where somebody dies: ``who`` is daemon or workers."""

    who: str
    call: str
    number: int

    def __str__(self) -> str:
        return f"{self.who} at {self.call} {self.number}"


@dataclass
class Findings:
    """What the points have shown; `faults` is empty when every promise was kept."""

    points: Counter[str] = field(default_factory=Counter)
    unreached: Counter[str] = field(default_factory=Counter)
    jobs: int = 0
    lost: int = 0
    faults: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        reached = ", ".join(f"{count} {what}" for what, count in sorted(self.points.items()))
        return [
            f"{self.points.total()} kill points ({reached})",
            f"{self.jobs} jobs acknowledged, {self.lost} attempts lost with their workers, "
            f"{len(self.faults)} violations",
            *(f"FAULT: {fault}" for fault in self.faults),
        ]


def calls_until_ready(call: str) -> int:
    """How often a daemon makes a system call until it serves, with a store that it has to make."""
    with running_daemon(configuration("daemon"), start=False) as daemon:
        trace = daemon.folder / "trace"
        tracer = ("strace", "-D", "-qq", "-o", str(trace), "-e", f"trace={call}")
        daemon.launcher = (*tracer, *daemon.launcher)
        daemon.start()
        return sum(f"{call}(" in line for line in trace.read_text().splitlines())


class Story:
    """One point: a daemon, a client, and a victim."""

    def __init__(self, daemon: Daemon, point: Point, launcher: Sequence[str] | None) -> None:
        self.daemon = daemon
        self.point = point
        self.usual = launcher or daemon.launcher
        self.ledger = daemon.folder / "ledger"
        self.ledger.mkdir()
        self.is_reached = False
        self.ids: dict[str, int] = {}
        self.tasks: dict[str, str] = {}
        self.cancelled: int | None = None
        self.tracer: subprocess.Popen[bytes] | None = None
        self.trace = daemon.folder / "trace"

    # -- the victim ----------------------------------------------------------------------------------

    def begin(self) -> None:
        inject = (
            f"-e trace={self.point.call} -e inject={self.point.call}:signal=SIGKILL:when={self.point.number}"
        ).split()
        if self.point.who == "daemon":
            # -D: the tracer is somebody else's child, and what is started is the daemon itself.
            self.daemon.launcher = ("strace", "-D", "-qq", "-o", "/dev/null", *inject, *self.usual)
            self.daemon.launch()
            self.daemon.ready.wait(30 * PATIENCE)
            return
        self.daemon.launcher = self.usual
        self.daemon.start()
        # Templates are there; a worker of each kind as well, so that what they do at once is seen too.
        self._submit({"task": "function"}, {"task": "command"})
        self.daemon.wait(*self.ids.values(), limit_s=60)
        pids = [pid for pid in self.daemon.processes() if pid != self.daemon.pid]
        attach = [word for pid in pids for word in ("-p", str(pid))]
        command = ["strace", "-f", "-qq", "-o", str(self.trace), *inject, *attach]
        self.tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        until("strace to trace the workers", lambda: all(map(is_traced, pids)), limit_s=30)

    def _is_victim_dead(self) -> bool:
        if self.point.who == "daemon":
            assert self.daemon.process is not None
            return self.daemon.process.poll() is not None
        with contextlib.suppress(OSError):
            return "killed by SIGKILL" in self.trace.read_text(errors="replace")
        return False

    def _go_on(self) -> None:
        """A daemon that nobody traces takes the place of a dead one."""
        assert self.daemon.process is not None
        if self.daemon.process.poll() is not None:
            self.is_reached = self.is_reached or self.point.who == "daemon"
            self.daemon.launcher = self.usual
            self.daemon.start()

    # -- the client ----------------------------------------------------------------------------------

    def ask(self, request: requests.Request) -> dict[str, Any]:
        """Ask until it is answered, whoever dies meanwhile."""
        for _ in range(20):
            client = None
            try:
                client = Client(self.daemon.socket, timeout_s=60 * PATIENCE)
                return client.call(request)
            except JobctlError as error:
                # It dies with its connections, or has not begun to listen: its end is certain.
                self._await_end(error)
                self._go_on()
            finally:
                if client is not None:
                    client.close()
        raise AssertionError(f"{self.point}: {request.do} is never answered\n{self.daemon.log()}")

    def _await_end(self, error: JobctlError) -> None:
        assert self.daemon.process is not None
        try:
            self.daemon.process.wait(30 * PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.point}: refused by a living daemon: {error}") from error

    def _submit(self, *jobs: dict[str, Any]) -> list[int]:
        wanted: list[tuple[str, dict[str, Any]]] = []
        for job in jobs:
            name = f"n{len(self.ids) + len(wanted)}"
            args: list[Any] = [str(self.ledger), name, 0 if job["task"] == "function" else "0"]
            wanted.append((name, {**job, "args": args, "typed": True, "key": make_key()}))
        answer = self.ask(requests.Submit(jobs=[job for _, job in wanted]))
        found = [job["id"] for job in answer["jobs"]]
        self.tasks.update((name, job["task"]) for name, job in wanted)
        self.ids.update(zip([name for name, _ in wanted], found, strict=True))
        return found

    def live(self) -> None:
        """What the client wants, in order."""
        self._submit({"task": "function"}, {"task": "command"}, {"task": "fragile"})
        (self.cancelled,) = self._submit({"task": "sleeper"})
        self._submit({"task": "command"})
        self.ask(requests.Cancel(job=self.cancelled))
        self.ask(requests.Reload())
        self._submit({"task": "function"}, {"task": "fragile"})
        if self.point.who == "workers":
            self._end_without_daemon()
            # Whoever is born anew dies at the same place again: until then it has been seen often enough.
            until(
                "a victim, or the end of all jobs",
                lambda: self._is_victim_dead() or self._is_all_over(),
                limit_s=60,
                log=self.daemon.log,
            )
            self._end_tracer()
        self.ask(requests.Wait(jobs=list(self.ids.values()), timeout_s=60 * PATIENCE))
        if self.point.who == "daemon":
            self._stop_traced()

    def _end_without_daemon(self) -> None:
        """An attempt that ends while no daemon runs leaves its outcome on the disk."""
        gate = self.ledger / "gate"
        os.mkfifo(gate)
        (job_id,) = self._submit({"task": "gate"})
        opened: list[int] = []

        def is_open() -> bool:
            with contextlib.suppress(OSError):
                opened.append(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))
            return bool(opened)

        def is_ended() -> bool:
            return self.daemon.status(job_id)["finished_at"] is not None

        self.daemon.until("the gate to be waited at", lambda: is_open() or is_ended(), limit_s=60)
        self.daemon.kill()
        for file in opened:
            os.write(file, b"go\n")
            os.close(file)
        if opened:
            until(
                "a record of the end, or a victim",
                lambda: (
                    self._is_victim_dead() or any(self.daemon.state_dir.rglob("outcomes/*.json"))
                ),
                limit_s=60,
            )
        self.daemon.start()

    def _is_all_over(self) -> bool:
        states = ["PENDING", "STARTED", "RETRY"]
        return not self.ask(requests.List(states=states, task=None, count=True))["count"]

    def _end_tracer(self) -> None:
        if self.tracer is not None:
            self.is_reached = self._is_victim_dead()
            self.tracer.send_signal(signal.SIGTERM)
            self.tracer.wait()
            self.tracer = None

    def _stop_traced(self) -> None:
        """Its end has commit points as well."""
        assert self.daemon.process is not None
        if self.daemon.launcher is not self.usual:
            with contextlib.suppress(JobctlError):
                self.daemon.call(requests.Stop(mode="keep"))
            self.is_reached = self.daemon.wait_for_exit() == -signal.SIGKILL
            self.daemon.launcher = self.usual
            self.daemon.start()

    # -- the checker ---------------------------------------------------------------------------------

    def examine(self, findings: Findings) -> None:
        """Join ledger, client's book and store."""
        self.daemon.wait(*self.ids.values(), limit_s=60)
        told = (self.ledger / "ledger").read_text().splitlines()
        said = Counter(tuple(line.split(" ", 1)) for line in told)
        faults = [line for line in told if line.startswith("twice")]
        for name, job_id in self.ids.items():
            faults += self._faults_of(name, job_id, said, findings)
        faults += [f"ran unasked: {name}" for _, name in said if name not in self.ids]
        audit = self.ask(requests.Audit())
        faults += [f"an instant: {violation}" for violation in audit["violations"]]
        findings.jobs += len(self.ids)
        self.ask(requests.Stop(mode="kill"))
        self.daemon.wait_for_exit()
        faults += _faults_of_store(self.daemon.state_dir / "jobctl.db")
        findings.faults += [f"{self.point}: {fault}" for fault in faults]
        kind = f"{self.point.who} {self.point.call}"
        (findings.points if self.is_reached else findings.unreached)[kind] += 1

    def _faults_of(
        self, name: str, job_id: int, said: Counter[tuple[str, ...]], findings: Findings
    ) -> list[str]:
        try:
            job = self.daemon.status(job_id)
        except JobctlError as error:
            return [f"{name} was acknowledged, but: {error}"]
        if job["task"] != self.tasks[name]:
            return [f"{name} was acknowledged, but {job_id} is a job of {job['task']}"]
        lost = sum(attempt["outcome"] == "lost" for attempt in job["attempts"])
        findings.lost += lost
        begun, ended = said["begin", name], said["end", name]
        what = f"{name} ({job['task']}) {job['state']}, {len(job['attempts'])} attempts, {lost} lost, began {begun}, ended {ended}"
        if lost and self.point.who == "daemon":
            return [f"an attempt was lost with the daemon: {what}"]
        if job_id == self.cancelled:
            return [] if job["state"] == "REVOKED" and begun <= 1 else [f"not cancelled: {what}"]
        if job["task"] in ("fragile", "gate"):
            is_kept = begun <= 1 and (job["state"] == "SUCCESS" or lost or self._is_own_end(job))
            return [] if is_kept else [f"more than once, or neither done nor lost: {what}"]
        if job["state"] != "SUCCESS" and not self._is_own_end(job):
            return [f"not done: {what}"]
        if not lost and job["state"] == "SUCCESS" and (begun, ended) != (1, 1):
            return [f"not exactly once: {what}"]
        return [f"more often than recorded: {what}"] if begun > len(job["attempts"]) else []

    def _is_own_end(self, job: dict[str, Any]) -> bool:
        """The command itself was the victim: that is its outcome, not a loss."""
        return self.point.who == "workers" and any(
            attempt["signal"] == signal.SIGKILL or attempt["exit_code"] in (1, 137)
            for attempt in job["attempts"]
        )


def is_traced(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return "TracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text()
    return True


def _faults_of_store(path: Path) -> list[str]:
    database = open_database(path)
    try:
        found = [*checks.integrity(database.connection), *checks.relations(database.connection)[0]]
        return [f"the store: {finding}" for finding in found]
    finally:
        database.close()


def try_point(point: Point, findings: Findings, launcher: Sequence[str] | None = None) -> bool:
    """One point; False: the victim made fewer calls than that. ``launcher``: of a daemon that is broken on
    purpose."""
    with running_daemon(configuration(point.who), start=False) as daemon:
        story = Story(daemon, point, launcher)
        try:
            story.begin()
            story.live()
            story.examine(findings)
        finally:
            story._end_tracer()
    return story.is_reached


def sweep(
    findings: Findings,
    *,
    every: int = 1,
    seed: int = 0,
    tell: Callable[[str], object] | None = None,
) -> Findings:
    """Every so-manieth call of each kind, from a random one of the first three on, until there are no more."""
    rng = random.Random(seed)
    for who, calls in (("daemon", DAEMON_CALLS), ("workers", WORKER_CALLS)):
        for call in calls:
            # Of some calls there are few.
            number = rng.randint(1, min(every, 3))
            while number <= MOST and try_point(Point(who, call, number), findings):
                number += every
            if tell is not None:
                tell(f"{who} {call}: {findings.points[f'{who} {call}']} points")
    return findings


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--point", action="append", help="daemon:fdatasync:3")
    given = parser.parse_args()
    if shutil.which("strace") is None:
        sys.stderr.write("kill_sweep needs strace (Debian: apt-get install strace)\n")
        return 2
    findings = Findings()
    for text in given.point or ():
        who, call, number = text.split(":")
        try_point(Point(who, call, int(number)), findings)
    if not given.point:
        sweep(
            findings,
            every=given.every,
            seed=given.seed,
            tell=lambda line: sys.stderr.write(f"{line}\n"),
        )
    sys.stdout.write(
        f"seed {given.seed}, every {given.every}\n" + "\n".join(findings.lines()) + "\n"
    )
    return 1 if findings.faults else 0


if __name__ == "__main__":
    sys.exit(main())
