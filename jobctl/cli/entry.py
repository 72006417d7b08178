"""Where the command begins: the hot verbs at once, everything else through Typer."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Run the command line of this process; gives back its exit code."""
    try:
        code = _run(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone. The interpreter would complain once more at its end, when
        # it flushes; so what is left goes nowhere.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        return 1
    return code


def _run(argv: list[str]) -> int:
    if "_JOBCTL_COMPLETE" not in os.environ:
        from jobctl.cli import fast

        left = fast.run(argv, os.environ)
        if isinstance(left, int):
            return left
        argv = left
    from jobctl.cli.app import run

    return run(argv)
