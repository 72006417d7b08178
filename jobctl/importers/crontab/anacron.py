"""``/etc/anacrontab``: jobs that are due once in some days, whenever the host is up.

Anacron has no times of day but the hours in which it may start (``START_HOURS_RANGE``) and a delay in minutes.
Here such a job is a crontab that is made up for when it was missed (``on_missed = "once"``). Source: cronie,
``anacron/readtab.c`` and anacrontab(5).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from jobctl.importers.crontab.programs import program_of
from jobctl.importers.crontab.reading import Broken, Entry, Variable, about_of, lines_of
from jobctl.importers.crontab.remarks import decision, note
from jobctl.importers.crontab.times import Times

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobctl.importers.crontab.reading import Read

_VARIABLE: Final = re.compile(r"[ \t]*([^ \t=]+)[ \t]*=(.*)")
_JOB: Final = re.compile(r"[ \t]*([0-9]+|@[^ \t]+)[ \t]+([0-9]+)[ \t]+([^ \t/]+)[ \t]+([^ \t].*)")
_DAYS: Final = {
    "1": "* * *", "@daily": "* * *", "7": "* * 0", "@weekly": "* * 0", "@monthly": "1 * *", "@yearly": "1 1 *",
    "@annually": "1 1 *", "30": "1 * *", "31": "1 * *",
}  # fmt: skip
_LONGEST_DAYS: Final = 10_000


def read_table(data: bytes) -> Iterator[Read]:
    """What the lines of an anacrontab say. An entry's ``times`` are its period, delay and identifier."""
    env: dict[str, str] = {}
    comments: list[str] = []
    for line in lines_of(data):
        bare = line.text.strip()
        if not bare or bare.startswith("#"):
            comments = [*comments, bare.lstrip("#").strip()] if bare else []
            continue
        if variable := _VARIABLE.fullmatch(line.text):
            env[variable[1]] = variable[2].strip()
            yield Variable(line=line, name=variable[1], value=variable[2].strip())
        elif (job := _JOB.fullmatch(line.text)) and (job[1].isdigit() or job[1] in _DAYS):
            yield Entry(
                line=line,
                times=" ".join(job.group(1, 2, 3)),
                user=None,
                written=job[4],
                command=job[4],
                env=dict(env),
                about=about_of(comments, program_of(None)),
            )
        else:
            yield Broken(line=line, reason="invalid syntax")
        comments = []


def name_of(entry: Entry) -> str:
    """What anacron calls the job."""
    return entry.times.split(maxsplit=2)[2]


def times_of(entry: Entry) -> Times:
    """When the job is due here."""
    period, delay, _ = entry.times.split(maxsplit=2)
    first_hour = re.match(r"([0-9]+)-", entry.env.get("START_HOURS_RANGE", ""))
    preferred = entry.env.get("PREFERRED_HOUR", "")
    hour = int(preferred) if preferred.isdigit() else int(first_hour[1]) if first_hour else 0
    minute = min(hour * 60 + int(delay), 24 * 60 - 1)
    days = _DAYS.get(period)
    said = "anacron has no time of day for it: once in its period, when the host is up"
    if days is None and not 0 < int(period) <= _LONGEST_DAYS:
        return Times(
            every="1d", remarks=(decision(f"{said}; a period of {period} days is none here"),)
        )
    if days is None:
        return Times(every=f"{int(period)}d", remarks=(note(f"{said}; here every {period} days"),))
    at = f"{minute // 60:02}:{minute % 60:02}"
    cron = f"{minute % 60} {minute // 60} {days}"
    told = f"{said}; here at {at}, or once when the daemon is back after it was down"
    return Times(cron=cron, remarks=(note(told),))
