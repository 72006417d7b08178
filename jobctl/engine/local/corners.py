"""Where control groups with limits can be made, one corner for each controller (cgroups(7)).

Version 1 has a hierarchy for each controller, and any group may have groups below it: the corner lies below
the daemon's own group. In version 2 a group that hands a controller on to groups below it has no processes of
its own. So the corner cannot lie below the daemon's group, unless a service manager has put the daemon into a
leaf (``DelegateSubgroup=daemon``, systemd 254) and delegated what is above it. The daemon does not move itself
into a leaf: a service manager without that setting starts the next daemon in the group above, and could
not while a job of the last one keeps its limit. For root there is a last resort, a corner below the root of
the hierarchy, as other managers of groups have it there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jobctl.values import dataclass
from jobctl.worker.bounds import CONTROLLERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LEAF: Final = "daemon"
"""The group of the daemon alone, where a service manager makes it one (``DelegateSubgroup=``)."""

PREFIX: Final = "jobctl-"
"""What the names of our corners begin with; the id of the state directory follows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hierarchy:
    """One mounted hierarchy: ``controllers`` are those of version 1, empty for version 2; ``own`` is this
    process's group in it."""

    point: Path
    controllers: frozenset[str]
    own: Path


class Unavailable(Exception):
    """No group with a controller can be made; the message says why."""


def hierarchies() -> list[Hierarchy]:
    """What is mounted, in the order of mounting; a hierarchy that is mounted twice is there once."""
    own = _own_paths(Path("/proc/self/cgroup").read_text())
    return read_mounts(Path("/proc/self/mountinfo").read_text(), own)


def read_mounts(mountinfo: str, own: dict[frozenset[str], str]) -> list[Hierarchy]:
    """The hierarchies in a ``mountinfo`` (proc(5)); ``own`` is the group by controllers."""
    found: dict[frozenset[str], Hierarchy] = {}
    for line in mountinfo.splitlines():
        mount, _, rest = line.partition(" - ")
        kind, _, options = rest.split(" ", 2)
        if kind not in ("cgroup", "cgroup2"):
            continue
        root, point = mount.split()[3:5]
        named = frozenset(options.split(","))
        controllers = next((key for key in own if key and key <= named), None)
        if kind == "cgroup2":
            controllers = frozenset()
        if controllers is None or controllers not in own or controllers in found:
            continue
        path = Path(own[controllers])
        # A container may see a part of the hierarchy, with that part's group as the root of the mount.
        below = path.relative_to(root) if path.is_relative_to(root) else Path()
        found[controllers] = Hierarchy(
            point=Path(point), controllers=controllers, own=Path(point) / below
        )
    return list(found.values())


def _own_paths(text: str) -> dict[frozenset[str], str]:
    """This process's group by the controllers of its hierarchy, as /proc/self/cgroup has it."""
    found = {}
    for line in text.splitlines():
        _, names, path = line.split(":", 2)
        found[frozenset(names.split(",")) - {""}] = path
    return found


def find_all(name: str) -> tuple[dict[str, str], dict[str, str]]:
    """The corners of this name by controller, made if need be; and by controller why there is none."""
    corners: dict[str, str] = {}
    missing: dict[str, str] = {}
    known = hierarchies()
    for controller in CONTROLLERS.values():
        try:
            corners[controller] = str(find(controller, name, known))
        except Unavailable as error:
            missing[controller] = str(error)
    return corners, missing


def find(controller: str, name: str, known: Iterable[Hierarchy]) -> Path:
    """Make sure of a corner in which groups with a controller can be made.

    Raises:
        Unavailable: there is none.
    """
    unified = None
    for hierarchy in known:
        if controller in hierarchy.controllers:
            return make(outside(hierarchy.own) / name)
        if not hierarchy.controllers:
            unified = hierarchy
    if unified is None:
        raise Unavailable(f'no hierarchy of control groups with "{controller}" is mounted')
    whys = []
    for folder in _candidates(unified):
        try:
            return _make_unified(folder, name, controller)
        except Unavailable as error:
            whys.append(str(error))
    raise Unavailable("; ".join(whys))


def outside(group: Path) -> Path:
    """The daemon's group, or the one around a corner: who is started from within a job nests no corners."""
    for folder in (group, *group.parents):
        if folder.name.startswith(PREFIX):
            return folder.parent
    return group


def home(unified: Hierarchy) -> Path:
    """The group in which corners of version 2 lie: the daemon's own, or the one around its leaf."""
    here = outside(unified.own)
    return here.parent if here.name == LEAF and here != unified.point else here


def _candidates(unified: Hierarchy) -> Iterator[Path]:
    here = home(unified)
    yield here
    if here != unified.point:
        yield unified.point


def _make_unified(folder: Path, name: str, controller: str) -> Path:
    _hand_on(folder, controller)
    corner = make(folder / name)
    _hand_on(corner, controller)
    return corner


def _hand_on(folder: Path, controller: str) -> None:
    """Let the groups below a folder have the controller.

    Never of a folder with processes, although the kernel lets some controllers be handed on there: nobody
    could put another process into it. The root of the whole hierarchy is exempt; it alone has no type.
    """
    try:
        is_root = not (folder / "cgroup.type").exists()
        if not is_root and (folder / "cgroup.procs").read_text():
            raise Unavailable(f'"{folder}" cannot hand "{controller}" on: processes live in it')
        if controller not in (folder / "cgroup.controllers").read_text().split():
            raise Unavailable(f'"{folder}" does not have the controller "{controller}"')
        switch = folder / "cgroup.subtree_control"
        if controller not in switch.read_text().split():
            switch.write_text(f"+{controller}")
    except OSError as error:
        raise Unavailable(f'"{folder}" cannot hand "{controller}" on: {error.strerror}') from None


def make(corner: Path) -> Path:
    """Make sure of a corner that can be written. Raises Unavailable."""
    probe = corner / "probe"
    try:
        corner.mkdir(mode=0o755, exist_ok=True)
        probe.mkdir(exist_ok=True)
        probe.rmdir()
    except OSError as error:
        raise Unavailable(f'"{corner}" cannot be made or written: {error.strerror}') from None
    if not os.access(corner, os.W_OK):
        raise Unavailable(f'"{corner}" cannot be written')
    return corner
