"""What is exported means the same to others: systemd names the same instants, a shell's guards the same days."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from jobctl.cli import shapes
from jobctl.config.load import load
from jobctl.exporters.crontab import _days
from jobctl.exporters.systemd import CannotSay, calendars, quoted, units_of
from jobctl.exporters.work import works_of
from jobctl.schedule import parse_schedule
from jobctl.schedule.crontab import CrontabSchedule

BEGIN = datetime(2027, 1, 1, tzinfo=UTC)
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None and "CI" not in os.environ,
    reason="needs systemd, which .ci/run installs",
)


def crontab(text: str, dialect: str = "cronie") -> CrontabSchedule:
    schedule = parse_schedule("crontab", text, dialect=dialect)
    assert isinstance(schedule, CrontabSchedule)
    return schedule


def elapses(calendar: str, count: int) -> list[datetime]:
    """The first instants that systemd names after the beginning."""
    done = subprocess.run(
        ["systemd-analyze", "calendar", f"--iterations={count}", "--base-time=2026-12-31 23:59:59 UTC", calendar],
        capture_output=True, text=True, check=True, env={"TZ": "UTC", "PATH": "/usr/bin:/bin", "LANG": "C"},
    )  # fmt: skip
    texts = [
        line.split(": ", 1)[1].split(" ", 1)[1].removesuffix(" UTC")
        for line in done.stdout.splitlines()
        if line.strip().startswith(("Next elapse:", "Iter. #", "Iteration #"))
    ]
    return [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in texts]


@needs_systemd
@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("30 2 * * *", "cronie"),
        ("*/20 9-11 * * mon-fri", "cronie"),
        ("0 0 1 * mon", "cronie"),
        ("0 0 */2 * mon", "cronie"),
        ("0 0 1-7 * 1", "celery"),
        ("0 0 L * *", "cronie"),
        ("0 0 L-3,15 2,3 *", "cronie"),
        ("0 6 * * 5#3,1#1", "cronie"),
        ("0 6 * * 5L", "cronie"),
        ("0 6 * * 0,6", "cronie"),
        ("0 6 13 * fri,5#1", "cronie"),
        ("0 0 29 2 *", "cronie"),
        ("* * * * * */15", "cronie"),
        ("0 0 30,31 * *", "cronie"),
    ],
)
def test_systemd_names_the_same_instants(text: str, dialect: str) -> None:
    schedule = crontab(text, dialect)
    before_us = int((BEGIN - timedelta(seconds=1)).timestamp() * 1_000_000)
    wanted = [
        datetime.fromtimestamp(moment / 1_000_000, tz=UTC)
        for moment in islice(schedule.between(before_us, before_us + 10**15), 40)
    ]

    # A timer joins its lines.
    named = {moment for line in calendars(schedule.rule) for moment in elapses(line, 40)}

    assert sorted(named)[: len(wanted)] == wanted


def test_what_systemd_cannot_say_is_refused() -> None:
    for text, dialect in (("0 0 15W * *", "cronie"), ("0 0 1-7 * 1#1", "celery")):
        with pytest.raises(CannotSay):
            calendars(crontab(text, dialect).rule)


GUARDED = ["0 0 * * 5#3,1#1", "0 0 L * *", "0 0 L-2,L * *", "0 0 * * 5L,1L", "0 0 */2 * 1,3"]


@pytest.mark.parametrize("text", GUARDED)
def test_a_guard_of_a_crontab_lets_the_same_days_through(text: str) -> None:
    schedule = crontab(text)
    days = [BEGIN + timedelta(days=number) for number in range(366)]
    found = dict.fromkeys(days, 0)
    script = ['date() { if [ "$1" = -d ]; then command date -d "$DAY $2" "$3"; else command date -d "$DAY" "$1"; fi; }']  # fmt: skip
    for fields, guard in _days(schedule.rule.days):
        plain = crontab(f"0 0 {fields}").rule.days
        script += [
            f"DAY={day:%Y-%m-%d}; ({guard} echo $DAY)"
            for day in days
            if plain.matches(day.year, day.month, day.day)
        ]

    done = subprocess.run(
        ["sh", "-c", "\n".join(script)], capture_output=True, text=True, check=True
    )

    for line in done.stdout.splitlines():
        found[datetime.fromisoformat(line).replace(tzinfo=UTC)] += 1
    wanted = {day: int(schedule.rule.days.matches(day.year, day.month, day.day)) for day in days}
    assert found == wanted


CONFIG = r"""
[tasks.plain]
shell = 'echo "$HOME" 50% \ back'
cron = "0 3 * * mon-fri"
timezone = "Europe/Berlin"
description = "Does 100 % of it"
env = { A = 'x "y" $z %h \' }
cwd = "/srv"
umask = "027"
stdin = "one\ntwo\n"
group = "root"
timeout = "1h"
on_missed = "once"
jitter = "5m"

[tasks.words]
command = ["/bin/echo", "", "a b", "-x", "@y", "é", "line\nend", "$HOME", "%H", "\u0001"]
every = "90s"

[tasks.boot]
command = ["/bin/true"]
cron = "@reboot"

[tasks.sun]
command = ["/bin/true"]
solar = { event = "sunset", latitude = 52.5, longitude = 13.4 }
"""


@pytest.fixture
def units(tmp_path: Path) -> Path:
    (tmp_path / "jobctl.toml").write_text(CONFIG)
    loaded = load(tmp_path / "jobctl.toml")
    assert loaded.plan is not None, loaded.problems
    found = units_of(works_of(loaded.plan, host_timezone="UTC"), prefix="job-")
    folder = tmp_path / "units"
    folder.mkdir()
    for unit in found.units:
        (folder / unit.name).write_text(unit.text)
    assert {unit.name for unit in found.units} == {
        "job-plain.service", "job-plain.timer", "job-words.service", "job-words.timer", "job-boot.service",
    }  # fmt: skip
    notes = dict(found.notes)
    assert "left out" in notes["sun"]
    return folder


@needs_systemd
def test_systemd_takes_the_units(units: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, sorted(units.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "LANG": "C", "SYSTEMD_UNIT_PATH": f"{units}:"},
    )

    complaints = [line for line in done.stderr.splitlines() if "job-" in line]
    assert complaints == []
    assert done.returncode == 0, done.stderr


def test_a_timer_says_what_it_can(units: Path) -> None:
    timer = (units / "job-plain.timer").read_text().splitlines()

    assert "OnCalendar=Mon..Fri *-*-* 03:00:00 Europe/Berlin" in timer
    assert {"Persistent=true", "RandomizedDelaySec=300s", "FixedRandomDelay=true"} <= set(timer)
    service = (units / "job-plain.service").read_text().splitlines()
    assert {"StandardInput=data", "StandardInputData=b25lCnR3bwo=", "Group=root"} <= set(service)
    assert {"UMask=0027", "WorkingDirectory=/srv", "TimeoutStartSec=3600s"} <= set(service)
    assert "Description=Does 100 %% of it" in service


@pytest.mark.parametrize(
    ("word", "text"),
    [("a", "a"), ("a b", '"a b"'), ("", '""'), ("50%", "50%%"), ("$A", "$$A"), ('"', '"\\""'), ("@a", '"@a"')],
)  # fmt: skip
def test_words_are_quoted_for_systemd(word: str, text: str) -> None:
    assert quoted(word) == text


# -- the command line -----------------------------------------------------------------------------

SCHEMAS = Path(shapes.__file__).parent / "schemas"


def typed(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Types ``jobctl --config jobctl.toml export …`` in a folder with that file."""
    command = [sys.executable, "-m", "jobctl", "--config", "jobctl.toml", "export", *words]
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[2]), "TZ": "UTC"}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    (tmp_path / "jobctl.toml").write_text(CONFIG)
    return tmp_path


