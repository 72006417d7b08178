"""How a command ends is recorded as it was, for every way in which one can."""

from __future__ import annotations

import signal

from tests.support.daemon import running_daemon

_MILD = {
    signal.SIGCHLD,
    signal.SIGCONT,
    signal.SIGSTOP,
    signal.SIGTSTP,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGURG,
    signal.SIGWINCH,
}
"""They end nobody."""

CONFIG = """
[workers.default]
commands = 4
[tasks.end]
shell = 'eval "$1"'
core_size = 0
"""


def test_every_exit_code_and_signal_is_recorded_as_it_was() -> None:
    signals = sorted(signal.valid_signals() - _MILD)
    lines = [f"exit {code}" for code in range(256)]
    lines += [f"kill -{number} $$" for number in signals]
    with running_daemon(CONFIG) as daemon:
        jobs = daemon.submit_many([{"task": "end", "args": [line]} for line in lines])
        daemon.wait(*jobs, limit_s=120)

        for line, job in zip(lines, jobs, strict=True):
            (attempt,) = daemon.status(job)["attempts"]
            how, number = line.split()[0], int(line.replace("-", "").split()[1])
            wanted = (number, None) if how == "exit" else (None, number)
            assert (attempt["exit_code"], attempt["signal"]) == wanted, line
