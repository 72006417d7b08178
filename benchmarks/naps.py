"""The coroutine of the benches. By itself: what it imports would be memory of all other workers too."""

from __future__ import annotations

import asyncio
from typing import Final

NAP_S: Final = 1.0


async def nap() -> None:
    """Wait for a second, as for an answer from elsewhere."""
    await asyncio.sleep(NAP_S)
