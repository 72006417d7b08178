"""Waiting for jobs and following their output, over restarts of the daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobctl.cli import verdict
from jobctl.cli.bar import LiveBar
from jobctl.cli.output import OutputWriter
from jobctl.cli.repeat import Repeater
from jobctl.errors import DaemonNotRunning, Unreachable
from jobctl.protocol.requests import Logs, Wait

if TYPE_CHECKING:
    from jobctl.cli.session import Session
    from jobctl.client import Client


def follow_output(
    session: Session,
    job: int,
    *,
    attempt: int | None = None,
    stream: str | None = None,
    tail_bytes: int | None = None,
) -> None:
    """Write a job's output as it comes, until the job ends, over restarts of the daemon."""
    writer = OutputWriter(session.screen, stream=stream, is_tail=tail_bytes is not None)

    def request(*, follow: bool) -> Logs:
        has_begun = bool(writer.offset or writer.stderr_offset)
        return Logs(
            job=job,
            attempt=attempt,
            stream=stream,
            offset=writer.offset,
            stderr_offset=writer.stderr_offset,
            tail_bytes=None if has_begun else tail_bytes,
            follow=follow,
        )

    bar = LiveBar(session, job)

    def show(client: Client) -> None:
        for answer in client.stream(request(follow=True)):
            bar.write(writer.take, answer)

    try:
        with bar:
            Repeater(lambda: session.client(timeout_s=None)).run(show)
    except DaemonNotRunning:
        if writer.offset or writer.stderr_offset:
            raise
        # Nothing will be added while no daemon runs: what there is, is all.
        with session.reader() as client:
            for answer in client.stream(request(follow=False)):
                writer.take(answer)


def wait_for(
    session: Session, ids: list[int], *, timeout_s: float | None = None
) -> tuple[dict[str, Any] | None, int]:
    """Wait for jobs over restarts of the daemon: its answer, and the exit code that follows from it.

    An end that the exit code does not explain has been told in a line, unless the answer is JSON.

    The answer is None, and the failure has been shown, when the daemon stayed away. Raises JobctlError
    for what the daemon refuses and DaemonNotRunning when none was there to begin with.
    """

    begin = session.clock.monotonic()

    def ask(client: Client) -> dict[str, Any]:
        left: float | None = None
        if timeout_s is not None:
            left = max(0.0, timeout_s - (session.clock.monotonic() - begin))
        return client.call(Wait(jobs=ids, timeout_s=left))

    with session.client() as first:
        first.connect()
    try:
        answer = Repeater(lambda: session.client(timeout_s=None)).run(ask)
    except (Unreachable, DaemonNotRunning) as error:
        session.screen.failure(error, as_json=session.as_json)
        return None, verdict.UNKNOWN
    if not session.as_json:
        for note in verdict.notes_of(answer):
            session.screen.note(f"jobctl: {note}")
    return answer, verdict.exit_code_of(answer)
