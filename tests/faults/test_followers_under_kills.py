"""What follows a job, while workers and daemons are killed: retries, hand-over, dependencies, uniqueness.

Each attempt writes its own begin and end into a ledger, with the number that the daemon gave it; so does
whatever a job hands over to, and what waits for it. Afterwards ledger and store must tell one story.
"""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.protocol import requests
from tests.faults.kill_daemon import kill_a_worker
from tests.support.daemon import Daemon, running_daemon

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

JOBS = 100
RETRIES = 2
LOCKS = 4

# Line by line with O_APPEND: whole lines, whoever writes beside.
_SAY = 'say() { echo "$1 $JOBCTL_JOB_ID $JOBCTL_ATTEMPT_NUMBER" >>"$LEDGER"; }'


def configuration(folder: Path) -> str:
    common = f"""
env = {{ LEDGER = "{folder / "ledger"}" }}
on_lost = "retry"
max_lost = 1000
"""
    return f"""
[workers.default]
commands = 12
[queues.default]
[tasks.work]
shell = '''{_SAY}; say begin; sleep "$2"; say end; exit "$1"'''
retries = {RETRIES}
retry_delay = "10ms"
retry_jitter = false
on_success = "succeeded"
on_failure = "failed"
on_retry = "again"
{common}
[tasks.follower]
shell = '''{_SAY}; say begin; say end'''
{common}
[tasks.one]
shell = '''{_SAY}; exec 9>>"$LEDGER.lock-$1"; flock -n 9 || say twice; say begin; sleep 0.02 9>&-; say end'''
unique = "args"
{common}
""" + "".join(
        f"""
[tasks.{name}]
shell = '''echo "told $JOBCTL_ARG_JOB_ID $JOBCTL_ARG_ATTEMPT {name}" >>"$LEDGER"'''
{common}
"""
        for name in ("succeeded", "failed", "again")
    )


@dataclass
class Story:
    """What was submitted, and what the jobs themselves said of it."""

    codes: dict[int, int]
    on_success: dict[int, int]
    on_end: dict[int, int]
    lines: list[list[str]] = field(default_factory=list)

    def places(self, what: str) -> dict[tuple[int, int], list[int]]:
        """Where in the ledger attempts said this, by job and number."""
        found: dict[tuple[int, int], list[int]] = defaultdict(list)
        for place, (said, job, number, *_) in enumerate(self.lines):
            if said == what:
                found[int(job), int(number)].append(place)
        return found


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_follows_a_job_follows_once_while_workers_and_daemons_are_killed() -> None:
    seed = random.SystemRandom().randrange(2**32)
    rng = random.Random(seed)
    with running_daemon(start=False) as daemon:
        daemon.config.write_text(configuration(daemon.folder))
        daemon.start()
        story = submit(daemon, rng)
        killed: Counter[str] = Counter()
        ones: set[int] = set()
        while killed["daemon"] < 6 or killed["worker"] < 12:
            for number in range(LOCKS):
                ones.update(daemon.submit_many([{"task": "one", "args": [str(number)]}] * 2))
            # A random moment, as kill_daemon.py waits for one.
            time.sleep(rng.uniform(0.02, 0.15))
            if rng.random() < 0.7:
                killed["worker"] += kill_a_worker(daemon, rng)
            else:
                daemon.kill()
                daemon.start()
                killed["daemon"] += 1
        daemon.until("everything to end", lambda: not unfinished(daemon), limit_s=120)

        story.lines = [line.split() for line in (daemon.folder / "ledger").read_text().splitlines()]
        jobs = {job: daemon.status(job) for job in all_jobs(daemon)}
        told = f"seed {seed}, killed {dict(killed)}, {len(story.lines)} lines"
        faults = [
            *attempts_faults(jobs, story),
            *retry_faults(jobs, story),
            *hand_over_faults(jobs, story),
            *after_faults(jobs, story),
        ]
        assert not faults, f"{told}: {faults[:10]}"
        assert not [line for line in story.lines if line[0] == "twice"], told
        assert {jobs[one]["state"] for one in ones} == {"SUCCESS"}, told
        worked = [attempt for job in story.codes for attempt in jobs[job]["attempts"]]
        losses = [attempt for attempt in worked if attempt["outcome"] == "lost"]
        assert losses, f"{told}: no kill has met a job that others follow"


def submit(daemon: Daemon, rng: random.Random) -> Story:
    """Jobs that succeed or fail each time, and two that wait for each of them."""
    codes = [rng.choice([0, 0, 3]) for _ in range(JOBS)]
    work = [
        {
            "task": "work",
            "args": [str(code), f"0.{rng.randrange(1, 6)}"],
            "priority": rng.randrange(3),
        }
        for code in codes
    ]
    ids = daemon.submit_many(work)
    successes = daemon.submit_many([{"task": "follower", "after": [job]} for job in ids])
    ends = daemon.submit_many([{"task": "follower", "after_any": [job]} for job in ids])
    return Story(
        dict(zip(ids, codes, strict=True)),
        dict(zip(ids, successes, strict=True)),
        dict(zip(ids, ends, strict=True)),
    )


