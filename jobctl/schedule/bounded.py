"""A schedule between two moments: its instants before the start and after the end do not count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.schedule.base import Schedule
from jobctl.values import dataclass

if TYPE_CHECKING:
    from jobctl.schedule.base import Kind


@dataclass(frozen=True, kw_only=True, slots=True)
class BoundedSchedule(Schedule):
    """See the module. Both bounds are included; None: none. ``rule`` is what lies between them."""

    rule: Schedule
    start_us: int | None = None
    end_us: int | None = None

    @property
    def kind(self) -> Kind:
        """That of the rule."""
        return self.rule.kind

    @property
    def is_at_boot(self) -> bool:
        """Whether the rule is ``@reboot``."""
        return self.rule.is_at_boot

    def next_after(self, moment_us: int) -> int | None:
        """The first instant strictly after the moment and within the bounds."""
        if self.start_us is not None and moment_us < self.start_us:
            moment_us = self.start_us - 1
        instant = self.rule.next_after(moment_us)
        is_over = instant is not None and self.end_us is not None and instant > self.end_us
        return None if is_over else instant

    def previous_before(self, moment_us: int) -> int | None:
        """The last instant strictly before the moment and within the bounds."""
        if self.end_us is not None and moment_us > self.end_us:
            moment_us = self.end_us + 1
        instant = self.rule.previous_before(moment_us)
        is_early = instant is not None and self.start_us is not None and instant < self.start_us
        return None if is_early else instant

    def count_between(self, after_us: int, until_us: int) -> int:
        """How many instants lie in (after, until] and within the bounds."""
        if self.start_us is not None:
            after_us = max(after_us, self.start_us - 1)
        if self.end_us is not None:
            until_us = min(until_us, self.end_us)
        return self.rule.count_between(after_us, until_us) if after_us < until_us else 0


def bounded(rule: Schedule, *, start_us: int | None, end_us: int | None) -> Schedule:
    """The rule between two moments, bounds included; without any bound the rule itself."""
    if start_us is None and end_us is None:
        return rule
    return BoundedSchedule(
        normal=rule.normal, timezone=rule.timezone, rule=rule, start_us=start_us, end_us=end_us
    )
