"""Kill the daemon around ticks, and let the audit and the jobs themselves say what happened.

Schedules of one second, one for each way of meeting an earlier job and of making up for what was missed,
crontabs and intervals, make jobs that write a ledger. The daemon is killed with SIGKILL around the moments
at which something is due, while it starts, and just after it was told to read an edited configuration.
Afterwards:

* ``schedule audit`` finds every instant with exactly one fate, with a daemon and without one;
* each job was made for one instant, and there is no job that no instant has made;
* each job began once at most, and once exactly if it succeeded;
* jobs of a schedule that may not overlap never did;
* each daemon was ready within the limit.

``python -m tests.faults.kill_beat --kills 200`` prints seed, counts and recovery times.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any, Final

from jobctl.clock import SECOND, SystemClock
from jobctl.protocol import requests
from tests.support.daemon import Daemon, running_daemon
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

RECOVERY_S: Final = 2.0
"""The budget, for a machine that does nothing else."""

OVERLAPS: Final = ("skip", "queue", "replace", "allow")
MISSED: Final = ("skip", "once", "all")
WHENS: Final = ('cron = "* * * * * *"', 'every = "1s"', 'cron = "*/2 * * * * *"')

SECONDS: Final = {"skip": "1.4", "queue": "1.2", "replace": "1.4", "allow": "0"}
"""How long a job runs: longer than to the next instant, so that it stands in its way."""

COMMAND: Final = (
    'exec 9>>"$FOLDER/lock-$1"; '
    'case "$2" in allow) ;; *) flock -n 9 || echo "overlap $1 $JOBCTL_JOB_ID" >>"$FOLDER/ledger";; esac; '
    'echo "begin $JOBCTL_JOB_ID" >>"$FOLDER/ledger"; '
    'case "$3" in 0) ;; *) sleep "$3" 9>&-;; esac'
)


def names() -> list[tuple[str, str, str]]:
    """Every schedule: name, ``on_overlap``, ``on_missed``."""
    return [
        (f"{overlap}-{missed}", overlap, missed) for overlap, missed in product(OVERLAPS, MISSED)
    ]


def configuration(folder: Path, edits: Counter[str], *, has_schedules: bool = True) -> str:
    """The file; a schedule that was edited so often goes by another rule than before."""
    text = f"""
[daemon]
timezone = "UTC"
[workers.default]
commands = 40
[tasks.tick]
shell = '''{COMMAND}'''
env = {{ FOLDER = "{folder}" }}
stop = "KILL"
"""
    for number, (name, overlap, missed) in enumerate(names() if has_schedules else []):
        text += f"""
