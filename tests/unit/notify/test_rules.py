"""What a route tells of an end, and what it remembers."""

from __future__ import annotations

from typing import Any

import pytest

from jobctl.clock import SECOND
from jobctl.job import Change
from jobctl.notify.rules import judge
from jobctl.plan.routes import Route
from jobctl.store.troubles import Trouble

HOUR = 3600 * SECOND


class Story:
    """One route and one task: ends come, each a minute after the other."""

    def __init__(self, **options: Any) -> None:
        self.route = Route(name="ops", kind="mail", to=("root",), **options)
        self.trouble: Trouble | None = None
        self.now = HOUR
        self.count = 0

    def end(self, change: Change, *, prints: bool = False) -> str | None:
        """What is told of an end."""
        self.now += 60 * SECOND
        self.count += 1
        judged = judge(
            self.route,
            self.trouble,
            change,
            prints=prints,
            message_id=f"<{self.count}>",
            now=self.now,
        )
        self.trouble = judged.trouble
        return judged.event

    def ends(self, words: str) -> list[str | None]:
        """What is told of each of several: ``f`` is a failure, ``s`` a success."""
        return [self.end(Change.FAIL if word == "f" else Change.SUCCEED) for word in words]


def test_each_failure_and_the_end_of_the_trouble_is_told() -> None:
    story = Story()

    assert story.ends("sffss") == [None, "failure", "failure", "recovery", None]
    assert story.trouble is None


def test_messages_of_one_trouble_share_the_first_ones_thread() -> None:
    story = Story()

    story.ends("fff")

    assert story.trouble == Trouble(failures=3, told_at=story.now, thread="<1>")


def test_after_tells_of_no_earlier_failure_nor_of_its_recovery() -> None:
    story = Story(after=3)

    assert story.ends("ffsfffs") == [None, None, None, None, None, "failure", "recovery"]


def test_repeat_after_keeps_quiet_for_a_while_and_counts() -> None:
    story = Story(repeat_after_s=180.0)

    assert story.ends("fff") == ["failure", None, None]
    assert story.trouble is not None
    assert story.trouble.untold == 2
    assert story.ends("ff") == ["failure", None]
    assert story.trouble.failures == 5
    assert story.ends("s") == ["recovery"]


def test_a_clock_that_was_set_back_silences_nothing() -> None:
    story = Story(repeat_after_s=86400.0)
    story.ends("f")
    story.now -= 2 * HOUR // 2

    assert story.ends("f") == ["failure"]


def test_who_wants_no_failures_hears_of_no_recovery() -> None:
    story = Story(on=("success", "recovery"))

    assert story.ends("ffs") == [None, None, "success"]


@pytest.mark.parametrize(
    ("change", "told"),
    [(Change.SUCCEED, "output"), (Change.FAIL, "output"), (Change.REVOKE, "output")],
)
def test_output_is_told_as_cron_does_whatever_the_end(change: Change, told: str) -> None:
    story = Story(on=("output",))

    assert story.end(change, prints=True) == told
    assert story.end(change) is None


def test_a_failure_that_is_held_back_is_not_told_for_its_output() -> None:
    story = Story(on=("failure", "output"), after=2)

    assert story.end(Change.FAIL, prints=True) is None
    assert story.end(Change.FAIL, prints=True) == "failure"


def test_other_ends_have_words_of_their_own() -> None:
    story = Story(on=("retry", "cancelled"))

    assert story.end(Change.TRY_AGAIN) == "retry"
    assert story.end(Change.REVOKE) == "cancelled"
    assert story.end(Change.RELEASE, prints=True) is None
