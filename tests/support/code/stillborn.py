"""A module after whose import no worker survives its birth, until a file says otherwise."""

from __future__ import annotations

import os
from pathlib import Path

PERMIT = Path(os.environ["PERMIT"])


def _die() -> None:
    if not PERMIT.exists():
        os._exit(3)


os.register_at_fork(after_in_child=_die)


def hello() -> str:
    return "hello"
