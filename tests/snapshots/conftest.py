"""Lines run in this process against a scripted daemon."""

from __future__ import annotations

from tests.integration.cli.line_fixtures import berlin, daemon, run, socket_path

__all__ = ["berlin", "daemon", "run", "socket_path"]