def unfinished(daemon: Daemon) -> int:
    states = ["PENDING", "STARTED", "RETRY"]
    return int(daemon.call(requests.List(states=states, count=True))["count"])


def all_jobs(daemon: Daemon) -> list[int]:
    found: list[int] = []
    cursor = None
    while True:
        answer = daemon.call(requests.List(limit=500, before=cursor))
        found += [job["id"] for job in answer["jobs"]]
        cursor = answer["next"]
        if cursor is None:
            return found


def attempts_faults(jobs: dict[int, dict[str, Any]], story: Story) -> Iterable[str]:
    """Each attempt ran at most once, what ended says so in both, and no job runs twice at once."""
    begun, ended = story.places("begin"), story.places("end")
    for key, places in begun.items():
        if len(places) > 1:
            yield f"attempt {key} began {len(places)} times"
    for id, job in jobs.items():
        if job["task"] not in ("work", "follower", "one"):
            continue
        numbers = {attempt["number"] for attempt in job["attempts"]}
        if strange := [key for key in begun if key[0] == id and key[1] not in numbers]:
            yield f"the store knows nothing of {strange}"
        for attempt in job["attempts"]:
            key = (id, attempt["number"])
            if attempt["outcome"] in ("success", "failure") and key not in ended:
                yield f"{key} is a {attempt['outcome']} and never came to its end"
        spans = sorted(
            (begun[id, number][0], ended.get((id, number), [-1])[-1])
            for number in numbers
            if (id, number) in begun
        )
        for (_, end), (begin, _) in pairwise(spans):
            if end > begin:
                yield f"two attempts of job {id} ran at once"


def retry_faults(jobs: dict[int, dict[str, Any]], story: Story) -> Iterable[str]:
    """A loss uses up no retry, and a failure does."""
    for id, code in story.codes.items():
        outcomes = Counter(attempt["outcome"] for attempt in jobs[id]["attempts"])
        state, failures = ("SUCCESS", 0) if code == 0 else ("FAILURE", RETRIES + 1)
        if jobs[id]["state"] != state or outcomes["failure"] != failures:
            yield f"job {id} with exit code {code} is {jobs[id]['state']}: {dict(outcomes)}"


def hand_over_faults(jobs: dict[int, dict[str, Any]], story: Story) -> Iterable[str]:
    """One job for each end and each retry, told which, and each of them has said so."""
    made: Counter[tuple[str, int, int]] = Counter()
    for job in jobs.values():
        if job["task"] in ("succeeded", "failed", "again"):
            facts = job["kwargs"]
            made[job["task"], int(facts["job_id"]), int(facts["attempt"])] += 1
            if job["state"] != "SUCCESS":
                yield f"{job['task']} job {job['id']} is {job['state']}"
    wanted: Counter[tuple[str, int, int]] = Counter()
    for id, code in story.codes.items():
        attempts = jobs[id]["attempts"]
        for attempt in attempts[:-1]:
            if attempt["outcome"] != "released":
                wanted["again", id, attempt["number"]] += 1
        wanted["succeeded" if code == 0 else "failed", id, attempts[-1]["number"]] += 1
    if made != wanted:
        yield f"handed over too much: {made - wanted}, too little: {wanted - made}"
    said = {(line[3], int(line[1]), int(line[2])) for line in story.lines if line[0] == "told"}
    if said != set(wanted):
        yield f"in the ledger and not wanted: {said - set(wanted)}, or missing: {set(wanted) - said}"


def after_faults(jobs: dict[int, dict[str, Any]], story: Story) -> Iterable[str]:
    """Who waits begins after the last end, or never where that was no success."""
    begun, ended = story.places("begin"), story.places("end")
    first = {id: min(p) for id, p in _by_job(begun).items()}
    last = {id: max(p) for id, p in _by_job(ended).items()}
    for id, code in story.codes.items():
        for follower, runs in ((story.on_success[id], code == 0), (story.on_end[id], True)):
            if jobs[follower]["state"] != ("SUCCESS" if runs else "REVOKED"):
                yield f"follower {follower} of job {id} ({code}) is {jobs[follower]['state']}"
            if (follower in first) != runs:
                yield f"follower {follower} of job {id} ({code}) ran: {follower in first}"
            elif runs and first[follower] < last[id]:
                yield f"follower {follower} began before job {id} had ended"


def _by_job(places: dict[tuple[int, int], list[int]]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for (job, _), where in places.items():
        found[job] += where
    return found
