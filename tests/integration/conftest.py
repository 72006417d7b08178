"""Fixtures for tests of real processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jobctl.store.database import Database, open_database
from tests.support.asking import Asking
from tests.support.beating import Beating
from tests.support.daemon import Daemon, running_daemon
from tests.support.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """A running daemon without a configuration."""
    with running_daemon() as started:
        yield started


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A daemon that is to be started with a module of functions."""
    with running_daemon(start=False) as daemon:
        monkeypatch.setenv("JOBCTL_SOCKET", str(daemon.socket))
        yield Shop(daemon)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty store."""
    opened = open_database(tmp_path / "jobctl.db")
    yield opened
    opened.close()


@pytest.fixture
def beating(database: Database) -> Beating:
    """A beat over that store, with a clock that tests move."""
    return Beating(database)


@pytest.fixture
def asking(beating: Beating, tmp_path: Path) -> Asking:
    """What answers requests about the schedules of that beat."""
    return Asking(beating, tmp_path)
