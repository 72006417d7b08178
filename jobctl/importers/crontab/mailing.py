"""Who gets what the lines of a crontab print: MAILTO and MAILFROM as routes of ``[notify]``.

Cron mails the output of each run to MAILTO, with -n of a run that has failed. A route says the same, in cron's
form. Whoever has no MAILTO gets mail as the owner of the table; that is told, and not written: on most hosts
nobody reads it.
"""

from __future__ import annotations

import re
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

from jobctl.importers.crontab.remarks import note
from jobctl.plan.routes import ROUTE_KEYS
from jobctl.task.units import InvalidValue
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jobctl.importers.crontab.reading import Entry
    from jobctl.importers.crontab.remarks import Remark

_LONGEST_NAME: Final = 60


@dataclass
class Mailing:
    """The routes of one table. ``table`` is its path, ``taken`` are names that no route may have."""

    table: str
    taken: set[str]
    has_sendmail: bool = True
    routes: dict[tuple[object, ...], tuple[str, dict[str, Any]]] = field(default_factory=dict)

    def route_of(self, entry: Entry) -> tuple[str, Mapping[str, Any]] | None:
        """The name and the keys of the route of an entry; None when nobody gets mail by MAILTO."""
        to = _addresses(entry.env.get("MAILTO", ""))
        if not to:
            return None
        sender = _addresses(entry.env.get("MAILFROM", ""))[:1]
        on = "failure" if "n" in entry.options else "output"
        key = (to, sender, on)
        if key not in self.routes:
            self.routes[key] = (self._name(), self._keys(to, sender, on))
        return self.routes[key]

    def _keys(self, to: tuple[str, ...], sender: tuple[str, ...], on: str) -> dict[str, Any]:
        keys: dict[str, Any] = {"kind": "mail", "form": "cron", "on": [on], "to": list(to)}
        if sender:
            keys["from"] = sender[0]
        if not self.has_sendmail:
            keys = {"enabled": False, **keys}
        return keys

    def _name(self) -> str:
        last = re.sub(r"[^A-Za-z0-9_-]+", "-", self.table.rstrip("/").rpartition("/")[2])
        plain = f"cron-{last.strip('-') or 'mail'}"[:_LONGEST_NAME]
        name, number = plain, 1
        while name in self.taken:
            number += 1
            name = f"{plain}-{number}"
        self.taken.add(name)
        return name

    def about(self) -> Iterator[Remark]:
        """What is to be said of all of the table."""
        if self.routes and not self.has_sendmail:
            names = ", ".join(name for name, _ in self.routes.values())
            yield note(
                "this host has no /usr/sbin/sendmail, so cron could mail nothing either: the route "
                f"{names} is switched off until it names a server (smtp)"
            )


def remarks_on_mail(name: str, value: str) -> Iterator[Remark]:
    """What is to be said of MAILTO and MAILFROM themselves."""
    bad = [word for word in _words(value) if not _is_address(word)]
    if bad:
        yield note(f'"{bad[0]}" is no mail address that {name} could mean: it is passed over')


def _words(value: str) -> list[str]:
    return [word for word in re.split(r"[,\s]+", value) if word]


def _addresses(value: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for word in _words(value) if _is_address(word)))


def _is_address(word: str) -> bool:
    try:
        ROUTE_KEYS["from"].key.mark.read(word)
    except InvalidValue:
        return False
    # What begins with a minus sign would be an option of some mail program.
    return not word.startswith("-")
