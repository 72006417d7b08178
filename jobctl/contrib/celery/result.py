"""``celery.result`` under its name."""

from __future__ import annotations

from jobctl.api import GroupResult
from jobctl.contrib.celery.app import AsyncResult

__all__ = ["AsyncResult", "GroupResult"]
