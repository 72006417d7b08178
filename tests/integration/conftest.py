"""Fixtures for tests of real processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.daemon import Daemon, running_daemon
from tests.support.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Iterator


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
