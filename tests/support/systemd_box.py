"""A real systemd of a test's own, with the shipped unit installed in it as a package would do."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.client import Client
from jobctl.protocol import requests
from tests.support.waiting import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "jobctl" / "cli" / "units"
_SCRIPT = Path(__file__).with_suffix(".sh")
_JOBCTL = Path(sys.executable).with_name("jobctl")
_CANNOT = 69
_HIDDEN = ("/tmp", "/run", "/dev", "/proc", "/sys")


class Box:
    """A running box. Files of it are reached through `path`, commands are run with `run`."""

    def __init__(self, folder: Path) -> None:
        self._environment = {
            **os.environ,
            "BOX": str(folder),
            "BOX_BIND": " ".join(folders_to_bind()),
            "BOX_TIMEOUT": str(int(20 * PATIENCE)),
        }
        up = self._script("up")
        if up.returncode == _CANNOT:
            _give_up(up.stderr.strip())
        assert up.returncode == 0, up.stderr
        self._pid = int(up.stdout)

    def _script(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(_SCRIPT), *words],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=100 * PATIENCE,
        )

    def down(self) -> None:
        """End it; fails when a cgroup of it is left."""
        ended = self._script("down")
        assert ended.returncode == 0, ended.stderr

    def path(self, inside: str) -> Path:
        """A file of the box as a path of this process."""
        return Path(f"/proc/{self._pid}/root{inside}")

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command inside; with ``check`` it must succeed."""
        done = self._script("exec", *command)
        assert not check or done.returncode == 0, (
            f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}\n{self.log()}"
        )
        return done

    def log(self) -> str:
        """The journal of the units."""
        return self._script("exec", "journalctl", "--no-pager", "-u", "jobctl*").stdout

    def until(self, what: str, look: Any) -> Any:
        """Wait for an event; a failure shows the journal."""
        return until(what, look, log=self.log)

    # -- the unit ---------------------------------------------------------------------------------

    def install(self, config: str = "[daemon]\n", drop_in: str = "") -> None:
        """Install the shipped units, unchanged, a configuration, and what an administrator changes."""
        self.install_units()
        self.path("/etc/jobctl").mkdir()
        self.configure(config)
        if drop_in:
            self.drop_in("jobctl.service", "override.conf", drop_in)
        self.systemctl("daemon-reload")

    def install_units(self) -> None:
        """Install the shipped units, as a package would."""
        self.install_program()
        for unit in [*UNITS.glob("*.service"), *UNITS.glob("*.socket")]:
            self.path(f"/etc/systemd/system/{unit.name}").write_text(unit.read_text())

    def install_program(self) -> None:
        """Install the command alone."""
        self.path("/usr/bin/jobctl").symlink_to(_JOBCTL)
        # Where the interpreter lies in somebody's home, a user must be able to come to it.
        for folder in Path(sys.base_prefix).parents:
            if folder.is_relative_to("/root"):
                self.path(str(folder)).chmod(0o711)

    def drop_in(self, unit: str, name: str, text: str) -> None:
        """Add to a unit; in force after ``systemctl daemon-reload``."""
        folder = self.path(f"/etc/systemd/system/{unit}.d")
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(text)

    def configure(self, config: str) -> None:
        """Write the configuration."""
        self.path("/etc/jobctl/jobctl.toml").write_text(config)

    def systemctl(
        self, verb: str, *options: str, unit: str = "jobctl.service", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """``systemctl VERB UNIT``."""
        units = [] if verb == "daemon-reload" else [unit]
        return self.run("systemctl", verb, *options, *units, check=check)

    def shows(self, name: str, unit: str = "jobctl.service") -> str:
        """One property of a unit."""
        shown = self.systemctl("show", "--value", "--property", name, unit=unit)
        return shown.stdout.strip()

    def processes(self) -> list[str]:
        """The command lines of the unit's processes, in all its cgroups."""
        folder = self.path("/sys/fs/cgroup/system.slice/jobctl.service")
        found = []
        for group, _, _ in os.walk(folder):
            with contextlib.suppress(OSError):
                for pid in (Path(group) / "cgroup.procs").read_text().split():
                    line = Path(f"/proc/{pid}/cmdline").read_bytes()
                    found.append(line.replace(b"\0", b" ").decode().strip())
        return found

    # -- jobs -------------------------------------------------------------------------------------

    def jobctl(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the installed command inside."""
        return self.run("/usr/bin/jobctl", *words, check=check)

    def answer(self, *words: str) -> Any:
        """The JSON that a command prints."""
        return json.loads(self.jobctl("--json", *words).stdout)

    def begin(self, line: str) -> int:
        """Submit a shell line, and wait until it runs; its job's id.

        The line may call ``wait_for_go``, which ends with `let_go`.
        """
        begun = self.path("/tmp/begun")
        begun.unlink(missing_ok=True)
        # Said when it waits, and not before: its traps are set by then.
        wait = "wait_for_go() { touch /tmp/begun; until [ -e /tmp/go ]; do sleep 0.01; done; }"
        if "wait_for_go" not in line:
            line = f"touch /tmp/begun; {line}"
        text = f"{wait}; {line}"
        job: int = self.answer("submit", "--", "/bin/sh", "-c", text)["id"]
        self.until("the job to run", begun.exists)
        return job

    def let_go(self) -> None:
        """End what waits in ``wait_for_go``."""
        self.path("/tmp/go").touch()

    def status(self, job: int) -> dict[str, Any]:
        """A job whole, with more about its attempts than the command shows."""
        with Client(self.path("/run/jobctl/jobctl.sock"), timeout_s=30 * PATIENCE) as client:
            return client.call(requests.Status(job=job))

    def ended(self, job: int) -> dict[str, Any]:
        """Wait for a job; its only attempt."""
        self.jobctl("wait", str(job), check=False)
        (attempt,) = self.status(job)["attempts"]
        assert isinstance(attempt, dict)
        return attempt


def folders_to_bind() -> list[str]:
    """What this environment consists of and would not be seen inside, the shortest paths only."""
    found: list[Path] = []
    for folder in sorted({ROOT, Path(sys.prefix), Path(sys.base_prefix)}):
        is_seen = folder.stat().st_dev == Path("/").stat().st_dev and not any(
            folder.is_relative_to(hidden) for hidden in _HIDDEN
        )
        if not is_seen and not any(folder.is_relative_to(other) for other in found):
            found.append(folder)
    return [str(folder) for folder in found]


def _give_up(why: str) -> None:
    """Skip, except where the machine is known to be able: there a skip would hide a broken test."""
    if os.geteuid() == 0 and os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


@contextlib.contextmanager
def systemd_box() -> Iterator[Box]:
    """A box in a folder of its own; nothing of it is left afterwards."""
    with tempfile.TemporaryDirectory(prefix="jobctl-box-") as folder:
        box = Box(Path(folder))
        try:
            yield box
        finally:
            box.down()
