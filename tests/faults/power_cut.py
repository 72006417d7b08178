"""Cut the power under load, again and again, and compare what is left with what was acknowledged.

The state directory lies on an ext4 file system in a file. ``EXT4_IOC_SHUTDOWN`` without a flush of its
journal takes the disk away as a power cut does: what was not flushed is gone, what was is there. With it every
process is killed; the file system is mounted again (its journal is replayed), the host has another boot id,
and the next daemon starts. Clients and jobs keep their books on another file system:

* each job whose id was acknowledged is there and ends, and one that somebody saw end has ended;
* what may be lost but not repeated (``on_lost = "fail"``) began once at most; the rest succeeds;
* each instant has one fate; the store is whole.

``python -m tests.faults.power_cut --cycles 200`` prints counts. Needs root, loop devices and ext4.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from jobctl.client import Client
from jobctl.errors import JobctlError
from jobctl.protocol import requests
from jobctl.protocol.key import make_key
from jobctl.store import checks
from jobctl.store.database import open_database
from tests.support.configurations import CODE
from tests.support.daemon import Daemon, running_daemon, with_patch
from tests.support.waiting import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = 2
_BOOT_ID = "/proc/sys/kernel/random/boot_id"

NORMAL = """
from jobctl.store import database
database._PRAGMAS = tuple(
    (name, "NORMAL", 1) if name == "synchronous" else (name, value, back)
    for name, value, back in database._PRAGMAS
)
"""
"""The weaker setting that others take, for the control."""

_LINE = 'echo "begin $2" >>"$1/ledger"; echo "end $2" >>"$1/ledger"'
CONFIG = f"""
[workers.default]
processes = 2
commands = 4
pythonpath = ["{CODE}"]
user = "root"
[tasks.function]
function = "ledger:work"
on_lost = "retry"
max_lost = 1000
retry_delay = "0s"
[tasks.command]
shell = '{_LINE}'
on_lost = "retry"
max_lost = 1000
retry_delay = "0s"
[tasks.fragile]
shell = '{_LINE}'
[tasks.once]
function = "ledger:work"
[tasks.tick]
shell = ':'
every = "1s"
on_overlap = "allow"
on_missed = "once"
"""


def why_not() -> str | None:
    """Why power cannot be cut here; None when it can."""
    if os.geteuid() != 0:
        return "only root can mount"
    if not os.path.exists("/dev/loop-control"):  # noqa: PTH110 -- a device, no path of ours
        return "there are no loop devices"
    return None


@dataclass
class Findings:
    """What the cycles have shown; `faults` is empty when every promise was kept."""

    seed: int
    cuts: int = 0
    acknowledged: int = 0
    seen_ended: int = 0
    unacknowledged: int = 0
    losses: int = 0
    lost_jobs: int = 0
    faults: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        return [
            f"seed {self.seed}: {self.cuts} power cuts, {self.acknowledged} jobs acknowledged, "
            f"{self.seen_ended} of them seen to end before a cut, "
            f"{self.losses} attempts lost with the power, {len(self.faults)} violations",
            *(f"FAULT: {fault}" for fault in self.faults[:20]),
        ]


class Disk:
    """An ext4 file system in a file, and a boot id that goes with its power."""

    def __init__(self, folder: Path) -> None:
        self.image = folder / "disk.img"
        self.mount_point = folder / "disk"
        self.boot_id = folder / "boot_id"
        self.is_mounted = False
        self.mount_point.mkdir()
        with self.image.open("wb") as file:
            file.truncate(128 << 20)
        _run("mkfs.ext4", "-q", "-F", self.image)
        self.boot_id.write_text(f"{uuid.uuid4()}\n")

    def mount(self) -> None:
        _run("mount", "-o", "loop", self.image, self.mount_point)
        self.is_mounted = True

    def cut(self) -> None:
        """From now on nothing reaches the disk, and what had not is lost."""
        place = os.open(self.mount_point, os.O_RDONLY)
        try:
            fcntl.ioctl(place, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(place)
        self.boot_id.write_text(f"{uuid.uuid4()}\n")

    def unmount(self) -> None:
        """Take it off; what was killed may hold it for a moment more."""
        # Not os.path.ismount: a disk without power answers no question about itself.
        if self.is_mounted:
            until("the disk to be free", self._is_off, limit_s=30)
            self.is_mounted = False
            # The dead had a view of their own of what is mounted: as long as that is there the next mount
            # would be one of the same dead disk.
            until("the disk to be let go of", lambda: not self._devices(), limit_s=30)

    def _is_off(self) -> bool:
        command = ["umount", str(self.mount_point)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def _devices(self) -> str:
        command = ["losetup", "--noheadings", "--associated", str(self.image)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def launcher(self, code: str) -> Sequence[str]:
        """A daemon that reads this disk's boot id. ``code`` runs in it before it starts."""
        line = f'mount --bind "{self.boot_id}" {_BOOT_ID} && exec "$@"'
        return ("unshare", "--mount", "sh", "-c", line, "sh", *with_patch(code))


def _run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


class Submitter(threading.Thread):
    """A client that submits all the time and keeps a book of what it was told."""

    def __init__(self, bench: Bench, number: int, rng: random.Random) -> None:
        super().__init__(daemon=True)
        self._bench = bench
        self._number = number
        self._rng = rng
        self.is_over = threading.Event()

    def run(self) -> None:
        with (
            contextlib.suppress(JobctlError),
            Client(self._bench.daemon.socket, timeout_s=60 * PATIENCE) as client,
        ):
            while not self.is_over.is_set():
                self._submit(client)

    def _submit(self, client: Client) -> None:
        size = self._rng.choice((1, 1, 1, 2, 8))
        jobs = [self._bench.new_job(self._rng) for _ in range(size)]
        told = client.call(requests.Submit(jobs=[job for _, job in jobs]))["jobs"]
        for (name, job), answer in zip(jobs, told, strict=True):
            self._bench.acknowledged[name] = (answer["id"], job["task"])
        if self._rng.random() < 0.3:
            job_id = told[0]["id"]
            answer = client.call(requests.Wait(jobs=[job_id], timeout_s=0.5))
            if not answer["timed_out"]:
                self._bench.ended[job_id] = answer["jobs"][0]["state"]


class Bench:
    """Daemon, disk, clients and their books."""

    def __init__(self, daemon: Daemon, disk: Disk, code: str, findings: Findings) -> None:
        self.daemon = daemon
        self.disk = disk
        self.findings = findings
        self.ledger = daemon.folder / "ledger"
        self.ledger.mkdir()
        self.acknowledged: dict[str, tuple[int, str]] = {}
        self.ended: dict[int, str] = {}
        self.judged: set[str] = set()
        self._names = iter(range(10**9))
        self._lock = threading.Lock()
        daemon.state_dir = disk.mount_point / "state"
        daemon.launcher = disk.launcher(code)

    def new_job(self, rng: random.Random) -> tuple[str, dict[str, Any]]:
        with self._lock:
            name = f"n{next(self._names)}"
        task = rng.choice(("function", "command", "fragile", "once"))
        args: list[Any] = [str(self.ledger), name, 0 if task in ("function", "once") else "0"]
        return name, {"task": task, "args": args, "typed": True, "key": make_key()}

    def cycle(self, rng: random.Random) -> None:
        """Load, cut, mount, start, judge."""
        known = len(self.acknowledged)
        clients = [Submitter(self, number, random.Random(rng.random())) for number in range(3)]
        for client in clients:
            client.start()
        self.daemon.until("some jobs", lambda: len(self.acknowledged) >= known + 10, limit_s=60)
        # A random moment: nothing announces a power cut.
        time.sleep(rng.uniform(0.0, 1.0))
        # First the daemon, which comes back from no system call any more: when the journal is aborted under a
        # flush that runs, Linux may say that it has succeeded. A real cut leaves nobody to hear that.
        os.kill(self.daemon.pid, signal.SIGKILL)
        self.disk.cut()
        self.end_everything()
        for client in clients:
            client.is_over.set()
            client.join()
        self.disk.unmount()
        self.disk.mount()
        self.findings.cuts += 1
        self.daemon.start()
        self.judge()

    def end_everything(self) -> None:
        """As the power does."""
        process = self.daemon.process
        if process is not None and process.poll() is None:
            self.daemon.kill()
        while left := self.daemon.processes():
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)

    def judge(self) -> None:
        """Join the books."""
        said = Counter((self.ledger / "ledger").read_text().splitlines())
        faults = self.findings.faults
        new = {name: told for name, told in self.acknowledged.items() if name not in self.judged}
        here: dict[str, int] = {}
        for name, (job_id, task) in new.items():
            try:
                job = self.daemon.status(job_id)
            except JobctlError:
                faults.append(f"cut {self.findings.cuts}: {name} was acknowledged and is gone")
                continue
            if job["task"] != task or name not in job["args"]:
                faults.append(f"cut {self.findings.cuts}: {name} is another job now")
                continue
            seen = self.ended.get(job_id)
            if seen is not None and job["state"] != seen:
                faults.append(f"cut {self.findings.cuts}: {name} was {seen}, and is {job['state']}")
            here[name] = job_id
        if here:
            self.daemon.wait(*here.values(), limit_s=120)
        said = Counter((self.ledger / "ledger").read_text().splitlines())
        for name, job_id in here.items():
            self._judge_one(name, self.daemon.status(job_id), said)
        audit = self.daemon.call(requests.Audit())
        faults += [f"cut {self.findings.cuts}: {violation}" for violation in audit["violations"]]
        self.judged.update(new)
        self.findings.acknowledged += len(new)
        self.findings.seen_ended = len(self.ended)

    def _judge_one(self, name: str, job: dict[str, Any], said: Counter[str]) -> None:
        lost = sum(attempt["outcome"] == "lost" for attempt in job["attempts"])
        self.findings.losses += lost
        begun = said[f"begin {name}"]
        told = f"cut {self.findings.cuts}: {name} ({job['task']}) {job['state']}, {lost} lost, began {begun}"
        if job["task"] in ("fragile", "once"):
            if begun > 1 or (job["state"] != "SUCCESS" and not lost):
                self.findings.faults.append(told)
        elif job["state"] != "SUCCESS" or begun > len(job["attempts"]):
            self.findings.faults.append(told)


