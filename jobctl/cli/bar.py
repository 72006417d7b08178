"""How far a running job or a long submit has come, as text and as a line that is drawn anew on a terminal."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self

    from jobctl.cli.session import Session

_WIDTH = 20
_PAUSE_S = 0.5


def short(progress: dict[str, Any]) -> str:
    """``30% (3/10) copying``; without a total ``3 copying``, without an amount ``copying``."""
    if progress["done"] is None:
        return str(progress["note"])
    done = _number(progress["done"])
    if progress.get("total") is None:
        amount = done
    else:
        amount = f"{progress['percent']:.0f}% ({done}/{_number(progress['total'])})"
    return f"{amount} {progress['note']}" if progress.get("note") else amount


def drawn(progress: dict[str, Any]) -> str:
    """The same after a bar, where it is known how much there is to do."""
    if progress.get("percent") is None:
        return short(progress)
    return f"{_bar(progress['percent'])} {short(progress)}"


def _bar(percent: float) -> str:
    filled = round(percent * _WIDTH / 100)
    return f"[{'#' * filled}{'.' * (_WIDTH - filled)}]"


def _number(value: Any) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


class LiveBar:
    """The bar of one job below its output, on standard error, while both go to a person.

    It stands alone on its line: it is taken away before output is written, and not drawn again while that
    has not ended its line. A job that says nothing of how far it has come has none.
    """

    def __init__(self, session: Session, job: int) -> None:
        import threading

        self._session = session
        self._job = job
        self._lock = threading.RLock()
        self._is_over = threading.Event()
        self._shown = ""
        self._may_draw = True
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        import threading

        if self._session.screen.err.isatty():
            self._thread = threading.Thread(target=self._follow, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._thread is None:
            return
        self._is_over.set()
        self._thread.join()
        self._erase()

    def write(self, take: Any, answer: dict[str, Any]) -> None:
        """Let ``take`` write an answer's part of the output where the bar stands."""
        with self._lock:
            self._erase()
            take(answer)
            if answer.get("data"):
                self._may_draw = answer["data"].endswith("\n")

    def _erase(self) -> None:
        with self._lock:
            if self._shown:
                self._put("\r\x1b[K")
                self._shown = ""

    def _put(self, text: str) -> None:
        err = self._session.screen.err
        err.write(text)
        err.flush()

    def _follow(self) -> None:
        """Ask from time to time: a person sees no more than that."""
        from jobctl.cli.render import clean
        from jobctl.errors import JobctlError
        from jobctl.protocol.requests import Status

        while not self._is_over.wait(_PAUSE_S):
            try:
                with self._session.client() as client:
                    job = client.call(Status(job=self._job))
            except JobctlError:
                continue  # The daemon is away; whoever follows the output knows for how long.
            with self._lock:
                progress = job.get("progress")
                text = clean(drawn(progress)) if progress else ""
                text = text[: max(self._session.screen.width - 1, 10)]
                if text == self._shown or not self._may_draw:
                    continue
                self._erase()
                if text:
                    self._put(text)
                    self._shown = text


class CountBar:
    """How many jobs of a file are submitted, on standard error, while that goes to a person.

    ``size``: of the file in bytes, None where it has no end yet; without one there is a count alone.
    """

    def __init__(self, session: Session, size: int | None) -> None:
        self._session = session
        self._size = size
        self._is_seen = session.screen.err.isatty()
        self._next_at = session.clock.monotonic() + _PAUSE_S
        self._is_drawn = False

    def draw(self, count: int, read_bytes: int) -> None:
        """Show it, if the last time was long enough ago to be seen."""
        now = self._session.clock.monotonic()
        if not self._is_seen or now < self._next_at:
            return
        self._next_at = now + _PAUSE_S
        text = f"{count} jobs"
        if self._size:
            percent = min(read_bytes * 100 / self._size, 100.0)
            text = f"{_bar(percent)} {percent:.0f}% {text}"
        self._put(f"\r\x1b[K{text}")
        self._is_drawn = True

    def erase(self) -> None:
        """Take it away. Safe to repeat."""
        if self._is_drawn:
            self._put("\r\x1b[K")
            self._is_drawn = False

    def _put(self, text: str) -> None:
        err = self._session.screen.err
        err.write(text)
        err.flush()
