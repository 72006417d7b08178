"""The script with which a template begins: ``python boot.py KIND DIRECTORY LOCK LISTENER FILES PATIENCE``.

LOCK and LISTENER are the numbers of two inherited descriptors, FILES is the limit of open files, and
PATIENCE how many seconds who is idle stays without a daemon.

It is run by path, with the interpreter of a worker group in which jobctl need not be installed. It
makes this very copy of jobctl importable, and nothing else of the folder that copy lies in: the
folder may be the site-packages of another environment.
"""

import os
import sys


def main() -> None:
    """Make ``import jobctl`` mean this copy, then become the template."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.path.insert(0, os.path.dirname(package))
    try:
        import jobctl  # noqa: F401 -- its __path__ serves all later imports
    finally:
        del sys.path[0]
    from jobctl.worker.template import run_template

    _, kind, directory, lock_fd, listener_fd, open_files, patience_s = sys.argv
    run_template(
        kind,
        directory,
        int(lock_fd),
        int(listener_fd),
        open_files=int(open_files),
        patience_s=float(patience_s),
    )


if __name__ == "__main__":
    main()
