"""What the beat remembers of a schedule in force."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from jobctl.values import dataclass

if TYPE_CHECKING:
    from jobctl.beat.following import Following
    from jobctl.clock import Moment
    from jobctl.plan import ScheduleSpec
    from jobctl.schedule import Schedule


class State(StrEnum):
    """What becomes of the next instants of a schedule. The words are part of ``schedule list --json``."""

    ACTIVE = "active"
    """They make jobs."""
    PAUSED = "paused"
    """They are held until the pause ends."""
    DISABLED = "disabled"
    """They are held: the configuration says ``enabled = false``."""
    HELD = "held"
    """They are held: its task is gone, or its rule is not understood any more."""
    DONE = "done"
    """There are none any more."""


@dataclass(slots=True)
class Entry:
    """A schedule in force. There may be a hundred thousand: what can be worked out is not kept.

    ``number`` is the number of its rule. ``next_at`` is the next instant that makes a job, None when none
    is known. ``delay_us`` is its jitter: each instant is due that much later than its nominal moment.
    ``is_booted``: this boot of the host needs no run of its ``@reboot`` any more. ``held_because`` is why
    its instants make no jobs though nobody has paused it. ``tail`` is the fire row that was written last,
    if the next one may prolong it: ``(first, fate, reason)``.
    """

    spec: ScheduleSpec
    rule: Schedule
    id: int
    number: int
    anchor_at: Moment
    watermark: Moment
    runs: int
    paused_at: Moment | None
    paused_until: Moment | None
    delay_us: int
    is_booted: bool
    held_because: str | None
    next_at: Moment | None = None
    tail: tuple[Moment, str, str] | None = None

    @property
    def is_exhausted(self) -> bool:
        """It has made as many jobs as it may."""
        return self.spec.max_runs is not None and self.runs >= self.spec.max_runs

    @property
    def state(self) -> State:
        """What becomes of its next instants. A pause is told until the beat has ended it."""
        if not self.spec.enabled:
            return State.DISABLED
        if self.is_exhausted:
            return State.DONE
        if self.paused_at is not None:
            return State.PAUSED
        if self.held_because is not None:
            return State.HELD
        if self.next_at is None and not self.rule.is_at_boot:
            return State.DONE
        return State.ACTIVE

    @property
    def due_at(self) -> Moment | None:
        """When the beat has something to do for it: to serve an instant, or to end a pause."""
        if self.paused_at is not None:
            return self.paused_until
        if self.next_at is None or not self.delay_us:
            return self.next_at
        return self.next_at + self.delay_us

    def find_next(self, booted_at: Moment, following: Following) -> None:
        """Find the next instant after the watermark; ``booted_at`` is that of a boot that was not served."""
        self.next_at = None
        is_paused = self.paused_at is not None
        if not self.spec.enabled or self.is_exhausted or (is_paused and self.paused_until is None):
            return
        if self.rule.is_at_boot:
            self.next_at = None if self.is_booted else booted_at
            return
        after = self.watermark
        if self.paused_until is not None:
            # The pause ends at that moment: an instant there counts.
            after = max(after, self.paused_until - 1)
        self.next_at = following(self.rule, after)
