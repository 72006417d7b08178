"""Any bytes are a crontab to somebody: each line gets its verdict, and what is written is right."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import tomli
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobctl.config.load import load
from jobctl.importers.crontab.judging import Host, Import, Source, Wishes, judge
from jobctl.importers.crontab.kinds import Dialect, Form
from jobctl.importers.crontab.percent import cut
from jobctl.importers.crontab.programs import program_of
from jobctl.importers.crontab.reading import lines_of
from jobctl.importers.crontab.text import text_of

FIELDS = st.sampled_from(
    [
        "*",
        "*/5",
        "0",
        "07",
        "1-5",
        "mon",
        "22-2",
        "*/0",
        "H",
        "~",
        "sun-tue",
        "31",
        "?",
        "5/15",
        "@daily",
    ]
)
COMMANDS = st.sampled_from(
    ["true", "cd /srv && ./run.sh", "date +%F", "c % a % b", "{name}", "'open", "c > /dev/null 2>&1", "-n c", ""]
) | st.text(max_size=20)  # fmt: skip
ENTRIES = st.builds(
    lambda fields, user, command: f"{' '.join(fields)} {user} {command}",
    st.lists(FIELDS, min_size=1, max_size=6),
    st.sampled_from(["root", "", "no body", "a:b/c"]),
    COMMANDS,
)
VARIABLES = st.builds(
    lambda name, value: f"{name}={value}",
    st.sampled_from(
        ["A", "1A", "", "SHELL", "PATH", "MAILTO", "CRON_TZ", "RANDOM_DELAY", "JOBCTL_X", "HOME"]
    ),
    st.sampled_from(["", "/bin/bash", '"a"', "'x", "Europe/Berlin", "45", "~/bin"])
    | st.text(max_size=9),
)
LINES = ENTRIES | VARIABLES | st.text(max_size=40) | st.sampled_from(["# a comment", "{% if x %}"])
TABLES = st.binary(max_size=80) | st.builds(
    lambda lines, end: (end.join(lines) + end).encode("utf-8", errors="replace"),
    st.lists(LINES, max_size=8),
    st.sampled_from(["\n", "\r\n"]),
)
DIALECTS = st.none() | st.sampled_from(Dialect)


def imported(data: bytes, form: Form, dialect: Dialect | None, *, fix: bool) -> Import:
    source = Source(path="/etc/crontab", data=data, form=form)
    host = Host(users=frozenset({"root"}))
    return judge([source], program_of(dialect), host=host, wishes=Wishes(fix=fix))


@given(TABLES, st.sampled_from(Form), DIALECTS, st.booleans())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_every_line_has_one_verdict_and_what_is_written_is_a_configuration(
    data: bytes, form: Form, dialect: Dialect | None, fix: bool
) -> None:
    found = imported(data, form, dialect, fix=fix)

    assert [line.line.number for line in found.lines] == [
        line.number
        for line in lines_of(data)
        if (bare := line.text.strip(" \t") if form is not Form.ANACRON else line.text.strip())
        and not bare.startswith("#")
    ]
    written = text_of(found)
    tables = tomli.loads(written)
    wanted = [
        path for line in found.lines if line.verdict in ("clean", "note") for path, _ in line.tables
    ]
    assert [("tasks", name) for name in tables.get("tasks", {})] == wanted
    assert all(letter.isprintable() or letter in "\n\t" for letter in written)


@given(TABLES, st.sampled_from(Form), DIALECTS, st.booleans())
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_written_passes_the_check(
    data: bytes, form: Form, dialect: Dialect | None, fix: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "jobctl.toml"
        file.write_text("[daemon]\n" + text_of(imported(data, form, dialect, fix=fix)))
        loaded = load(file)
    assert not loaded.problems


@given(st.text(st.sampled_from("%\\abc '\"\n").filter(lambda letter: letter != "\n"), max_size=12))
def test_a_cut_follows_a_plain_reading_of_the_two_loops(text: str) -> None:
    cutting = re.search(r"(?<!\\)(?:\\\\)*%", text)
    found = cut(text)

    assert found.is_cut is (cutting is not None)
    assert "\\%" not in found.command.replace("\\\\", "")
