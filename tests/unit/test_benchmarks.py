"""How measures are taken, judged and shown. `make bench-smoke` takes each of them once."""

from __future__ import annotations

import socket
from dataclasses import replace
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import half_load
from benchmarks.__main__ import chosen_by
from benchmarks.measure import (
    Axis,
    Budget,
    Contestant,
    ContestantFailed,
    Kind,
    Measure,
    Metric,
    Page,
    Round,
)
from benchmarks.measures import MEASURES, PAGES
from benchmarks.measures.large_store import LARGE_STORE
from benchmarks.page import budget_table, measure_table, page, pictures
from benchmarks.peer_queues import ALL, PeerQueue
from benchmarks.peers import PYTHON_PACKAGES, Peers
from benchmarks.plot import Point, plot
from benchmarks.run import PEER_ROUNDS, Outcome, Row, Spread, take
from benchmarks.servers import REDIS

ROOT = Path(__file__).parents[2]

SVG = "{http://www.w3.org/2000/svg}"


def quietly(_text: str) -> None:
    pass


def a_measure(*contestants: Contestant, budget: Budget | None = None) -> Measure:
    return Measure(
        name="work",
        title="Work",
        what="Some work.",
        metrics=(Metric(name="rate", unit="/s", is_rate=True, budget=budget),),
        contestants=contestants,
    )


def a_contestant(name: str, kind: Kind, *rates: float) -> Contestant:
    left = list(rates)

    def run(_turn: Round) -> dict[str, float]:
        if not left:
            raise ContestantFailed("it is tired")
        return {"rate": left.pop(0)}

    return Contestant(name=name, kind=kind, settings="as it comes", run=run)


def taken(measure: Measure, *, repeat: int = 1, peers: bool = True) -> Outcome:
    return take(
        measure,
        peers=Peers(are_wanted=peers),
        repeat=repeat,
        is_smoke=True,
        parent=None,
        tell=quietly,
    )


@pytest.mark.parametrize("figures", [{}, {"other": 1.0}, {"rate": -1.0}])
def test_a_measure_without_a_figure_of_jobctl_for_a_metric_fails(figures: dict[str, float]) -> None:
    """`make bench-smoke` takes each measure once."""
    jobctl = Contestant(name="jobctl", kind=Kind.JOBCTL, settings="", run=lambda _turn: figures)

    with pytest.raises(ContestantFailed, match="no rate"):
        taken(a_measure(jobctl))


def test_a_spread_is_the_median_with_the_least_and_the_greatest() -> None:
    outcome = taken(a_measure(a_contestant("jobctl", Kind.JOBCTL, 5, 1, 9)), repeat=3)

    spread = outcome.row("jobctl").spreads["rate"]
    assert (spread.median, spread.low, spread.high) == (5, 1, 9)
    assert spread == Spread((5, 1, 9))


def test_a_ratio_is_taken_within_each_round() -> None:
    """A machine that is ten times slower in one round for everybody changes no ratio."""
    measure = a_measure(
        a_contestant("jobctl", Kind.JOBCTL, 40, 4, 40),
        a_contestant("bare", Kind.RAW, 100, 10, 120),
        budget=Budget(limit=0.4, of="bare"),
    )

    (judgement,) = taken(measure, repeat=3).judge()

    assert judgement.reached == 0.4
    assert judgement.is_met


def test_each_round_begins_with_another_contestant() -> None:
    order: list[str] = []

    def contestant(name: str) -> Contestant:
        def run(_turn: Round) -> dict[str, float]:
            order.append(name)
            return {"rate": 1.0}

        return Contestant(name=name, kind=Kind.RAW, settings="", run=run)

    taken(a_measure(contestant("a"), contestant("b"), contestant("c")), repeat=2)

    assert order == ["a", "b", "c", "b", "c", "a"]


def test_peers_take_part_in_the_first_rounds_and_are_compared_within_these() -> None:
    ours = a_contestant("jobctl", Kind.JOBCTL, 10.0, 20.0, 30.0, 1.0, 1.0)
    theirs = a_contestant("other", Kind.PEER, *[5.0] * 5)

    outcome = taken(a_measure(ours, theirs), repeat=5)

    assert outcome.row("jobctl").spreads["rate"].rounds == 5
    assert outcome.row("other").spreads["rate"].rounds == PEER_ROUNDS == 3
    assert outcome.row("jobctl").spreads["rate"].ratio_to(outcome.row("other").spreads["rate"]) == 4
    assert "peers took part in the first 3" in page("Toil", "make toil", [outcome], {})


