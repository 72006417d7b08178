"""What must hold between the rows of a store, asked of the whole of it; each statement tells what it finds.

These walk whole tables: they run on a copy, in a process of its own, never on the loop's thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobctl.store.statements import statement
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    import apsw

CHECKS: Final[Mapping[str, str]] = {
    "key_without_job": "I1",
    "fire_without_job": "I1",
    "attempt_without_job": "I1",
    "dependency_without_job": "I1",
    "waits_for_ended": "I2",
    "waits_for_nothing": "I2",
    "line_of_state": "I2",
    "eta_without_moment": "I2",
    "attempt_beyond_job": "I3",
    "success_without_attempt": "I7",
    "fires_overlap": "I6",
    "fire_beyond_watermark": "I6",
}
"""Every check by the name of its statement, with the invariant that a finding breaks."""

REMARKS: Final = ("attempts_overlap",)
"""What is worth a look and proves nothing."""

MOST: Final = 100
"""Findings of one check that are told."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that does not hold. ``check`` is the statement's name, or ``integrity_check`` or
    ``foreign_key_check`` of SQLite; ``invariant`` is empty for a remark."""

    check: str
    invariant: str
    message: str


def integrity(connection: apsw.Connection) -> list[Finding]:
    """What SQLite itself finds: pages, indexes, constraints of every row. Raises apsw.Error."""
    found = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({MOST})")]
    if found == ["ok"]:
        return []
    return [Finding(check="integrity_check", invariant="I7", message=text) for text in found]


def relations(connection: apsw.Connection) -> tuple[list[Finding], list[Finding]]:
    """``(violations, remarks)`` between rows. Raises apsw.Error."""
    violations = [
        Finding(
            check="foreign_key_check",
            invariant="I7",
            message=f"a row of {table} refers to a row of {parent} that is not there",
        )
        for table, _, parent, _ in connection.execute("PRAGMA foreign_key_check").fetchall()[:MOST]
    ]
    row = connection.execute(statement("meta/get"), ("newest_removed",)).fetchone()
    bindings = {"newest_removed": int(row[0]) if row else 0, "limit": MOST}
    for name, invariant in CHECKS.items():
        violations += _ask(connection, name, invariant, bindings)
    remarks = [finding for name in REMARKS for finding in _ask(connection, name, "", bindings)]
    return violations, remarks


def _ask(
    connection: apsw.Connection, name: str, invariant: str, bindings: Mapping[str, int]
) -> list[Finding]:
    rows = connection.execute(statement(f"checks/{name}"), bindings)
    return [Finding(check=name, invariant=invariant, message=str(text)) for (text,) in rows]
