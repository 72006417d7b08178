from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jobctl.schedule import Kind, ScheduleError, kind_of, parse_schedule
from jobctl.schedule.explain import Explanation, explain

US = 10**6
NOW = int(datetime(2026, 9, 1, tzinfo=UTC).timestamp()) * US


def explained(text: str, timezone: str = "Europe/Berlin") -> Explanation:
    return explain(text, from_at=NOW, timezone=timezone)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("* * * * *", "every minute, every day"),
        ("*/5 * * * *", "every 5 minutes, every day"),
        ("0 * * * *", "every hour, on the hour, every day"),
        ("15 * * * *", "every hour at minute 15, every day"),
        ("0,30 * * * *", "every 30 minutes, every day"),
        ("5,30 * * * *", "every hour at minutes 5 and 30, every day"),
        ("30 2 * * *", "at 02:30, every day"),
        ("0 6,18 * * *", "at 06:00 and 18:00, every day"),
        ("*/15 9-17 * * 1-5", "every 15 minutes from 09:00 to 17:45, on Monday to Friday"),
        ("* 16 * * *", "every minute from 16:00 to 16:59, every day"),
        ("0 */2 * * *", "every 2 hours, on the hour, every day"),
        ("5 0-20 * * *", "at minute 5 of hour 0 to 20, every day"),
        ("0 0 1 * *", "at 00:00, on day 1 of the month"),
        ("0 0 1,15 * *", "at 00:00, on days 1 and 15 of the month"),
        ("0 0 L * *", "at 00:00, on the last day of the month"),
        ("0 0 L-2 * *", "at 00:00, on the day 2 before the last of the month"),
        ("0 0 LW * *", "at 00:00, on the last working day of the month"),
        ("0 0 15W * *", "at 00:00, on the working day nearest to day 15 of the month"),
        ("0 0 * * 5#3", "at 00:00, on the third Friday of the month"),
        ("0 0 * * 5L", "at 00:00, on the last Friday of the month"),
        ("0 0 * * 6-7", "at 00:00, on Saturday and Sunday"),
        ("0 0 13 * 5", "at 00:00, on day 13 of the month and also on Friday"),
        ("0 0 */100,1-7 * 1", "at 00:00, on days 1 to 7 of the month, but only if it is Monday"),
        ("0 12 * 1,6 *", "at 12:00, every day, in January and June"),
        ("* * * * * *", "every second, every day"),
        ("* * * * * */20", "every 20 seconds, every day"),
        ("0 3 * * * */20", "at 03:00, every 20 seconds of the minute, every day"),
        ("0 3 * * * 15", "at 03:00, at second 15, every day"),
        ("@reboot", "once after each boot of the host"),
        ("30s", "every 30 seconds of real time"),
        ("1h", "every hour of real time"),
        ("1h30m", "every 1 hour 30 minutes of real time"),
        ("1.5s", "every 1.5 seconds of real time"),
        ("2027-03-01T02:30", "once, at 2027-03-01T02:30:00+01:00"),
        (
            "sunset -33.9 18.4",
            "every day at sunset at 33.9° south 18.4° east, where the sun does so that day",
        ),
    ],
)
def test_words(text: str, words: str) -> None:
    assert explained(text).words == words


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("0 12 * * *", []),
        ("0 * * * *", []),
        ("*/15 * * * *", []),
        ("0 0 30 2 *", ["never-fires"]),
        ("2020-01-01T00:00", ["never-fires"]),
        ("0 12 13 * 5", ["both-day-fields"]),
        ("0 12 */2 * 5", ["both-day-fields", "uneven-step"]),
        ("0 12 1-31 * 5", ["both-day-fields"]),
        ("*/45 * * * *", ["uneven-step"]),
        ("*/61 * * * *", ["uneven-step"]),
        ("0 12 * * */2", ["uneven-step"]),
        ("0 */12 * * *", []),
        ("* 16 * * *", ["every-minute-of-hour"]),
        ("0 0 12 * * *", ["every-second"]),
        ("* * * * * *", []),
        ("0 12 29 2 *", ["leap-day-only"]),
        ("0 12 31 * *", ["skipped-months"]),
        ("0 12 31 1,3 *", []),
        ("0 12 31,L * *", []),
        ("30 2 * * *", ["daylight-saving", "daylight-saving"]),
        ("0 */2 * * *", ["daylight-saving", "daylight-saving"]),
        ("30 3 * * *", []),
        ("@reboot", []),
        ("1h", []),
    ],
)
def test_lints(text: str, codes: list[str]) -> None:
    assert [lint.code.value for lint in explained(text).lints] == codes