[schedules.{name}]
task = "tick"
{WHENS[(number + edits[name]) % len(WHENS)]}
args = ["{name}", "{overlap}", "{SECONDS[overlap]}"]
on_overlap = "{overlap}"
on_missed = "{missed}"
"""
    return text


@dataclass
class Findings:
    """What happened; `faults` is empty when everything that was promised was kept."""

    seed: int
    kills: int = 0
    kills_at_start: int = 0
    edits: int = 0
    jobs: int = 0
    instants: int = 0
    rows: int = 0
    fates: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    recoveries_s: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For people."""
        ordered = sorted(self.recoveries_s) or [0.0]
        middle = ordered[len(ordered) // 2]
        fates = ", ".join(f"{count} {fate}" for fate, count in sorted(self.fates.items()))
        states = ", ".join(f"{count} {state}" for state, count in sorted(self.states.items()))
        return [
            f"seed {self.seed}",
            f"daemon killed {self.kills} times around ticks, {self.kills_at_start} of them before it was "
            f"ready; {self.edits} edits just before",
            f"{len(names())} schedules, {self.instants} instants in {self.rows} rows: {fates}",
            f"{self.jobs} jobs: {states}",
            f"recovery: median {middle:.3f} s, longest {ordered[-1]:.3f} s",
            *(f"FAULT: {fault}" for fault in self.faults),
        ]


class Torment:
    """One daemon that is killed again and again."""

    def __init__(
        self, daemon: Daemon, rng: random.Random, findings: Findings, recovery_s: float
    ) -> None:
        self.daemon = daemon
        self.rng = rng
        self.findings = findings
        self.recovery_s = recovery_s
        self.clock = SystemClock()
        self.edits: Counter[str] = Counter()
        self.ledger = daemon.folder / "ledger"
        self.ledger.touch()
        self.write()

    def write(self, *, has_schedules: bool = True) -> None:
        """Write the configuration."""
        text = configuration(self.daemon.folder, self.edits, has_schedules=has_schedules)
        self.daemon.config.write_text(text)

    def start(self) -> None:
        """Start the daemon and note how long it took until it served."""
        began = time.monotonic()
        self.daemon.start()
        self.findings.recoveries_s.append(time.monotonic() - began)

    def kill_once(self) -> None:
        """Start, wait for a moment around a tick, kill."""
        if self.rng.random() < 0.15:
            self.daemon.launch()
            time.sleep(self.rng.uniform(0.0, 0.5))
            self.findings.kills_at_start += not self.daemon.ready.is_set()
        else:
            self.start()
            # Now and then long enough that jobs meet each other.
            ticks = self.rng.choices((1, 2, 4), (70, 20, 10))[0]
            moment = self.next_tick() + (ticks - 1) * SECOND
            moment += round(self.rng.gauss(0.0, 0.004) * SECOND)
            is_edited = self.rng.random() < 0.15
            if is_edited:
                self.edit()
            self.wait_until(moment)
            if is_edited:
                self.daemon.signal(signal.SIGHUP)
                time.sleep(self.rng.uniform(0.0, 0.3))
        self.daemon.kill()
        self.findings.kills += 1

    def next_tick(self) -> int:
        """The next moment at which one of the schedules is due: a full second, or that of an interval."""
        fires = self.daemon.call(requests.Next(limit=len(names())))["fires"]
        later = self.clock.now() + SECOND // 20
        due = [fire["at"] for fire in fires if fire["at"] > later]
        return int(self.rng.choice(due)) if due else later

    def edit(self) -> None:
        """Give one schedule another rule; the file alone knows of it yet."""
        name, _, _ = self.rng.choice(names())
        self.edits[name] += 1
        self.write()
        self.findings.edits += 1

    def wait_until(self, moment: int) -> None:
        """Sleep to just before a moment, then watch the clock: the kill has to be exact."""
        time.sleep(max((moment - self.clock.now()) / SECOND - 0.002, 0.0))
        while self.clock.now() < moment:
            pass

    # -- afterwards -----------------------------------------------------------------------------------

    def examine(self) -> None:
        """No more instants; then compare what the store says with what the jobs wrote."""
        self.write(has_schedules=False)
        self.start()
        jobs = self.jobs()
        self.daemon.wait(*jobs, limit_s=120)
        jobs = self.jobs()
        self.audit(self.daemon.call(requests.Audit()), "with a daemon")
        made = self.fates()
        self.compare(jobs, made)
        self.daemon.stop()
        self.audit(self.audit_offline(), "without a daemon")
        for span in self.findings.recoveries_s:
            if span > self.recovery_s * PATIENCE:
                self.findings.faults.append(f"a recovery took {span:.3f} s")

    def jobs(self) -> dict[int, str]:
        """The state of every job."""
        found: dict[int, str] = {}
        before = None
        while True:
            answer = self.daemon.call(requests.List(limit=1000, before=before))
            found |= {job["id"]: job["state"] for job in answer["jobs"]}
            before = answer["next"]
            if before is None:
                return found

    def fates(self) -> list[int]:
        """The job of every instant that made one; counts the fates."""
        made = []
        for name, _, _ in names():
            cursor = None
            while True:
                request = requests.History(schedule=name, limit=1000, cursor=cursor)
                answer = self.daemon.call(request)
                for fire in answer["fires"]:
                    self.findings.fates[fire["fate"]] += fire["count"]
                    if fire["job_id"] is not None:
                        made.append(fire["job_id"])
                cursor = answer["next"]
                if cursor is None:
                    break
        return made

    def audit(self, answer: dict[str, Any], when: str) -> None:
        """Everything is proved."""
        self.findings.instants, self.findings.rows = answer["instants"], answer["rows"]
        self.findings.faults += [f"{when}: {violation}" for violation in answer["violations"]]
        self.findings.faults += [f"{when}, not judged: {one}" for one in answer["unjudged"]]
        if answer["schedules"] != len(names()):
            self.findings.faults.append(f"{when}: {answer['schedules']} schedules")

    def audit_offline(self) -> dict[str, Any]:
        """What the command says when no daemon runs."""
        environment = {
            **self.daemon.environment,
            "STATE_DIRECTORY": str(self.daemon.state_dir),
            "JOBCTL_SOCKET": str(self.daemon.socket),
        }
        command = [sys.executable, "-m", "jobctl", "--config", str(self.daemon.config)]
        ended = subprocess.run(
            [*command, "schedule", "audit", "--json"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if "daemon: down" not in ended.stderr:
            self.findings.faults.append(f"no answer without a daemon: {ended.stdout}{ended.stderr}")
        found: dict[str, Any] = json.loads(ended.stdout)
        return found

    def compare(self, jobs: dict[int, str], made: list[int]) -> None:
        """Instants, jobs and the ledger tell the same story."""
        faults = self.findings.faults
        self.findings.jobs = len(jobs)
        self.findings.states.update(jobs.values())
        faults += [f"two instants have job {job}" for job, n in Counter(made).items() if n > 1]
        faults += [f"no instant has made job {job}" for job in jobs.keys() - set(made)]
        faults += [f"job {job} of an instant is not there" for job in set(made) - jobs.keys()]
        lines = self.ledger.read_text().splitlines()
        faults += [line for line in lines if line.startswith("overlap")]
        begun = Counter(int(line.split()[1]) for line in lines if line.startswith("begin"))
        faults += [f"job {job} began {n} times" for job, n in begun.items() if n > 1]
        faults += [f"job {job} ran, and nobody knows it" for job in begun.keys() - jobs.keys()]
        for job, state in jobs.items():
            if state not in {"SUCCESS", "REVOKED"}:
                faults.append(f"job {job} is {state}")
            elif state == "SUCCESS" and not begun[job]:
                faults.append(f"job {job} succeeded and never began")


def torment(*, kills: int, seed: int, recovery_s: float = RECOVERY_S) -> Findings:
    """Run the whole story once; a start that takes longer than ``recovery_s`` is a fault."""
    rng = random.Random(seed)
    findings = Findings(seed)
    with running_daemon(start=False) as daemon:
        torment = Torment(daemon, rng, findings, recovery_s)
        for _ in range(kills):
            torment.kill_once()
        torment.examine()
    return findings


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    given = parser.parse_args()
    findings = torment(kills=given.kills, seed=given.seed)
    sys.stdout.write("\n".join(findings.lines()) + "\n")
    return 1 if findings.faults else 0


if __name__ == "__main__":
    os.environ.setdefault("TZ", "UTC")
    sys.exit(main())
