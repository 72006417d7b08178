"""Requests that change the daemon itself: reload and stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobctl.errors import JobctlError, NotAllowed, UsageError

if TYPE_CHECKING:
    from jobctl.daemon.server import Call
    from jobctl.daemon.station import Station
    from jobctl.protocol import requests


def reload(station: Station, call: Call, request: requests.Reload) -> None:
    """Read the configuration again; answered when it is in force, or refused with every error."""
    if station.ask_reload is None:
        raise NotAllowed("no daemon is running; there is nothing to reload")

    def answer(end: list[str] | Exception) -> None:
        if isinstance(end, JobctlError):
            call.refuse(end)
        elif isinstance(end, Exception):
            call.refuse(JobctlError(f"the reload failed: {end}", hint="See the daemon's log."))
        else:
            call.answer({"changes": end})

    station.ask_reload(answer)


def stop(station: Station, call: Call, request: requests.Stop) -> dict[str, Any]:
    """Stop the daemon; the connection ends when it has stopped."""
    if station.ask_stop is None:
        raise NotAllowed("no daemon is running; there is nothing to stop")
    if request.mode not in (None, "keep", "drain", "kill"):
        raise UsageError(
            f'there is no way to stop called "{request.mode}"', hint="keep, drain, kill"
        )
    mode = station.ask_stop(request.mode)
    return {"mode": mode, "running": station.engine.busy()}
