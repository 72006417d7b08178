"""The task queues that are compared with jobctl, one file each, and the driver that puts them to work.

All of it runs in the peers' own environment, where jobctl is not installed. `benchmarks.peer_queues` says
what is said about each, and starts the driver.
"""

from __future__ import annotations

from typing import Final

MOST_KILLS: Final = 30
"""How many workers are killed in a turn, so that a queue whose workers live for no second ends too."""
