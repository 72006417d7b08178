"""What the entries of a crontab become: keys, names, surroundings; and the text of all of it."""

from __future__ import annotations

from typing import Any

import pytest
import tomli

from jobctl.importers.crontab.judging import Host, Import, Source, Wishes, judge
from jobctl.importers.crontab.kinds import Dialect, Form
from jobctl.importers.crontab.names import Names
from jobctl.importers.crontab.programs import program_of
from jobctl.importers.crontab.text import text_of


def imported(
    text: str,
    form: Form = Form.USER,
    dialect: Dialect | None = Dialect.DEBIAN,
    host: Host | None = None,
    **wishes: bool,
) -> Import:
    source = Source(path="crontab", data=text.encode(), form=form)
    return judge([source], program_of(dialect), host=host, wishes=Wishes(**wishes))


def tasks(found: Import) -> dict[str, dict[str, Any]]:
    return tomli.loads(text_of(found)).get("tasks", {})  # type: ignore[no-any-return]


def test_a_plain_line_says_what_cron_does_and_our_defaults_do_not() -> None:
    assert tasks(imported("30 2 * * * /usr/local/bin/backup\n")) == {
        "backup": {
            "shell": "/usr/local/bin/backup",
            "cron": "30 2 * * *",
            "on_overlap": "allow",
            "env": {"PATH": "/usr/bin:/bin"},
        }
    }


def test_a_line_of_the_system_names_its_user() -> None:
    (task,) = tasks(imported("0 0 * * * apache c\n", Form.SYSTEM)).values()

    assert (task["user"], task["shell"]) == ("apache", "c")


def test_a_table_of_another_user_names_him() -> None:
    source = Source(path="x", data=b"0 0 * * * c\n", form=Form.USER, owner="bob", runs_as="bob")
    (line,) = judge([source], program_of(None)).lines

    assert line.tables[0][1]["user"] == "bob"


def test_variables_hold_for_the_lines_below_them() -> None:
    found = tasks(imported("0 0 * * * a\nA=1\n0 0 * * * b\nA=2\nHOME=/srv\nUSER=x\n0 0 * * * c\n"))

    assert [task["env"].get("A") for task in found.values()] == [None, "1", "2"]
    assert found["c"]["cwd"] == "/srv"
    assert found["c"]["env"] == {"A": "2", "HOME": "/srv", "PATH": "/usr/bin:/bin"}


def test_the_shell_of_the_table_runs_its_commands() -> None:
    (task,) = tasks(imported("SHELL=/bin/bash\n0 0 * * * [[ a ]] && c\n")).values()

    assert task["command"] == ["/bin/bash", "-c", "[[ a ]] && c"]
    assert task["env"]["SHELL"] == "/bin/bash"


def test_a_command_in_braces_is_no_placeholder() -> None:
    (task,) = tasks(imported("SHELL=/bin/bash\n0 0 * * * {name}\n")).values()

    assert task["command"] == ["/bin/bash", "-c", "{name} "]


@pytest.mark.parametrize(
    ("dialect", "path"),
    [
        (Dialect.DEBIAN, "/usr/bin:/bin"),
        (Dialect.CRONIE, "/usr/bin:/bin:/usr/sbin:/sbin"),
        (Dialect.BUSYBOX, None),
    ],
)
def test_commands_find_what_they_found_under_cron(dialect: Dialect, path: str | None) -> None:
    (task,) = tasks(imported("0 0 * * * c\n", dialect=dialect)).values()

    assert task.get("env", {}).get("PATH") == path


def test_what_follows_a_percent_sign_is_the_input_of_any_shell() -> None:
    found = tasks(imported("0 0 * * * cat%a%b\nSHELL=/usr/bin/fish\n0 0 * * * cat /x%a\n"))

    assert (found["cat"]["shell"], found["cat"]["stdin"]) == ("cat", "a\nb\n")
    assert found["cat-2"]["command"] == ["/usr/bin/fish", "-c", "cat /x"]
    assert found["cat-2"]["stdin"] == "a\n"


def test_more_input_than_a_configuration_may_hold_is_a_decision() -> None:
    found = imported(f"0 0 * * * cat%{'a' * (1 << 20)}\n", dialect=Dialect.CRONIE)

    assert found.lines[0].verdict == "decision"


def test_comments_above_are_the_description() -> None:
    text = (
        "# m h  dom mon dow   command\n# 0 0 * * * off\n# ----\n# Dump the shop,\n#  kept a week.\n"
        "0 0 * * * a\n0 0 * * * b\n# not about c\n\n0 0 * * * c\n"
    )
    found = tasks(imported(text))

    assert found["a"]["description"] == "Dump the shop, kept a week."
    assert "description" not in found["b"]
    assert "description" not in found["c"]


def test_what_stands_above_a_line_that_was_taken_over_is_not_about_the_next() -> None:
    (task,) = tasks(imported("# About a\n#jobctl# 0 0 * * * a\n0 1 * * * b\n")).values()

    assert "description" not in task


def test_what_waits_for_a_decision_is_a_comment_and_what_is_dead_only_told() -> None:
    text = text_of(imported("* 16 * * * often\n5/15 * * * * never\n"))

    assert tomli.loads(text) == {}
    assert "# [tasks.often]\n" in text
    assert "tasks.never" not in text
    assert '#     instead: cron = "5-59/15 * * * *"\n' in text


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("5/15 * * * *", "cron", "5-59/15 * * * *"),
        ("0 22-2 * * *", "cron", "0 22-23,0-2 * * *"),
        ("0 0 * * Sunday", "cron", "0 0 * * sun"),
        ("0 0 L * *", "cron", "0 0 L * *"),
        ("@Daily", "cron", "@daily"),
        ("@5", "every", "5s"),
    ],
)
def test_fix_writes_what_was_meant_beyond_doubt(line: str, key: str, value: str) -> None:
    found = imported(f"{line} c\n", fix=True)

    assert found.lines[0].verdict == "note"
    assert tasks(found)["c"][key] == value


