"""Requests about the routes of ``[notify]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobctl.errors import NotFound
from jobctl.task.keys import nearest

if TYPE_CHECKING:
    from jobctl.daemon.server import Call
    from jobctl.daemon.station import Station
    from jobctl.protocol import requests


def test_route(station: Station, call: Call, request: requests.TestRoute) -> dict[str, Any]:
    """Send a test by a route, or by each. Raises NotFound."""
    routes, name = station.plan.routes, request.route
    if name is not None and name not in routes:
        near = nearest(name, tuple(routes))
        hint = f'Did you mean "{near}"?' if near else "jobctl inspect conf shows them."
        raise NotFound(f'there is no route "{name}"', hint=hint)
    if not routes:
        raise NotFound(
            "there is no route: nobody is told of anything",
            hint="Write a table [notify.NAME], and jobctl reload.",
        )
    now = station.clock.now()
    chosen = list(routes.values()) if name is None else [routes[name]]
    return {
        "messages": [
            {
                "route": route.name,
                "kind": route.kind,
                "id": station.notifications.test(route, now).id,
            }
            for route in chosen
        ]
    }
