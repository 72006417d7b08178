"""What a claimed job becomes: an attempt with everything its worker needs to know.

A job keeps its task's name, its arguments and what its submitter overrode; the rest is read from the
plan here, at the claim. The environment of a command starts empty: it gets nothing it was not given.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobctl.arguments import Texts, build_argv, build_env, shell_argv
from jobctl.clock import SECOND
from jobctl.dispatcher.left_output import name_left_output
from jobctl.engine.base import Attempt
from jobctl.errors import InvalidArguments
from jobctl.paths import output_file
from jobctl.protocol.compact import dumps
from jobctl.reports import DESCRIPTOR, VARIABLE
from jobctl.retry import RetryRule
from jobctl.task import Kind, Send, StopStep, Task
from jobctl.task.world import CREDENTIAL, io_priority
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobctl.result import Outcome
    from jobctl.store.jobs import Claimed

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_UMASK = 0o022
DEFAULT_OUTPUT_CAP_BYTES = 1 << 20
_AD_HOC = Task(name="ad-hoc", command=("ad-hoc",))


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the host, as far as starting a process needs it."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str
    home: str


@lru_cache(maxsize=256)
def account_of(user: str | int) -> Account:
    """The account of a name or uid. Raises InvalidArguments when there is none of that name."""
    if isinstance(user, int) or user.isdecimal():
        uid = int(user)
        try:
            entry = pwd.getpwuid(uid)
        except KeyError:
            return Account(uid, uid, (uid,), str(uid), "/")
    else:
        try:
            entry = pwd.getpwnam(user)
        except KeyError:
            raise InvalidArguments(
                f'this host has no user "{user}"', hint="Create it, or change user in the task."
            ) from None
    groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return Account(entry.pw_uid, entry.pw_gid, groups, entry.pw_name, entry.pw_dir)


@lru_cache(maxsize=256)
def in_group(account: Account, group: str) -> Account:
    """An account with another group than its own. Raises InvalidArguments when there is none of that name."""
    if group.isdecimal():
        gid = int(group)
    else:
        try:
            gid = grp.getgrnam(group).gr_gid
        except KeyError:
            raise InvalidArguments(
                f'this host has no group "{group}"', hint="Create it, or change group in the task."
            ) from None
    # Without the group that it replaces: a command is given away from it, too.
    others = [other for other in account.groups if other not in (account.gid, gid)]
    return replace(account, gid=gid, groups=(gid, *others))


def forget_accounts() -> None:
    """Look accounts up again: the host's users may have changed."""
    account_of.cache_clear()
    in_group.cache_clear()
    grp.getgrall()


def steps_of(stop: Sequence[StopStep]) -> tuple[tuple[int, float], ...]:
    """A stop sequence as pairs of a signal and how long to wait after it."""
    steps: list[tuple[int, float]] = []
    for step in stop:
        if isinstance(step, Send):
            steps.append((int(step.signal), 0.0))
        elif steps:
            number, wait_s = steps[-1]
            steps[-1] = (number, wait_s + step.span_s)
    number, _ = steps[-1]
    # After the last signal the tree is looked at again every second until it is gone.
    steps[-1] = (number, 1.0)
    return tuple(steps)


