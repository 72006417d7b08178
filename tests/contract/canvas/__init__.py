"""The canvas suite: what signatures mean, in cases that run against Celery and against jobctl."""

from __future__ import annotations

from tests.contract.canvas import chains, groups
from tests.contract.canvas.cases import CASES

__all__ = ["CASES", "chains", "groups"]
