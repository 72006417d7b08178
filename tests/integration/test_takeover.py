"""``jobctl takeover crontab``: lines go from cron to a running daemon, and come back as they were."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from subprocess import CompletedProcess, run
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from jobctl.cli import shapes
from jobctl.cli.takeover import MINUTE_S, NEEDED_S, pause_before_change
from jobctl.clock import SECOND
from jobctl.importers.crontab import record as records
from jobctl.importers.crontab.marking import marked
from jobctl.importers.crontab.record import Record, TakenTable
from jobctl.protocol.requests import List, Schedules
from tests.support.daemon import Daemon, running_daemon

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLE = b"""\
# Made by the shop
SHELL=/bin/bash

30 2 * * * root /usr/local/bin/dump
5/15 * * * * root /usr/local/bin/poll
* 16 * * * root /usr/local/bin/often
@reboot root /usr/local/bin/warm-cache
"""
TAKEN = b"""\
# Made by the shop
SHELL=/bin/bash

#jobctl# 30 2 * * * root /usr/local/bin/dump
5/15 * * * * root /usr/local/bin/poll
* 16 * * * root /usr/local/bin/often
#jobctl# @reboot root /usr/local/bin/warm-cache
"""
CRONTAB_PROGRAM = """\
#!/bin/sh
# What crontab(1) does with a user's own table, in a folder of the test.
[ "$1" = -u ] && { user=$2; shift 2; }
table={folder}/table
case $1 in
-l) [ -e "$table" ] || {{ echo "no crontab for you" >&2; exit 1; }}; cat "$table" ;;
-) cat >"$table.new"; grep -q '^bad' "$table.new" && {{ echo "errors in crontab file" >&2; exit 1; }}
   mv "$table.new" "$table" ;;
