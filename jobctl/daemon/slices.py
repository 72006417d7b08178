"""Long answers, worked on a slice a turn: a walk over millions of rows, the output of a job.

Nobody waits for a long answer but the client that asked for it, and it waits for its client: what is not
read is not produced either. A client that asks for many at once gets one after the other: were all of them
begun, each would hold a part of its answer, and the others would wait for a round through them all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final

from jobctl.daemon.storing import refuse_fault
from jobctl.errors import JobctlError
from jobctl.store.database import Refused, storage_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobctl.clock import Clock
    from jobctl.daemon.server import Call, Connection
    from jobctl.errors import StorageError

Slice = Generator[None, None, dict[str, Any]]
"""Yields between slices; its return value is the answer (an empty one: somebody else answers)."""

TURN_S: Final = 0.01
"""After this long the other answers have to wait for the next turn."""


class Slices:
    """Everything that is under way."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.on_trouble: Callable[[StorageError], None] = lambda _error: None
        """Told when the store refused to be read."""
        self._works: dict[Connection, deque[tuple[Call, Slice]]] = {}
        self._turns: deque[Connection] = deque()

    def add(self, call: Call, work: Slice) -> None:
        """Begin an answer; its first slice comes with a next `step`, after its client's earlier ones."""
        connection = call.connection
        if connection not in self._works:
            self._works[connection] = deque()
            self._turns.append(connection)
        self._works[connection].append((call, work))

    @property
    def wants_turn(self) -> bool:
        """Some client is ready for more, or gone. The others are woken by their sockets."""
        return any(
            not connection.is_open or not connection.is_congested for connection in self._turns
        )

    def step(self) -> None:
        """One slice for each client that reads, for as long as a turn may take."""
        end = self._clock.monotonic() + TURN_S
        for _ in range(len(self._turns)):
            connection = self._turns.popleft()
            self._serve(connection, self._works[connection])
            if self._works[connection]:
                self._turns.append(connection)
            else:
                del self._works[connection]
            if self._clock.monotonic() >= end:
                return

    def _serve(self, connection: Connection, works: deque[tuple[Call, Slice]]) -> None:
        if not connection.is_open:
            for _, work in works:
                work.close()
            works.clear()
        elif not connection.is_congested and not self._go_on(*works[0]):
            works.popleft()

    def _go_on(self, call: Call, work: Slice) -> bool:
        """Do one slice; False when the answer is whole or cannot be given."""
        try:
            next(work)
        except StopIteration as end:
            if end.value:
                call.answer(end.value)
        except JobctlError as error:
            call.refuse(error)
        except Refused as error:
            trouble = storage_error(error)
            self.on_trouble(trouble)
            call.refuse(trouble)
        except Exception:  # noqa: BLE001 -- a fault of ours in one answer is not everybody's
            refuse_fault(call)
        else:
            return True
        return False
