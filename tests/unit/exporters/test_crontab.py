"""Our schedules as a crontab: what is said in its fields, what by a guard, and what is told to be lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jobctl.config.load import load
from jobctl.exporters.crontab import crontab_of
from jobctl.exporters.work import works_of
from jobctl.importers.crontab.judging import Source, judge
from jobctl.importers.crontab.kinds import Dialect, Form
from jobctl.importers.crontab.programs import program_of
from jobctl.importers.crontab.reading import Entry, read_table
from jobctl.importers.crontab.text import text_of

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "# Made by jobctl export crontab.\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nLANG=C.UTF-8\n"


@pytest.fixture
def exported(tmp_path: Path):  # type: ignore[no-untyped-def]
    def export(config: str, *, has_users: bool = False, zone: str = "UTC") -> str:
        file = tmp_path / "jobctl.toml"
        file.write_text(config)
        loaded = load(file)
        assert loaded.plan is not None, loaded.problems
        works = works_of(loaded.plan, host_timezone=zone)
        text = crontab_of(works, host_timezone=zone, has_users=has_users)
        assert text.startswith(HEAD)
        return text.removeprefix(HEAD)

    return export


def a_task(when: str, **keys: str) -> str:
    more = "".join(f"{name} = {value}\n" for name, value in keys.items())
    return f'[tasks.t]\nshell = "c"\non_overlap = "allow"\n{when}\n{more}'


@pytest.mark.parametrize(
    ("when", "lines"),
    [
        ('cron = "30 2 * * *"', ["30 2 * * * c"]),
        ('cron = "*/15 9-17 1,15 * mon-fri"', ["*/15 9-17 1,15 * 1-5 c"]),
        ('cron = "@daily"', ["0 0 * * * c"]),
        ('cron = "@reboot"', ["@reboot c"]),
        ('every = "5m"', ["*/5 * * * * c"]),
        ('every = "1h"', ["0 * * * * c"]),
        ('every = "6h"', ["0 */6 * * * c"]),
        ('every = "1d"', ["0 0 * * * c"]),
        ('every = "1w"', ["0 0 * * 0 c"]),
        ('cron = "* * * * * 30"', ["* * * * * sleep 30; c"]),
        ('cron = "0 0 * * mon#1"', ["0 0 1-7 * * case $(date +\\%w) in 1) ;; *) exit 0;; esac; c"]),
        (
            'cron = "0 0 L * *"',
            ['0 0 28-31 * * [ "$(date -d "+1 days" +\\%d)" = 01 ] || exit 0; c'],
        ),
        ('cron = "0 0 1 * mon"', ["0 0 1 * 1 c"]),
        (
            'cron = "0 0 */2 * mon"',
            ["0 0 1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31 * * case $(date +\\%w) in 1) ;; *) exit 0;; esac; c"],
        ),
        ('cron = "0 0 1 * *"\nenabled = false', ["# 0 0 1 * * c"]),
    ],
)  # fmt: skip
def test_times_are_said_in_fields_or_by_a_guard(exported, when: str, lines: list[str]) -> None:  # type: ignore[no-untyped-def]
    assert exported(a_task(when)).splitlines() == ["", *lines]


@pytest.mark.parametrize(
    ("when", "why"),
    [
        ('every = "7m"', "7m does not divide an hour or a day"),
        ('every = "90s"', "does not divide"),
        ('at = "2030-01-01 12:00"', "no time of day"),
        ('cron = "0 0 15W * *"', "cannot say its days"),
        ('cron = "* * * * * */10"', "several times within a minute"),
    ],
)
def test_what_a_crontab_cannot_say_is_told_and_left_out(exported, when: str, why: str) -> None:  # type: ignore[no-untyped-def]
    (line,) = exported(a_task(when)).splitlines()[1:]

    assert line.startswith('# Schedule "t" is left out: ')
    assert why in line


def test_what_is_lost_stands_above_the_line(exported) -> None:  # type: ignore[no-untyped-def]
    text = exported(
        '[tasks.t]\ncommand = ["c", "a b", "50%"]\ncron = "0 1 * * *"\nretries = 3\ntimeout = "1h"\n'
        'on_missed = "once"\njitter = "5m"\ndescription = "Does it."\n'
    )

    assert text.splitlines() == [
        "",
        "# Does it.",
        "# Not said here: retries = 3.",
        '# Not said here: on_overlap = "skip": cron starts a second run beside the first.',
        '# Not said here: on_missed = "once": cron forgets what it missed.',
        "# Not said here: timeout = 3600s: timeout(1) can do that.",
        "# Not said here: jitter = 300s: cronie has RANDOM_DELAY, in minutes.",
        "0 1 * * * c 'a b' 50\\%",
    ]


def test_surroundings_hold_for_the_lines_that_have_them(exported) -> None:  # type: ignore[no-untyped-def]
    text = exported(
        '[tasks.a]\nshell = "a"\ncron = "0 1 * * *"\non_overlap = "allow"\nenv = { A = "1 2", B = " x" }\n'
        'cwd = "/srv/my shop"\numask = "027"\nuser = "root"\n'
        '[tasks.b]\ncommand = ["/bin/bash", "-c", "[[ b ]]"]\ncron = "0 2 * * *"\non_overlap = "allow"\n'
        'env = { A = "1 2" }\n',
        has_users=True,
    )

    assert text.splitlines() == [
        "",
        "A=1 2",
        'B=" x"',
        "0 1 * * * root umask 027; cd '/srv/my shop' || exit; a",
        "",
        "SHELL=/bin/bash",
        "0 2 * * * root unset B; [[ b ]]",
    ]


def test_a_zone_of_its_own_is_for_cronie(exported) -> None:  # type: ignore[no-untyped-def]
    text = exported(a_task('cron = "0 1 * * *"', timezone='"Europe/Berlin"'))

    assert "CRON_TZ=Europe/Berlin\n0 1 * * * c\n" in text
    assert "for cronie only" in text


def test_a_function_is_submitted(exported) -> None:  # type: ignore[no-untyped-def]
    text = exported('[tasks.f]\nfunction = "json:dumps"\nargs = [1]\ncron = "0 1 * * *"\n')

    assert text.splitlines()[-1] == "0 1 * * * jobctl submit f"
    assert "it still needs the daemon" in text


def test_several_lines_of_a_command_are_left_out(exported) -> None:  # type: ignore[no-untyped-def]
    text = exported('[tasks.t]\nshell = "a\\nb"\ncron = "0 1 * * *"\n')

    assert "put them into a script" in text
    assert "0 1 * * *" not in text


CRONTAB = r"""
# Nightly dump
30 2 * * * cd /srv && dump > /dev/null
SHELL=/bin/bash
A=it's "fine"
0 9 1 * mon mail -s x boss%Good \% morning,%%bye
*/5 * * * * [[ -e /x ]] && echo \%
@reboot warm # up
"""


def test_what_was_imported_comes_back_as_it_was(exported) -> None:  # type: ignore[no-untyped-def]
    program = program_of(Dialect.CRONIE)

    def entries(text: str) -> list[tuple[object, ...]]:
        return [
            (read.times, read.command.strip(), read.input, read.about, read.env.get("SHELL"), read.env.get("A"))
            for read in read_table(text.encode(), Form.USER, program)
            if isinstance(read, Entry)
        ]  # fmt: skip

    source = Source(path="crontab", data=CRONTAB.encode(), form=Form.USER)

    back = exported(text_of(judge([source], program)))

    assert entries(back) == [
        (str(times).replace("mon", "1"), *rest) for times, *rest in entries(CRONTAB)
    ]
