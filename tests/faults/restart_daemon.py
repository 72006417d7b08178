"""Restart the daemon under a web server that has forked its workers, and look for calls that were lost.

gunicorn loads the application once (``--preload``), which submits a job before it forks; then four workers
with threads call ``delay()`` in each request, while the daemon is killed or stopped, and started again. Then:

* every request was answered with the id of a job: none raised within the client's patience;
* each call has one job, and there are no others;
* each job was run once, by what its function has written.

``python -m tests.faults.restart_daemon --restarts 20`` prints what it counted.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import os
import pwd
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jobctl.protocol import requests
from tests.support.daemon import Daemon, running_daemon
from tests.support.waiting import PATIENCE, until
from tests.support.web import serving

if TYPE_CHECKING:
    from pathlib import Path

_APPLICATION = """
import os
from jobctl import configure, task

configure(patience_s=10.0 * float(os.environ.get("JOBCTL_TEST_PATIENCE", "1")))

@task
def note(number):
    with open(os.path.join(os.path.dirname(__file__), "ledger"), "a") as ledger:
        ledger.write(f"{number}\\n")

def application(environ, start_response):
    number = int(environ["PATH_INFO"].rpartition("/")[2])
    told = f"{note.delay(number).id} {os.getpid()}".encode()
    start_response("200 OK", [("Content-Length", str(len(told)))])
    return [told]
"""
_PRELOADED = """
from calls import application, note
note.delay(-1)
"""
_CLIENTS = 16
_BETWEEN = 40
"""Answers between two restarts."""


@dataclass
class Findings:
    """What was counted, and what is wrong."""

    restarts: int = 0
    calls: int = 0
    web_workers: int = 0
    faults: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For people."""
        told = f"{self.calls} calls by {self.web_workers} web workers over {self.restarts} restarts"
        return [told, *(self.faults or ["none lost, none doubled, none raised"])]


class Callers:
    """Threads that ask the web server without a pause, each number once."""

    def __init__(self, base: str) -> None:
        self._address = urlsplit(base)
        self._numbers = itertools.count()
        self._is_over = threading.Event()
        self.answers: dict[int, str] = {}
        self.faults: list[str] = []
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(_CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        where = (self._address.hostname or "", self._address.port)
        while not self._is_over.is_set():
            number = next(self._numbers)
            connection = http.client.HTTPConnection(*where, timeout=60 * PATIENCE)
            try:
                connection.request("GET", f"/{number}")
                answer = connection.getresponse()
                text = answer.read().decode()
            except OSError as error:
                self.faults.append(f"call {number} got no answer: {error!r}")
                continue
            finally:
                connection.close()
            if answer.status == 200:
                self.answers[number] = text
            else:
                self.faults.append(f"call {number} was answered {answer.status}")

    def end(self) -> None:
        """Let each come to the end of its call."""
        self._is_over.set()
        for thread in self._threads:
            thread.join(120 * PATIENCE)
            if thread.is_alive():
                self.faults.append("a call has no answer yet")


def torment(*, restarts: int) -> Findings:
    """Everything, in a folder of its own."""
    findings = Findings()
    with running_daemon(start=False) as daemon:
        folder = daemon.folder
        (folder / "calls.py").write_text(_APPLICATION)
        (folder / "preloaded.py").write_text(_PRELOADED)
        me = pwd.getpwuid(os.geteuid()).pw_name
        daemon.config.write_text(
            f'[daemon]\nimports = ["calls"]\n'
            f'[workers.default]\nuser = "{me}"\npythonpath = ["{folder}"]\nprocesses = 2\n'
        )
        daemon.start()
        environment = {**os.environ, "JOBCTL_SOCKET": str(daemon.socket)}
        command = [
            *(sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0", "--no-control-socket"),
            *("--workers", "4", "--threads", "4", "--preload", "--timeout", "600"),
            "preloaded:application",
        ]
        with serving(command, folder, environment) as web:
            callers = Callers(web.base)
            try:
                _restart(daemon, callers, restarts)
            finally:
                callers.end()
            findings.faults += [*callers.faults, *_errors_of(web.log())]
        findings.restarts = restarts
        _examine(daemon, folder, callers.answers, findings)
    return findings


def _restart(daemon: Daemon, callers: Callers, restarts: int) -> None:
    for number in range(restarts):
        seen = len(callers.answers)
        _wait_for_calls(callers, seen + _BETWEEN, daemon)
        if number % 2:
            daemon.stop("keep")
        else:
            daemon.kill()
        daemon.start()
    _wait_for_calls(callers, len(callers.answers) + _BETWEEN, daemon)


def _wait_for_calls(callers: Callers, count: int, daemon: Daemon) -> None:
    until(
        f"{count} calls to be answered",
        lambda: len(callers.answers) >= count or callers.faults,
        limit_s=60,
        log=daemon.log,
    )


def _errors_of(log: str) -> list[str]:
    return [f"the server said: {line}" for line in log.splitlines() if "Error" in line][:5]


def _examine(daemon: Daemon, folder: Path, answers: dict[int, str], findings: Findings) -> None:
    findings.calls = len(answers)
    findings.web_workers = len({text.split()[1] for text in answers.values()})
    id_of = {int(text.split()[0]): number for number, text in answers.items()}
    if len(id_of) != len(answers):
        findings.faults.append("two calls were given one job")
    until("all jobs to have ended", lambda: not _unfinished(daemon), limit_s=120, log=daemon.log)
    jobs = _all_jobs(daemon)
    for job in jobs:
        (number,) = job["args"]
        if number != -1 and id_of.pop(job["id"], None) != number:
            findings.faults.append(
                f"job {job['id']} of call {number} is one that nobody was told of"
            )
        if job["state"] != "SUCCESS":
            findings.faults.append(f"job {job['id']} is {job['state']}: {job['reason']}")
    findings.faults += [f"call {number}: its job {job} is lost" for job, number in id_of.items()]
    ran = Counter(map(int, (folder / "ledger").read_text().split()))
    for number in {*answers, -1} | ran.keys():
        if ran[number] != 1:
            findings.faults.append(f"the job of call {number} ran {ran[number]} times")


def _unfinished(daemon: Daemon) -> int:
    states = ["PENDING", "STARTED", "RETRY"]
    return int(daemon.call(requests.List(states=states, count=True))["count"])


def _all_jobs(daemon: Daemon) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    before = None
    while True:
        page = daemon.call(requests.List(before=before, limit=1000))
        found += page["jobs"]
        before = page["next"]
        if before is None:
            return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--restarts", type=int, default=20)
    findings = torment(restarts=parser.parse_args().restarts)
    sys.stdout.write("\n".join(findings.lines()) + "\n")
    return 1 if findings.faults else 0


if __name__ == "__main__":
    sys.exit(main())
