"""Starting templates, and the daemon's view of one."""

from __future__ import annotations

import fcntl
import os
import resource
import subprocess
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jobctl.worker.boot
from jobctl.engine.local.link import PROTOCOLS, Link
from jobctl.paths import bind_unix
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobctl.engine.local.messages import TemplateHello

BACKLOG = 128
_OPEN_FILES = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
"""The limit that this process was given, read before the server raises it for its clients. A template
sets it for itself: in a container, root may not set the limits of another user's process."""

PATIENCE_S = 60.0
"""How long templates and workers that have nothing to do stay without a daemon. A restart takes a second or
two, and with an upgrade some more; afterwards what has gone is started anew."""

_BOOT = Path(jobctl.worker.boot.__file__)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a template is made of. Two templates with equal recipes are interchangeable.

    Attributes:
        kind: ``"keeper"`` or ``"function"``.
        group: the worker group whose functions it serves; empty for keepers, which serve all groups.
        python: the interpreter.
        cwd, env: folder and whole environment of the template and its children.
        user: ``(uid, gid, groups)`` to become, or None.
        umask: of the template and its children.
        spec: what a function template imports: ``imports``, ``functions``, ``path``; and how its workers are:
            ``concurrency`` (how many coroutines side by side; missing: functions one by one),
            ``max_memory_bytes`` (missing: no limit).
    """

    kind: str
    group: str
    python: str
    cwd: str
    env: Mapping[str, str] = field(hash=False)
    user: tuple[int, int, tuple[int, ...]] | None = None
    umask: int = 0o022
    spec: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def to_json(self) -> dict[str, Any]:
        """The form that the template is told and repeats to every daemon."""
        return {
            "kind": self.kind,
            "group": self.group,
            "python": self.python,
            "cwd": self.cwd,
            "env": dict(self.env),
            "user": list(self.user[:2]) if self.user else None,
            "umask": self.umask,
            **dict(self.spec),
        }


class Template:
    """One template process, ours or taken over from an earlier daemon."""

    def __init__(self, instance: str, directory: Path, recipe: Recipe | None) -> None:
        self.instance = instance
        self.directory = directory
        self.recipe = recipe
        self.kind = recipe.kind if recipe else ""
        self.group = recipe.group if recipe else ""
        self.link: Link | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.pid = 0
        self.pidfd = -1
        self.report: dict[str, Any] | None = None
        self.said: TemplateHello | None = None
        self.is_retiring = False
        self.started_at = 0.0
        self.failed_births = 0
        self.may_fork_at = 0.0

    @property
    def is_dead(self) -> bool:
        """No process of it is left."""
        return self.pidfd < 0 and self.process is None

    @property
    def concurrency(self) -> int:
        """How many jobs a function worker of it makes side by side; 0: one after the other."""
        return int(self.recipe.spec.get("concurrency", 0)) if self.recipe else 0

    @property
    def outcomes_dir(self) -> Path:
        """Where its children leave outcomes that no daemon has acknowledged."""
        return self.directory / "outcomes"

    @property
    def is_ready(self) -> bool:
        """It has imported everything and forks on request."""
        return self.report is not None and self.link is not None and not self.is_retiring

    def greet(self, link: Link) -> None:
        """Say hello over a new connection."""
        self.link = link
        spec = self.recipe.to_json() if self.recipe else {}
        link.send({"do": "hello", "protocol": list(PROTOCOLS), "spec": spec})
        if self.is_retiring:
            # Said before there was a connection to say it over.
            link.send({"do": "retire"})

    def retire(self) -> None:
        """No new children; it ends with the last one it has."""
        self.is_retiring = True
        if self.link is not None:
            self.link.send({"do": "retire"})


def spawn(recipe: Recipe, directory: Path) -> subprocess.Popen[bytes]:
    """Make the template's folder, lock and listener, and start its process with them.

    The keeper's template runs without ``site`` and user settings: what it does not load, two hundred
    keepers need not share. A function template sees the site-packages of its own interpreter, and
    neither ``PYTHONPATH`` nor the folder it happens to stand in.

    Raises:
        OSError: the interpreter does not exist, or the folder cannot be made.
    """
    directory.mkdir(mode=0o700)
    (directory / "outcomes").mkdir(mode=0o700)
    lock_fd = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        listener = bind_unix(directory / "sock", backlog=BACKLOG)
    except BaseException:
        os.close(lock_fd)
        raise
    options: dict[str, Any] = {}
    if recipe.user is not None:
        uid, gid, groups = recipe.user
        for path in (directory, directory / "outcomes", directory / "lock", directory / "sock"):
            os.chown(path, uid, gid, follow_symlinks=False)
        options = {"user": uid, "group": gid, "extra_groups": list(groups)}
    flags = ["-I", "-S"] if recipe.kind == "keeper" else ["-I"]
    try:
        return subprocess.Popen(
            [
                recipe.python,
                *flags,
                str(_BOOT),
                recipe.kind,
                str(directory),
                str(lock_fd),
                str(listener.fileno()),
                str(_OPEN_FILES),
                str(PATIENCE_S),
            ],
            stdin=subprocess.DEVNULL,
            cwd=recipe.cwd,
            env=dict(recipe.env),
            pass_fds=(lock_fd, listener.fileno()),
            start_new_session=True,
            umask=recipe.umask,
            **options,
        )
    finally:
        listener.close()
        os.close(lock_fd)
