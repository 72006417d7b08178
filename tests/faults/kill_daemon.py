"""Kill the daemon at random moments under load, and let the jobs themselves say what happened.

Functions and commands write a ledger (`tests/support/code/ledger.py`) while one client submits with
idempotency keys, the daemon is killed with SIGKILL at random moments (also while it starts), and now and
then a worker or keeper is killed as well. Afterwards:

* every id that was acknowledged is there and has ended;
* no job ran twice at once, and none more often than its attempts say;
* a job whose worker was not killed ran exactly once;
* each daemon was ready within the limit.

``python -m tests.faults.kill_daemon --kills 200 --jobs 5000`` prints seed and counts.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobctl.client import Client
from jobctl.errors import JobctlError
from jobctl.protocol import requests
from jobctl.protocol.key import make_key
from tests.support.configurations import CODE
from tests.support.daemon import Daemon, running_daemon
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RECOVERY_S = 2.0
"""The budget, for a machine that does nothing else."""

COMMAND = (
    'exec 9>>"$1/lock-$2"; '
    'flock -n 9 || { echo "twice $2" >>"$1/ledger"; exit 1; }; '
    'echo "begin $2" >>"$1/ledger"; '
    'case "$3" in 0) ;; *) sleep "$3" 9>&-;; esac; '
    'echo "end $2" >>"$1/ledger"'
)


def configuration() -> str:
    user = 'user = "root"' if os.geteuid() == 0 else ""
    return f"""
