"""Limits of a task and of keys while workers and daemon are killed; the jobs themselves keep the ledger.

Each attempt takes one of as many locks as its limits have places: the kernel frees them with the process,
however that ends. An attempt that finds all of them taken has met too many others alive.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.client import Client
from jobctl.errors import JobctlError
from jobctl.protocol import requests
from jobctl.protocol.key import make_key
from tests.faults.kill_daemon import kill_a_worker
from tests.support.configurations import CODE
from tests.support.daemon import Daemon, running_daemon

if TYPE_CHECKING:
    from pathlib import Path

KEYS = 3
PER_KEY = 2
CONCURRENCY = 5
JOBS = 300

_COMMAND = """
take() {
  number=0
  while [ $number -lt $2 ]; do
    exec 8>>"$FOLDER/$1-$number"
    if flock -n 8; then eval "exec $3>&8"; exec 8>&-; return; fi
    number=$((number + 1))
  done
  echo "over $1" >>"$FOLDER/ledger"
}
FOLDER=$1
take "task-command" $TASK 6
take "key-command-$2" $KEY 7
echo "begin command-$3" >>"$FOLDER/ledger"
sleep 0.0$4 6>&- 7>&- 8>&-
echo "end command-$3" >>"$FOLDER/ledger"
"""


def configuration() -> str:
    user = 'user = "root"' if os.geteuid() == 0 else ""
    limits = f"""
concurrency = {CONCURRENCY}
concurrency_key = "{{2}}"
concurrency_per_key = {PER_KEY}
on_lost = "retry"
max_lost = 1000
retry_delay = "0s"
"""
    line = _COMMAND.replace("$TASK", str(CONCURRENCY)).replace("$KEY", str(PER_KEY))
    return f"""
[workers.default]
processes = 8
commands = 8
pythonpath = ["{CODE}"]
{user}
[tasks.function]
function = "places:work"
{limits}
[tasks.command]
shell = '''{line}'''
{limits}
"""


def jobs_of(folder: Path, rng: random.Random) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for number in range(JOBS):
        task = rng.choice(["function", "command"])
        values = [str(folder), f"k{rng.randrange(KEYS)}", str(number), str(rng.randrange(1, 4))]
        limits = [CONCURRENCY, PER_KEY] if task == "function" else []
        priority = rng.randrange(3)
        found.append(
            {"task": task, "args": [*values, *limits], "typed": True, "priority": priority}
        )
    return found


@pytest.mark.timeout(300)
def test_no_limit_is_exceeded_while_workers_and_daemons_are_killed() -> None:
    seed = random.SystemRandom().randrange(2**32)
    rng = random.Random(seed)
    with running_daemon(configuration()) as daemon:
        folder = daemon.folder / "places"
        folder.mkdir()
        ids = daemon.submit_many(jobs_of(folder, rng))
        killed: Counter[str] = Counter()
        while killed["daemon"] < 6 or killed["worker"] < 12:
            # A random moment, as kill_daemon.py waits for one.
            time.sleep(rng.uniform(0.02, 0.15))
            if rng.random() < 0.75:
                killed["worker"] += kill_a_worker(daemon, rng)
            else:
                daemon.kill()
                daemon.start()
                killed["daemon"] += 1
            if all_ended(daemon):
                break
        ends = daemon.wait(*ids, limit_s=120)

        ledger = (folder / "ledger").read_text().splitlines()
        said = Counter(line.split(" ")[0] for line in ledger)
        told = f"seed {seed}, killed {dict(killed)}, ledger {dict(said)}"
        assert not said["over"], f"{told}: {[line for line in ledger if 'over' in line]}"
        assert {end["state"] for end in ends} == {"SUCCESS"}, told
        assert said["end"] >= JOBS, told
        assert said["begin"] >= said["end"], told
        assert killed["daemon"], told
        assert killed["worker"], told


def all_ended(daemon: Daemon) -> bool:
    """Nothing waits or runs any more."""
    try:
        states = ["PENDING", "STARTED", "RETRY"]
        return bool(daemon.call(requests.List(states=states, count=True))["count"] == 0)
    except JobctlError:
        return False


def test_a_rate_holds_over_killed_daemons() -> None:
    config = "[workers.default]\ncommands = 8\n[tasks.mail]\nshell = 'date +%s.%N >>\"$1\"'\n"
    with running_daemon(config + 'rate_limit = "10/s"\non_lost = "retry"\n') as daemon:
        ledger = daemon.folder / "ledger"
        jobs = [{"task": "mail", "args": [str(ledger)], "typed": True} for _ in range(31)]
        ids = daemon.submit_many(jobs)
        for kills in range(3):
            daemon.until(
                f"some more jobs before kill {kills + 1}",
                lambda most=5 * (kills + 1): (
                    ledger.exists() and len(ledger.read_text().splitlines()) >= most
                ),
            )
            daemon.kill()
            daemon.start()
        daemon.wait(*ids)

        begun = sorted(float(line) for line in ledger.read_text().splitlines())
        # 31 starts have 30 spacings between them; the first process may have come late, the last early.
        assert len(begun) >= 31
        assert begun[-1] - begun[0] > 3.0 - 0.7


def test_clients_that_submit_at_once_make_one_job_also_while_daemons_are_killed() -> None:
    """Each run holds the lock of its name: a second one that waits or runs beside it would be seen."""
    line = 'exec 9>>"$1"; flock -n 9 || { echo twice; exit 1; }; sleep 0.03 9>&-'
    config = f"[workers.default]\ncommands = 8\n[tasks.one]\nshell = '{line}'\nunique = \"task\"\n"
    with running_daemon(config + 'on_lost = "retry"\n') as daemon:
        lock = str(daemon.folder / "lock")
        is_over = threading.Event()
        answers: list[list[dict[str, Any]]] = [[] for _ in range(4)]

        def submit(told: list[dict[str, Any]]) -> None:
            while not is_over.is_set():
                job = {"task": "one", "args": [lock], "key": make_key()}
                with (
                    contextlib.suppress(JobctlError),
                    Client(daemon.socket, timeout_s=30) as client,
                ):
                    told += client.call(requests.Submit(jobs=[job]))["jobs"]

        clients = [threading.Thread(target=submit, args=(told,)) for told in answers]
        for client in clients:
            client.start()
        try:
            for kills in range(4):
                daemon.until(
                    f"many answers before kill {kills + 1}",
                    lambda least=50 * (kills + 1): sum(map(len, answers)) >= least,
                )
                daemon.kill()
                daemon.start()
        finally:
            is_over.set()
            for client in clients:
                client.join()
        told = [job for each in answers for job in each]
        made = {job["id"] for job in told}
        daemon.wait(*made)

        assert any(job["duplicate"] for job in told)
        assert len(made) > 1
        jobs = daemon.call(requests.List(limit=1000))["jobs"]
        assert {job["state"] for job in jobs} == {"SUCCESS"}
        spans = sorted((job["submitted_at"], job["finished_at"], job["id"]) for job in jobs)
        for (_, end, first), (begin, _, second) in pairwise(spans):
            assert end <= begin, f"jobs {first} and {second} were there at the same time"
