"""The manual page ``jobctl(1)``, made from the commands' help: ``man/jobctl.1``.

``python -m jobctl.cli.man > man/jobctl.1`` writes it; a test compares the two.
"""

from __future__ import annotations

import sys

from typer.main import get_command

from jobctl import roff
from jobctl.cli.app import app
from jobctl.cli.manual import EXIT_CODES, helps
from jobctl.cli.render import process_screen

_FILES = {
    "/etc/jobctl/jobctl.toml, ~/.config/jobctl/jobctl.toml": "The configuration, for root and for anyone else; with files in `conf.d` beside it.",
    "/var/lib/jobctl, ~/.local/state/jobctl": "The state directory: jobs, outputs, attempts that run.",
    "/run/jobctl/jobctl.sock, $XDG_RUNTIME_DIR/jobctl/jobctl.sock": "The daemon's socket.",
}
_ENVIRONMENT = {
    "JOBCTL_SOCKET": "The daemon's socket.",
    "JOBCTL_CONFIG": "The configuration, in place of the default one.",
    "NO_COLOR": "No colours, whatever the terminal can show.",
}


def page() -> str:
    """The whole page."""
    parts = [
        roff.head("jobctl", 1, "run the jobs of a server: scheduled and queued"),
        roff.section("synopsis"),
        roff.paragraph("`jobctl` [OPTIONS] COMMAND [ARGUMENT...]"),
        roff.section("description"),
        roff.paragraph(
            "One daemon runs commands, shell lines and Python functions, by schedules and from queues, "
            "from one TOML file. `jobctl daemon` is the daemon; every other command speaks to it over its "
            "socket."
        ),
        roff.section("commands"),
    ]
    for path, text in helps(get_command(app), "jobctl", None):
        parts += [roff.subsection(path), roff.verbatim(text)]
    parts.append(roff.section("exit status"))
    parts += [roff.item(code, told) for code, told in EXIT_CODES]
    parts.append(roff.section("environment"))
    parts += [roff.item(name, told) for name, told in _ENVIRONMENT.items()]
    parts.append(roff.section("files"))
    parts += [roff.item(name, told) for name, told in _FILES.items()]
    parts += [roff.section("see also"), roff.paragraph("`jobctl.toml`(5), `systemctl`(1)")]
    return roff.joined(parts)


if __name__ == "__main__":
    process_screen("never", {}).block(page())
    sys.exit(0)
