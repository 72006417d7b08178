"""Where the socket lies: the quick way never says anything else than the full reading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomli
from hypothesis import event, example, given
from hypothesis import strategies as st

from jobctl.cli import places
from jobctl.paths import defaults

LINES = st.sampled_from(
    [
        "[daemon]",
        " [daemon] ",
        "[daemon] # first",
        "[queues.socket]",
        "[workers.default]",
        'socket = "/run/a.sock"',
        "socket='/run/b.sock'",
        'socket = "/run/\\u0063.sock"',
        'socket = "relative"',
        'socket = ["/x"]',
        '  socket\t=\t"/run/d.sock"  ',
        'socket = "/run/e.sock" # why',
        '"socket" = "/run/f.sock"',
        'daemon.socket = "/run/g.sock"',
        'daemon = { socket = "/run/h.sock" }',
        '# socket = "/run/i.sock"',
        'command = ["socket", "x"]',
        "x = '''",
        "'''",
        'x = """',
        '"""',
        "args = [",
        "[1, 2],",
        "]",
        'state_dir = "/var/lib/j"',
        "",
    ]
)


TABLES = st.lists(
    st.tuples(
        st.sampled_from(
            ["[daemon]", " [daemon] ", "[daemon] # 1", "[queues.socket]", "[workers.x]"]
        ),
        st.lists(
            st.sampled_from(
                [
                    'socket = "/run/a.sock"',
                    "  socket\t=\t'/run/b.sock'  ",
                    'socket = "/run/\\u0063.sock"',
                    'socket = "relative"',
                    'socket = "/run/e.sock" # why',
                    '"socket" = "/run/f.sock"',
                    '# socket = "/run/i.sock"',
                    'command = ["socket", "x"]',
                    'socket-mode = "/x"',
                    "text = '''\nsocket = \"/run/j.sock\"\n'''",
                    'args = [\n[1, 2],\n"socket = 1",\n]',
                    'state_dir = "/var/lib/j"',
                ]
            ),
            max_size=3,
            unique_by=lambda line: line.split("=")[0].strip().strip('"'),
        ),
    ),
    max_size=3,
    unique_by=lambda table: table[0].strip().split(" ")[0],
).map(lambda tables: "\n".join("\n".join([head, *lines]) for head, lines in tables))


@given(st.one_of(TABLES, st.lists(LINES, max_size=8).map("\n".join)))
@example('[daemon]\nsocket = "/run/a.sock"\n')
@example("[daemon]\r\nsocket = '/run/a.sock'\r\n")
@example('[workers.default]\nargs = [\n[1, 2],\n]\n[daemon]\nsocket = "/run/a.sock"')
@example("x = '''\n[daemon]\nsocket='/run/b.sock'\n'''")
def test_a_sure_answer_is_that_of_the_full_reading(text: str) -> None:
    found = places.socket_in(text)
    try:
        table: dict[str, Any] = tomli.loads(text.replace("\r\n", "\n"))
    except tomli.TOMLDecodeError:
        event("not TOML")
        return
    daemon = table.get("daemon", {})
    expected = daemon.get("socket") if isinstance(daemon, dict) else None

    event("unsure" if found == places.UNSURE else f"sure: {found is not None}")
    assert found in (places.UNSURE, expected)


def test_a_plain_configuration_needs_no_full_reading() -> None:
    assert places.socket_in('[daemon]\nstate_dir = "/s"\nsocket = "/run/a.sock"\n') == "/run/a.sock"
    assert places.socket_in("[tasks.a]\ncommand = ['true']\n") is None
    assert places.socket_in('# socket = "/x"\n') is None


FOLDERS = st.sampled_from(["", "/", "/run/x", "/home/ann", "/run/x:/run/y", "relative/x", "/a/"])
VARIABLES = (
    "HOME",
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
    "XDG_RUNTIME_DIR",
    "STATE_DIRECTORY",
    "RUNTIME_DIRECTORY",
    "JOBCTL_SOCKET",
    "JOBCTL_CONFIG",
)


@given(st.dictionaries(st.sampled_from(VARIABLES), FOLDERS), st.sampled_from([0, 1000]))
def test_the_defaults_are_those_of_the_daemon(environ: dict[str, str], uid: int) -> None:
    expected = defaults(environ, uid)

    assert Path(places.default_socket(environ, uid)) == expected.socket
    assert Path(places.default_config(environ, uid)) == expected.config
