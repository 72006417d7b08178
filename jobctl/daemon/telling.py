"""The jobs that `jobctl.notify.notifications` asks for: rows of the plan in force, in the turn's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.arguments import Given
from jobctl.daemon.handlers.jobs import announce, new_task_row
from jobctl.plan.senders import NOTICE, task_name
from jobctl.store import jobs as job_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobctl.daemon.station import Station
    from jobctl.store.jobs import NewJob


class Queueing:
    """See the module. ``station`` gives the station, which is built after this."""

    def __init__(self, station: Callable[[], Station]) -> None:
        self._station = station

    def make(self, route: str, notice: str) -> NewJob:
        """The row of a message; nothing is written yet."""
        station = self._station()
        task = station.plan.task(task_name(route))
        given = Given.exact((), {NOTICE: notice})
        return new_task_row(station, task, given, station.clock.now(), uid=station.uid)

    def submit(self, row: NewJob) -> None:
        """Write it, in this transaction."""
        station = self._station()
        job_rows.submit(station.database, [row])
        announce(station, row)

    def revoke(self, job_id: int) -> None:
        """End a message that waits, in this transaction."""
        station = self._station()
        station.dispatcher.cancel(job_id, station.clock.now())

    def wait_for(self, job_id: int) -> None:
        """Some job was just made that waits for this one."""
        self._station().dispatcher.note_ended([job_id])
