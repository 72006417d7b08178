"""What a new plan means for the schedules, found out before anything of it is written."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from jobctl.steps import PART, Steps
from jobctl.values import dataclass

if TYPE_CHECKING:
    from jobctl.beat.entry import Entry
    from jobctl.clock import Moment
    from jobctl.plan import Plan


@dataclass(eq=False, kw_only=True)
class Prepared:
    """What a plan means for the schedules, as long as nothing happens.

    ``entries`` are those that are as they were, ``heap`` when they are due. Of ``changed`` something is to
    be written; the rows of ``touched`` were written since they were ``seen``. ``replaced`` is what was in
    force before, once this is.
    """

    plan: Plan
    touched: set[str]
    entries: dict[str, Entry] = field(default_factory=dict)
    heap: list[tuple[Moment, str]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    changed: list[str] = field(default_factory=list)
    replaced: dict[str, Entry] = field(default_factory=dict)

    def letting_go(self) -> Steps[None]:
        """Forget what was in force before: a hundred thousand at once would hold the loop."""
        self.seen.clear()
        while self.replaced:
            for _ in range(min(PART, len(self.replaced))):
                self.replaced.popitem()
            yield