def test_work_that_takes_minutes_is_done_less_often_and_the_page_says_so() -> None:
    often = a_measure(a_contestant("jobctl", Kind.JOBCTL, 1, 2, 3))
    seldom = replace(a_measure(a_contestant("jobctl", Kind.JOBCTL, 1, 2, 3)), most_rounds=2)

    outcomes = [taken(often, repeat=3), taken(seldom, repeat=3)]

    assert [o.row("jobctl").spreads["rate"].rounds for o in outcomes] == [3, 2]
    text = page("Work", "make it", outcomes, {})
    assert "the median of 3 rounds" in text
    assert text.count("Medians of 2 rounds.") == 1


def test_a_peer_that_fails_gets_a_row_that_says_so() -> None:
    measure = a_measure(a_contestant("jobctl", Kind.JOBCTL, 4.0), a_contestant("other", Kind.PEER))

    outcome = taken(measure)

    assert outcome.row("other").why_missing == "failed: it is tired"
    assert "failed: it is tired" in measure_table(outcome)


def test_jobctl_that_fails_ends_the_run() -> None:
    with pytest.raises(ContestantFailed, match="it is tired"):
        taken(a_measure(a_contestant("jobctl", Kind.JOBCTL)))


def test_a_peer_that_is_not_installed_is_named_as_such() -> None:
    missing = Contestant(
        name="other",
        kind=Kind.PEER,
        settings="",
        run=lambda _turn: {},
        why_missing=lambda _peers: "not installed",
    )

    outcome = taken(a_measure(a_contestant("jobctl", Kind.JOBCTL, 4.0), missing))

    assert outcome.row("other").why_missing == "not installed"


def test_a_server_that_does_not_answer_is_named_with_the_variable_that_says_where_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{port}/0")
        assert REDIS.why_missing() is None

    assert REDIS.why_missing() == "no Redis answers; REDIS_URL says where it is"


@pytest.mark.parametrize(
    ("rate", "budget", "verdict"),
    [
        (40.0, Budget(limit=40), "met"),
        (39.9, Budget(limit=40), "**missed**"),
        (40.0, Budget(limit=0.4, of="bare"), "met"),
        (39.9, Budget(limit=0.4, of="bare"), "**missed**"),
    ],
)
def test_a_budget_is_met_at_its_bound_and_missed_beyond_it(
    rate: float, budget: Budget, verdict: str
) -> None:
    measure = a_measure(
        a_contestant("jobctl", Kind.JOBCTL, rate),
        a_contestant("bare", Kind.RAW, 100.0),
        budget=budget,
    )

    (line,) = budget_table([taken(measure)]).splitlines()[2:]

    assert line.split("|")[-2].strip() == verdict


def test_less_is_better_where_a_metric_is_no_rate() -> None:
    metric = Metric(name="span", unit="ms", is_rate=False, budget=Budget(limit=2.0))
    jobctl = a_contestant("jobctl", Kind.JOBCTL)
    other = a_contestant("other", Kind.PEER)
    measure = Measure(
        name="work", title="Work", what="", metrics=(metric,), contestants=(jobctl, other)
    )
    outcome = Outcome(
        measure=measure,
        rows=(
            Row(contestant=jobctl, spreads={"span": Spread((1.0,))}),
            Row(contestant=other, spreads={"span": Spread((8.0,))}),
        ),
    )

    assert outcome.judge()[0].is_met
    assert "8x" in measure_table(outcome)


def test_the_page_has_what_a_figure_is_worth_nothing_without() -> None:
    measure = a_measure(a_contestant("jobctl", Kind.JOBCTL, 4.0), budget=Budget(limit=3))

    text = page("Toil", "make toil", [taken(measure)], {"processor": "slow"})

    parts = (
        "# Toil",
        "`make toil`",
        "| processor | slow |",
        "## Work",
        "Some work.",
        "as it comes",
    )
    for part in parts:
        assert part in text


@pytest.mark.parametrize("one", PAGES, ids=lambda one: one.file)
def test_a_page_in_the_manual_is_one_that_was_generated_from_its_measures(one: Page) -> None:
    path = ROOT / "docs/explanation" / one.file
    if not path.exists():
        # Not made yet: then the manual does not lead to it either, or its links would be broken.
        return
    text = path.read_text()

    for measure in one.measures:
        assert f"## {measure.title}\n\n{measure.what}\n" in text


