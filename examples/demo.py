"""The demonstration behind ``make demo``: the main job on real input, start to finish.

Starts a daemon in a temporary folder, drives it with the ``jobctl`` command as a person would, checks
what came back, and leaves nothing behind. Exits with 0 only when everything was as promised.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent
REPOSITORY = EXAMPLES.parent
JOBCTL = Path(sys.executable).with_name("jobctl")


class Demonstration:
    """One run in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "demo.toml"
        self.daemon: subprocess.Popen[bytes] | None = None
        self.environment = {**os.environ, "JOBCTL_CONFIG": str(self.config), "COLUMNS": "100"}

    def write_config(self) -> None:
        """Fill in where the examples lie; a daemon of root runs user code as root only if told so."""
        text = (EXAMPLES / "demo.toml").read_text()
        text = text.replace("@EXAMPLES@", str(EXAMPLES)).replace("@REPOSITORY@", str(REPOSITORY))
        text = text.replace("@FOLDER@", str(self.folder))
        text = text.replace("@USER@", 'user = "root"' if os.geteuid() == 0 else "")
        self.config.write_text(text)

    def start_daemon(self) -> None:
        """Start the daemon and wait until it answers."""
        self.say(f"jobctl daemon --config {self.config.name} &")
        self.daemon = subprocess.Popen(
            [JOBCTL, "daemon", "--config", self.config],
            env=self.environment,
            stderr=(self.folder / "daemon.log").open("ab"),
        )
        end = time.monotonic() + 30
        while self.silent("inspect", "ping").returncode != 0:
            if self.daemon.poll() is not None or time.monotonic() > end:
                raise SystemExit((self.folder / "daemon.log").read_text())
            time.sleep(0.05)

    def kill_daemon(self) -> None:
        """The worst that can happen to it."""
        assert self.daemon is not None
        self.say(f"kill -9 {self.daemon.pid}     # the daemon")
        self.daemon.send_signal(signal.SIGKILL)
        self.daemon.wait()

    def silent(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command without showing it."""
        return subprocess.run(
            [JOBCTL, *arguments], env=self.environment, capture_output=True, text=True, check=False
        )

    def run(self, *arguments: str, expect: int = 0) -> str:
        """Run a command, show it and what it printed, and check its exit code."""
        self.say(shlex.join(["jobctl", *arguments]))
        done = self.silent(*arguments)
        sys.stdout.write(done.stdout + done.stderr)
        if done.returncode != expect:
            raise SystemExit(f"expected exit code {expect}, got {done.returncode}")
        if expect:
            sys.stdout.write(f"(exit code {expect})\n")
        sys.stdout.flush()
        return done.stdout

    @staticmethod
    def say(line: str) -> None:
        """Show a command as a person types it."""
        sys.stdout.write(f"\n$ {line}\n")
        sys.stdout.flush()

    @staticmethod
    def title(text: str) -> None:
        """Begin a part."""
        sys.stdout.write(f"\n--- {text}\n")

    def play(self) -> None:
        """The whole demonstration."""
        self.write_config()
        self.title("A configuration, judged before it is used")
        self.run("check", str(self.config))
        self.title("A daemon, and nothing else")
        self.start_daemon()
        self.run("inspect", "ping")

        self.title("A command")
        self.run("submit", "licence", "--wait", "--follow")
        self.title("A function, with its return value")
        job = self.run("submit", "count", str(REPOSITORY / "LICENSE")).strip()
        self.run("wait", job)
        self.run("result", job)
        self.title("A job that fails, is tried again, and fails for good, with its traceback")
        self.run("submit", "flaky", "0", "--key", "demo-flaky", "--wait", expect=1)
        flaky = json.loads(self.silent("list", "--task", "flaky", "--json").stdout)["jobs"][0]["id"]
        self.run("status", str(flaky))
        self.title("A job that runs past its time limit")
        endless = self.run("submit", "endless").strip()
        self.run("wait", endless, expect=128 + signal.SIGTERM)
        self.run("logs", endless)

        self.title("A job that outlives its daemon")
        survivor = self.run(
            "submit", "--", "sh", "-c", "echo before; sleep 3; echo after; exit 7"
        ).strip()
        while json.loads(self.silent("status", survivor, "--json").stdout)["state"] != "STARTED":
            time.sleep(0.02)
        self.kill_daemon()
        self.run("status", survivor)
        self.start_daemon()
        self.run("wait", survivor, expect=7)
        self.run("logs", survivor)

        self.title("What happened, and what comes next")
        self.run("history", "tick")
        self.run("next")
        self.run("list")
        self.run("status")
        self.run("inspect", "workers")
        self.check_ticks()
        self.title("The end")
        self.run("stop")
        assert self.daemon is not None
        self.daemon.wait(30)
        sys.stdout.write("\nEverything was as promised.\n")

    def check_ticks(self) -> None:
        """The interval fired on time: every instant has its fate, a second apart."""
        answer = json.loads(self.silent("history", "tick", "--json").stdout)
        served = [fire for fire in answer["fires"] if fire["fate"] == "submitted"]
        if len(served) < 3:
            raise SystemExit(f"the interval fired {len(served)} times only")


def main() -> int:
    """Play in a temporary folder, and leave nothing of it."""
    folder = Path(tempfile.mkdtemp(prefix="jobctl-demo-"))
    demonstration = Demonstration(folder)
    try:
        demonstration.play()
    finally:
        if demonstration.daemon is not None and demonstration.daemon.poll() is None:
            demonstration.silent("stop", "--mode", "kill")
            demonstration.daemon.kill()
            demonstration.daemon.wait()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
