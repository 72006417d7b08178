"""``python -m benchmarks [NAME…]``: take measures and show them; all of them make the page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.machine import facts
from benchmarks.measure import ContestantFailed
from benchmarks.measures import AWAITING_PAGE, MEASURES, UNMEASURED
from benchmarks.page import budget_table, measure_table, page
from benchmarks.peers import Peers
from benchmarks.processes import ROOT
from benchmarks.run import take

ALL = (*MEASURES, *AWAITING_PAGE)
PAGE = ROOT / "docs/explanation/performance.md"


def main() -> int:
    """Do what the command line says; gives back the exit code."""
    options = _read()
    chosen = [m for m in ALL if not options.names or m.name in options.names]
    is_whole = not options.names and not options.smoke
    are_wanted = is_whole if options.peers is None else options.peers
    repeat = options.repeat or (1 if options.smoke else 5)

    peers = Peers(are_wanted=are_wanted)
    peers.install(_tell)
    described = facts(peers, options.folder)
    outcomes = []
    for measure in chosen:
        try:
            outcome = take(
                measure,
                peers=peers,
                repeat=repeat,
                is_smoke=options.smoke,
                parent=options.folder,
                tell=_tell,
            )
        except ContestantFailed as failure:
            _tell(f"{measure.name} failed: {failure}")
            return 1
        outcomes.append(outcome)
        _show(f"\n{measure.title}\n\n{measure_table(outcome)}")
    _show(f"\n{budget_table(outcomes)}")
    where = options.page or (PAGE if is_whole and are_wanted else None)
    if where is not None:
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_text(page(outcomes, described, UNMEASURED))
        _tell(f"written: {where}")
    return 0


def _read() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"measures to take: {', '.join(m.name for m in ALL)}; default: all",
    )
    parser.add_argument(
        "--peers",
        action=argparse.BooleanOptionalAction,
        help="install peers and let them take part; default: only with all measures",
    )
    parser.add_argument("--repeat", type=int, help="rounds; default: 5, 1 with --smoke")
    parser.add_argument("--smoke", action="store_true", help="little work, to see that all works")
    parser.add_argument(
        "--page",
        type=Path,
        help=f"write the page here; default: all measures with peers → {PAGE.name}",
    )
    parser.add_argument(
        "--folder", type=Path, help="a folder on the file system to measure; default: TMPDIR"
    )
    options = parser.parse_args()
    unknown = set(options.names) - {m.name for m in ALL}
    if unknown:
        parser.error(f"no such measure: {', '.join(sorted(unknown))}")
    if options.repeat is not None and options.repeat < 1:
        parser.error("--repeat is at least 1")
    return options


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _show(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
