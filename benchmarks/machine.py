"""What was measured where: the facts that a figure is worth nothing without."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

import jobctl
from benchmarks.measure import ContestantFailed
from benchmarks.peers import DEBIAN_PACKAGES, PYTHON_PACKAGES
from benchmarks.processes import ROOT, output_of
from benchmarks.servers import SERVERS
from jobctl.clock import SystemClock

if TYPE_CHECKING:
    from benchmarks.peers import Peers
    from benchmarks.servers import Server

GIB = 1 << 30


def facts(peers: Peers, folder: Path | None) -> dict[str, str]:
    """Name → value, for people, in the order in which they should be read.

    ``folder`` is where the contestants' files are; None: the usual place for temporary files.
    """
    moment = datetime.fromtimestamp(SystemClock().now() / 1_000_000, UTC)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    load = os.getloadavg()
    found = {
        "date": f"{moment:%Y-%m-%d}",
        "jobctl": f"{jobctl.__version__}{_commit()}",
        "processor": f"{_processor()}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{memory / GIB:.0f} GiB",
        # Only the number: what follows names whoever built it.
        "kernel": "Linux " + (re.match(r"[\d.]*\d", platform.release()) or [platform.release()])[0],
        "file system": _file_system(folder or Path(tempfile.gettempdir())),
        "load before": f"{load[0]:.1f} over 1 minute, {load[1]:.1f} over 5",
        "Python": platform.python_version(),
        "SQLite": apsw.sqlite_lib_version(),
    }
    if peers.are_wanted:
        for package in PYTHON_PACKAGES:
            found[package] = peers.version(package) or "not installed"
        for package, program in DEBIAN_PACKAGES.items():
            found[package] = _debian_version(peers, program)
        for server in SERVERS:
            found[server.name] = _server(peers, server)
    return found


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str:
    """The commit that is checked out, and whether files differ from it; empty outside a repository."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],  # noqa: S607 -- any git will do
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return f" at {done.stdout.strip()}" if done.returncode == 0 else ""


def _file_system(folder: Path) -> str:
    """The type of the file system that holds a folder; durability means nothing on tmpfs."""
    best, kind = "", "unknown"
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, point, found, *_ = line.split()
        if folder.resolve().is_relative_to(point) and len(point) >= len(best):
            best, kind = point, found
    return kind


def _server(peers: Peers, server: Server) -> str:
    """Its version, and what it keeps when power is lost; why it cannot say so."""
    if (why := server.why_missing()) is not None:
        return why
    argv = [str(peers.python), "-m", "benchmarks.server_settings", server.name.lower(), server.url]
    try:
        return output_of(argv, env={"PYTHONPATH": str(ROOT)}).strip()
    except ContestantFailed as failure:
        return f"it does not say: {failure}"


def _debian_version(peers: Peers, program: str) -> str:
    path = peers.program(program)
    if path is None:
        return "not installed"
    done = subprocess.run([path, "-V"], capture_output=True, text=True, check=False)
    version = re.search(r"v?(\d+\.[\d.]*\d)", done.stdout)
    return version[1] if version else "unknown"
