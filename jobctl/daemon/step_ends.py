"""Where the dispatcher asks for what follows the end of a step: `jobctl.daemon.workflows`.

That module, and all that it takes to make jobs of a workflow, is imported when a step has failed or was
replaced: most daemons never see that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobctl.clock import Moment
    from jobctl.daemon.station import Station
    from jobctl.result import Outcome
    from jobctl.store.jobs import Running, Standing
    from jobctl.store.workflows import Step


class StepEnds:
    """See `jobctl.dispatcher.dispatcher.Workflows`. ``station`` gives it, which is made later than this."""

    def __init__(self, station: Callable[[], Station]) -> None:
        self._station = station

    def fail(self, step: Step) -> None:
        """Make the jobs that a step wants when it fails."""
        from jobctl.daemon import workflows

        workflows.fail(self._station(), step)

    def replace(
        self, running: Running, outcome: Outcome, now: Moment
    ) -> tuple[Outcome, Standing | None]:
        """Make a job the work that its attempt asks for."""
        if outcome.retry is None or '"replace"' not in outcome.retry:
            return outcome, None
        from jobctl.daemon import workflows

        return workflows.replace_job(self._station(), running, outcome, now)