@pytest.mark.slow
def test_a_crontab_is_printed(configured: Path) -> None:
    done = typed(configured, "crontab")

    assert done.returncode == 0, done.stderr
    assert "@reboot unset A; /bin/true\n" in done.stdout
    answer = json.loads(typed(configured, "crontab", "--json").stdout)
    Draft202012Validator(json.loads((SCHEMAS / "export-crontab.json").read_text())).validate(answer)
    assert answer["crontab"] == done.stdout


@pytest.mark.slow
def test_units_are_written_into_a_folder(configured: Path) -> None:
    done = typed(configured, "systemd", "--output", "units", "--prefix", "shop-")

    assert done.returncode == 0, done.stderr
    assert {file.name for file in (configured / "units").iterdir()} == {
        "shop-plain.service", "shop-plain.timer", "shop-words.service", "shop-words.timer",
        "shop-boot.service",
    }  # fmt: skip
    assert "sun: left out" in done.stderr
    answer = json.loads(typed(configured, "systemd", "--json").stdout)
    Draft202012Validator(json.loads((SCHEMAS / "export-systemd.json").read_text())).validate(answer)


def test_a_folder_that_cannot_be_written_is_told(configured: Path) -> None:
    done = typed(configured, "systemd", "--output", "jobctl.toml/x")

    assert done.returncode == 1
    assert "hint: Name a folder that you may write with --output." in done.stderr


def test_a_faulty_configuration_is_told(configured: Path) -> None:
    (configured / "jobctl.toml").write_text("[tasks.x]\ncron = 3\n")

    assert typed(configured, "crontab").returncode == 78
