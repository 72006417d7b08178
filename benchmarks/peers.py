"""Other programs for the same purpose, in an environment of their own that git does not see.

Python packages go into a virtual environment, Debian packages are unpacked beside it: nothing is
installed into the system, nobody needs to be root, and jobctl's own environment stays as it is.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import ContestantFailed
from benchmarks.processes import ROOT, output_of

if TYPE_CHECKING:
    from collections.abc import Callable

PYTHON_PACKAGES = {
    "huey": "huey",
    "celery": "celery[redis]",
    "redis": "redis",
    "gevent": "gevent",
    "rq": "rq",
    "dramatiq": "dramatiq[redis]",
    "taskiq": "taskiq",
    "taskiq_redis": "taskiq-redis",
    "procrastinate": "procrastinate",
    "psycopg_binary": "psycopg[binary]",
    "flexiq": "flexiq",
    "apscheduler": "apscheduler<4",
}
"""Package, as its folder in an environment is called → what is asked of pip."""

DEBIAN_PACKAGES = {"task-spooler": "tsp"}
"""Package → the program of it that is used."""


class Peers:
    """What is there of them. Without ``are_wanted`` nothing is installed and none takes part."""

    def __init__(self, *, are_wanted: bool, folder: Path = ROOT / ".bench") -> None:
        self.are_wanted = are_wanted
        self._folder = folder
        self.python = folder / "venv" / "bin" / "python"

    def install(self, tell: Callable[[str], None]) -> None:
        """Install what is missing. What cannot be had stays missing, and its rows say so."""
        if not self.are_wanted:
            return
        self._folder.mkdir(exist_ok=True)
        (self._folder / ".gitignore").write_text("*\n")
        for package in PYTHON_PACKAGES:
            if self.version(package) is None:
                self._try(tell, package, self._install_python_package)
        for package, program in DEBIAN_PACKAGES.items():
            if self.program(program) is None:
                self._try(tell, package, self._unpack_debian_package)

    @staticmethod
    def _try(tell: Callable[[str], None], package: str, install: Callable[[str], None]) -> None:
        tell(f"installing {package}")
        try:
            install(package)
        except (ContestantFailed, OSError) as error:
            tell(f"{package} is not installed: {error}")

    def _install_python_package(self, package: str) -> None:
        if not self.python.exists():
            output_of([sys.executable, "-m", "venv", str(self._folder / "venv")])
        output_of([str(self.python), "-m", "pip", "install", "--quiet", PYTHON_PACKAGES[package]])

    def _unpack_debian_package(self, package: str) -> None:
        # apt-get writes into its working folder, and says nothing about the file's name.
        folder = self._folder / "debian"
        folder.mkdir(exist_ok=True)
        command = ["apt-get", "download", package]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        archives = sorted(folder.glob(f"{package}_*.deb"))
        if done.returncode != 0 or not archives:
            raise ContestantFailed(done.stderr.strip() or "there is no such package")
        output_of(["dpkg", "--extract", str(archives[-1]), str(folder)])

    def version(self, package: str) -> str | None:
        """The version of a Python package that is installed here, else None."""
        for found in self._folder.glob(f"venv/lib/python3*/site-packages/{package}-*.dist-info"):
            return found.name.removesuffix(".dist-info").rpartition("-")[2]
        return None

    def program(self, name: str) -> Path | None:
        """The program of a Debian package: this environment's, else the system's, else None."""
        ours = self._folder / "debian/usr/bin" / name
        if ours.exists():
            return ours
        systems = shutil.which(name)
        return Path(systems) if systems else None


def needs_package(package: str) -> Callable[[Peers], str | None]:
    """For `Contestant.why_missing`: this Python package must be there."""
    return needs_packages(package)


def needs_packages(*packages: str) -> Callable[[Peers], str | None]:
    """For `Contestant.why_missing`: all of these Python packages must be there."""

    def why_missing(peers: Peers) -> str | None:
        missing = [package for package in packages if peers.version(package) is None]
        return f"not installed: {', '.join(missing)}" if missing else None

    return why_missing


def needs_program(name: str) -> Callable[[Peers], str | None]:
    """For `Contestant.why_missing`: this program must be there."""
    return lambda peers: None if peers.program(name) else "not installed"
