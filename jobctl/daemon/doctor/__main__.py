"""``python -m jobctl.daemon.doctor --state-dir DIR --config FILE --socket PATH``: prints ``{"ok": …}``."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from jobctl.clock import SECOND, SystemClock
from jobctl.daemon.doctor.facts import look
from jobctl.daemon.doctor.findings import Level, judge
from jobctl.paths import StateDirectory


def main() -> int:
    """Look, judge, tell; gives back the exit code."""
    parser = argparse.ArgumentParser(prog="jobctl.daemon.doctor")
    for name in ("--state-dir", "--config", "--socket"):
        parser.add_argument(name, type=Path, required=True)
    options = parser.parse_args()
    state = StateDirectory(options.state_dir.absolute())
    facts = look(state, options.config, options.socket, SystemClock().now() / SECOND)
    found = judge(facts)
    document = {
        "ok": not any(finding.level is Level.ERROR for finding in found),
        "findings": [asdict(finding) for finding in found],
    }
    sys.stdout.write(json.dumps({"ok": document}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