def test_each_measure_is_asked_for_by_its_name_or_with_its_family() -> None:
    names = [measure.name for measure in MEASURES]

    assert len(set(names)) == len(names)
    assert [m.name for m in chosen_by(["schedules"])] == [n for n in names if "schedules" in n]
    assert [m.name for m in chosen_by(["schedules-1000", "idle"])] == ["idle", "schedules-1000"]
    assert chosen_by([]) == list(MEASURES)


def test_a_measure_with_an_axis_has_a_picture_of_each_metric_beside_its_page() -> None:
    names = ("empty", "10 <jobs>", "100 & more")
    axis = Axis(label="jobs", places={str(number): name for number, name in enumerate(names)})
    measure = replace(
        a_measure(*(a_contestant(name, Kind.JOBCTL, 3.0, 5.0, 4.0) for name in names)),
        axis=axis,
    )
    outcome = taken(measure, repeat=3)

    found = pictures(outcome)

    assert list(found) == ["performance-work-rate.svg"]
    assert "![rate](performance-work-rate.svg)" in page("Toil", "make toil", [outcome], {})
    root = ElementTree.fromstring(found["performance-work-rate.svg"])
    circles = root.findall(f"{SVG}circle")
    assert [c[0].text for c in circles] == [
        f"{number}: 4.00 (3.00 to 5.00) /s" for number in range(3)
    ]
    # Equal figures at equal heights, between those of the least and the greatest.
    heights = {float(c.attrib["cy"]) for c in circles}
    (line,) = {(r.attrib["y1"], r.attrib["y2"]) for r in root.findall(f"{SVG}line[@class='range']")}
    (height,) = heights
    assert float(line[1]) < height < float(line[0])


@pytest.mark.parametrize("most", [0.0, 0.003, 0.5, 1.0, 7.3, 99_999.0, 12_345_678.0])
def test_every_part_of_a_picture_lies_within_it(most: float) -> None:
    points = [
        Point(label="a", told="a", median=most / 2, low=-1.0, high=most),
        Point(label="b & <c>", told="<b>", median=most, low=most, high=most),
    ]

    root = ElementTree.fromstring(plot("Rate", "jobs", "/s", points, bound=most / 3))

    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for part in root.iter():
        for name, value in part.attrib.items():
            if name in ("x", "x1", "x2", "cx"):
                assert 0 <= float(value) <= width
            if name in ("y", "y1", "y2", "cy"):
                assert 0 <= float(value) <= height
    assert 2 <= len(root.findall(f"{SVG}line[@class='grid']")) <= 6


def test_pictures_are_made_for_all_sizes_of_a_store() -> None:
    assert LARGE_STORE.axis is not None
    assert set(LARGE_STORE.axis.places.values()) == {c.name for c in LARGE_STORE.contestants}


def test_at_half_load_a_stall_counts_for_each_job_that_was_due_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A client that stands still for 10 ms submits ten jobs late, and not only the one that stalled."""
    now_ns = [0]
    submitted: list[int] = []

    def advance(seconds: float) -> None:
        now_ns[0] += round(seconds * 1e9)

    def submit() -> int:
        if len(submitted) == 100:
            advance(0.010)
        submitted.append(now_ns[0])
        return now_ns[0]

    monkeypatch.setattr(half_load, "pause", advance)
    monkeypatch.setattr("benchmarks.half_load.time.time_ns", lambda: now_ns[0])

    figures = half_load.at_half_load(1_000, 2_000, submit=submit, result=lambda begun: begun)

    assert figures == {"load": 1_000, "p50": 0.0, "p99": 1.0, "p99.9": 10.0}


def test_each_peer_has_its_file_and_is_installed_with_what_it_consists_of() -> None:
    peers = {
        contestant.run.args[0]
        for measure in MEASURES
        for contestant in measure.contestants
        if isinstance(contestant.run, partial) and isinstance(contestant.run.args[0], PeerQueue)
    }

    assert set(ALL) < peers
    for peer in peers:
        assert (ROOT / f"benchmarks/queues/{peer.module}_queue.py").exists()
        assert set(peer.packages) <= PYTHON_PACKAGES.keys()