class Orders:
    """Makes attempts; holds what is the same for many jobs."""

    def __init__(self, output_dir: Path) -> None:
        self._output_dir = output_dir

    def attempt_of(
        self,
        job: Claimed,
        task: Task | None,
        *,
        limit_s: float | None = None,
        is_paced: bool = False,
    ) -> Attempt:
        """The attempt of a claimed job. ``task`` is None for an ad-hoc command; ``limit_s`` is how long the
        task lets it take; ``is_paced``: a rate says when it starts.

        Raises:
            InvalidArguments: the plan's task cannot take the job's arguments (any more).
        """
        _check_kind(job, task)
        overrides = json.loads(job.overrides) if job.overrides else {}
        timeout_s = _until_deadline(job, overrides.get("timeout_s", limit_s))
        soft_timeout_s = overrides.get("soft_timeout_s", task.soft_timeout_s if task else None)
        if job.kind != "command":
            return Attempt(
                token=job.token,
                job_id=job.id,
                number=job.number,
                task=job.task if task is None else task.name,
                claimed_at=job.started_at,
                payload=job.payload,
                timeout_s=timeout_s,
                soft_timeout_s=soft_timeout_s,
                may_share=timeout_s is None and soft_timeout_s is None and not is_paced,
            )
        payload = json.loads(job.payload)
        order = self._order(job, task, payload)
        order["timeout_s"] = timeout_s
        if job.deadline_at is not None:
            # Also apart from the limit, which stands still while the command is paused.
            order["deadline_s"] = _until_deadline(job, None)
        if soft_timeout_s is not None:
            order["soft_timeout_s"] = soft_timeout_s
            order["soft_signal"] = int((task or _AD_HOC).soft_signal)
        if overrides.get("stderr", (task or _AD_HOC).stderr) == "separate":
            path = output_file(self._output_dir, job.id, job.number, stderr=True)
            order["stderr_path"] = str(path)
        return Attempt(
            token=job.token,
            job_id=job.id,
            number=job.number,
            task=job.task,
            claimed_at=job.started_at,
            order=order,
            timeout_s=timeout_s,
            stop=tuple((number, wait_s) for number, wait_s in order["stop"]),
        )

    def with_left_output(self, outcome: Outcome, number: int) -> Outcome:
        """The outcome of the job's attempt ``number``, with what a keeper that could not say so has left of
        its output in files."""
        job_id, folder = outcome.job_id, self._output_dir
        return name_left_output(
            outcome,
            output=output_file(folder, job_id, number),
            stderr=output_file(folder, job_id, number, stderr=True),
        )

    def _order(self, job: Claimed, task: Task | None, payload: Mapping[str, Any]) -> dict[str, Any]:
        rules = task or _AD_HOC
        account = account_of(task.user if task and task.user is not None else self._uid(job, task))
        changes_group = task is not None and task.group is not None
        if task is not None and task.group is not None:
            account = in_group(account, task.group)
        if task is None:
            argv: Sequence[str] = payload["command"]
            given_env: Mapping[str, str] = payload.get("env", {})
            cwd = payload["cwd"]
            umask = payload["umask"]
        else:
            texts = Texts(args=tuple(payload["args"]), kwargs=payload["kwargs"])
            if task.shell is not None:
                argv = shell_argv(task.shell, texts)
            else:
                assert task.command is not None
                argv = build_argv(task.command, texts)
            given_env = {**task.env, **build_env(texts.args, texts.kwargs)}
            # As cron does not: a user like "nobody" has a home that does not exist, and still has jobs.
            cwd = task.cwd or (account.home if Path(account.home).is_dir() else "/")
            umask = task.umask if task.umask is not None else DEFAULT_UMASK
        return {
            "token": job.token,
            "job_id": job.id,
            "argv": list(argv),
            "env": {
                **clean_environment(account),
                **given_env,
                "JOBCTL_JOB_ID": str(job.id),
                "JOBCTL_ATTEMPT": f"{job.token:016x}",
                "JOBCTL_ATTEMPT_NUMBER": str(job.number),
                **({"JOBCTL_TASK": task.name} if task else {}),
                **({VARIABLE: str(DESCRIPTOR)} if rules.progress else {}),
            },
            "cwd": cwd,
            "umask": umask,
            "uid": account.uid,
            "gid": account.gid,
            "groups": list(account.groups),
            **({"progress": True} if rules.progress else {}),
            **({"journal": _journal_fields(job, rules)} if rules.journal else {}),
            **({"changes_group": True} if changes_group else {}),
            **({"world": asked} if (asked := _world(task, account)) else {}),
            "stop": [list(step) for step in steps_of(rules.stop)],
            "success_codes": list(rules.success_codes),
            "leftover": rules.leftover,
            "output_path": str(output_file(self._output_dir, job.id, job.number)),
            "output_cap_bytes": rules.output_cap_bytes,
        }

    @staticmethod
    def _uid(job: Claimed, task: Task | None) -> int:
        """A task's command runs as the daemon, an ad-hoc command as its submitter."""
        return os.geteuid() if task is not None else job.uid


def _journal_fields(job: Claimed, task: Task) -> dict[str, str]:
    """The fields of each line in the journal: what ``journalctl -t`` and ``JOBCTL_JOB_ID=`` look for."""
    return {
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": task.name,
        "JOBCTL_TASK": task.name,
        "JOBCTL_JOB_ID": str(job.id),
        "JOBCTL_ATTEMPT_NUMBER": str(job.number),
    }


