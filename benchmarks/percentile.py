"""The figure that most do not exceed. Works in the environment of a peer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def percentile(figures: Sequence[float], percent: float) -> float:
    """The figure that ``percent`` of a hundred do not exceed; of at least one figure."""
    return sorted(figures)[min(int(len(figures) * percent / 100), len(figures) - 1)]
