"""Many client processes at once, begun together. Its second half runs in the environment of a peer too."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

from benchmarks.measure import ContestantFailed
from benchmarks.processes import ENVIRONMENT, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def rate_of_crowd(
    clients: int, count: int, argv: Sequence[str], *, env: Mapping[str, str] | None = None
) -> float:
    """How often a second ``clients`` processes do together what each does ``count`` times.

    The time goes from the first one's begin to the last one's end. Each process runs `take_part`.
    Raises ContestantFailed when one of them fails.
    """
    crowd = [
        subprocess.Popen(  # noqa: TID251 -- a driver outside jobctl
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**ENVIRONMENT, **(env or {})},
            cwd=ROOT,
        )
        for _ in range(clients)
    ]
    begins, ends = [], []
    try:
        for one in crowd:
            assert one.stdout is not None
            one.stdout.readline()
        for one in crowd:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        for one in crowd:
            assert one.stdout is not None
            moments = one.stdout.readline().split()
            if one.wait() != 0 or len(moments) != 2:
                raise ContestantFailed(f"one of {clients} clients ended with {one.returncode}")
            begins.append(int(moments[0]))
            ends.append(int(moments[1]))
    except BrokenPipeError as error:
        raise ContestantFailed(f"one of {clients} clients ended before its begin") from error
    finally:
        for one in crowd:
            one.kill()
            one.communicate()
    return clients * count / ((max(ends) - min(begins)) / 1e9)


def take_part(work: Callable[[], object], count: int) -> None:
    """Be one of the crowd: say that all is ready, wait for the word, work, tell both moments."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    # One clock for all processes of a machine.
    begin = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    for _ in range(count):
        work()
    sys.stdout.write(f"{begin} {time.clock_gettime_ns(time.CLOCK_MONOTONIC)}\n")
    sys.stdout.flush()
