"""Everything at once for some minutes: is the daemon afterwards as it was before?

Clients submit, cancel and retry; schedules fire each second; workers and daemons are killed, the daemon is
stopped and continued, the configuration is reloaded in storms and with mistakes, hostile clients send rubbish
and hang. One seed decides all of it. Then nothing is asked any more, everything ends, and the daemon is
measured against its first quiet minute: descriptors, threads, memory, children, length of the store's log;
processes, sockets and cgroups are looked for by the daemon's bench itself. Jobs are judged by their ledger as
in `tests.faults.kill_daemon`.

``python -m tests.faults.soak --minutes 30 --seed 1``
"""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import socket
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from jobctl.errors import JobctlError
from jobctl.protocol import requests
from tests.faults.kill_daemon import Findings as LedgerFindings
from tests.faults.kill_daemon import Submitter, configuration, examine, kill_a_worker
from tests.support.daemon import Daemon, running_daemon, with_patch
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

LOG_BYTES = 64 << 20
MORE_MEMORY_BYTES = 24 << 20
"""What the daemon may have grown by: SQLite's cache fills once, allocators keep what they had."""

_SCHEDULES = """
[tasks.tick]
shell = ':'
every = "1s"
on_overlap = "allow"
on_missed = "once"
[tasks.slow]
shell = 'sleep 0.3'
every = "1s"
on_overlap = "skip"
"""


@dataclass
class Size:
    """A daemon that has nothing to do."""

    descriptors: int
    threads: int
    memory_bytes: int
    children: int
    log_bytes: int


@dataclass
class Findings:
    """What the soak has shown; `faults` is empty when all is as it was."""

    seed: int
    seconds: float = 0.0
    happened: Counter[str] = field(default_factory=Counter)
    jobs: int = 0
    before: Size | None = None
    after: Size | None = None
    faults: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        told = ", ".join(f"{count} {what}" for what, count in sorted(self.happened.items()))
        return [
            f"seed {self.seed}: {self.seconds / 60:.1f} minutes, {self.jobs} jobs ({told}), "
            f"{len(self.faults)} violations",
            f"before: {self.before}",
            f"after:  {self.after}",
            *(f"FAULT: {fault}" for fault in self.faults[:20]),
        ]


