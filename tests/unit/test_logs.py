"""Where log lines go decides their form."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from jobctl.logs import is_journal

if TYPE_CHECKING:
    from pathlib import Path


def test_the_journal_is_recognised_by_the_very_file_that_it_names(tmp_path: Path) -> None:
    file = tmp_path / "log"
    with file.open("w") as stream:
        found = file.stat()
        environ = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}

        assert is_journal(stream, environ)


def test_an_inherited_name_of_the_journal_says_nothing_about_another_file(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream:
        assert not is_journal(stream, {"JOURNAL_STREAM": "8:1"})
        assert not is_journal(stream, {"JOURNAL_STREAM": "nonsense"})
        assert not is_journal(stream, {})


def test_a_stream_without_a_descriptor_is_no_journal() -> None:
    assert not is_journal(io.StringIO(), {"JOURNAL_STREAM": "8:1"})
