"""The duties of the first process of a container (pid_namespaces(7)).

* Its end is the end of every process of the container: no running job can be left to a next daemon,
  so ``shutdown = "keep"`` cannot be kept. The daemon drains instead, and says so at its start.
* A signal without a handler does not reach it: one that comes before the loop stands would be lost.
* Processes whose parent ended become its children, and stay zombies until it reaps them.

Behind an init of the container's own (``docker run --init``) only the first of these is left, and the daemon
cannot know it: ``jobctl daemon --container`` says so.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from jobctl.worker import processes

if TYPE_CHECKING:
    from collections.abc import Collection


def is_first() -> bool:
    """This process is the first of its namespace."""
    return os.getpid() == 1


def end_on_signals() -> None:
    """End with exit code 0 at TERM and INT, until the loop catches them: nothing runs so early."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: sys.exit(0))


def reap_orphans(own: Collection[int]) -> None:
    """Reap dead children except ``own``, whose exit codes somebody else is waiting for."""
    me = os.getpid()
    for pid in processes.children(me):
        if pid not in own and not processes.is_alive(pid):
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue
