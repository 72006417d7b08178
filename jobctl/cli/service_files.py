"""What makes jobctl a service of systemd: which files, where, and whose they are.

A unit that ``service install`` wrote begins with a line that holds a digest of the rest. So a later run knows
what it may replace or remove: what it wrote itself and nobody has changed since.
"""

from __future__ import annotations

import os
import pwd
import re
import stat
import sys
from enum import StrEnum
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Final

from jobctl import paths
from jobctl.digest import blake2b
from jobctl.errors import NotFound, UsageError
from jobctl.exporters.systemd import quoted
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

UNITS: Final = Path(__file__).with_name("units")
_SYSTEM_UNITS: Final = Path("/etc/systemd/system")
_PACKAGES_UNITS: Final = (Path("/usr/lib/systemd/system"), Path("/lib/systemd/system"))
_BOOTED: Final = Path("/run/systemd/system")
_SHIPPED_PROGRAM: Final = "/usr/bin/jobctl"
_MARK: Final = re.compile(
    r'# Written by "jobctl service install", digest ([0-9a-f]{32}): change it with "systemctl edit"\.\n'
)
_KNOWS_SUBGROUPS: Final = 254
_SUBGROUP: Final = """\
# The daemon in a group of its own in it, so that limits of jobs can be in it too; older versions do not know it.
DelegateSubgroup=daemon
"""
_STRICT: Final = "strict.conf"
_UNSET: Final = ("JOBCTL_CONFIG", "JOBCTL_SOCKET", "STATE_DIRECTORY", "RUNTIME_DIRECTORY")
"""What a service does not see of the environment of who installs it."""


class Owner(StrEnum):
    """Whose a file is."""

    NOBODY = "absent"
    """It is not there."""
    US = "ours"
    """`service install` wrote it, and it is as it was written."""
    CHANGED = "changed"
    """`service install` wrote it, and somebody has changed it since."""
    OTHERS = "others"
    """Somebody else wrote it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UnitFile:
    """A file of systemd's as it is to be. ``is_shared``: other instances need it too."""

    path: Path
    text: str
    is_shared: bool = False


@dataclass(frozen=True, kw_only=True)
class Service:
    """One daemon as a service. ``units`` are what is enabled, the socket first; ``files`` make them."""

    program: Path
    unit: str
    units: tuple[str, ...]
    files: tuple[UnitFile, ...]
    packaged: tuple[Path, ...]
    """Where a package would have put the same unit."""
    config: Path
    state_dir: Path
    socket: Path
    systemctl: tuple[str, ...] = ("systemctl",)
    booted: Path = _BOOTED
    """There when a systemd runs that can be told."""

    @property
    def runs_systemd(self) -> bool:
        """A systemd runs that this service can be told to."""
        return self.booted.exists()


def system_service(program: Path, *, with_socket: bool = True, systemd: int = 0) -> Service:
    """The daemon of the whole system. ``systemd`` is the version that is to read the units, 0 an unknown one."""
    return _service(
        program,
        "jobctl",
        folder=_SYSTEM_UNITS,
        packaged=_PACKAGES_UNITS,
        config=Path("/etc/jobctl/jobctl.toml"),
        state_dir=Path("/var/lib/jobctl"),
        socket=Path("/run/jobctl/jobctl.sock"),
        with_socket=with_socket,
        systemd=systemd,
    )


def instance_service(
    program: Path,
    user: str,
    *,
    with_socket: bool = True,
    is_strict: bool = False,
    systemd: int = 0,
) -> Service:
    """The daemon of one application, which runs as ``user``. Raises UsageError: no user has such a name."""
    if not re.fullmatch(r"[a-z_][a-z0-9_-]*", user, re.ASCII | re.IGNORECASE):
        raise UsageError(f'"{user}" is no name of a user', hint="Name the application's user.")
    return _service(
        program,
        f"jobctl@{user}",
        folder=_SYSTEM_UNITS,
        packaged=_PACKAGES_UNITS,
        config=Path(f"/etc/jobctl-{user}/jobctl.toml"),
        state_dir=Path(f"/var/lib/jobctl-{user}"),
        socket=Path(f"/run/jobctl-{user}/jobctl.sock"),
        with_socket=with_socket,
        systemd=systemd,
        is_strict=is_strict,
    )


def user_service(
    program: Path,
    environ: Mapping[str, str],
    uid: int,
    *,
    with_socket: bool = True,
    systemd: int = 0,
) -> Service:
    """The daemon of the user ``uid``. Raises UsageError: root has none."""
    if uid == 0:
        raise UsageError(
            "root's daemon is the one of the system", hint="Leave --user out, or be that user."
        )
    plain = {name: value for name, value in environ.items() if name not in _UNSET}
    found = paths.defaults(plain, uid)
    configs = Path(
        plain.get("XDG_CONFIG_HOME") or Path(plain.get("HOME", "/nonexistent"), ".config")
    )
    runtime = Path(plain.get("XDG_RUNTIME_DIR", f"/run/user/{uid}"))
    return _service(
        program,
        "jobctl",
        shipped=UNITS / "user",
        folder=configs / "systemd/user",
        packaged=(Path("/usr/lib/systemd/user"),),
        config=found.config,
        state_dir=found.state_dir,
        # A daemon that systemd starts has a runtime folder, whatever this environment lacks.
        socket=runtime / "jobctl/jobctl.sock",
        booted=runtime / "systemd",
        systemctl=("systemctl", "--user"),
        with_socket=with_socket,
        systemd=systemd,
    )


def _service(
    program: Path,
    name: str,
    *,
    folder: Path,
    packaged: tuple[Path, ...],
    config: Path,
    state_dir: Path,
    socket: Path,
    with_socket: bool,
    systemd: int,
    shipped: Path = UNITS,
    is_strict: bool = False,
    systemctl: tuple[str, ...] = ("systemctl",),
    booted: Path = _BOOTED,
) -> Service:
    template, at, instance = name.partition("@")
    kinds = ("socket", "service") if with_socket else ("service",)
    files = [
        UnitFile(
            path=folder / f"{template}{at}.{kind}",
            text=_marked(shipped / f"{template}{at}.{kind}", program, systemd),
            is_shared=bool(instance),
        )
        for kind in kinds
    ]
    if is_strict:
        source = UNITS / "jobctl@.service.d" / _STRICT
        files.append(
            UnitFile(
                path=folder / f"{name}.service.d" / _STRICT, text=_marked(source, program, systemd)
            )
        )
    return Service(
        program=program,
        unit=f"{name}.service",
        units=tuple(f"{name}.{kind}" for kind in kinds),
        files=tuple(files),
        packaged=tuple(place / f"{template}{at}.service" for place in packaged),
        config=config,
        state_dir=state_dir,
        socket=socket,
        systemctl=systemctl,
        booted=booted,
    )


def _marked(shipped: Path, program: Path, systemd: int) -> str:
    text = shipped.read_text(encoding="utf-8").replace(
        f"={_SHIPPED_PROGRAM} ", f"={quoted(str(program))} "
    )
    if systemd >= _KNOWS_SUBGROUPS:
        text = text.replace("\nDelegate=yes\n", f"\nDelegate=yes\n{_SUBGROUP}")
    mark = f'# Written by "jobctl service install", digest {_digest(text)}: change it with "systemctl edit".\n'
    return mark + text


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()


def owner_of(path: Path) -> Owner:
    """Whose a file is. Raises OSError when it is there and cannot be read."""
    if path.is_symlink():
        # A unit that is masked, or the link of a package.
        return Owner.OTHERS
    try:
        text = path.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return Owner.NOBODY
    mark = _MARK.match(text)
    if mark is None:
        return Owner.OTHERS
    return Owner.US if mark[1] == _digest(text[mark.end() :]) else Owner.CHANGED


def own_program() -> Path:
    """The command that runs now, by the name that stays over an upgrade. Raises NotFound."""
    said = Path(sys.argv[0])
    candidates = [Path(sys.executable).with_name("jobctl"), Path(which("jobctl") or "/nonexistent")]
    if said.name == "jobctl" and len(said.parts) > 1:
        candidates.insert(0, said.absolute())
    for found in candidates:
        if found.is_file() and os.access(found, os.X_OK):
            return Path(os.path.normpath(found))
    raise NotFound(
        "the command jobctl itself is nowhere to be found", hint="Name it with --program PATH."
    )


def obstacle(program: Path, user: str) -> str | None:
    """What may keep a user from running the program, as far as the modes of its folders tell.

    Raises:
        NotFound: there is no such user.
    """
    try:
        uid = pwd.getpwnam(user).pw_uid
    except KeyError:
        raise NotFound(
            f'there is no user "{user}"', hint=f"Make it: useradd --system {user}"
        ) from None
    folders = {*program.resolve().parents, *Path(sys.base_prefix).resolve().parents}
    for folder in sorted(folders):
        found = folder.stat()
        if not found.st_mode & stat.S_IXOTH and found.st_uid != uid:
            return f'"{user}" may not be able to run {program}: {folder} is closed to others'
    return None


def default_config(service: Service) -> str:
    """The configuration to begin with: nothing to do yet, and how to say what there is to do."""
    manager = " ".join(service.systemctl)
    places = ""
    if "@" in service.unit:
        # Commands that are given this file find the daemon by it.
        places = f'state_dir = "{service.state_dir}"\nsocket    = "{service.socket}"\n'
    return f"""\
# What jobctl runs, and when. `jobctl check {service.config}` judges a change,
# `{manager} reload {service.unit.removesuffix(".service")}` brings it into force.

[daemon]
{places}# timezone = "Europe/Berlin"      # default: the host's

# [tasks.backup]
# command = ["/usr/local/bin/backup", "/srv"]
# cron    = "30 2 * * *"
"""
