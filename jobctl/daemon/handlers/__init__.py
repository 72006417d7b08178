"""What the daemon does for each request; one module a subject, one function a request.

A handler gives back the answer (a mapping, or what is JSON already); or a generator, which is run a slice a turn and whose return value is the
answer; or None, when it has arranged for the answer itself. Those of `WRITING` work inside the turn's
transaction, which may be rolled back and played again: they refuse by raising before they have written
anything, touch nothing but the store and the dispatcher's hints, and may give back a function that does
the rest after the commit. All others are run after it, outside of any transaction; those that change
the plan make a durable step of their own.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from jobctl.daemon.handlers import control, inspect, jobs, logs, queues, schedules, workers
from jobctl.protocol import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from jobctl.daemon.server import Call, Encoded
    from jobctl.daemon.station import Station

    Answer = (
        dict[str, Any] | Encoded | Generator[None, None, dict[str, Any]] | Callable[[], None] | None
    )
    Handler = Callable[[Station, Call, Any], Answer]


def _at_first_use(module: str, name: str) -> Handler:
    """A handler whose module is imported when it is asked for: most daemons are never asked."""

    def handle(station: Station, call: Call, request: Any) -> Answer:
        handler: Handler = getattr(import_module(f"{__name__}.{module}"), name)
        return handler(station, call, request)

    return handle


HANDLERS: dict[type[requests.Request], Handler] = {
    requests.Submit: jobs.submit,
    requests.SubmitWorkflow: _at_first_use("workflows", "submit_workflow"),
    requests.Workflow: _at_first_use("workflows", "workflow"),
    requests.Workflows: _at_first_use("workflows", "list_workflows"),
    requests.Status: jobs.status,
    requests.List: jobs.list_jobs,
    requests.Wait: jobs.wait,
    requests.Result: jobs.result,
    requests.Cancel: jobs.cancel,
    requests.PauseJob: _at_first_use("pausing", "pause_job"),
    requests.Forget: jobs.forget,
    requests.Retry: jobs.retry,
    requests.Logs: logs.logs,
    requests.Inspect: inspect.inspect,
    requests.Health: _at_first_use("health", "health"),
    requests.Metrics: _at_first_use("metrics", "metrics"),
    requests.Schedules: schedules.schedules,
    requests.Next: schedules.next_fires,
    requests.History: schedules.history,
    requests.Why: _at_first_use("why", "why"),
    requests.Audit: _at_first_use("audit", "audit"),
    requests.ShowSchedule: _at_first_use("schedule_changes", "show_schedule"),
    requests.AddSchedule: _at_first_use("schedule_changes", "add_schedule"),
    requests.EditSchedule: _at_first_use("schedule_changes", "edit_schedule"),
    requests.RemoveSchedule: _at_first_use("schedule_changes", "remove_schedule"),
    requests.DisableSchedule: _at_first_use("schedule_changes", "disable_schedule"),
    requests.EnableSchedule: _at_first_use("schedule_changes", "enable_schedule"),
    requests.RunSchedule: _at_first_use("schedule_changes", "run_schedule"),
    requests.Pause: queues.pause,
    requests.Limit: queues.limit,
    requests.Purge: queues.purge,
    requests.Scale: workers.scale,
    requests.TestRoute: _at_first_use("routes", "test_route"),
    requests.Restart: workers.restart,
    requests.Changes: _at_first_use("changes", "changes"),
    requests.Backup: _at_first_use("store", "backup"),
    requests.Prune: _at_first_use("store", "prune"),
    requests.StoreStats: _at_first_use("store", "store_stats"),
    requests.Reload: control.reload,
    requests.Stop: control.stop,
}
"""The handler of each request but the hello, which the server answers."""

WRITING: frozenset[type[requests.Request]] = frozenset(
    {
        requests.Submit,
        requests.SubmitWorkflow,
        requests.Cancel,
        requests.Forget,
        requests.Retry,
        requests.RunSchedule,
        requests.Pause,
        requests.Purge,
        requests.Limit,
        requests.Scale,
        requests.TestRoute,
    }
)
"""Requests that are part of the turn's durable step."""

READ_ONLY: frozenset[type[requests.Request]] = frozenset(
    {
        requests.Status,
        requests.Workflow,
        requests.Workflows,
        requests.List,
        requests.Result,
        requests.Logs,
        requests.Inspect,
        requests.Health,
        requests.Schedules,
        requests.Next,
        requests.History,
        requests.Why,
        requests.Audit,
        requests.ShowSchedule,
        requests.StoreStats,
        requests.Changes,
    }
)
"""Requests that write nothing: also answered when no daemon runs."""
