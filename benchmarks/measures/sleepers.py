"""Memory that running commands cost, beside the commands themselves."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from benchmarks.daemon import BenchDaemon
from benchmarks.measure import Budget, Contestant, Kind, Measure, Metric
from benchmarks.peers import needs_program
from benchmarks.processes import is_alive, name_of, naming, pss_mib
from benchmarks.spooler import spooler
from benchmarks.waiting import until
from jobctl.protocol import requests

if TYPE_CHECKING:
    from benchmarks.measure import Figures, Round

COUNT = 200
SLEEP = ["sleep", "600"]
_LIMIT_S = 60.0


def _jobctl(turn: Round) -> Figures:
    count = turn.size(COUNT, 5)
    with BenchDaemon(turn.folder, commands=count) as daemon:
        # Idle is: a keeper has worked and is kept, as after any command.
        daemon.wait(daemon.submit({"command": ["true"], "cwd": "/"}, {"task": "noop"}))
        idle = pss_mib(daemon.processes())
        daemon.submit(*[{"command": SLEEP, "cwd": "/"}] * count)
        until(
            "every command to run",
            lambda: _sleeping(daemon.processes()) == count,
            limit_s=_LIMIT_S,
            every_s=0.1,
        )
        # A request and its answer: the turn that started the last one is over.
        daemon.call(requests.Inspect(what="ping"))
        running = pss_mib(pid for pid in daemon.processes() if name_of(pid) != "sleep")
    return {"memory": running - idle}


def _sleeping(pids: list[int]) -> int:
    return sum(name_of(pid) == "sleep" for pid in pids)


def _task_spooler(turn: Round) -> Figures:
    count = turn.size(COUNT, 5)

    def ours() -> list[int]:
        return [pid for pid in naming(str(turn.folder)) if is_alive(pid)]

    with spooler(turn, slots=count) as (program, environment):
        idle = pss_mib(ours())
        for _ in range(count):
            subprocess.run([program, *SLEEP], env=environment, stdout=subprocess.PIPE, check=True)
        until(
            "every command to run",
            lambda: _sleeping(ours()) == count,
            limit_s=_LIMIT_S,
            every_s=0.1,
        )
        running = pss_mib(pid for pid in ours() if name_of(pid) != "sleep")
        for pid in ours():
            if name_of(pid) == "sleep":
                subprocess.run(["/bin/kill", str(pid)], check=True)
        until("every command to end", lambda: _sleeping(ours()) == 0, limit_s=_LIMIT_S)
    return {"memory": running - idle}


SLEEPERS = Measure(
    name="sleepers",
    title="200 sleeping commands",
    what=(
        "200 commands run at once; PSS of everything over that of an idle system, the commands "
        "themselves not counted."
    ),
    metrics=(Metric(name="memory", unit="MiB", is_rate=False, budget=Budget(limit=150)),),
    contestants=(
        Contestant(
            name="jobctl",
            kind=Kind.JOBCTL,
            settings="a keeper for each command",
            run=_jobctl,
        ),
        Contestant(
            name="task-spooler",
            kind=Kind.PEER,
            settings="200 slots; a process in C for each command",
            run=_task_spooler,
            why_missing=needs_program("tsp"),
        ),
    ),
)