@pytest.mark.parametrize(
    "line", ["0 24 * * *", "0 30 * * *", "5-0 * * * *", "1, 2 * * * *", "0 0 30 2 *", "* * * * * *"]
)
def test_fix_leaves_what_can_be_doubted(line: str) -> None:
    assert tasks(imported(f"{line} c\n", dialect=Dialect.CRONIE, fix=True)) == {}


def test_scripts_of_a_folder_become_tasks_that_run_one_after_another() -> None:
    line = "25 6 * * * root test -x /usr/sbin/anacron || ( cd / && run-parts --report /etc/cron.daily )"
    host = Host(scripts={"/etc/cron.daily": ["apt", "man-db"]}.get)

    found = imported(f"{line}\n", Form.SYSTEM, host=host, split_run_parts=True)

    tables = tomli.loads(text_of(found))
    assert tables["queues"]["cron.daily"]["concurrency"] == 1
    assert list(tables["tasks"]) == ["cron.daily.apt", "cron.daily.man-db"]
    assert tables["tasks"]["cron.daily.apt"] == {
        "command": ["/etc/cron.daily/apt"],
        "queue": "cron.daily",
        "cron": "25 6 * * *",
        "on_overlap": "allow",
        "user": "root",
        "env": {"PATH": "/usr/bin:/bin"},
    }


def test_anacron_does_what_is_guarded_by_it() -> None:
    line = "25 6 * * * root test -x /usr/sbin/anacron || run-parts /etc/cron.daily\n"

    assert imported(line, Form.SYSTEM, host=Host(has_anacron=True)).lines[0].verdict == "dead"


ANACRONTAB = """\
SHELL=/bin/sh
RANDOM_DELAY=45
START_HOURS_RANGE=3-22

#period in days   delay in minutes   job-identifier   command
1\t5\tcron.daily\t\tnice run-parts /etc/cron.daily
7\t25\tcron.weekly\t\tnice run-parts /etc/cron.weekly
@monthly 45\tcron.monthly\t\tnice run-parts /etc/cron.monthly
3 10 third echo 50%
1 two three
"""


def test_an_anacrontab_is_made_up_for_when_it_was_missed() -> None:
    found = imported(ANACRONTAB, Form.ANACRON, dialect=Dialect.CRONIE)

    made = tasks(found)
    assert {name: task.get("cron", task.get("every")) for name, task in made.items()} == {
        "cron.daily": "5 3 * * *",
        "cron.weekly": "25 3 * * 0",
        "cron.monthly": "45 3 1 * *",
        "third": "3d",
    }
    assert all(task["on_missed"] == "once" for task in made.values())
    assert all(task["on_overlap"] == "skip" for task in made.values())
    assert all(task["jitter"] == "45m" for task in made.values())
    assert made["third"]["shell"] == "echo 50%"
    assert found.lines[-1].verdict == "dead"


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("/usr/local/bin/backup.sh --all", "backup"),
        ("cd /srv/shop && ./manage.py clearsessions >/dev/null", "manage-clearsessions"),
        ("/usr/bin/php /srv/a/artisan schedule:run", "artisan-schedule-run"),
        ("flock -n /tmp/l -c '/usr/local/bin/sync.sh -x'", "sync"),
        ("su -s /bin/bash www-data -c 'cd /x && rake db:clean' >> /proc/1/fd/1", "rake-db-clean"),
        ("sleep $((RANDOM % 60)); certbot renew -q", "certbot-renew"),
        ("test -x /a || ( cd / && run-parts --report /etc/cron.daily )", "cron.daily"),
        ("python3 -m shop.clean", "shop.clean"),
        ("FOO=1 nice -n 10 /a/b/c-d.pl", "c-d"),
        ("if [ -x a ]; then /opt/foo; fi", "foo"),
        ("cronic solo -port=3 php app.php", "app"),
        ("sudo -u bob /x/y", "y"),
        ("echo hi", "echo"),
        ("'open", "open"),
        ("£%&", "job"),
        ("", "job"),
    ],
)
def test_a_task_is_called_after_what_it_runs(command: str, name: str) -> None:
    assert Names().name_of(command) == name


def test_a_name_is_given_once_and_the_first_one_keeps_it() -> None:
    assert list(tasks(imported("0 1 * * * c\n0 2 * * * c -x\n0 3 * * * c -y\n"))) == [
        "c",
        "c-2",
        "c-3",
    ]


def test_a_line_that_no_one_wrote_is_judged_too() -> None:
    found = imported(f"{'1,' * 100_000}1 * * * * c\n0 0 * * * {'a b ' * 100}\n")

    assert [line.verdict for line in found.lines] == ["dead", "clean"]


def test_what_a_freebsd_names_beside_the_user_is_a_decision() -> None:
    for user in ("www:www", "www/daemon", "www:www/daemon"):
        found = imported(f"0 0 * * * {user} c\n", Form.SYSTEM, dialect=Dialect.FREEBSD)
        assert found.lines[0].verdict == "decision"


def test_what_a_package_does_where_systemd_does_not_run_is_alive_there() -> None:
    line = "5 5 * * * root [ -d /run/systemd/system ] || /usr/bin/certbot renew\n"

    assert imported(line, Form.SYSTEM).lines[0].verdict == "dead"
    without = imported(line, Form.SYSTEM, host=Host(has_systemd=False))
    assert list(tasks(without)) == ["certbot-renew"]
