"""The screen of each command: at 80 and 200 columns, in a pipe, and as JSON.

The kept screens lie in ``screens/``. ``JOBCTL_REWRITE_SNAPSHOTS=1`` writes them anew; the test fails all
the same, so that a rewriting run is never taken for a green one. JSON is held against the schema that
ships, too.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from jobctl.cli import shapes
from tests.integration.cli import answers
from tests.integration.cli.answers import AD_HOC, FAILED, HOSTILE, SECOND, T0, WAITING, a_job

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.cli.line_fixtures import Shown
    from tests.integration.cli.scripted_daemon import ScriptedDaemon

SCREENS = Path(__file__).parent / "screens"
SCHEMAS = Path(shapes.__file__).parent / "schemas"


@dataclass(frozen=True)
class Case:
    """A line and what the daemon answers to it; ``schema`` names that of its JSON."""

    name: str
    words: tuple[str, ...]
    schema: str
    script: dict[str, Any] = field(default_factory=dict)


def case(name: str, line: str, schema: str = "", **script: Any) -> Case:
    return Case(name, tuple(line.split()), schema or name, script)


BACKUP = a_job(
    17, attempts=[answers.an_attempt(output_bytes=5000, output_tail="half a line\n" + "x\n" * 30)]
)
APART = a_job(
    21,
    attempts=[
        answers.an_attempt(
            output_bytes=4,
            output_tail="one\n",
            stderr_bytes=5000,
            stderr_tail="half a line\n" + "x\n" * 30,
        )
    ],
)
JOBS = [
    WAITING,
    AD_HOC,
    FAILED,
    a_job(17, result={"rows": 3}),
    a_job(9, state="REVOKED", reason="cancelled", queue="a-queue-with-quite-a-long-name"),
    a_job(2**63 - 1, task="t" * 200, state="RETRY", reason="waits before the next attempt"),
]


def a_stand(id: int, task: str, state: str = "SUCCESS", **others: Any) -> dict[str, Any]:
    """A job of a workflow."""
    times: dict[str, int | None] = {
        "submitted_at": T0,
        "started_at": T0 + 10 * id,
        "finished_at": T0 + 2_000_000 * id,
    }
    if state in ("PENDING", "REVOKED"):
        times["started_at"] = None
    if state in ("PENDING", "STARTED"):
        times["finished_at"] = None
    return {"id": id, "task": task, "state": state, "reason": None, **times, **others}


TREE = {
    "id": 30,
    "state": "FAILURE",
    "submitted_at": T0,
    "shape": [
        "chain",
        31,
        ["chord", ["group", 32, ["chain", 33, 34], ["link", 35, 36]], 37],
        38,
    ],
    "jobs": [
        a_stand(31, "shop.fetch"),
        a_stand(32, "shop.parse"),
        a_stand(33, "shop.resize", "FAILURE", reason="failed"),
        a_stand(34, "shop.store", "REVOKED", reason="job 33 is FAILURE"),
        a_stand(35, "shop.a_task_with_quite_a_long_name_that_does_not_end_soon"),
        a_stand(36, "shop.note"),
        a_stand(37, "shop.merge", "REVOKED", reason="job 34 is REVOKED"),
        a_stand(38, "shop.tell", "REVOKED", reason="job 37 is REVOKED"),
        a_stand(39, "shop.alarm"),
    ],
}
MANY = {
    "id": 40,
    "state": "STARTED",
    "submitted_at": T0,
    "shape": ["chord", ["group", *range(41, 71)], 71],
    "jobs": [
        *(a_stand(n, "shop.parse") for n in range(41, 60)),
        *(a_stand(n, "shop.parse", "STARTED") for n in range(60, 62)),
        *(a_stand(n, "shop.parse", "PENDING") for n in range(62, 72)),
    ],
}
A_FIRE = {
    "schedule": "backup",
    "task": "backup",
    "at": T0,
    "last": T0,
    "count": 1,
    "fate": "submitted",
    "job_id": 17,
    "reason": None,
}
FIRES = [
    A_FIRE,
    A_FIRE
    | {
        "at": T0 - 86400 * SECOND * 3,
        "last": T0 - 86400 * SECOND,
        "count": 3,
        "fate": "missed",
        "job_id": None,
        "reason": "the daemon did not run",
    },
]
GROUPS = [
    {
        "group": "shop",
        "pool": "prefork",
        "queues": [],
        "processes": 2,
        "concurrency": 1,
        "commands": 32,
        "set": ["processes"],
        "functions_running": 1,
        "commands_running": 1,
        "template": {"pid": 4701, "age_s": 93_000.0, "memory_bytes": 31 << 20},
        "workers": [
            {
                "instance": "8f3a",
                "kind": "function",
                "pid": 4711,
                "age_s": 3600.0,
                "memory_bytes": 58 << 20,
                "state": "busy",
                "made": 412,
                "attempts": [19],
            },
            {
                "instance": "9c01",
                "kind": "function",
                "pid": 4712,
                "age_s": None,
                "memory_bytes": None,
                "state": "dying",
                "made": 0,
                "attempts": [],
            },
            {
                "instance": "77aa",
                "kind": "keeper",
                "pid": 4720,
                "age_s": 12.5,
                "memory_bytes": 12 << 20,
                "state": "busy",
                "made": 3,
                "attempts": [20],
            },
        ],
    },
    {
        "group": "reports",
        "pool": "prefork",
        "queues": ["reports", "mail"],
        "processes": 2,
        "concurrency": 1,
        "commands": 4,
        "set": [],
        "functions_running": 0,
        "commands_running": 0,
        "template": None,
        "workers": [],
    },
]
SCHEDULES = [
    {
        "name": "backup",
        "task": "backup",
        "kind": "crontab",
        "expression": "30 2 * * *",
        "normal": "30 2 * * *",
        "timezone": "Europe/Berlin",
        "enabled": True,
        "state": "active",
        "paused_until": None,
        "next": T0 + 86400 * SECOND,
        "last": A_FIRE,
        "source": "/etc/jobctl/jobctl.toml:12",
    },
    {
        "name": HOSTILE,
        "task": "report",
        "kind": "interval",
        "expression": "30s",
        "normal": None,
        "timezone": "UTC",
        "enabled": True,
        "state": "paused",
        "paused_until": None,
        "next": None,
        "last": None,
        "source": "stored",
    },
]
A_FULL_SCHEDULE = answers.a_schedule(
    kind="interval",
    expression="90m",
    normal="1h30m",
    words="every hour 30 minutes of real time",
    state="paused",
    paused_at=T0,
    paused_until=T0 + 7200 * SECOND,
    args=["ann@example.org", 3],
    kwargs={"subject": "h\u00e9llo", "dry": True},
    start_at=T0 - 7200 * SECOND,
    end_at=T0 + 30 * 86400 * SECOND,
    jitter_s=30.0,
    expires_s=600.0,
    on_missed="all",
    missed_within_s=86400.0,
    missed_limit=7,
    max_runs=20,
    runs=12,
    fires=[A_FIRE, FIRES[1]],
    lints=[{"code": "herd", "message": "41 schedules fire at the same instant."}],
)
STATS = {
    "version": "0.1.0",
    "uptime_s": 3600.123456789,
    "submitted": 12,
    "longest_commit_s": 0.0021,
}
WHY: dict[str, Any] = {
    "name": "backup",
    "fires": [
        A_FIRE
        | {
            "fate": "skipped",
            "job_id": None,
            "reason": "job 16 of this schedule is STARTED",
            "is_exact": True,
            "next": T0 + 86400 * SECOND,
            "rule": {
                "kind": "crontab",
                "expression": "30 3 * * *",
                "timezone": "Europe/Berlin",
                "begins_at": T0 - 9 * 86400 * SECOND,
                "ends_at": None,
            },
            "job": None,
            "earlier_job": {
                "id": 16,
                "state": "STARTED",
                "reason": None,
                "attempts": 0,
                "exit_code": None,
                "signal": None,
                "said": None,
                "started_at": T0 - 86400 * SECOND,
                "finished_at": None,
            },
            "sentences": [
                '"backup" was due at 2026-11-20 03:30:00+01:00 (Europe/Berlin): at 03:30, every day.',
                "It was skipped, because job 16 of this schedule had not ended and on_overlap is "
                '"skip".',
                "Job 16 has been running since 2026-11-19 03:30:00+01:00.",
            ],
        }
    ],
    "job": None,
}
WHY["sentences"] = WHY["fires"][0]["sentences"]
WHY_JOB = {
    "name": "18",
    "fires": [],
    "job": {
        "id": 18,
        "state": "FAILURE",
        "reason": "failed",
        "attempts": 2,
        "exit_code": 1,
        "signal": None,
        "said": HOSTILE,
        "started_at": T0,
        "finished_at": T0 + SECOND,
    },
    "sentences": [
        "Job 18 (backup) was submitted at 2026-11-20 02:30:00+00:00.",
        "Job 18 failed at 2026-11-20 02:30:01+00:00 after 2 attempts: it ended with exit code 1.",
        f"The last it said: {HOSTILE}",
    ],
}
PROVED: dict[str, Any] = {
    "schedules": 2,
    "rows": 12,
    "instants": 345,
    "violations": [],
    "count": 0,
    "unjudged": [],
}
ACTIVE = {
    "jobs": [
        {
            "id": 19,
            "task": None,
            "command": ["sleep", "1000"],
            "queue": "default",
            "started_at": T0,
            "number": 1,
            "worker": "keeper-3",
        }
    ]
}

WELL: dict[str, Any] = {
    "daemon": "up",
    "stopped_at": None,
    "schedules": 41,
    "running": 2,
    "ready": 3,
    "oldest_s": 12.3,
    "counts": {"late": 0, "missed": 0, "failed": 0, "waiting": 0, "unavailable": 0},
    "findings": [],
}
UNWELL: dict[str, Any] = WELL | {
    "oldest_s": 700.0,
    "counts": {"late": 0, "missed": 0, "failed": 4, "waiting": 1, "unavailable": 1},
    "findings": [
        {"kind": "failed", "name": f"task-{number}", "at": T0, "job_id": number, "said": said}
        for number, said in enumerate(["exit code 12", "signal 9", "lost", "timed out"], 17)
    ]
    + [
        {"kind": "waiting", "name": "mail", "at": T0, "job_id": None, "said": "paused"},
        {"kind": "unavailable", "name": "shop.send", "at": None, "job_id": None, "said": HOSTILE},
    ],
}

CASES = [
    case(
        "submit",
        "submit backup",
        submit={"jobs": [{"id": 21, "state": "PENDING", "duplicate": False}]},
    ),
    case("status", "status 17", status=BACKUP),
    case("status-apart", "status 21", "status", status=APART),
    case("status-failed", "status 18", "status", status=FAILED),
    case("status-command", "status 19", "status", status=AD_HOC),
    case("status-hostile", "status 20", "status", status=WAITING | {"attempts": []}),
    case(
        "status-several",
        "status 17 18",
        status=lambda frame: {17: BACKUP, 18: FAILED}[frame["job"]],
    ),
    case(
        "overview",
        "status",
        inspect=lambda frame: {"stats": STATS, "active": ACTIVE}[frame["what"]],
    ),
    case("status-check", "status --check", health=WELL),
    case("status-check-bad", "status --check --critical failed", "status-check", health=UNWELL),
    case(
        "metrics",
        "metrics",
        metrics={
            "content_type": "text/plain; version=0.0.4; charset=utf-8",
            "text": "# HELP jobctl_up A daemon runs.\n# TYPE jobctl_up gauge\njobctl_up 1\n",
        },
    ),
    case("list", "list", list={"jobs": JOBS, "next": 9}),
    case("list-workflows", "list --workflows", workflows={"workflows": [MANY, TREE], "next": 30}),
    case(
        "list-no-workflows",
        "list --workflows",
        "list-workflows",
        workflows={"workflows": [], "next": None},
    ),
    case("status-workflow", "status 30", status=TREE),
    case("status-workflow-many", "status 40", "status-workflow", status=MANY),
    case("status-step", "status 17", "status", status=a_job(17, workflow=12)),
    case("list-empty", "list --state failure", "list", list={"jobs": [], "next": None}),
    case("count", "list --count", list={"count": 12345}),
    case(
        "logs",
        "logs 17",
        logs=[
            {"data": "h\u00c3\u00a9llo\x1b[31m\n", "offset": 0},
            {"attempt": 1, "bytes": 13, "state": "SUCCESS"},
        ],
    ),
    case(
        "logs-apart",
        "logs 21",
        "logs",
        logs=[
            {"data": "h\u00c3\u00a9llo\n", "offset": 0},
            {"data": "w\u00c3\u00a9lt\n", "offset": 0, "stream": "stderr"},
            {"attempt": 1, "bytes": 7, "stderr_bytes": 6, "state": "SUCCESS"},
        ],
    ),
    case(
        "wait",
        "wait 17",
        wait={
            "jobs": [
                {
                    "id": 17,
                    "state": "FAILURE",
                    "reason": "failed",
                    "kind": "command",
                    "exit_code": 7,
                    "signal": None,
                    "verdict": "failure",
                }
            ],
            "timed_out": False,
        },
    ),
    case(
        "result",
        "result 17",
        result={"id": 17, "state": "SUCCESS", "result": {"rows": [1, "two"]}, "error": None},
    ),
    case(
        "result-failed",
        "result 18",
        "result",
        result={"id": 18, "state": "FAILURE", "result": None, "error": FAILED["error"]},
    ),
    case(
        "cancel", "cancel 17", cancel={"id": 17, "state": "REVOKED", "gone": True, "remaining": []}
    ),
    case(
        "cancel-left",
        "cancel 17",
        "cancel",
        cancel={"id": 17, "state": "REVOKED", "gone": False, "remaining": [4711, 4712]},
    ),
    case("pause-job", "pause 17", pause_job={"id": 17, "state": "STARTED", "paused": True}),
    case(
        "resume-job",
        "resume 17 18",
        "pause-job-several",
        pause_job=lambda frame: {"id": frame["job"], "state": "STARTED", "paused": frame["paused"]},
    ),
    case(
        "cancel-several",
        "cancel 17 18",
        cancel=lambda frame: {
            "id": frame["job"],
            "state": "REVOKED",
            "gone": True,
            "remaining": [],
        },
    ),
    case("retry", "retry 17", retry={"id": 17, "state": "PENDING"}),
    case(
        "retry-several", "retry 17 18", retry=lambda frame: {"id": frame["job"], "state": "PENDING"}
    ),
    case("next", "next", next={"fires": [{"schedule": "backup", "task": "backup", "at": T0}]}),
    case("history", "history backup", history={"fires": FIRES, "next": None}),
    case(
        "history-task",
        "history report --fate missed --since 2d",
        "history",
        history={
            "fires": [FIRES[1] | {"schedule": name, "task": "report"} for name in ("a", HOSTILE)],
            "next": "1795141800000000.12.1",
        },
    ),
    case(
        "next-cut",
        "next --within 24h -n 1",
        "next",
        next={"fires": [{"schedule": "backup", "task": "backup", "at": T0}], "more": True},
    ),
    case("why", "why backup --at 03:30", why=WHY),
    case("why-several", "why backup", "why", why=WHY | {"fires": WHY["fires"] * 2}),
    case("why-job", "why 18", "why", why=WHY_JOB),
    case("schedule-audit", "schedule audit", audit=PROVED),
    case(
        "schedule-audit-faults",
        "schedule audit backup",
        "schedule-audit",
        audit=PROVED
        | {
            "violations": [
                {
                    "schedule": "backup",
                    "wrong": "no-fate",
                    "first": T0,
                    "last": T0 + 86400 * SECOND,
                    "count": 2,
                    "detail": "no row holds it",
                },
                {
                    "schedule": HOSTILE,
                    "wrong": "no-job",
                    "first": T0,
                    "last": T0,
                    "count": 1,
                    "detail": "there is no job 17",
                },
            ],
            "count": 2,
            "unjudged": [{"schedule": "mars", "rule": 1, "why": 'unknown time zone "Mars/Base"'}],
        },
    ),
    case("schedules", "schedule list", schedules={"schedules": SCHEDULES}),
    case("schedule-show", "schedule show nightly", show_schedule=answers.a_schedule()),
    case(
        "schedule-show-all",
        "schedule show nightly",
        "schedule-show",
        show_schedule=A_FULL_SCHEDULE,
    ),
    case(
        "schedule-show-hostile",
        "schedule show x",
        "schedule-show",
        show_schedule=answers.a_schedule(HOSTILE, stored=False, state="held", reason=HOSTILE)
        | {"kwargs": {HOSTILE: HOSTILE}, "source": f"/etc/{HOSTILE}.toml:12", "next": []},
    ),
    case(
        "schedule-add",
        "schedule add nightly backup --every 1h",
        add_schedule={"schedule": A_FULL_SCHEDULE, "duplicate": False},
    ),
    case(
        "schedule-edit",
        "schedule edit nightly --every 1h",
        edit_schedule={
            "schedule": answers.a_schedule(),
            "changes": ["every = 30s -> cron = 30 2 * * *", 'timezone: "UTC" -> "Europe/Berlin"'],
        },
    ),
    case(
        "schedule-remove",
        "schedule remove nightly",
        remove_schedule={"name": "nightly", "task": "backup"},
    ),
    case(
        "schedule-disable",
        "schedule disable nightly month-end --for 2h",
        "schedule-switch",
        disable_schedule=lambda frame: {
            "name": frame["name"],
            "state": "paused",
            "paused_until": frame["until"],
            "next": frame["until"] + 3600 * SECOND,
            "timezone": "Europe/Berlin",
        },
    ),
    case(
        "schedule-enable",
        "schedule enable nightly month-end",
        "schedule-switch",
        enable_schedule=lambda frame: {
            "name": frame["name"],
            "state": "active" if frame["name"] == "nightly" else "done",
            "paused_until": None,
            "next": T0 + 86400 * SECOND if frame["name"] == "nightly" else None,
            "timezone": "Europe/Berlin",
        },
    ),
    case(
        "schedule-run",
        "schedule run nightly",
        "submit",
        run_schedule={"id": 21, "state": "PENDING", "duplicate": False},
    ),
    case(
        "queues",
        "queue list",
        inspect={
            "queues": [
                {
                    "name": "default",
                    "paused": False,
                    "ready": 3,
                    "running": 1,
                    "concurrency": None,
                    "rate_limit": None,
                    "rate_burst": None,
                    "set": [],
                    "workers": ["default"],
                },
                {
                    "name": "mail",
                    "paused": True,
                    "ready": 0,
                    "running": 0,
                    "concurrency": 2,
                    "rate_limit": "10/s",
                    "rate_burst": 20,
                    "set": ["concurrency"],
                    "workers": [],
                },
            ]
        },
    ),
    case("pause", "queue pause mail", pause=lambda frame: frame),
    case("resume", "queue resume mail", "pause", pause=lambda frame: frame),
    case(
        "limit",
        "queue limit mail --concurrency 2 --rate none",
        limit={
            "queue": "mail",
            "concurrency": 2,
            "rate_limit": None,
            "rate_burst": None,
            "set": ["concurrency", "rate_limit"],
        },
    ),
    case(
        "purge",
        "queue purge mail",
        purge=lambda frame: {"queue": frame["queue"], "revoked": 3, "until": 9, "next": None},
    ),
    case(
        "audit",
        "audit",
        changes={
            "changes": [
                {
                    "id": 2,
                    "at": T0 + SECOND,
                    "uid": 0,
                    "request": "add_schedule",
                    "subject": "nightly",
                    "detail": 'keys=["cron", "task"]',
                },
                {
                    "id": 1,
                    "at": T0,
                    "uid": 4_000_000,
                    "request": "cancel",
                    "subject": "17",
                    "detail": "signal=INT",
                },
            ],
            "next": None,
        },
    ),
    case("db-prune", "db prune --keep 1d --keep-jobs 5", prune={"removed": 12}),
    case(
        "db-stats",
        "db stats",
        store_stats={
            "file_bytes": 5 << 20,
            "free_bytes": 40960,
            "log_bytes": 1000,
            "page_bytes": 4096,
            "disk_free_bytes": 3 << 30,
            "tables": {"attempts": 9000, "jobs": 10_000},
            "jobs": {"PENDING": 3, "SUCCESS": 9997},
            "submitted_in_day": 900,
            "submitted_in_week": 7000,
            "bytes_per_job": 520,
            "growth_bytes_per_day": 520_000,
        },
    ),
    case(
        "notify-test",
        "notify test",
        test_route={"messages": [{"route": "ops", "kind": "mail", "id": 21}]},
        wait={"jobs": [], "timed_out": False},
        status=a_job(
            21,
            state="FAILURE",
            attempts=[answers.an_attempt(output_tail="mail.example.org:587: Connection refused\n")],
        ),
    ),
    case("worker-list", "worker list", inspect={"groups": GROUPS}),
    case(
        "scale",
        "worker scale shop 4",
        scale={"group": "shop", "processes": 4, "commands": 32, "set": ["processes"]},
    ),
    case(
        "restart",
        "worker restart shop",
        restart={"group": "shop", "replaced": 2, "template": 4801},
    ),
    case(
        "ping",
        "inspect ping",
        inspect={"version": "0.1.0", "pid": 77, "uptime_s": 12.5, "daemon": "up"},
    ),
    case("active", "inspect active", inspect=ACTIVE),
    case("reserved", "inspect reserved", inspect=ACTIVE),
    case("scheduled", "inspect scheduled", inspect={"jobs": [WAITING]}),
    case(
        "registered",
        "inspect registered",
        inspect={
            "tasks": [
                {
                    "name": "backup",
                    "kind": "command",
                    "queue": "default",
                    "source": "/etc/jobctl/jobctl.toml:12",
                    "description": "Dumps the shop's database, \u4e16\u754c.",
                    "unavailable": None,
                }
            ]
        },
    ),
    case(
        "workers",
        "inspect workers",
        inspect={
            "workers": [
                {
                    "instance": "8f3a",
                    "kind": "keeper",
                    "group": "default",
                    "pid": 4711,
                    "phase": "busy",
                    "attempts": [19],
                    "made": 12,
                    "leftovers": 0,
                }
            ]
        },
    ),
    case("stats", "inspect stats", inspect=STATS),
    case(
        "conf",
        "inspect conf",
        inspect={
            "daemon": {"timezone": "Europe/Berlin", "imports": ["shop.tasks"], "shutdown": "keep"},
            "tasks": [{"name": "backup", "command": ["pg_dump", "shop"]}],
            "queues": [],
        },
    ),
    case("reload", "reload", reload={"changes": ["task backup: timeout was 1h, is 2h"]}),
    case("stop", "stop --mode drain", stop={"mode": "drain", "running": 2}),
]
MODES = ("80", "200", "pipe", "json")


def show(case: Case, mode: str, run: Callable[..., Shown]) -> Shown:
    if mode == "json":
        return run(*case.words, "--json")
    return run(*case.words, width=int(mode) if mode.isdecimal() else None)


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_screen_is_the_kept_one(
    case: Case,
    mode: str,
    run: Callable[..., Shown],
    daemon: Callable[..., ScriptedDaemon],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("jobctl.clock.SystemClock.now", lambda self: T0 + 3600 * SECOND)
    daemon(**case.script)

    shown = show(case, mode, run)

    text = f"exit code {shown.code}\n--- out\n{shown.out}--- err\n{shown.err}"
    kept = SCREENS / f"{case.name}.{mode}.txt"
    if os.environ.get("JOBCTL_REWRITE_SNAPSHOTS") and not (
        kept.exists() and kept.read_text() == text
    ):
        SCREENS.mkdir(exist_ok=True)
        kept.write_text(text)
        pytest.fail(f"{kept.name} was written anew: look at it, then run again without rewriting")
    assert text == kept.read_text()
    if mode == "json":
        schema = json.loads((SCHEMAS / f"{case.schema}.json").read_text())
        Draft202012Validator(schema).validate(json.loads(shown.out))
    elif mode.isdecimal():
        lines = re.sub(r"\x1b\[\d*m", "", shown.out).splitlines()
        is_page = case.words[0] in ("status", "metrics") or case.words[:2] == ("schedule", "show")
        assert is_page or all(len(line) <= int(mode) for line in lines)
        # A moment that is cut is worth nothing.
        assert not re.search(r"[0-9]{4}-[0-9: -]*…", shown.out)


def test_each_kept_screen_belongs_to_a_case() -> None:
    expected = {f"{case.name}.{mode}.txt" for case in CASES for mode in MODES}

    assert {file.name for file in SCREENS.iterdir()} == expected


@pytest.mark.parametrize("schema", sorted(SCHEMAS.glob("*.json")), ids=lambda file: file.stem)
def test_each_schema_that_ships_is_one_and_is_used(schema: Path) -> None:
    Draft202012Validator.check_schema(json.loads(schema.read_text()))

    # Their commands are tested with what they need.
    elsewhere = {
        "explain",
        "check",
        "error",
        "import-celery-beat",
        "import-crontab",
        "import-celery",
    }
    elsewhere |= {"export-crontab", "export-systemd", "submit-from"}
    elsewhere |= {"db-check", "db-backup", "db-restore", "doctor"}
    elsewhere |= {"takeover", "takeover-check", "takeover-undo"}
    elsewhere |= {"service-steps", "service-status"}
    assert schema.stem in {case.schema for case in CASES} | elsewhere
