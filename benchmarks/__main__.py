"""``python -m benchmarks [NAME…]``: take measures and show them; those of a page, with peers, make it."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.machine import facts
from benchmarks.measure import ContestantFailed
from benchmarks.measures import MEASURES, PAGES
from benchmarks.page import budget_table, measure_table, page, pictures
from benchmarks.peers import Peers
from benchmarks.processes import ROOT
from benchmarks.run import take
from benchmarks.servers import SERVERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.measure import Measure, Page
    from benchmarks.run import Outcome

PAGES_IN = ROOT / "docs/explanation"


def main() -> int:
    """Do what the command line says; gives back the exit code."""
    options = _read()
    chosen = chosen_by(options.names)
    are_wanted = not options.names and not options.smoke if options.peers is None else options.peers
    repeat = options.repeat or (1 if options.smoke else 5)

    peers = Peers(are_wanted=are_wanted)
    peers.install(_tell)
    described = facts(peers, options.folder)
    outcomes: list[Outcome] = []
    spans_s: dict[str, float] = {}
    for measure in chosen:
        begin = time.perf_counter()
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
        spans_s[measure.name] = time.perf_counter() - begin
        outcomes.append(outcome)
        _show(f"\n{measure.title}\n\n{measure_table(outcome)}")
    _show(f"\n{budget_table(outcomes)}")
    _tell_spans(spans_s)
    if are_wanted and not options.smoke:
        _write_pages({outcome.measure.name: outcome for outcome in outcomes}, described)
    return 0


def chosen_by(names: Sequence[str]) -> list[Measure]:
    """The measures of these names or families, in the order of the pages; all if there are none."""
    return [m for m in MEASURES if not names or m.name in names or _family(m.name) in names]


def _family(name: str) -> str:
    """Sizes of one measure are asked for together: ``schedules`` is ``schedules-1000`` and the others."""
    return name.partition("-")[0]


def _write_pages(taken: Mapping[str, Outcome], described: Mapping[str, str]) -> None:
    """Write every page whose measures have all been taken."""
    for one in PAGES:
        if all(measure.name in taken for measure in one.measures):
            outcomes = [taken[measure.name] for measure in one.measures]
            files = {one.file: page(one.title, _command(one), outcomes, described)}
            for outcome in outcomes:
                files |= pictures(outcome)
            for name, text in files.items():
                (PAGES_IN / name).write_text(text)
                _tell(f"written: {PAGES_IN / name}")


def _command(one: Page) -> str:
    words = dict.fromkeys(_family(measure.name) for measure in one.measures)
    return f"make bench BENCH='--peers {' '.join(words)}'"


def _read() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog="Servers that peers need: "
        + "; ".join(f"{server.name} ({server.variable}, {server.default})" for server in SERVERS),
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"measures to take: {', '.join(m.name for m in MEASURES)}; or the first word of several; "
        "default: all",
    )
    parser.add_argument(
        "--peers",
        action=argparse.BooleanOptionalAction,
        help="install peers and let them take part, and write the pages whose measures are all taken; "
        "default: only with all measures",
    )
    parser.add_argument("--repeat", type=int, help="rounds; default: 5, 1 with --smoke")
    parser.add_argument("--smoke", action="store_true", help="little work, to see that all works")
    parser.add_argument(
        "--folder", type=Path, help="a folder on the file system to measure; default: TMPDIR"
    )
    options = parser.parse_args()
    known = {name for m in MEASURES for name in (m.name, _family(m.name))}
    unknown = set(options.names) - known
    if unknown:
        parser.error(f"no such measure: {', '.join(sorted(unknown))}")
    if options.repeat is not None and options.repeat < 1:
        parser.error("--repeat is at least 1")
    return options


def _tell_spans(spans_s: Mapping[str, float]) -> None:
    """How long each measure took, the longest first: where a whole run spends its time."""
    for name in sorted(spans_s, key=lambda name: -spans_s[name]):
        _tell(f"{name}: {spans_s[name]:.0f} s")
    _tell(f"together: {sum(spans_s.values()) / 60:.1f} min")


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _show(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