def _world(task: Task | None, account: Account) -> dict[str, Any]:
    """What a task asks for beside its command, as `jobctl.worker.world` takes it; mostly nothing.

    Raises:
        InvalidArguments: something of it cannot be kept.
    """
    if task is None:
        return {}
    asked: dict[str, Any] = {}
    if task.env_file:
        asked["env_files"] = [
            [_path_of(path.removeprefix("-"), "env_file"), path.startswith("-")]
            for path in task.env_file
        ]
    if task.env_from_file:
        asked["env_from_file"] = {
            name: _path_of(path, f"env_from_file.{name}")
            for name, path in task.env_from_file.items()
        }
    if task.stdin:
        asked["stdin"] = task.stdin
    if task.stdin_file is not None:
        asked["stdin_file"] = task.stdin_file
    if task.nice is not None:
        asked["nice"] = task.nice
    if task.ionice is not None:
        asked["ionice"] = list(io_priority(task.ionice))
    if task.max_processes is not None and account.uid == 0:
        raise InvalidArguments(
            f'task "{task.name}": max_processes does not bind root',
            hint="Run the command as another user: set user.",
        )
    limits = {
        "cpu_time": None if task.cpu_time_s is None else int(task.cpu_time_s),
        "open_files": task.open_files,
        "max_processes": task.max_processes,
        "address_space": task.address_space_bytes,
        "core_size": task.core_size_bytes,
    }
    set_limits = {name: value for name, value in limits.items() if value is not None}
    if set_limits:
        asked["limits"] = set_limits
    bounds = {"memory": task.memory_bytes, "processes": task.processes}
    set_bounds = {name: value for name, value in bounds.items() if value is not None}
    if set_bounds:
        asked["bounds"] = set_bounds
    return asked


def _path_of(path: str, key: str) -> str:
    if not path.startswith(CREDENTIAL):
        return path
    name = path.removeprefix(CREDENTIAL)
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise InvalidArguments(
            f'{key}: the daemon was given no credential "{name}"',
            hint=f"Write LoadCredential={name}:/path/to/file into its unit, and restart it.",
        )
    return f"{folder}/{name}"


def clean_environment(account: Account) -> dict[str, str]:
    """What every process of ours starts with, and nothing else."""
    return {
        "PATH": DEFAULT_PATH,
        "HOME": account.home,
        "USER": account.name,
        "LOGNAME": account.name,
        "SHELL": "/bin/sh",
        "LANG": "C.UTF-8",
    }


def limit_of(ran_with: str | None) -> float | None:
    """The time limit with which a running attempt was claimed, in seconds."""
    found = json.loads(ran_with).get("timeout_s") if ran_with else None
    return None if found is None else float(found)


def ran_with_limit(timeout_s: float) -> str:
    """What an attempt's row says about a function with a time limit: the next daemon keeps it too."""
    return dumps({"timeout_s": timeout_s})


def ran_with(order: Mapping[str, Any]) -> str:
    """What an attempt's row says about how a command was run.

    No environment and no input, which may hold secrets; of files only the paths.
    """
    asked = order.get("world", {})
    return dumps(
        {
            "argv": order["argv"],
            "cwd": order["cwd"],
            "uid": order["uid"],
            "timeout_s": order["timeout_s"],
            **({"gid": order["gid"]} if order.get("changes_group") else {}),
            **{name: value for name, value in asked.items() if name != "stdin"},
        }
    )


def with_request(attempt: Attempt, job: Claimed, task: Task, row: Mapping[str, Any]) -> Attempt:
    """The attempt of a function that wants to know of its job: ``request`` in the payload says it.

    ``row`` is the job's, as `jobctl.store.jobs.get` gives it.
    """
    request = {
        "queue": job.queue,
        "priority": job.priority,
        "number": job.number,
        "failures": job.failures,
        "losses": job.losses,
        "eta": row.get("eta"),
        "expires_at": row.get("expires_at"),
        "deadline_at": job.deadline_at,
        "labels": json.loads(row["labels"]) if row.get("labels") else {},
        "timeout_s": attempt.timeout_s,
        "soft_timeout_s": attempt.soft_timeout_s,
        "rule": asdict(retry_rule(task, job.overrides)),
    }
    comma = "" if attempt.payload == "{}" else ","
    payload = f'{attempt.payload[:-1]}{comma}"request":{dumps(request)}}}'
    return attempt._replace(payload=payload)


def retry_rule(task: Task | None, overrides: str | None) -> RetryRule:
    """The rule for further attempts of a job."""
    given = json.loads(overrides) if overrides else {}
    return RetryRule.of(task or _AD_HOC, retries=given.get("retries"))


def _until_deadline(job: Claimed, timeout_s: float | None) -> float | None:
    """How long an attempt that is claimed now may take: no longer than its job has until its deadline.

    As a limit of the attempt it is kept by whoever keeps its limits, without the daemon.
    """
    if job.deadline_at is None:
        return timeout_s
    left_s = (job.deadline_at - job.started_at) / SECOND
    return left_s if timeout_s is None else min(timeout_s, left_s)


def _check_kind(job: Claimed, task: Task | None) -> None:
    """A job's arguments were converted for what its task was: they do not fit another kind."""
    was = Kind.COMMAND if job.kind == "command" else Kind.FUNCTION
    if task is not None and task.kind is not was:
        raise InvalidArguments(
            f'task "{task.name}" was a {was.value} when this job was submitted '
            f"and is a {task.kind.value} now",
            hint="Submit it again.",
        )