def test_leap_day_is_not_every_rare_day() -> None:
    rare = explain("0 12 31 12 1", from_at=NOW, dialect="celery")
    assert [lint.code.value for lint in rare.lints] == ["both-day-fields"]


@pytest.mark.parametrize(
    ("text", "autumn", "spring"),
    [
        (
            "30 2 * * *",
            "02:30 comes twice on 2026-10-25 in Europe/Berlin: only the first counts.",
            "02:30 does not exist on 2027-03-28 in Europe/Berlin: one run instead, at 03:00.",
        ),
        (
            "0 */2 * * *",
            "02:00 comes twice on 2026-10-25 in Europe/Berlin: "
            "both count, because hours with a star follow real time.",
            "02:00 does not exist on 2027-03-28 in Europe/Berlin: "
            "left out, because hours with a star follow real time.",
        ),
        (
            "*/30 2 * * *",
            "02:00 to 02:30 come twice on 2026-10-25 in Europe/Berlin: only the first counts.",
            "02:00 to 02:30 do not exist on 2027-03-28 in Europe/Berlin: "
            "one run instead, at 03:00.",
        ),
    ],
)
def test_daylight_saving_is_told_with_day_and_time(text: str, autumn: str, spring: str) -> None:
    assert [lint.message for lint in explained(text).lints] == [autumn, spring]
    assert explained(text, "UTC").lints == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 12 13 * 5", "it runs on days that match either of them"),
        ("0 12 13 * */2", "because day of week begins with a star"),
        ("0 12 1-31 * 5", "so it runs every day"),
    ],
)
def test_day_rule_is_told(text: str, said: str) -> None:
    assert said in explained(text).lints[0].message


def test_polar_night_is_told() -> None:
    lints = explained("sunrise 69.65 18.96").lints
    assert [lint.code.value for lint in lints] == ["skipped-days"]
    assert lints[0].message.startswith("The sun does not do so between 2026-11-")
    assert explained("sunrise 52.5 13.4").lints == ()


def test_herd_is_told_when_many_share_the_next_instant() -> None:
    many = [parse_schedule("crontab", "0 0 * * *") for _ in range(25)]
    lints = explain("0 0 * * *", from_at=NOW, others=many).lints
    assert [(lint.code.value, lint.message[:14]) for lint in lints] == [("herd", "25 schedules f")]
    assert explain("1 0 * * *", from_at=NOW, others=many).lints == ()
    assert explain("0 0 * * *", from_at=NOW, others=many[:5]).lints == ()


def test_explanation_is_whole() -> None:
    found = explain(" @daily ", from_at=NOW, count=2)
    assert found == Explanation(
        expression=" @daily ",
        kind=Kind.CRONTAB,
        normal="0 0 * * *",
        words="at 00:00, every day",
        timezone="UTC",
        next=(NOW + 86_400 * US, NOW + 2 * 86_400 * US),
        lints=(),
    )


def test_never_is_explained_but_nonsense_is_refused() -> None:
    assert explained("0 0 31 2 *").next == ()
    for text in ("0 0 * * *x", "", "x" * 2000, "\x1b[31m"):
        with pytest.raises(ScheduleError):
            explained(text)
    with pytest.raises(ScheduleError):
        explain("* * * * *", from_at=NOW, dialect="quartz")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("30s", "interval"),
        ("90", "interval"),
        ("2 hours and 5 minutes", "interval"),
        ("*/5 * * * *", "crontab"),
        ("@daily", "crontab"),
        ("daily", "crontab"),
        ("1 2 3 4 5", "crontab"),
        ("2027-01-01", "clocked"),
        ("2027-01-01 02:30", "clocked"),
        ("sunset 52 13", "solar"),
        ("dawn_civil@52,13", "solar"),
        ('{"event": "sunset", "latitude": 1, "longitude": 2}', "solar"),
    ],
)
def test_kind_is_judged_by_shape(text: str, kind: str) -> None:
    assert kind_of(text) == kind


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(ScheduleError, match="unknown kind") as refused:
        parse_schedule("crontabs", "* * * * *")
    assert refused.value.hint == 'Did you mean "crontab"?'
