"""Metrics as text, judged by a reader that was written from the specifications."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from jobctl.exposition import (
    END,
    Family,
    Sample,
    bucket_samples,
    counter,
    gauge,
    render,
    write_file,
)
from tests.support import exposition
from tests.support.exposition import Malformed

if TYPE_CHECKING:
    from pathlib import Path

FAMILIES = [
    counter("jobctl_runs", 'Runs, "all" of them\n\\', [((("task", 'a"b\\c\nd é'),), 3)]),
    gauge("jobctl_up", "Up.", [((), 1)]),
    Family("jobctl_build", "info", "Versions.", [Sample((("version", "1"),), 1)]),
    Family(
        "jobctl_wait_seconds",
        "histogram",
        "Waits.",
        list(bucket_samples((("queue", "q"),), (0.1, 1.0), (2, 0, 5), 12.5)),
    ),
]


@pytest.mark.parametrize("is_open", [False, True])
def test_what_is_written_is_read_as_it_was_meant(is_open: bool) -> None:
    text = "".join(render(family, is_open=is_open) for family in FAMILIES) + is_open * END

    found = exposition.read(text, is_open=is_open)

    runs = found["jobctl_runs" if is_open else "jobctl_runs_total"]
    assert runs.value("_total" if is_open else "", task='a"b\\c\nd é') == 3
    assert found["jobctl_up"].value() == 1
    build = found["jobctl_build" if is_open else "jobctl_build_info"]
    assert build.kind == ("info" if is_open else "gauge")
    waits = found["jobctl_wait_seconds"]
    assert waits.value("_bucket", queue="q", le="0.1") == 2
    assert waits.value("_bucket", queue="q", le="+Inf") == waits.value("_count", queue="q") == 7
    assert waits.value("_sum", queue="q") == 12.5


@pytest.mark.parametrize(
    "text",
    [
        "# HELP a b\n# TYPE a gauge\na 1",
        "# HELP a b\n# TYPE a gauge\na 1\na 2\n",
        "# HELP a b\n# TYPE a gauge\nb 1\n",
        "# HELP a b\n# TYPE a counter\na 1\n",
        "# HELP a_total b\n# TYPE a_total counter\na_total -1\n",
        '# HELP a b\n# TYPE a gauge\na{x="\\q"} 1\n',
        '# HELP a b\n# TYPE a gauge\na{x="1",x="2"} 1\n',
        "# HELP a b\n# TYPE a gauge\na  1\n",
        "# TYPE a gauge\na 1\n",
        "# HELP a b\n# TYPE a gauge\na 1\n# HELP c d\n# TYPE c gauge\n# HELP a b\n",
        '# HELP a b\n# TYPE a histogram\na_bucket{le="1"} 1\na_sum 1\na_count 1\n',
        '# HELP a b\n# TYPE a histogram\na_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n',
        "# HELP a_minutes b\n# TYPE a_minutes gauge\na_minutes 1\n",
    ],
)
def test_the_reader_refuses_what_a_scrape_would(text: str) -> None:
    with pytest.raises(Malformed):
        exposition.read(text)


def test_a_file_is_replaced_whole_and_everybody_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "jobctl.prom"
    path.write_text("old")
    before = path.stat().st_ino

    write_file(path, "new\n")

    assert path.read_text() == "new\n"
    assert path.stat().st_ino != before
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "jobctl.prom"
    path.mkdir()

    with pytest.raises(OSError, match=r"jobctl\.prom"):
        write_file(path, "new\n")

    assert list(tmp_path.iterdir()) == [path]
