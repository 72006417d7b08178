"""Pausing a command that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.daemon.handlers.jobs import found
from jobctl.errors import Conflict, UsageError
from jobctl.job import State
from jobctl.store import jobs as job_rows

if TYPE_CHECKING:
    from jobctl.daemon.server import Call
    from jobctl.daemon.station import Station
    from jobctl.protocol import requests


def pause_job(station: Station, call: Call, request: requests.PauseJob) -> None:
    """Let a command that runs stand still, or go on; answered when it does.

    Nothing is stored: the frozen cgroup itself is what a later daemon finds.
    """
    job = request.job
    row = found(station, job)
    if row["state"] != State.STARTED:
        raise Conflict(
            f"job {job} is {row['state']}: it does not run",
            hint="What waits is held back by a paused queue: jobctl queue pause QUEUE.",
        )
    if row["kind"] != "command":
        raise UsageError(
            f"job {job} calls a function, and only commands can be paused",
            hint="Its worker would stand still with it, which holds other jobs and answers the daemon.",
        )

    worker = job_rows.worker_of(row["line"])
    if not station.engine.can_pause(worker):
        raise Conflict(
            f"job {job} cannot be paused: it runs in no cgroup that the kernel can freeze",
            hint="The daemon needs a cgroup of version 2 in which it may make others: Delegate=yes under "
            "systemd, or root. There is no other way that a job does not notice.",
        )

    def answer(reason: str) -> None:
        if reason:
            verb = "paused" if request.paused else "resumed"
            hint = f"jobctl status {job} tells how it stands."
            call.refuse(Conflict(f"job {job} was not {verb}: {reason}", hint=hint))
        else:
            told = {"id": job, "state": State.STARTED.value, "paused": request.paused}
            call.answer(told)

    station.engine.pause(worker, row["token"], is_paused=request.paused, answer=answer)
