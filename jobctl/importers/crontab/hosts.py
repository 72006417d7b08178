"""The crontabs of this host: where they lie, who has them, which cron reads them. Reads, and changes nothing."""

from __future__ import annotations

import os
import pwd
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jobctl.importers.crontab.judging import Host, Source
from jobctl.importers.crontab.kinds import Dialect, Form
from jobctl.importers.crontab.remarks import Remark, note
from jobctl.importers.crontab.run_parts import in_order
from jobctl.importers.reading import CannotImport
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PATIENCE_S: Final = 30.0
LARGEST_BYTES: Final = 8 << 20
_FIRST_PERSON: Final = 1000
"""From here on uids are given to people, login.defs(5)."""
_DAEMON_NAMES: Final = ("nobody", "nogroup")
_SYSTEM_FILE: Final = "crontab"
_FOLDER: Final = "cron.d"
_ANACRONTAB: Final = "anacrontab"
_DROPPED_ENDINGS: Final = (
    "~",
    ".rpmsave",
    ".rpmorig",
    ".rpmnew",
    ".dpkg-old",
    ".dpkg-dist",
    ".dpkg-new",
)
_OS_RELEASE: Final = ("etc/os-release", "usr/lib/os-release")
_DIALECTS: Final = {
    "debian": Dialect.DEBIAN, "ubuntu": Dialect.DEBIAN, "fedora": Dialect.CRONIE, "rhel": Dialect.CRONIE,
    "suse": Dialect.CRONIE, "arch": Dialect.CRONIE, "alpine": Dialect.BUSYBOX, "freebsd": Dialect.FREEBSD,
    "openbsd": Dialect.OPENBSD, "openwrt": Dialect.BUSYBOX,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Found:
    """Tables of a host, and what is to be said of files among them that no cron reads."""

    sources: tuple[Source, ...]
    about_files: tuple[tuple[str, Remark], ...] = ()


def host_facts() -> Host:
    """What this host knows that its tables do not say."""
    users = pwd.getpwall()
    return Host(
        users=frozenset(user.pw_name for user in users),
        people=frozenset(
            user.pw_name
            for user in users
            if user.pw_name not in _DAEMON_NAMES
            and (user.pw_uid == 0 or user.pw_uid >= _FIRST_PERSON)
        ),
        has_anacron=os.access("/usr/sbin/anacron", os.X_OK),
        has_systemd=Path("/run/systemd/system").is_dir(),
        has_sendmail=os.access("/usr/sbin/sendmail", os.X_OK),
        scripts=scripts_of,
    )


def scripts_of(folder: str) -> Sequence[str] | None:
    """The names of the programs that run-parts would run in a folder, in its order; None if there is none."""
    try:
        found = [entry.name for entry in os.scandir(folder) if entry.is_file()]
    except OSError:
        return None
    return [name for name in in_order(found) if os.access(Path(folder) / name, os.X_OK)]


def is_cron_alive() -> bool:
    """Whether a cron runs on this host. One in a container of its own may be seen, too."""
    for process in Path("/proc").glob("[0-9]*/comm"):
        try:
            if process.read_text(errors="replace").strip() in ("cron", "crond"):
                return True
        except OSError:
            continue
    return False


def dialect_of_host(root: Path = Path("/")) -> Dialect | None:
    """The dialect of the cron that this system comes with; None when its name says nothing.

    A cron that was installed in place of that one is not found out: then ``--dialect`` says it.
    """
    for name in _OS_RELEASE:
        try:
            text = (root / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        names = f"{said.get('ID', '')} {said.get('ID_LIKE', '')}".replace('"', "").replace("'", "")
        return next((_DIALECTS[word] for word in names.split() if word in _DIALECTS), None)
    return None


def table_of_input() -> Source:
    """The table that standard input is."""
    data = sys.stdin.buffer.read(LARGEST_BYTES + 1)
    return Source(path="standard input", data=data, form=Form.USER)


def current_user() -> str:
    """The name of the user that this process is; its uid as text when it has none."""
    uid = os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def table_of_user(name: str | None) -> Source:
    """A user's own table, as crontab(1) gives it. Without a name: of the user that asks.

    Raises CannotImport: crontab(1) is not there, or the user has no table, or may not have one.
    """
    asking = current_user()
    owner = name if name is not None else asking
    words = ["crontab", *(["-u", owner] if owner != asking else []), "-l"]
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S, check=False
        )
    except OSError as error:
        raise CannotImport(
            f"crontab(1) cannot be started: {error.strerror}",
            hint="Is a cron installed? Name the files to read instead.",
        ) from None
    except subprocess.TimeoutExpired:
        raise CannotImport(
            f"crontab(1) took longer than {PATIENCE_S:g} s", hint="Try it: crontab -l"
        ) from None
    if done.returncode != 0:
        why = done.stderr.decode(errors="replace").strip() or f"it ended with {done.returncode}"
        raise CannotImport(
            f'user "{owner}" has no table that could be read: {why}', hint="Try it: crontab -l"
        )
    return Source(
        path=f"crontab of {owner}",
        data=done.stdout,
        form=Form.USER,
        owner=owner,
        runs_as=owner if owner != asking else None,
    )


def tables_of_system(dialect: Dialect | None, etc: Path = Path("/etc")) -> Found:
    """``/etc/crontab``, the files of ``/etc/cron.d`` and ``/etc/anacrontab``; what is not there is left out.

    Files that cron passes over for their name or their rights are not read, but told.
    """
    sources: list[Source] = []
    about: list[tuple[str, Remark]] = []
    if (etc / _SYSTEM_FILE).is_file():
        sources.append(_source(etc / _SYSTEM_FILE, Form.SYSTEM))
    for file in sorted((etc / _FOLDER).iterdir()) if (etc / _FOLDER).is_dir() else ():
        why = why_passed_over(file, dialect)
        if why:
            about.append((str(file), note(f"cron passes over it: {why}")))
            continue
        try:
            sources.append(_source(file, Form.SYSTEM))
        except CannotImport as error:
            # One file that is for root alone does not hide the others.
            about.append((str(file), note(error.message)))
    if (etc / _ANACRONTAB).is_file():
        sources.append(_source(etc / _ANACRONTAB, Form.ANACRON))
    if not sources and not about:
        raise CannotImport(f"there is no crontab in {etc}", hint="Name the files to read instead.")
    return Found(sources=tuple(sources), about_files=tuple(about))


def why_passed_over(file: Path, dialect: Dialect | None) -> str:
    """Why cron does not read a file of ``cron.d``; empty when it does."""
    name = file.name
    if name.startswith((".", "#")) or name.endswith(_DROPPED_ENDINGS):
        return "it is hidden, or the left-over of an editor or a package"
    if dialect is Dialect.DEBIAN and not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        return "the name of a file in cron.d has letters, digits, _ and - only"
    try:
        status = file.stat()
    except OSError as error:
        return str(error.strerror)
    if not stat.S_ISREG(status.st_mode):
        return "it is no file"
    if status.st_uid != 0:
        return "it does not belong to root"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "others than root may write it"
    return ""


def table_in_file(path: Path, form: Form | None = None) -> Source:
    """A table that lies in a file. Without a form it is told by its place, or else by its lines.

    Raises CannotImport: it cannot be read.
    """
    source = _source(path, form or Form.USER)
    if form is not None:
        return source
    return Source(path=source.path, data=source.data, form=form_of(path, source.data))


def _source(path: Path, form: Form) -> Source:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise CannotImport(
            f"{path} cannot be read: {error.strerror}", hint="Name a file that can be read."
        ) from None
    if len(data) > LARGEST_BYTES:
        raise CannotImport(
            f"{path} is larger than {LARGEST_BYTES >> 20} MiB", hint="That is no crontab."
        )
    return Source(path=str(path), data=data, form=form)


def form_of(path: Path, data: bytes) -> Form:
    """How the lines of a file are built: by its place, else by what stands where users do."""
    if _ANACRONTAB in path.name:
        return Form.ANACRON
    if path.parent.name == _FOLDER or path == Path("/etc") / _SYSTEM_FILE or ".cron.d" in path.name:
        return Form.SYSTEM
    known = {
        user.pw_name: user.pw_uid == 0 or user.pw_uid >= _FIRST_PERSON for user in pwd.getpwall()
    }
    sixth = list(_sixth_words(data.decode(errors="replace")))
    # Some daemons' users are called like commands (mail, sync): one of people or root has to be there too.
    is_system = any(known.get(word) for word in sixth) and all(
        word in known or re.fullmatch(r"[a-z_][a-z0-9_-]*", word) for word in sixth
    )
    return Form.SYSTEM if is_system else Form.USER


def _sixth_words(text: str) -> Iterator[str]:
    """What stands behind the times of each line that might be an entry with a user."""
    for line in text.splitlines():
        words = line.split(maxsplit=7)
        at = 1 if line.lstrip().startswith("@") else 5
        if words and words[0][0] in "*@-~0123456789" and len(words) > at + 1:
            yield words[at]
