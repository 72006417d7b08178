"""``python -m benchmarks.guard [--record]``: has the hot path become dearer since it was last recorded?

Times are noisy, and a shared machine makes them worthless; instructions are not. A fixed piece of work is
given to a daemon that runs under callgrind, and what the daemon executes for each job is compared with the
record beside this file. Workers and clients run as ever: only the daemon's one thread is counted, because
everything waits for that one.

The same code costs another interpreter, and another SQLite, something else. So each of them has a record
of its own, and one that has none is told, not judged.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import apsw

from benchmarks.daemon import BenchDaemon
from benchmarks.measure import ContestantFailed
from benchmarks.waiting import until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

RECORD: Final = Path(__file__).with_name("instructions.json")

TOLERANCE: Final = 0.05
"""How much more than recorded a job may cost; from run to run it is up to 3 % for the first piece of work
(a turn takes what has arrived by then), and a tenth of that for the others."""

FRAME: Final = 1000
_SINGLE: Final = 100
_FRAMES: Final = 2
_ROUND_TRIPS: Final = 50

_DUMP_AFTER: Final = "getloadavg"
"""A function of the C library that the daemon never calls by itself: callgrind writes down what was counted
since the last time, and begins anew, whenever it returns."""

_PRELUDE: Final = f"""
import os, signal
from jobctl.engine.local import batches, worker

signal.signal(signal.SIGUSR1, lambda *_: os.{_DUMP_AFTER}())

# The valgrind of Debian 12 knows no pidfds. Nobody dies here before the end: a pipe that stays open says so.
_pipes = []
def _never_ready(_pid, _flags=0):
    _pipes.append(os.pipe())
    return _pipes[-1][0]
os.pidfd_open = _never_ready

# The daemon is fifty times slower than its workers: each batch would seem held up, and how large the next
# one is would follow from how busy the machine is.
worker.TAKE_BACK_S = batches.TAKE_BACK_S = 3600.0
worker.BATCH_US = 1 << 40
"""

_PATIENCE_S: Final = 300.0


class CountedDaemon:
    """A daemon under callgrind, for the length of a ``with``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._dumps = 0
        self._daemon = BenchDaemon(
            folder,
            processes=1,
            prelude=_PRELUDE,
            wrapper=[
                # The order in sets and dictionaries of texts is part of the cost.
                *("env", "PYTHONHASHSEED=0"),
                *("valgrind", "-q", "--tool=callgrind", f"--dump-after={_DUMP_AFTER}"),
                f"--callgrind-out-file={folder}/counted.%p",
            ],
        )

    def __enter__(self) -> CountedDaemon:
        self._daemon.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._daemon.__exit__(kind, error, trace)

    def work(self) -> dict[str, int]:
        """Do the fixed work; instructions a job, by what was done."""
        daemon = self._daemon
        job = {"task": "noop"}
        frame = [job] * FRAME
        costs: dict[str, int] = {}

        daemon.wait(daemon.submit(job))
        self._count()
        for _ in range(_ROUND_TRIPS):
            daemon.wait(daemon.submit(job))
        costs["submit and wait, idle"] = self._count() // _ROUND_TRIPS

        daemon.pause(is_paused=True)
        daemon.submit(job)
        self._count()
        for _ in range(_SINGLE):
            daemon.submit(job)
        costs["submit, one in a request"] = self._count() // _SINGLE

        daemon.submit(*frame)
        self._count()
        ids = [job_id for _ in range(_FRAMES) for job_id in daemon.submit(*frame)]
        costs[f"submit, {FRAME} in a request"] = self._count() // (_FRAMES * FRAME)

        waiting = 1 + _SINGLE + FRAME + len(ids)
        daemon.pause(is_paused=False)
        # One worker makes them in the order of their ids.
        daemon.wait(ids[-1:])
        costs["claim, hand over, settle"] = self._count() // waiting
        return costs

    def _count(self) -> int:
        """What the daemon has executed since the last call."""
        os.kill(self._daemon.pid, signal.SIGUSR1)
        self._dumps += 1
        path = self._folder / f"counted.{self._daemon.pid}.{self._dumps}"

        def total() -> re.Match[str] | None:
            return (
                re.search(r"^totals: (\d+)", path.read_text(), re.MULTILINE)
                if path.exists()
                else None
            )

        found = until("callgrind to write its count", total, limit_s=_PATIENCE_S)
        assert found is not None
        return int(found[1])


def costs_here() -> dict[str, int]:
    """Do the fixed work with this interpreter; instructions a job, by what was done.

    Raises ContestantFailed, TimeoutError.
    """
    if shutil.which("valgrind") is None:
        raise ContestantFailed("valgrind is missing; as root: apt-get install valgrind")
    with (
        tempfile.TemporaryDirectory(prefix="jobctl-guard-") as folder,
        CountedDaemon(Path(folder)) as daemon,
    ):
        return daemon.work()


def here() -> str:
    """What executes the instructions, as the record names it."""
    return (
        f"{platform.python_implementation()} {platform.python_version()}, {platform.python_compiler()}, "
        f"SQLite {apsw.sqlite_lib_version()}, {platform.machine()}"
    )


def judge(found: Mapping[str, int], recorded: Mapping[str, int]) -> tuple[list[str], bool]:
    """A line for each piece of work, and whether none of them is dearer than it may be.

    What has no record, or is recorded and was not found, is a fault: the record is of another work.
    """
    lines, is_good = [], True
    for name in [*found, *(name for name in recorded if name not in found)]:
        before, now = recorded.get(name), found.get(name)
        if before is None or now is None:
            verdict = "not in the record" if before is None else "not measured any more"
            is_good = False
        else:
            change = now / before - 1
            verdict = f"{change:+.1%}"
            if change > TOLERANCE:
                verdict += f", {TOLERANCE:.0%} is the most"
                is_good = False
            elif change < -TOLERANCE:
                verdict += ", worth recording"
        lines.append(f"{name:<28} {now or 0:>9,} instructions a job ({verdict})")
    return lines, is_good


def main() -> int:
    """Do what the command line says; gives back the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard", description=__doc__)
    parser.add_argument("--record", action="store_true", help="let this be what later runs go by")
    options = parser.parse_args()
    records: dict[str, dict[str, int]] = json.loads(RECORD.read_text())
    try:
        found = costs_here()
    except (ContestantFailed, TimeoutError) as failure:
        sys.stderr.write(f"bench-guard failed: {failure}\n")
        return 1
    sys.stdout.write(f"{here()}\n")
    if options.record:
        records[here()] = found
        RECORD.write_text(json.dumps(records, indent=2, sort_keys=True) + "\n")
    recorded = records.get(here())
    lines, is_good = judge(found, recorded if recorded is not None else found)
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    if recorded is None:
        sys.stdout.write(
            "Not judged: there is no record of this interpreter, only of "
            f"{'; '.join(sorted(records)) or 'none'}.\nTo make one: make bench-guard RECORD=1\n"
        )
    elif not is_good:
        sys.stderr.write(
            "bench-guard failed: the hot path costs more than recorded. Make it cheaper again, or, where "
            "that is what the change is worth, say so in its message: make bench-guard RECORD=1\n"
        )
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
