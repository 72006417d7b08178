"""What a daemon answers about a few jobs: fixed moments, one hostile name."""

from __future__ import annotations

from typing import Any

T0 = 1_795_141_800_000_000
"""2026-11-20 02:30:00 UTC."""
SECOND = 1_000_000

HOSTILE = "bad\x1b[31m\tname\n\u202egnp"


def a_job(id: int = 17, **values: Any) -> dict[str, Any]:
    """A job as the daemon's ``status`` and ``list`` describe it; without attempts."""
    return {
        "id": id,
        "task": "backup",
        "command": None,
        "state": "SUCCESS",
        "reason": None,
        "queue": "default",
        "priority": 0,
        "args": [],
        "kwargs": {},
        "labels": {},
        "uid": 1000,
        "submitted_at": T0,
        "eta": None,
        "expires_at": None,
        "deadline_at": None,
        "started_at": T0 + SECOND // 2,
        "finished_at": T0 + 92 * SECOND + SECOND // 2,
        "result": None,
        "error": None,
        "a_key_of_a_later_version": {"x": 1},
    } | values


def an_attempt(number: int = 1, **values: Any) -> dict[str, Any]:
    """An attempt as the daemon's ``status`` describes it."""
    return {
        "number": number,
        "outcome": "success",
        "exit_code": 0,
        "signal": None,
        "started_at": T0 + SECOND // 2,
        "finished_at": T0 + 92 * SECOND + SECOND // 2,
        "duration_s": 92.0,
        "error": None,
        "output_bytes": 0,
        "output_tail": "",
        "user_s": 0.5,
        "system_s": 0.1,
        "max_rss_bytes": 12 << 20,
        "peak_memory_bytes": None,
        "worker": "k3",
        "proof": "cgroup",
        "ran_with": None,
        "late": None,
    } | values


TRACEBACK = (
    "Traceback (most recent call last):\n"
    '  File "/srv/shop/tasks.py", line 12, in send\n'
    "    raise ValueError(to)\n"
    "ValueError: no address"
)

FAILED = a_job(
    18,
    task="shop.tasks.send",
    state="FAILURE",
    reason="failed",
    queue="mail",
    priority=5,
    args=["ann@example.org", 3],
    kwargs={"subject": "h\u00e9llo", "dry": True},
    labels={"order": "4711"},
    error={"type": "ValueError", "message": "no address", "traceback": TRACEBACK},
    attempts=[
        an_attempt(
            1, outcome="lost", exit_code=None, signal=9, proof="unproved 77", duration_s=0.004
        ),
        an_attempt(
            2,
            outcome="failure",
            exit_code=None,
            error={"type": "ValueError", "message": "no address", "traceback": TRACEBACK},
            duration_s=3700.0,
            output_bytes=26,
            output_tail="one\ntab\there\x1b[31m\nh\u00c3\u00a9llo\xff\n",
        ),
    ],
)

AD_HOC = a_job(
    19,
    task=None,
    command=["tar", "-czf", "/tmp/my home.tar.gz", "it's"],
    state="STARTED",
    finished_at=None,
    progress={"done": 12, "total": 40, "percent": 30.0, "note": "a \x1b[2J note", "at": T0},
    attempts=[],
)

WAITING = a_job(
    20,
    task=HOSTILE,
    state="PENDING",
    reason="waits for its time",
    eta=T0 + 86400 * SECOND,
    expires_at=T0 + 2 * 86400 * SECOND,
    deadline_at=T0 + 3 * 86400 * SECOND,
    started_at=None,
    finished_at=None,
)


def a_schedule(name: str = "nightly", **values: Any) -> dict[str, Any]:
    """A schedule as the daemon's ``show_schedule`` describes it."""
    fire = {
        "schedule": name,
        "task": "backup",
        "at": T0 - 3600 * SECOND,
        "last": T0 - 3600 * SECOND,
    }
    fire |= {"count": 1, "fate": "submitted", "job_id": 17, "reason": None}
    return {
        "name": name,
        "task": "backup",
        "kind": "crontab",
        "expression": "30 2 * * *",
        "normal": "30 2 * * *",
        "words": "at 02:30, every day",
        "timezone": "Europe/Berlin",
        "dialect": "cronie",
        "state": "active",
        "reason": None,
        "paused_at": None,
        "paused_until": None,
        "source": "jobctl schedule add",
        "stored": True,
        "set_by": 0,
        "set_at": T0 - 7200 * SECOND,
        "args": [],
        "kwargs": {},
        "start_at": None,
        "end_at": None,
        "jitter_s": 0.0,
        "expires_s": None,
        "on_overlap": "skip",
        "on_missed": "skip",
        "missed_within_s": None,
        "missed_limit": 100,
        "max_runs": None,
        "runs": 1,
        "next": [T0 + (23 + 24 * day) * 3600 * SECOND for day in range(5)],
        "fires": [fire],
        "lints": [],
        "a_key_of_a_later_version": {"x": 1},
    } | values
