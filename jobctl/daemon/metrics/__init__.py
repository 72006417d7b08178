"""Metrics for Prometheus: what is counted, what is looked up, and where it goes.

`jobctl.daemon.counts` is told after each commit what happened, a batch at a time; `families` puts that together with what is
looked up when somebody asks; `publishing` serves it on a loopback port and writes it to a file, where the
configuration asks for that. The request ``metrics`` gives the same text on the socket.

No label holds a job's id, an argument, a host's command or an error's text. The number of series is bounded by
the configuration, and by `jobctl.daemon.counts.MOST` for tasks and queues: what comes beyond that is counted together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

    from jobctl.daemon.station import Station


def expose(station: Station, *, is_open: bool) -> Generator[None, None, str]:
    """Begin an exposition, in OpenMetrics or in the older format: yields between slices, gives back the text."""
    # Most daemons are never asked.
    from jobctl.daemon.metrics.families import exposing

    return exposing(station, is_open=is_open)
