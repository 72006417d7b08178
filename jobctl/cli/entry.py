"""Where the command begins: the hot verbs at once, everything else through Typer."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Run the command line of this process; gives back its exit code."""
    if sys.stdout is None or sys.stderr is None:
        _stand_in_for_closed()
    try:
        code = _run(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone.
        _drop_output()
        return 1
    except OSError as error:
        if not _is_of_output(error):
            raise
        _drop_output()
        sys.stderr.write(f"jobctl: the answer cannot be written: {error.strerror}\n")
        sys.stderr.write("hint: What was asked for may have been done all the same.\n")
        return 1
    return code


def _stand_in_for_closed() -> None:
    """``>&-``: what is said goes nowhere, and the exit code stays what it is."""
    sys.stdout = sys.stdout or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    sys.stderr = sys.stderr or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")


def _is_of_output(error: OSError) -> bool:
    """A full or broken disk under standard output. Faults of other files name their file."""
    import errno

    lacking = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
    return error.filename is None and error.errno in lacking


def _drop_output() -> None:
    """The interpreter would complain once more at its end, when it flushes: what is left goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


def _run(argv: list[str]) -> int:
    if argv[:1] == ["__complete"]:
        from jobctl.cli import completing

        return completing.run(argv[1:], os.environ)
    from jobctl.cli import fast

    left = fast.run(argv, os.environ)
    if isinstance(left, int):
        return left
    argv = left
    from jobctl.cli.app import run

    return run(argv)
