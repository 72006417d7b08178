"""Run the trials and write down what they counted: ``docs/explanation/evidence.md``.

``make evidence`` runs them in full, which takes hours; ``make evidence EVIDENCE='--part 0.05'`` a twentieth
of each. Whatever is found is printed and ends with exit code 1; the page is written either way, and says so.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import re
import shutil
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import hypothesis

from jobctl import __version__
from tests.faults import crash_states, kill_beat, kill_daemon, kill_sweep, model, power_cut, soak
from tests.faults.crash_disk import Bounds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "evidence.md"
ROWS = ROOT / "docs" / "explanation" / "faults.md"


@dataclass
class Shown:
    """What a trial has counted."""

    trial: str
    counted: str
    violations: Sequence[str]


def crashes(part: float, seed: int) -> Shown:
    """Crash states of every story."""
    bounds = Bounds(subsets=max(int(100 * part), 2), pairs=max(int(1000 * part), 2))
    found = crash_states.run(seed, bounds, crash_states.names())
    states = sum(each.states + each.recoveries for each in found)
    counted = (
        f"{states:,} states of {len(found)} stories ({', '.join(each.story for each in found)}): after each "
        f"write and flush, every prefix, every unflushed write missing or torn, up to {bounds.pairs} pairs and "
        f"{bounds.subsets} random subsets"
    )
    faults = [f"{each.story}: {fault}" for each in found for fault in each.faults]
    return Shown("crash states", counted, faults)


def histories(part: float, seed: int) -> Shown:
    """Random histories against the model."""
    faults = []
    before, crashed = model.Queue.steps, model.Queue.crashes
    count = max(int(1000 * part), 20)
    try:
        model.run(count, 60, seed)
    except AssertionError as error:
        faults.append(str(error))
    steps, crashed = model.Queue.steps - before, model.Queue.crashes - crashed
    return Shown("model", f"{steps:,} steps in {count} histories, {crashed:,} crashes", faults)


def points(part: float, seed: int) -> Shown:
    """Kill points of daemon and workers."""
    if shutil.which("strace") is None:
        return Shown("kill sweep", "not run: there is no strace", [])
    every = max(round(1 / part), 1)
    found = kill_sweep.sweep(kill_sweep.Findings(), every=every, seed=seed)
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(found.points.items()))
    how = "every call" if every == 1 else f"every {every}th call"
    counted = f"{found.points.total()} points, {how} ({kinds}), {found.jobs} jobs"
    return Shown("kill sweep", counted, found.faults)


def cuts(part: float, seed: int) -> Shown:
    """Power cuts under load."""
    reason = power_cut.why_not()
    if reason is not None:
        return Shown("power cut", f"not run: {reason}", [])
    found = power_cut.run(max(int(200 * part), 3), seed)
    counted = (
        f"{found.cuts} cuts, {found.acknowledged:,} jobs acknowledged, {found.seen_ended:,} of them seen to "
        f"end before a cut, {found.losses} attempts lost with the power"
    )
    return Shown("power cut", counted, found.faults)


def kills(part: float, seed: int) -> Shown:
    """Kills at random moments under load."""
    number = max(int(200 * part), 10)
    # How long a recovery takes is judged where nothing else runs.
    found = kill_daemon.torment(
        kills=number, jobs=25 * number, worker_kills=number // 5, seed=seed, recovery_s=60.0
    )
    counted = (
        f"{found.kills} kills of the daemon, {found.workers_killed} of workers, {found.jobs:,} jobs"
    )
    return Shown("kills under load", counted, found.faults)


def ticks(part: float, seed: int) -> Shown:
    """Kills around ticks."""
    number = max(int(200 * part), 10)
    found = kill_beat.torment(kills=number, seed=seed, recovery_s=60.0)
    return Shown("kills around ticks", f"{found.kills} kills of the daemon", found.faults)


def everything(part: float, seed: int) -> Shown:
    """The soak."""
    found = soak.soak(max(1800 * part, 20.0), seed)
    happened = ", ".join(f"{count} {what}" for what, count in sorted(found.happened.items()))
    counted = f"{found.seconds / 60:.1f} minutes, {found.jobs:,} jobs ({happened})"
    return Shown("soak", counted, found.faults)


TRIALS: dict[str, Callable[[float, int], Shown]] = {
    "crash": crashes,
    "model": histories,
    "sweep": points,
    "cut": cuts,
    "kill": kills,
    "beat": ticks,
    "soak": everything,
}


def page(shown: Sequence[Shown], part: float, seed: int) -> str:
    """The page, as Markdown."""
    tried = re.findall(r"^\| \d+ \| [^|]+ \| (.+) \|$", ROWS.read_text(), re.MULTILINE)
    without = sum(cell.startswith("No test") for cell in tried)
    total = sum(len(each.violations) for each in shown)
    lines = [
        "# Evidence",
        "",
        "Written by `make evidence`; not by hand.",
        "What each trial does, and what it cannot show, stands in [what was tried to break it](faults.md).",
        "",
        f"**{total} violations.**",
        f"Seed {seed}, {part:g} of the full length, {datetime.now(UTC):%Y-%m-%d}, jobctl {__version__}, "
        f"Python {platform.python_version()}, SQLite {apsw.sqlite_lib_version()} (apsw {apsw.apsw_version()}), "
        f"Hypothesis {hypothesis.__version__}, Linux {platform.release().split('-')[0]}, {os.cpu_count()} processors.",
        "",
        "| trial | counted | violations |",
        "|---|---|---|",
    ]
    lines += [f"| {each.trial} | {each.counted} | {len(each.violations)} |" for each in shown]
    lines += [
        f"| rows of the fault matrix | {len(tried) - without} tried by tests, {without} with the reason why not | 0 |"
    ]
    if total:
        lines += ["", "## Violations", ""]
        lines += [f"* {each.trial}: {fault}" for each in shown for fault in each.violations]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--part", type=float, default=1.0, help="1: in full")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--only", action="append", choices=sorted(TRIALS))
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    shown = []
    for name in given.only or TRIALS:
        each = TRIALS[name](given.part, given.seed)
        shown.append(each)
        sys.stdout.write(f"{each.trial}: {each.counted}; {len(each.violations)} violations\n")
        sys.stdout.write("".join(f"FAULT: {fault}\n" for fault in each.violations))
        sys.stdout.flush()
    given.page.write_text(page(shown, given.part, given.seed))
    return 1 if any(each.violations for each in shown) else 0


if __name__ == "__main__":
    sys.exit(main())
