"""Each measure can be taken, and the page can be made of what comes out. No figure is judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.measure import Budget, Contestant, ContestantFailed, Kind, Measure, Metric, Round
from benchmarks.measures import AWAITING_PAGE, MEASURES
from benchmarks.page import budget_table, measure_table, page
from benchmarks.peers import Peers
from benchmarks.run import Outcome, Row, Spread, take

ROOT = Path(__file__).parents[2]


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


@pytest.mark.slow
@pytest.mark.parametrize("measure", [*MEASURES, *AWAITING_PAGE], ids=lambda measure: measure.name)
def test_a_measure_gives_a_figure_for_each_metric_of_jobctl(measure: Measure) -> None:
    outcome = taken(measure, peers=False)

    reached = {
        name
        for row in outcome.rows
        if row.contestant.kind is Kind.JOBCTL
        for name, spread in row.spreads.items()
        if spread.low >= 0
    }
    assert reached == {metric.name for metric in measure.metrics}
    assert not any(row.contestant.kind is Kind.PEER for row in outcome.rows)
    assert len(outcome.judge()) >= sum(m.budget is not None for m in measure.metrics)


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

    text = page([taken(measure)], {"processor": "slow"}, ["the moon"])

    for part in ("| processor | slow |", "## Work", "Some work.", "as it comes", "* the moon"):
        assert part in text


def test_the_page_in_the_manual_is_one_that_was_generated_from_these_measures() -> None:
    text = (ROOT / "docs/explanation/performance.md").read_text()

    for measure in MEASURES:
        assert f"## {measure.title}\n\n{measure.what}\n" in text
