"""The request ``metrics``: an exposition for Prometheus, on the socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobctl.daemon.metrics.families import exposing
from jobctl.exposition import OPENMETRICS, TEXT

if TYPE_CHECKING:
    from collections.abc import Generator

    from jobctl.daemon.server import Call
    from jobctl.daemon.station import Station
    from jobctl.protocol import requests


def metrics(
    station: Station, call: Call, request: requests.Metrics
) -> Generator[None, None, dict[str, Any]]:
    """The text and its media type."""
    text = yield from exposing(station, is_open=request.openmetrics)
    return {"content_type": OPENMETRICS if request.openmetrics else TEXT, "text": text}
