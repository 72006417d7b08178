"""``python -m jobctl.notify.sender``: sends one message and ends.

What a job of a route's task runs. The route's settings come on standard input, the notice in a variable, as the
job's argument. What came of it is the last line that it prints; exit code 0 when the message was taken,
EX_DATAERR when it never will be, EX_TEMPFAIL when it is to be tried again.

It imports no more of us than `jobctl.notify`: a message shall cost little more than the standard library does.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Final

from jobctl.notify.sending import SendFailed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

_NOTICE: Final = "JOBCTL_ARG_NOTICE"


def main() -> int:
    """Run the sender; gives its exit code."""
    settings = json.loads(sys.stdin.read())
    notice = json.loads(os.environ[_NOTICE])
    limit_s = float(settings["timeout"])
    # Whatever it waits for, a name server included, which has no time limit of its own.
    signal.signal(signal.SIGALRM, _too_long)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        said = send(notice, settings)
    except SendFailed as failure:
        sys.stdout.write(f"{failure}\n")
        return os.EX_DATAERR if failure.is_final else os.EX_TEMPFAIL
    except TimeoutError:
        sys.stdout.write(f"it took longer than {limit_s:g} s\n")
        return os.EX_TEMPFAIL
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    sys.stdout.write(f"{said}\n")
    return 0


def send(notice: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Send a notice by a route with these settings. Raises SendFailed, TimeoutError."""
    # Each brings a good part of the standard library; a message needs one of them.
    if settings["kind"] == "mail":
        from jobctl.notify import mail

        return mail.send(notice, settings)
    if settings["kind"] == "command":
        from jobctl.notify import command

        return command.become(notice, settings)
    from jobctl.notify import http

    is_ping = settings["kind"] == "ping"
    return http.send_ping(notice, settings) if is_ping else http.send_webhook(notice, settings)


def _too_long(_number: int, _frame: FrameType | None) -> None:
    raise TimeoutError


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.exit(code)