class Soak:
    """The daemon and what befalls it."""

    def __init__(self, daemon: Daemon, findings: Findings, rng: random.Random) -> None:
        self.daemon = daemon
        self.findings = findings
        self.rng = rng
        self.good = daemon.config.read_text()
        self._acts: list[tuple[int, Callable[[], None]]] = [
            (3, self.kill_daemon),
            (4, self.kill_worker),
            (1, self.stop_and_continue),
            (2, self.storm_of_reloads),
            (1, self.bad_reload),
            (3, self.rubbish),
            (2, self.silent_clients),
            (2, self.cancel_some),
            (1, self.restart),
        ]

    def act(self) -> None:
        weights = [weight for weight, _ in self._acts]
        ((_, act),) = self.rng.choices(self._acts, weights)
        with contextlib.suppress(JobctlError, ProcessLookupError):
            act()
            self.findings.happened[act.__name__.replace("_", " ")] += 1

    def kill_daemon(self) -> None:
        self.daemon.kill()
        self.daemon.start()

    def kill_worker(self) -> None:
        kill_a_worker(self.daemon, self.rng)

    def restart(self) -> None:
        self.daemon.stop("keep")
        self.daemon.start()

    def stop_and_continue(self) -> None:
        self.daemon.signal(signal.SIGSTOP)
        # How long it stands still is the trial; nothing happens meanwhile that could be waited for.
        time.sleep(self.rng.uniform(0.0, 1.5))
        self.daemon.signal(signal.SIGCONT)

    def storm_of_reloads(self) -> None:
        for _ in range(50):
            self.daemon.signal(signal.SIGHUP)
        self.daemon.call(requests.Reload())

    def bad_reload(self) -> None:
        self.daemon.config.write_text("[tasks.wrong]\ncomand = 7\n")
        try:
            self.daemon.call(requests.Reload())
        except JobctlError:
            pass
        else:
            self.findings.faults.append("a bad configuration was taken")
        finally:
            self.daemon.config.write_text(self.good)

    def rubbish(self) -> None:
        with contextlib.suppress(OSError), self._connected() as client:
            client.sendall(self.rng.randbytes(self.rng.choice((1, 100, 70_000))))

    def silent_clients(self) -> None:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for _ in range(50):
                stack.enter_context(self._connected()).sendall(b'{"do":')
            self.daemon.call(requests.Inspect(what="stats"))

    def _connected(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(5 * PATIENCE)
        client.connect(str(self.daemon.socket))
        return client

    def cancel_some(self) -> None:
        jobs = [self.daemon.submit(task="slow") for _ in range(3)]
        for job in jobs:
            self.daemon.call(requests.Cancel(job=job))


def size_of(daemon: Daemon) -> Size:
    """Of a daemon in which nothing happens."""
    proc = Path(f"/proc/{daemon.pid}")
    status = dict(
        line.split(":\t", 1) for line in (proc / "status").read_text().splitlines() if ":\t" in line
    )
    log = daemon.state_dir / "jobctl.db-wal"
    return Size(
        descriptors=len(list((proc / "fd").iterdir())),
        threads=int(status["Threads"]),
        memory_bytes=int(status["VmRSS"].split()[0]) * 1024,
        children=len(daemon.processes()),
        log_bytes=log.stat().st_size if log.exists() else 0,
    )


def soak(seconds: float, seed: int, *, code: str = "", rest_s: float = 30.0) -> Findings:
    """Let everything happen for so long, then compare, after a rest of at most ``rest_s``.

    ``code`` runs in a daemon that is broken on purpose.
    """
    findings = Findings(seed)
    rng = random.Random(seed)
    # Schedules come with the load and go with it: what is measured is a daemon that has nothing to do.
    quiet = configuration()
    with running_daemon(quiet, start=False) as daemon:
        daemon.launcher = with_patch(code)
        daemon.start()
        folder = daemon.folder / "ledger"
        folder.mkdir()
        jobs = int(seconds * 20)
        _warm_up(daemon, folder)
        findings.before = size_of(daemon)
        daemon.config.write_text(quiet + _SCHEDULES)
        daemon.call(requests.Reload())
        made = Soak(daemon, findings, rng)
        submitter = Submitter(daemon, folder, jobs, random.Random(seed + 1))
        submitter.start()
        began = time.monotonic()
        while (spent := time.monotonic() - began) < seconds:
            submitter.allow(int(jobs * spent / seconds))
            made.act()
            # A pace: a soak is as long as it was asked for.
            time.sleep(rng.uniform(0.0, 0.2))
        findings.seconds = time.monotonic() - began
        submitter.allow(jobs)
        submitter.join(300 * PATIENCE)
        daemon.wait(*submitter.names, limit_s=300)
        _judge(daemon, folder, submitter, findings)
        daemon.config.write_text(quiet)
        daemon.call(requests.Reload())
        daemon.until("everything to end", lambda: _is_all_over(daemon), limit_s=120)
        _compare(daemon, findings, rest_s)
    return findings


def _warm_up(daemon: Daemon, folder: Path) -> None:
    """What is begun once and kept is there before anything is measured."""
    tasks = ("function", "command")
    jobs = [
        {"task": tasks[n % 2], "args": [str(folder), f"w{n}", 0], "typed": True} for n in range(20)
    ]
    daemon.wait(*daemon.submit_many(jobs), limit_s=60)
    daemon.until("everything to end", lambda: _is_all_over(daemon), limit_s=60)
    (folder / "ledger").unlink()


def _is_all_over(daemon: Daemon) -> bool:
    states = ["PENDING", "STARTED", "RETRY"]
    return not daemon.call(requests.List(states=states, count=True))["count"]


def _judge(daemon: Daemon, folder: Path, submitter: Submitter, findings: Findings) -> None:
    ledger = LedgerFindings(findings.seed)
    # Some of those that were to be killed had ended before.
    ledger.workers_killed = 10**9
    examine(daemon, folder, submitter.names, ledger)
    findings.jobs = ledger.jobs
    findings.faults += ledger.faults
    audit = daemon.call(requests.Audit())
    findings.faults += [f"an instant: {violation}" for violation in audit["violations"]]


def _compare(daemon: Daemon, findings: Findings, rest_s: float) -> None:
    before = findings.before
    assert before is not None

    def is_as_before() -> bool:
        findings.after = size_of(daemon)
        # Keepers and workers beyond those of the warm-up are let go after a while; each has a connection.
        more = max(findings.after.children - before.children, 0)
        return findings.after.descriptors <= before.descriptors + 3 * more + 2

    with contextlib.suppress(AssertionError):
        daemon.until("as many descriptors as before", is_as_before, limit_s=rest_s)
    after = findings.after
    assert after is not None
    if not is_as_before():
        findings.faults.append("descriptors are left")
    if after.threads != before.threads:
        findings.faults.append("threads are left")
    if after.memory_bytes > before.memory_bytes + MORE_MEMORY_BYTES:
        findings.faults.append("memory is left")
    if after.log_bytes > LOG_BYTES:
        findings.faults.append("the store's log has grown")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    given = parser.parse_args()
    findings = soak(given.minutes * 60, given.seed)
    sys.stdout.write("\n".join(findings.lines()) + "\n")
    return 1 if findings.faults else 0


if __name__ == "__main__":
    sys.exit(main())
