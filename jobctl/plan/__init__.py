"""The plan: what the file, the code and the stored schedules declare, and what is in force together.

`FilePlan` is what a file declares, `CodeReport` what a template found, `merge` makes the `Plan` of
both and of the stored schedules, `difference` tells what changes from one plan to the next. All of it
is immutable and pure, and needs the standard library and `jobctl.schedule` only.
"""

from __future__ import annotations

from jobctl.plan.check import check_file
from jobctl.plan.code import CodeReport, CodeTask, ImportFailure
from jobctl.plan.difference import Changed, details, difference
from jobctl.plan.file import FilePlan
from jobctl.plan.force import Plan
from jobctl.plan.merge import PlanRefused, check_schedule, merge
from jobctl.plan.tables import (
    STORED,
    DaemonSettings,
    Override,
    Queue,
    ScheduleSpec,
    WorkerGroup,
    read_schedule,
    read_stored,
)

__all__ = [
    "STORED",
    "Changed",
    "CodeReport",
    "CodeTask",
    "DaemonSettings",
    "FilePlan",
    "ImportFailure",
    "Override",
    "Plan",
    "PlanRefused",
    "Queue",
    "ScheduleSpec",
    "WorkerGroup",
    "check_file",
    "check_schedule",
    "details",
    "difference",
    "merge",
    "read_schedule",
    "read_stored",
]
