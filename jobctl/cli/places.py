"""Where the daemon's socket lies, found without the configuration's own reader.

A hot verb cannot afford to read TOML. `socket_in` looks for the one key it needs in the text of a file
and says `UNSURE` wherever a full reading might see something else; the caller then reads the file
properly. That it never says anything else than the full reading is held by a property test.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

UNSURE = ""
"""The answer of `socket_in` when only a full reading can tell. No socket has this path."""


def default_config(environ: Mapping[str, str], uid: int) -> str:
    """The path of the configuration: the same as in `jobctl.paths.defaults`, without its imports."""
    if environ.get("JOBCTL_CONFIG"):
        return environ["JOBCTL_CONFIG"]
    if uid == 0:
        return "/etc/jobctl/jobctl.toml"
    home = environ.get("HOME", "/nonexistent")
    return _join(environ.get("XDG_CONFIG_HOME") or _join(home, ".config"), "jobctl/jobctl.toml")


def default_socket(environ: Mapping[str, str], uid: int) -> str:
    """The path of the socket: the same as in `jobctl.paths.defaults`, without its imports."""
    if environ.get("JOBCTL_SOCKET"):
        return environ["JOBCTL_SOCKET"]
    runtime = environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    if runtime:
        return _join(runtime, "jobctl.sock")
    if uid == 0:
        return "/run/jobctl/jobctl.sock"
    if environ.get("XDG_RUNTIME_DIR"):
        return _join(environ["XDG_RUNTIME_DIR"], "jobctl/jobctl.sock")
    home = environ.get("HOME", "/nonexistent")
    state = environ.get("XDG_STATE_HOME") or _join(home, ".local/state")
    return _join(state, "jobctl/jobctl.sock")


def _join(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}" if folder else name


def find_socket(config: str | None, environ: Mapping[str, str], uid: int) -> str:
    """The socket of the daemon that reads ``config`` (None: the default one), or `UNSURE`.

    ``JOBCTL_SOCKET`` counts before the default configuration, but not before one that was named. A
    configuration that cannot be read says nothing.
    """
    if config is None and environ.get("JOBCTL_SOCKET"):
        return environ["JOBCTL_SOCKET"]
    file = config if config is not None else default_config(environ, uid)
    found: str | None = None
    for part in (file, *_drop_ins(file)):
        try:
            with open(part, encoding="utf-8") as stream:  # noqa: PTH123 -- pathlib is slow to load
                text = stream.read()
        except OSError:
            continue
        except ValueError:
            return UNSURE
        socket = socket_in(text)
        if socket == UNSURE or (socket is not None and found is not None):
            return UNSURE
        found = found or socket
    return found or default_socket(environ, uid)


def _drop_ins(file: str) -> list[str]:
    folder = _join(os.path.dirname(file), "conf.d")  # noqa: PTH120 -- pathlib is slow to load
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 -- as above
    except OSError:
        return []
    return [
        _join(folder, name) for name in names if name.endswith(".toml") and not name.startswith(".")
    ]


def socket_in(text: str) -> str | None:
    r"""``daemon.socket`` of a TOML text; None if it has none; `UNSURE` if that needs a full reading.

    Sure are only the plain cases: no such word anywhere but in comments, or one line
    ``socket = "/…"`` right in a table that begins with the line ``[daemon]``. Several lines in one
    string could hold anything; a ``\u`` could spell the word.
    """
    if "\\u" in text or "\\U" in text or "\\x" in text:
        return UNSURE
    if "socket" not in text:
        return None
    if '"""' in text or "'''" in text:
        return UNSURE
    table = ""
    found: str | None = None
    for line in text.split("\n"):
        plain = line.strip(" \t\r")
        if plain.startswith("["):
            table = plain
        if "socket" not in plain or plain.startswith("#"):
            continue
        if found is not None or table != "[daemon]" or not plain.startswith("socket"):
            return UNSURE
        found = _plain_value(plain.removeprefix("socket").strip(" \t"))
        if found is None:
            return UNSURE
    return found


def _plain_value(text: str) -> str | None:
    """The path in ``= "/path"``; None for anything less plain."""
    if not text.startswith("="):
        return None
    value = text[1:].strip(" \t")
    quote = value[:1]
    if len(value) < 3 or quote not in {'"', "'"} or value[-1] != quote:
        return None
    path = value[1:-1]
    if not path.startswith("/") or not path.isprintable() or '"' in path or "'" in path:
        return None
    return None if "\\" in path else path
