"""In what the crons differ, as far as an importer must know. One value each, and nothing decided here."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from jobctl.importers.crontab.kinds import Dialect
from jobctl.schedule.grammar import NICKNAMES, REBOOT
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping


class Zone(StrEnum):
    """What ``CRON_TZ`` is to a cron."""

    SCHEDULES = "schedules"
    """The zone of the lines below it."""
    ENVIRONMENT = "environment"
    """A variable of the command like any other."""
    UNSURE = "unsure"
    """One of the two: it was not said which cron it is."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """One cron. ``nicknames`` maps each to the crontab or the span that it stands for.

    ``options`` are the letters that may stand before a command. ``path`` is what a command finds in PATH when
    the table sets none; None means that the daemon's own is inherited. ``longest_bytes`` is the longest
    command. ``has_quiet_mark``: a minus before the line keeps it out of the log. ``skips_rest_of_field``: what
    stands behind a field that could have ended is passed over up to the next blank (``5#3`` is 5).
    """

    name: str
    options: str = ""
    nicknames: Mapping[str, str]
    has_tilde: bool = False
    has_tilde_step: bool = False
    has_quiet_mark: bool = False
    has_empty_values: bool = True
    skips_rest_of_field: bool = False
    cuts_at_percent: bool = True
    zone: Zone = Zone.ENVIRONMENT
    has_delay: bool = False
    path: str | None = "/usr/bin:/bin"
    longest_bytes: int | None = None


_COMMON: Final = {**NICKNAMES, REBOOT: REBOOT}
_OF_FREEBSD: Final = {
    **_COMMON,
    "@every_minute": "* * * * *",
    "@every_second": "* * * * * *",
}

_PROGRAMS: Final[Mapping[Dialect, Program]] = {
    Dialect.DEBIAN: Program(
        name="Debian's cron",
        nicknames=_COMMON,
        has_empty_values=False,
        skips_rest_of_field=True,
        longest_bytes=998,
    ),
    Dialect.CRONIE: Program(
        name="cronie",
        options="n",
        nicknames=_COMMON,
        has_tilde=True,
        has_quiet_mark=True,
        zone=Zone.SCHEDULES,
        has_delay=True,
        path="/usr/bin:/bin:/usr/sbin:/sbin",
    ),
    Dialect.OPENBSD: Program(
        name="OpenBSD's cron", options="nqs", nicknames=_COMMON, has_tilde=True, has_tilde_step=True
    ),
    Dialect.FREEBSD: Program(name="FreeBSD's cron", options="nq", nicknames=_OF_FREEBSD),
    Dialect.BUSYBOX: Program(
        name="BusyBox's crond", nicknames=_COMMON, cuts_at_percent=False, path=None
    ),
}

_UNSAID: Final = Program(
    name="cron",
    options="n",
    nicknames=_COMMON,
    has_tilde=True,
    has_quiet_mark=True,
    zone=Zone.UNSURE,
    has_delay=True,
)
"""cronie's grammar, the widest on Linux; where it matters which cron it is, a person is asked."""


def program_of(dialect: Dialect | None) -> Program:
    """The cron of a dialect; without one, what can be said of a Linux host's cron."""
    return _UNSAID if dialect is None else _PROGRAMS[dialect]
