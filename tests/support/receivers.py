"""Real servers that receive what is sent to people: mail by SMTP, webhooks and pings by HTTP."""

from __future__ import annotations

import asyncio
import email
import socket
import threading
from dataclasses import dataclass, field
from email import policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import SMTP, AuthResult

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from email.message import EmailMessage


class Place:
    """A port that is this test's own before anything serves there: it refuses connections, or takes them and
    never says a word."""

    def __init__(self) -> None:
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.port = int(self.socket.getsockname()[1])

    def hang(self) -> None:
        """Take connections from now on, and say nothing."""
        self.socket.listen(100)

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


class Mailbox:
    """A mail server. ``refuse`` gives the answer to the recipient of each mail, None to take it."""

    def __init__(
        self,
        *,
        place: Place | None = None,
        login: tuple[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        refuse: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self._place, self._login, self._tls, self._refuse = place, login, tls, refuse
        self.raw: list[bytes] = []
        self.recipients: list[list[str]] = []
        self.logins: list[tuple[str, str]] = []

    @property
    def mails(self) -> list[EmailMessage]:
        """What came, oldest first."""
        return [email.message_from_bytes(raw, policy=policy.default) for raw in self.raw]

    def __enter__(self) -> Mailbox:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        begun = asyncio.run_coroutine_threadsafe(self._begin(), self._loop)
        self._server = begun.result(20)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def _begin(self) -> asyncio.Server:
        def protocol() -> SMTP:
            return SMTP(
                self,
                hostname="mail.test",
                tls_context=self._tls,
                require_starttls=self._tls is not None,
                authenticator=self._authenticate if self._login else None,
                auth_required=self._login is not None,
                auth_require_tls=self._tls is not None,
                loop=self._loop,
            )

        place = self._place or Place()
        return await self._loop.create_server(protocol, sock=place.socket)

    def _authenticate(self, _s: Any, _ss: Any, _e: Any, _m: str, data: Any) -> AuthResult:
        given = (data.login.decode(), data.password.decode())
        self.logins.append(given)
        return AuthResult(success=given == self._login, handled=False)

    async def handle_RCPT(  # noqa: N802 -- the name that aiosmtpd wants
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        """Take or refuse a recipient."""
        refused = self._refuse(address)
        if refused is None:
            envelope.rcpt_tos.append(address)
        return refused or "250 OK"

    async def handle_DATA(  # noqa: N802 -- likewise
        self, _server: Any, _session: Any, envelope: Any
    ) -> str:
        """Take a mail."""
        self.recipients.append(list(envelope.rcpt_tos))
        self.raw.append(envelope.content)
        return "250 OK"

    def __exit__(self, *_: object) -> None:
        async def end() -> None:
            self._server.close()
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()


@dataclass
class Request:
    """One request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Hook:
    """An HTTP server. ``answer`` gives the status of each request by its path."""

    place: Place = field(default_factory=Place)
    answer: Callable[[str], int] = lambda _: 200
    requests: list[Request] = field(default_factory=list)

    def __enter__(self) -> Hook:
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the name that http.server wants
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                headers = {name.lower(): value for name, value in self.headers.items()}
                hook.requests.append(Request("POST", self.path, headers, body))
                self.send_response(hook.answer(self.path))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = self.place.socket
        self._server.server_activate()
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    @property
    def url(self) -> str:
        """Its address, with a path that is a secret."""
        return f"http://127.0.0.1:{self.place.port}/hook/5ec4e7"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(20)
