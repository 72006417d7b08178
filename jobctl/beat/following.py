"""The next instants of rules that many schedules have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobctl.clock import Moment
    from jobctl.schedule import Schedule


class Following:
    """``rule.next_after(moment)``, worked out once for each rule and moment until `forget`.

    Of a hundred thousand schedules that are due at one instant most go by the same few rules. What they are
    given is one number for all of them as well, which saves more memory than time.
    """

    def __init__(self) -> None:
        # The rule is kept beside its answer: were it gone, another one could get its id.
        self._found: dict[tuple[int, Moment], tuple[Schedule, Moment | None]] = {}

    def __call__(self, rule: Schedule, moment: Moment) -> Moment | None:
        """The first instant of the rule after the moment, None when there is none."""
        key = (id(rule), moment)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = (rule, rule.next_after(moment))
        return found[1]

    def forget(self) -> None:
        """What was worked out is needed no longer, or may not be true any more."""
        self._found.clear()
