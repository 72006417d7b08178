from __future__ import annotations

from itertools import pairwise

import pytest

from jobctl.schedule import Dialect, ScheduleError, parse_schedule
from jobctl.schedule.grammar import CrontabRule, parse_crontab_text


def rule(text: str, dialect: Dialect = Dialect.CRONIE, seed: str = "") -> CrontabRule:
    return parse_crontab_text(text, dialect=dialect, seed=seed)


def refusal(text: str, **options: str) -> ScheduleError:
    with pytest.raises(ScheduleError) as refused:
        parse_schedule("crontab", text, **options)  # type: ignore[arg-type]
    return refused.value


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("*  *\t* * *", "* * * * *"),
        ("00 06 * * *", "0 6 * * *"),
        ("08 09 * * *", "8 9 * * *"),
        ("0-59/15 * * * *", "*/15 * * * *"),
        ("*/45 * * * *", "0,45 * * * *"),
        ("*/61 * * * *", "0 * * * *"),
        ("1,1,2,3 * * * *", "1-3 * * * *"),
        ("5-5 * * * *", "5 * * * *"),
        ("0 0-23 * * *", "0 0-23 * * *"),
        ("0 */5 * * *", "0 */5 * * *"),
        ("0 */30 * * *", "0 */24 * * *"),
        ("0 *,5 * * *", "0 * * * *"),
        ("0 5,* * * *", "0 0-23 * * *"),
        ("0 0 * jan-MAR *", "0 0 * 1-3 *"),
        ("0 0 * * fri-sun", "0 0 * * 0,5,6"),
        ("0 0 * * 7", "0 0 * * 0"),
        ("0 0 * * 0-7", "0 0 * * *"),
        ("0 0 1-31 * mon", "0 0 * * *"),
        ("0 0 10,* * mon", "0 0 * * *"),
        ("0 0 *,10 * mon", "0 0 * * 1"),
        ("0 0 */2 * mon", "0 0 */2 * 1"),
        ("0 0 */2 * *", "0 0 1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31 * *"),
        ("0 0 */100,1-7 * mon", "0 0 */31,2-7 * 1"),
        ("0 0 1-7 * */7", "0 0 */31,2-7 * 0"),
        ("0 0 2-8 * */7", "0 0 2-8 * */7"),
        ("0 0 2-8 * */2", "0 0 2-8 * */2"),
        ("0 0 L,LW,15W,L-3 * *", "0 0 L,L-3,LW,15W * *"),
        ("0 0 * * 5#3,friL,L5", "0 0 * * 5#3,5L"),
        ("0 0 * * 5,5#3", "0 0 * * 5"),
        ("0 0 * * * 0", "0 0 * * *"),
        ("0 0 * * * */20", "0 0 * * * */20"),
        ("@daily", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@hourly", "0 * * * *"),
        ("@reboot", "@reboot"),
    ],
)
def test_normal_form(text: str, normal: str) -> None:
    assert rule(text).normal == normal
    assert rule(normal) == rule(text)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("0 25 * * *", 'hour: 25 is out of range 0-23 (column 3 of "0 25 * * *")', "25 0 * * *"),
        ("0 24 * * *", "hour: 24 is out of range 0-23", "Midnight is hour 0"),
        ("60 * * * *", "minute: 60 is out of range 0-59", "minute 0"),
        ("0 30 * * *", "hour: 30", '"30 0 * * *"'),
        ("0 0 32 * *", "day of month: 32", '"L"'),
        ("0 0 0 * *", "day of month: 0 is out of range 1-31", "from 1"),
        ("0 0 * 13 *", "month: 13 is out of range 1-12", ""),
        ("0 0 * * 8", "day of week: 8 is out of range 0-7", "Sunday is 0 or 7"),
        ("5/15 * * * *", "needs a range", '"5-59/15"'),
        ("0 0 1/2 * *", "needs a range", '"1-31/2"'),
        ("*/0 * * * *", "a step of 0", ""),
        ("0 22-2 * * *", "runs backwards", '"22-23,0-2"'),
        ("30-10 * * * *", "runs backwards", '"30-59,0-10"'),
        ("0 0 * * sat-mon", "runs backwards", '"sat,sun,mon"'),
        ("0 0 * 11-2 *", "runs backwards", '"nov,dec,jan,feb"'),
        ("0 0 * * Sunday", "not understood", '"sun"'),
        ("0 0 * january *", "not understood", '"jan"'),
        ("0 0 * * sundy", "not understood", '"sun"'),
        ("1, 2 * * * *", "empty item", "comma"),
        ("1,,2 * * * *", "(column 3 of", "comma"),
        ("1.5 * * * *", "not understood", "Items are"),
        ("1-5-7 * * * *", "not understood", "Items are"),
        ("mon * * * *", "not understood", ""),
        ("-5 * * * *", "not understood", "cronie's mark"),
        ("30~10 * * * *", "runs backwards", '"10~30"'),
        ("~/30 * * * *", "no step after ~", '"H/30"'),
        ("0 0 L-31 * *", "no month", ""),
        ("0 0 * * 5#6", "one to five", '"5L"'),
        ("0 0 * * L", "needs a weekday", '"5L"'),
        ("0 0 * * 15W", "not understood", ""),
        ("L * * * *", "not understood", ""),
        ("* * * *", "has 4 fields", "minute, hour"),
        ("*", "has 1 field,", ""),
        ("0 0 31 2 *", "never fires", '"L"'),
        ("0 0 31 4,6,9,11 *", "never fires", '"L"'),
        ("0 0 30W 2 *", "never fires", ""),
        ("@Daily", "unknown nickname", '"@daily"'),
        ("@every 5m", "interval", 'every = "5m"'),
        ("@minutely", "not a nickname", '"* * * * *"'),
        ("@30", "FreeBSD", 'every = "30s"'),
        ("* * * * *\n* * * * *", "characters", ""),
        ("\uff11 * * * *", "characters", ""),
        ("", "empty schedule", ""),
        ("* " * 600, "characters", "1000"),
    ],
)
def test_refusal_names_field_place_and_way_out(text: str, message: str, hint: str) -> None:
    error = refusal(text)
    assert message in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    ("text", "whose", "ours"),
    [
        ("0 0 12 * * ?", "Quartz", "0 12 * * *"),
        ("0 0/5 14 * * ?", "Quartz", "0-59/5 14 * * *"),
        ("0 15 10 ? * 2-6", "Quartz", "15 10 * * 1-5"),
        ("0 15 10 ? * 6#3", "Quartz", "15 10 * * 5#3"),
        ("0 15 10 ? * 6L", "Quartz", "15 10 * * 5L"),
        ("30 0 12 L * ?", "Quartz", "0 12 L * * 30"),
        ("0 0 12 * * ? *", "Quartz", "0 12 * * *"),
        ("0 0 12 * * ? 2027", "Quartz", ""),
        ("0 0 1 ? *", "Quartz", "0 0 1 * *"),
        ("cron(0 12 ? * 2-6 *)", "EventBridge", "0 12 * * 1-5"),
        ("rate(5 minutes)", "EventBridge", ""),
        ("daily", "systemd", "0 0 * * *"),
        ("weekly", "systemd", "0 0 * * 1"),
        ("*-*-* 02:30:00", "systemd", "30 2 * * *"),
        ("Mon..Fri *-*-* 09:00", "systemd", "0 9 * * mon-fri"),
        ("Sat,Sun 10:15:30", "systemd", "15 10 * * sat,sun 30"),
        ("*-*-01,15 04:00", "systemd", "0 4 1,15 * *"),
        ("*-*-* *:0/15", "systemd", "*/15 * * * *"),
        ("*:0/15", "systemd", "*/15 * * * *"),
        ("Mon *-*-01..07 04:00", "systemd", ""),
        ("2027-01-01 00:00", "systemd", ""),
    ],
)
def test_syntax_of_others_is_named_with_our_own(text: str, whose: str, ours: str) -> None:
    error = refusal(text)
    assert whose in error.message
    if ours:
        assert error.hint == f'Write "{ours}".'
        parse_schedule("crontab", ours)


