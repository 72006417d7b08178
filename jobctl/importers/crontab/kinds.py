"""Whose crontab it is, and how its lines are built: two things that a person may say of a file.

Apart from the rest, because the command line names them before it knows what is asked for.
"""

from __future__ import annotations

from enum import StrEnum


class Dialect(StrEnum):
    """Whose crontab it is."""

    DEBIAN = "debian"
    """Debian's and Ubuntu's cron."""
    CRONIE = "cronie"
    """Fedora's, Red Hat's, SUSE's, Arch's."""
    OPENBSD = "openbsd"
    """OpenBSD's, and who took it over."""
    FREEBSD = "freebsd"
    """FreeBSD's."""
    BUSYBOX = "busybox"
    """BusyBox's crond, as in Alpine and in routers."""


class Form(StrEnum):
    """How the lines of a table are built."""

    USER = "user"
    """A user's own: times and a command."""
    SYSTEM = "system"
    """``/etc/crontab`` and ``/etc/cron.d``: the name of a user between the two."""
    ANACRON = "anacron"
    """``/etc/anacrontab``: a period, a delay, an identifier, a command."""