[workers.default]
processes = 2
commands = 4
pythonpath = ["{CODE}"]
{user}
[tasks.function]
function = "ledger:work"
on_lost = "retry"
max_lost = 1000
retry_delay = "0s"
[tasks.command]
shell = '''{COMMAND}'''
on_lost = "retry"
max_lost = 1000
retry_delay = "0s"
"""


@dataclass
class Findings:
    """What happened; `faults` is empty when everything that was promised was kept."""

    seed: int
    kills: int = 0
    kills_at_start: int = 0
    workers_killed: int = 0
    jobs: int = 0
    states: Counter[str] = field(default_factory=Counter)
    losses: int = 0
    recoveries_s: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For people."""
        ordered = sorted(self.recoveries_s) or [0.0]
        middle = ordered[len(ordered) // 2]
        return [
            f"seed {self.seed}",
            f"daemon killed {self.kills} times, {self.kills_at_start} of them before it was ready; "
            f"{self.workers_killed} workers and keepers killed",
            f"{self.jobs} jobs acknowledged: "
            + ", ".join(f"{count} {state}" for state, count in sorted(self.states.items()))
            + f"; {self.losses} attempts lost",
            f"recovery: median {middle:.3f} s, longest {ordered[-1]:.3f} s",
            *(f"FAULT: {fault}" for fault in self.faults),
        ]


class Submitter(threading.Thread):
    """A client that submits, and repeats with the same key whatever was not answered."""

    def __init__(self, daemon: Daemon, folder: Path, jobs: int, rng: random.Random) -> None:
        super().__init__(daemon=True)
        self._socket = daemon.socket
        self._folder = folder
        self._rng = rng
        self._total = jobs
        self._allowed = 0
        self._may_go_on = threading.Condition()
        self.names: dict[int, str] = {}

    def allow(self, count: int) -> None:
        """Submit up to so many jobs in all."""
        with self._may_go_on:
            self._allowed = min(count, self._total)
            self._may_go_on.notify()

    def run(self) -> None:
        made = 0
        while made < self._total:
            with self._may_go_on:
                self._may_go_on.wait_for(lambda made=made: made < self._allowed)  # type: ignore[misc]
                size = min(self._rng.choice((1, 1, 3, 25)), self._allowed - made)
            batch = [self._job(f"j{made + n}") for n in range(size)]
            for job, identity in zip(batch, self._submit(batch), strict=True):
                self.names[identity] = job["args"][1]
            made += size

    def _job(self, name: str) -> dict[str, Any]:
        seconds = self._rng.choices((0, 0.002, 0.05, 0.4), (70, 20, 8, 2))[0]
        task = self._rng.choice(("function", "command"))
        values: list[Any] = [str(self._folder), name, seconds]
        if task == "command":
            values = [str(value) for value in values]
        return {"task": task, "args": values, "typed": task == "function", "key": make_key()}

    def _submit(self, jobs: Sequence[dict[str, Any]]) -> list[int]:
        while True:
            client = Client(self._socket, timeout_s=30)
            try:
                answer = client.call(requests.Submit(jobs=list(jobs)))
                return [job["id"] for job in answer["jobs"]]
            except JobctlError:
                # Killed before, while or after it took them: the keys make the repetition safe.
                time.sleep(0.01)
            finally:
                client.close()


def torment(
    *, kills: int, jobs: int, worker_kills: int, seed: int, recovery_s: float = RECOVERY_S
) -> Findings:
    """Run the whole story once; a start that takes longer than ``recovery_s`` is a fault."""
    rng = random.Random(seed)
    findings = Findings(seed)
    killed_workers = set(rng.sample(range(kills), min(worker_kills, kills)))
    with running_daemon(configuration(), start=False) as daemon:
        folder = daemon.folder / "ledger"
        folder.mkdir()
        submitter = Submitter(daemon, folder, jobs, random.Random(seed + 1))
        submitter.start()
        for number in range(kills):
            submitter.allow(jobs * (number + 1) // kills)
            if rng.random() < 0.2:
                daemon.launch()
                time.sleep(rng.uniform(0.0, 0.4))
                findings.kills_at_start += not daemon.ready.is_set()
            else:
                findings.recoveries_s.append(start(daemon))
                time.sleep(rng.uniform(0.0, 0.3))
                if number in killed_workers:
                    findings.workers_killed += kill_a_worker(daemon, rng)
            daemon.kill()
            findings.kills += 1
        submitter.allow(jobs)
        findings.recoveries_s.append(start(daemon))
        submitter.join(120 * PATIENCE)
        if submitter.is_alive():
            findings.faults.append("the client could not submit everything")
        daemon.wait(*submitter.names, limit_s=120)
        examine(daemon, folder, submitter.names, findings)
    for span in findings.recoveries_s:
        if span > recovery_s * PATIENCE:
            findings.faults.append(f"a recovery took {span:.3f} s")
    return findings


def start(daemon: Daemon) -> float:
    """Start the daemon; how long it took until it served."""
    began = time.monotonic()
    daemon.start()
    return time.monotonic() - began


def kill_a_worker(daemon: Daemon, rng: random.Random) -> int:
    """Kill a worker or keeper, preferably one that is busy; how many were killed."""
    with contextlib.suppress(JobctlError, ProcessLookupError):
        found = [worker for worker in daemon.workers() if worker["pid"]]
        busy = [worker for worker in found if worker["attempts"]]
        if found:
            os.kill(rng.choice(busy or found)["pid"], 9)
            return 1
    return 0


def examine(daemon: Daemon, folder: Path, names: dict[int, str], findings: Findings) -> None:
    """Compare what the store says with what the jobs wrote."""
    ledger = (folder / "ledger").read_text().splitlines()
    said = Counter(tuple(line.split(" ", 1)) for line in ledger)
    findings.jobs = len(names)
    findings.faults += [line for line in ledger if line.startswith("twice")]
    for identity, name in names.items():
        job = daemon.status(identity)
        findings.states[job["state"]] += 1
        lost = sum(attempt["outcome"] == "lost" for attempt in job["attempts"])
        findings.losses += lost
        begun, ended = said["begin", name], said["end", name]
        told = f"job {identity} ({name}): {job['state']}, {len(job['attempts'])} attempts, "
        told += f"{lost} lost, began {begun} times, ended {ended} times"
        if job["state"] != "SUCCESS":
            findings.faults.append(f"not successful: {told}")
        elif not lost and (begun, ended) != (1, 1):
            findings.faults.append(f"not run exactly once: {told}")
        elif begun > len(job["attempts"]) or not ended:
            findings.faults.append(f"run more often than recorded: {told}")
    known = {name for _, name in said}
    for name in known - set(names.values()):
        findings.faults.append(f"a job ran that nobody was told of: {name}")
    if findings.losses > findings.workers_killed:
        findings.faults.append(
            f"{findings.losses} attempts lost, but only {findings.workers_killed} workers killed"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--worker-kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    given = parser.parse_args()
    findings = torment(
        kills=given.kills, jobs=given.jobs, worker_kills=given.worker_kills, seed=given.seed
    )
    sys.stdout.write("\n".join(findings.lines()) + "\n")
    return 1 if findings.faults else 0


if __name__ == "__main__":
    sys.exit(main())
