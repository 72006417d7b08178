"""What the daemon does for each request; one module a subject, one function a request.

A handler works inside the turn's transaction and gives back the answer; or a generator, which is run a
slice a turn and whose return value is the answer; or None, when it has arranged for the answer itself.
It refuses by raising, before it has written anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobctl.daemon.handlers import control, inspect, jobs, logs, queues, schedules
from jobctl.protocol import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from jobctl.daemon.server import Call
    from jobctl.daemon.station import Station

    Answer = dict[str, Any] | Generator[None, None, dict[str, Any]] | None
    Handler = Callable[[Station, Call, Any], Answer]

HANDLERS: dict[type[requests.Request], Handler] = {
    requests.Submit: jobs.submit,
    requests.Status: jobs.status,
    requests.List: jobs.list_jobs,
    requests.Wait: jobs.wait,
    requests.Result: jobs.result,
    requests.Cancel: jobs.cancel,
    requests.Retry: jobs.retry,
    requests.Logs: logs.logs,
    requests.Inspect: inspect.inspect,
    requests.Schedules: schedules.schedules,
    requests.Next: schedules.next_fires,
    requests.History: schedules.history,
    requests.Pause: queues.pause,
    requests.Reload: control.reload,
    requests.Stop: control.stop,
}
"""The handler of each request but the hello, which the server answers."""

READ_ONLY: frozenset[type[requests.Request]] = frozenset(
    {
        requests.Status,
        requests.List,
        requests.Result,
        requests.Logs,
        requests.Inspect,
        requests.Schedules,
        requests.Next,
        requests.History,
    }
)
"""Requests that write nothing: also answered when no daemon runs."""
