"""Requests about what was changed, and by whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jobctl.errors import UsageError
from jobctl.store import changes as change_rows

if TYPE_CHECKING:
    from jobctl.daemon.server import Call
    from jobctl.daemon.station import Station
    from jobctl.protocol import requests

MOST: Final = 1000


def changes(station: Station, call: Call, request: requests.Changes) -> dict[str, Any]:
    """The newest changes, newest first."""
    if not 1 <= request.limit <= MOST:
        raise UsageError(f"limit lies between 1 and {MOST}")
    before = request.before if request.before is not None else 2**62
    found = change_rows.page(station.database, before=before, limit=request.limit + 1)
    shown = found[: request.limit]
    return {
        "changes": [one._asdict() for one in shown],
        "next": shown[-1].id if len(found) > request.limit else None,
    }
