"""The plan: what the file, the code and the stored schedules declare, and what is in force together.

`FilePlan` is what a file declares, `CodeReport` what a template found, `merge` makes the `Plan` of
both and of the stored schedules, `difference` tells what changes from one plan to the next. All of it
is immutable and pure, and needs the standard library and `jobctl.schedule` only.
"""

from __future__ import annotations

from jobctl.plan.check import check_file
from jobctl.plan.code import CodeReport, CodeTask, ImportFailure, reading_report
from jobctl.plan.difference import Changed, details, difference, differing
from jobctl.plan.file import FilePlan
from jobctl.plan.force import Plan
from jobctl.plan.merge import PlanRefused, check_schedule, merge, merging
from jobctl.plan.schedule_table import STORED, ScheduleSpec, read_schedule, read_stored
from jobctl.plan.tables import DaemonSettings, Override, Queue, WorkerGroup

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
    "differing",
    "merge",
    "merging",
    "read_schedule",
    "read_stored",
    "reading_report",
]
