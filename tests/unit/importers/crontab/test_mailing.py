"""MAILTO and MAILFROM become routes in cron's form."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from jobctl.importers.crontab.judging import Host, Import, Source, judge
from jobctl.importers.crontab.kinds import Dialect, Form
from jobctl.importers.crontab.programs import program_of
from jobctl.importers.crontab.text import text_of


def imported(text: str, *, host: Host | None = None, taken: tuple[str, ...] = ()) -> Import:
    """A table of the system, judged."""
    source = Source(path="/etc/cron.d/shop", data=text.encode(), form=Form.SYSTEM)
    return judge([source], program_of(Dialect.CRONIE), host=host, taken_routes=taken)


def written(text: str, **options: Any) -> dict[str, Any]:
    """What of it is in force."""
    return tomllib.loads(text_of(imported(text, **options)))


def test_mailto_counts_for_the_lines_below_it() -> None:
    found = written(
        "0 1 * * * root /bin/a\n"
        "MAILTO=a@example.org, root\nMAILFROM=cron@example.org\n"
        "0 2 * * * root /bin/b\n0 3 * * * root /bin/c\n"
        'MAILTO=""\n'
        "0 4 * * * root /bin/d\n"
        "MAILTO=other\n"
        "0 5 * * * root /bin/e\n"
    )

    assert {name: task.get("notify") for name, task in found["tasks"].items()} == {
        "a": None,
        "b": ["cron-shop"],
        "c": ["cron-shop"],
        "d": None,
        "e": ["cron-shop-2"],
    }
    assert found["notify"] == {
        "cron-shop": {
            "kind": "mail",
            "form": "cron",
            "on": ["output"],
            "to": ["a@example.org", "root"],
            "from": "cron@example.org",
        },
        "cron-shop-2": {
            "kind": "mail",
            "form": "cron",
            "on": ["output"],
            "to": ["other"],
            "from": "cron@example.org",
        },
    }


def test_an_option_of_cronie_mails_failures_only() -> None:
    found = written("MAILTO=ops\n0 1 * * * root -n /bin/a\n")

    assert found["notify"]["cron-shop"]["on"] == ["failure"]


def test_without_sendmail_the_route_is_switched_off_and_that_is_told() -> None:
    text, host = "MAILTO=ops\n0 1 * * * root /bin/a\n", Host(has_sendmail=False)

    found = imported(text, host=host)

    assert written(text, host=host)["notify"]["cron-shop"]["enabled"] is False
    assert any("no /usr/sbin/sendmail" in remark.text for _, remark in found.about_files)


def test_a_route_that_is_there_keeps_its_name() -> None:
    found = written("MAILTO=ops\n0 1 * * * root /bin/a\n", taken=("cron-shop",))

    assert list(found["notify"]) == ["cron-shop-2"]


@pytest.mark.parametrize("value", ["-f/etc/passwd", "a;b", "<a@b>", "a@b@c", "é@example.org"])
def test_what_is_no_address_is_passed_over_and_told(value: str) -> None:
    text = f'MAILTO="{value}"\n0 1 * * * root /bin/a\n'

    assert "notify" not in written(text)
    assert "no mail address" in imported(text).lines[0].remarks[0].text


def test_who_has_no_mailto_is_told_that_nothing_is_mailed() -> None:
    def is_told(text: str) -> bool:
        return any("without MAILTO" in remark.text for _, remark in imported(text).about_files)

    assert is_told("0 1 * * * root /bin/a\n")
    assert not is_told('MAILTO=""\n0 1 * * * root /bin/a\n')
    assert not is_told("MAILTO=ops\n0 1 * * * root /bin/a\n")
