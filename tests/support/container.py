"""A container without a container engine: the steps of a Dockerfile over this machine's own root.

Namespaces of mounts and processes of its own, and an overlay over ``/``; nothing is written to this machine. The
base image and the copied sources are this machine and its interpreter: of the lines of a ``RUN`` that install the
sources, only the command is put where they put it. Everything else is done as written.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobctl.worker import processes
from tests.support.systemd_box import folders_to_bind
from tests.support.waiting import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_JOBCTL = Path(sys.executable).with_name("jobctl")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CANNOT = 69
_KNOWN = {
    "FROM",
    "COPY",
    "RUN",
    "ENV",
    "VOLUME",
    "USER",
    "STOPSIGNAL",
    "HEALTHCHECK",
    "ENTRYPOINT",
    "CMD",
}


@dataclass
class Image:
    """What a Dockerfile says."""

    runs: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    volumes: list[str] = field(default_factory=list)
    user: str = "root"
    stop_signal: str = "SIGTERM"
    health: str = ""
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)


def read_dockerfile(path: Path) -> Image:
    """Read the instructions; fails for one that is not known here, or is given in a form that is not."""
    image = Image()
    text = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("#"))
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        name, _, rest = line.partition(" ")
        assert not name or name in _KNOWN, line
        match name:
            case "RUN":
                image.runs.append(rest)
            case "ENV":
                image.environment |= dict(pair.split("=", 1) for pair in shlex.split(rest))
            case "VOLUME":
                image.volumes.append(rest)
            case "USER":
                image.user = rest
            case "STOPSIGNAL":
                image.stop_signal = rest
            case "HEALTHCHECK":
                image.health = rest.partition("CMD ")[2]
            case "ENTRYPOINT":
                image.entrypoint = json.loads(rest)
            case "CMD":
                image.command = json.loads(rest)
            case _:
                pass
    return image


_BUILD = r"""
set -eu
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$BOX"; mkdir "$BOX/up" "$BOX/wk" "$BOX/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$BOX/up,workdir=$BOX/wk" "$BOX/root" || exit 69
cd "$BOX/root"
mount -t proc proc proc
mount --rbind /dev dev
mount -t tmpfs -o mode=755 tmpfs run; mount -t tmpfs -o mode=1777 tmpfs tmp
for b in $BOX_BIND; do mkdir -p ".$b"; mount --rbind "$b" ".$b"; done
for f in $BOX_OPEN; do chmod 711 ".$f"; done
rm -rf var/lib/jobctl etc/jobctl
"""


class Container:
    """A running container. Its first process is the image's."""

    def __init__(self, image: Image, folder: Path) -> None:
        self.image = image
        self._out = folder / "out"
        self._err = folder / "err"
        (folder / "box").mkdir()
        script = _BUILD + "".join(
            f"chroot . /bin/sh -c {shlex.quote(_built(run))}\n" for run in image.runs
        )
        told = [f"{name}={value}" for name, value in self._environment().items()]
        words = ["env", "-i", *told, *image.entrypoint, *image.command]
        script += f"exec chroot --userspec={image.user} . {shlex.join(words)}\n"
        homes = [path for path in Path(sys.base_prefix).parents if path.is_relative_to("/root")]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "sh", "-c", script],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={
                    "PATH": _PATH,
                    "BOX": str(folder / "box"),
                    "BOX_BIND": " ".join(map(str, folders_to_bind())),
                    "BOX_OPEN": " ".join(map(str, homes)),
                },
            )

    def _environment(self) -> dict[str, str]:
        return {"PATH": _PATH, "HOME": "/", **self.image.environment}

    @property
    def first(self) -> int:
        """The first process, as seen from here."""
        (pid,) = processes.children(self.process.pid)
        return pid

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as ``docker exec`` does."""
        told = [f"{name}={value}" for name, value in self._environment().items()]
        become = [
            "setpriv",
            "--reuid",
            self.image.user,
            "--regid",
            self.image.user,
            "--clear-groups",
        ]
        inside = ["nsenter", "-t", str(self.first), "-m", "-p", "-r", "-w", "env", "-i", *told]
        return subprocess.run(
            [*inside, *become, *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=60 * PATIENCE,
        )

    def health(self) -> int:
        """The exit code of the image's health check."""
        return self.run("/bin/sh", "-c", self.image.health).returncode

    def until(self, what: str, look: object) -> None:
        """Wait for an event; a failure shows the log. Skips where this machine cannot have a container."""
        assert callable(look)

        def seen() -> object:
            if self.process.poll() is not None:
                self._give_up()
            return look()

        until(what, seen, log=self.log)

    def _give_up(self) -> None:
        why = f"exit code {self.process.returncode}: {self.log()}"
        if self.process.returncode != _CANNOT or os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)

    def out(self) -> list[str]:
        """The lines on standard output."""
        return self._out.read_text().splitlines()

    def err(self) -> str:
        """Standard error."""
        return self._err.read_text()

    def log(self) -> str:
        """Both."""
        return "\n".join(self.out()) + self.err()

    def end(self) -> None:
        """End everything inside: with its first process the kernel ends all of a pid namespace.

        What unshare asks the kernel for at its own death is forgotten when the user changes (prctl(2)).
        """
        for first in processes.children(self.process.pid):
            processes.send(first, 9)
        self.process.kill()
        self.process.wait()


def _built(run: str) -> str:
    """A ``RUN`` with the command put where the sources would be installed."""
    if "pip install" not in run:
        return run
    steps: Sequence[str] = run.split(" && ")
    kept = [step for step in steps if not re.search(r"-m venv|pip install", step)]
    return " && ".join(
        step.replace("/opt/jobctl/bin/jobctl", str(_JOBCTL)).replace("ln -s ", "ln -sfn ")
        for step in kept
    )


@contextlib.contextmanager
def running_container(dockerfile: Path) -> Iterator[Container]:
    """A container of the image; nothing of it is left afterwards."""
    with tempfile.TemporaryDirectory(prefix="jobctl-container-") as folder:
        container = Container(read_dockerfile(dockerfile), Path(folder))
        try:
            container.until("the daemon to serve", lambda: '"message": "ready"' in container.log())
            yield container
        finally:
            container.end()
