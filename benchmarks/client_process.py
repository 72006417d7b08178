"""One of many clients of jobctl: ``-m benchmarks.client_process SOCKET COUNT``."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.crowd import take_part
from jobctl.client import Client, make_key
from jobctl.protocol.requests import Submit


def main() -> None:
    """Connect, wait for the word, submit one job at a time."""
    with Client(Path(sys.argv[1]), timeout_s=300.0) as client:
        client.connect()
        take_part(
            lambda: client.call(Submit(jobs=[{"task": "noop", "key": make_key()}])),
            int(sys.argv[2]),
        )


if __name__ == "__main__":
    main()