esac
"""


SCHEMAS = Path(shapes.__file__).parent / "schemas"


def valid(schema: str, done: CompletedProcess[str]) -> dict[str, Any]:
    """The JSON that was printed, held against the schema that ships."""
    answer: dict[str, Any] = json.loads(done.stdout)
    Draft202012Validator(json.loads((SCHEMAS / f"{schema}.json").read_text())).validate(answer)
    return answer


class Host:
    """A daemon, a table in a folder like ``cron.d``, and somebody who types."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.table = daemon.folder / "cron.d/shop"
        self.table.parent.mkdir()
        self.table.write_bytes(TABLE)
        self.table.chmod(0o640)

    def type(self, *words: str, config: Path | None = None) -> CompletedProcess[str]:
        command = [
            sys.executable, "-m", "jobctl",
            "--config", str(config or self.daemon.config), "--socket", str(self.daemon.socket),
            "takeover", "crontab", "--dialect", "debian", *words,
        ]  # fmt: skip
        env = {
            "PATH": f"{self.daemon.folder}/bin:/usr/bin:/bin",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        return run(command, env=env, capture_output=True, text=True, check=False)

    def schedules(self) -> set[str]:
        return {each["name"] for each in self.daemon.call(Schedules())["schedules"]}

    def drop_ins(self) -> list[Path]:
        return sorted((self.daemon.folder / "conf.d").glob("*"))

    def records(self) -> list[str]:
        return records.names_of(self.daemon.config)


@pytest.fixture
def host() -> Iterator[Host]:
    with running_daemon() as daemon:
        yield Host(daemon)


def test_lines_go_to_the_daemon_and_come_back_as_they_were(host: Host) -> None:
    done = host.type(str(host.table))

    assert done.returncode == 0, done.stderr
    assert host.table.read_bytes() == TAKEN
    assert stat.S_IMODE(host.table.stat().st_mode) == 0o640
    assert host.schedules() == {"dump", "warm-cache"}
    # The boot was before the takeover, and cron has seen to it.
    assert host.daemon.call(List(limit=5))["jobs"] == []
    assert "these lines stay with cron:" in done.stderr
    assert "poll" in done.stderr
    assert "often" in done.stderr
    assert host.type(str(host.table), "--check").returncode == 0

    undone = host.type(str(host.table), "--undo")

    assert undone.returncode == 0, undone.stderr
    assert host.table.read_bytes() == TABLE
    assert stat.S_IMODE(host.table.stat().st_mode) == 0o640
    assert host.schedules() == set()
    assert host.drop_ins() == []
    assert host.records() == []


@pytest.mark.slow
def test_a_dry_run_changes_nothing_and_needs_no_daemon(host: Host) -> None:
    host.daemon.stop()

    done = host.type(str(host.table), "--dry-run", "--json")

    assert done.returncode == 0, done.stderr
    answer = valid("takeover", done)
    assert [line["line"] for line in answer["lines"]] == [4, 7]
    assert host.table.read_bytes() == TABLE
    assert host.drop_ins() == []
    assert host.records() == []


@pytest.mark.slow
def test_without_a_daemon_nothing_is_taken(host: Host) -> None:
    host.daemon.stop()

    done = host.type(str(host.table))

    assert done.returncode == 3
    assert "Start the daemon first" in done.stderr
    assert host.table.read_bytes() == TABLE


@pytest.mark.slow
def test_a_daemon_that_reads_another_configuration_takes_nothing(host: Host) -> None:
    other = host.daemon.folder / "other"
    other.mkdir()
    (other / "jobctl.toml").write_text("[daemon]\n")

    done = host.type(str(host.table), config=other / "jobctl.toml")

    assert done.returncode == 1
    assert "Does it read another one?" in done.stderr
    assert host.table.read_bytes() == TABLE
    assert list((other / "conf.d").glob("*")) == []
    assert records.names_of(other / "jobctl.toml") == []


@pytest.mark.slow
def test_a_daemon_that_refuses_takes_nothing(host: Host) -> None:
    # The drop-in is right, what stands beside it is wrong only when code is asked for.
    host.daemon.config.write_text('[daemon]\nimports = ["no_such_module"]\n')

    done = host.type(str(host.table))

    assert done.returncode != 0
    assert host.table.read_bytes() == TABLE
    assert host.drop_ins() == []
    assert host.records() == []


@pytest.mark.slow
def test_a_configuration_that_is_wrong_is_told_before_anything(host: Host) -> None:
    host.daemon.config.write_text("[tasks.x]\ncron = 3\n")

    assert host.type(str(host.table)).returncode == 78
    assert host.table.read_bytes() == TABLE


@pytest.mark.slow
def test_names_that_are_taken_are_not_given_again(host: Host) -> None:
    host.daemon.config.write_text('[tasks.dump]\nshell = "true"\n')

    done = host.type(str(host.table))

    assert done.returncode == 0, done.stderr
    assert host.schedules() == {"dump-2", "warm-cache"}


@pytest.mark.slow
def test_tables_are_taken_once(host: Host) -> None:
    host.type(str(host.table))

    again = host.type(str(host.table))

    assert again.returncode == 1
    assert "--undo" in again.stderr


@pytest.mark.parametrize("words", [(), pytest.param(("--undo",), marks=pytest.mark.slow)])
def test_two_at_once_do_not_undo_each_other(host: Host, words: tuple[str, ...]) -> None:
    with records.alone(host.daemon.config):
        done = host.type(*words, str(host.table))

        assert done.returncode == 1
        assert "another takeover is at work" in done.stderr
        assert "Wait until it has ended." in done.stderr
        assert host.table.read_bytes() == TABLE
        assert host.type("--dry-run", str(host.table)).returncode == 0
    assert host.type(str(host.table)).returncode == 0
    assert host.table.read_bytes() == TAKEN


@pytest.mark.slow
def test_what_was_edited_meanwhile_is_kept_by_undo(host: Host) -> None:
    host.type(str(host.table))
    host.table.write_bytes(
        TAKEN.replace(b"#jobctl# @reboot root /usr/local/bin/warm-cache\n", b"A=1\n")
    )

    undone = host.type("--undo")

    assert undone.returncode == 0, undone.stderr
    assert host.table.read_bytes() == TABLE.replace(
        b"@reboot root /usr/local/bin/warm-cache\n", b"A=1\n"
    )
    assert "was edited meanwhile; the edits were kept" in undone.stderr
    assert "1 of the lines are not there any more" in undone.stderr


@pytest.mark.slow
def test_a_line_that_came_back_is_told(host: Host) -> None:
    host.type(str(host.table))
    host.table.write_bytes(TABLE)

    found = host.type("--check")

    assert found.returncode == 1
    assert "30 2 * * * root /usr/local/bin/dump: cron runs it, too" in found.stdout


@pytest.mark.slow
def test_a_takeover_that_was_cut_short_is_undone(host: Host) -> None:
    second = host.table.with_name("second")
    second.write_bytes(b"0 1 * * * root x\n")
    record = Record(
        name="user",
        file=str(host.daemon.folder / "conf.d/50-crontab-user.toml"),
        schedules=("dump", "x"),
        tables=(
            TakenTable(path=str(host.table), user=None, original=TABLE, lines=(4, 7)),
            TakenTable(path=str(second), user=None, original=second.read_bytes(), lines=(1,)),
        ),
    )
    records.write(host.daemon.config, record)
    host.table.write_bytes(marked(TABLE, (4, 7)))

    check = host.type("--check", "--json")
    assert check.returncode == 1
    assert valid("takeover-check", check) == {
        "is_done": False,
        "twice": [f"{second}: 0 1 * * * root x"],
    }
    assert valid("takeover-undo", host.type("--undo", "--json"))["edited"] == []

    assert host.table.read_bytes() == TABLE
    assert second.read_bytes() == b"0 1 * * * root x\n"
    assert host.records() == []


@pytest.mark.slow
def test_records_are_for_their_owner_alone(host: Host) -> None:
    host.type(str(host.table))

    folder = host.daemon.folder / "takeover"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert [stat.S_IMODE(file.stat().st_mode) for file in host.drop_ins()] == [0o600]


# -- a user's own table ---------------------------------------------------------------------------


@pytest.fixture
def own_table(host: Host) -> Path:
    """A program that stands for crontab(1), which is not everywhere."""
    program = host.daemon.folder / "bin/crontab"
    program.parent.mkdir()
    text = CRONTAB_PROGRAM.replace("{folder}", str(program.parent)).replace("{{", "{")
    program.write_text(text.replace("}}", "}"))
    program.chmod(0o755)
    return program.parent / "table"


@pytest.mark.slow
def test_a_users_own_table_is_changed_by_crontab(host: Host, own_table: Path) -> None:
    own_table.write_bytes(b"# mine\n0 1 * * * a\n")

    taken = host.type()

    assert taken.returncode == 0, taken.stderr
    assert own_table.read_bytes() == b"# mine\n#jobctl# 0 1 * * * a\n"
    assert host.schedules() == {"a"}
    assert host.type("--undo").returncode == 0
    assert own_table.read_bytes() == b"# mine\n0 1 * * * a\n"


@pytest.mark.slow
def test_a_table_that_crontab_refuses_stays_as_it_was(host: Host, own_table: Path) -> None:
    own_table.write_bytes(b"bad line\n0 1 * * * a\n")

    taken = host.type()

    assert taken.returncode == 1
    assert "errors in crontab file" in taken.stderr
    assert own_table.read_bytes() == b"bad line\n0 1 * * * a\n"
    assert host.schedules() == set()
    assert host.records() == []


def test_a_user_without_a_table_is_told(host: Host, own_table: Path) -> None:
    taken = host.type()

    assert taken.returncode == 1
    assert "no crontab for you" in taken.stderr


@pytest.mark.parametrize("second", [0, 1, 44, 45, 45.5, 46, 59, 59.9])
def test_all_is_done_within_a_minute_of_cron(second: float) -> None:
    now = int((1_800_000_000 // MINUTE_S * MINUTE_S + second) * SECOND)

    begins_s = (now / SECOND + pause_before_change(now)) % MINUTE_S

    assert begins_s <= MINUTE_S - NEEDED_S
    assert (pause_before_change(now) == 0) is (second <= MINUTE_S - NEEDED_S)