@contextlib.contextmanager
def bench(findings: Findings, code: str = "") -> Iterator[Bench]:
    """A daemon on a disk; afterwards no mount, loop device or process is left, whatever happened."""
    with running_daemon(CONFIG, start=False) as daemon:
        disk = Disk(daemon.folder)
        found = Bench(daemon, disk, code, findings)
        try:
            disk.mount()
            daemon.start()
            yield found
            daemon.stop("kill")
            findings.faults += _faults_of_store(daemon.state_dir / "jobctl.db")
        finally:
            found.end_everything()
            disk.unmount()
        daemon.state_dir = daemon.folder / "state"


def _faults_of_store(path: Path) -> list[str]:
    database = open_database(path)
    try:
        found = [*checks.integrity(database.connection), *checks.relations(database.connection)[0]]
        return [f"the store: {finding}" for finding in found]
    finally:
        database.close()


def run(cycles: int, seed: int, *, code: str = "") -> Findings:
    """Cut so many times; a daemon that is broken on purpose by ``code`` ends with its first faults."""
    findings = Findings(seed)
    rng = random.Random(seed)
    with bench(findings, code) as made:
        for _ in range(cycles):
            made.cycle(rng)
            if findings.faults:
                break
    return findings


ALONE: Final = ("unshare", "--mount", "--propagation", "private", sys.executable)
"""Python where nobody else sees what is mounted. A mount namespace that another process makes meanwhile is a
copy of this one, and holds the disk for as long as that process lives."""


def run_alone(cycles: int, seed: int, *, is_weak: bool = False) -> Findings:
    """What `run` does, beside other tests. ``is_weak``: the control, with `NORMAL`."""
    asked = [
        "--cycles",
        str(cycles),
        "--seed",
        str(seed),
        "--json",
        *(["--weak"] if is_weak else []),
    ]
    done = subprocess.run(
        [*ALONE, "-m", "tests.faults.power_cut", *asked],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise AssertionError(f"no power was cut: {done.stdout}{done.stderr}")
    return Findings(**json.loads(done.stdout))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--weak", action="store_true", help="the control, which must lose jobs")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    reason = why_not()
    if reason is not None:
        sys.stderr.write(f"power_cut: {reason}\n")
        return 2
    findings = run(given.cycles, given.seed, code=NORMAL if given.weak else "")
    told = json.dumps(asdict(findings)) if given.json else "\n".join(findings.lines())
    sys.stdout.write(told + "\n")
    return 1 if findings.faults else 0


if __name__ == "__main__":
    sys.exit(main())