def test_hash_is_stable_and_spreads() -> None:
    drawn = {rule("H H * * *", seed=f"host/{number}").normal for number in range(200)}
    assert len(drawn) > 150
    assert rule("H H * * *", seed="a") == rule("H H * * *", seed="a")
    # Written down so that no release moves the schedules of a host.
    assert rule("H H(0-5) H * *", seed="host/backup").normal == "54 5 1 * *"


@pytest.mark.parametrize("seed", [f"s{number}" for number in range(30)])
def test_hash_stays_in_its_range(seed: str) -> None:
    assert rule("H(10-12) * * * *", seed=seed).minutes[0] in {10, 11, 12}
    quarter = rule("H/15 * * * *", seed=seed).minutes
    assert len(quarter) == 4
    assert {b - a for a, b in pairwise(quarter)} == {15}
    assert rule("0 0 H * *", seed=seed).days.days[0] <= 28
    assert set(rule("~30,40~ * * * *", seed=seed).minutes) <= {*range(31), *range(40, 60)}


def test_hash_does_not_depend_on_a_seed_where_nothing_is_drawn() -> None:
    assert rule("5 4 * * *", seed="a") == rule("5 4 * * *", seed="b")


def test_celery_means_both_day_fields_and_wraps() -> None:
    both = rule("0 0 13 * fri", Dialect.CELERY)
    assert both.days.is_both
    assert rule("0 22-2 * * *", Dialect.CELERY).hours == (0, 1, 2, 22, 23)
    assert rule("0 0 * 11-2 sat-mon", Dialect.CELERY).days.months == (1, 2, 11, 12)
    assert rule("0 22-4/2 * * *", Dialect.CELERY).hours == (0, 2, 4, 22)


def test_unknown_dialect_is_refused() -> None:
    assert refusal("* * * * *", dialect="celry").hint == 'Did you mean "celery"?'
