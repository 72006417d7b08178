"""Webhooks and pings: one POST, no redirects, and no word of the URL's path in any message."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import ssl
import uuid
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

from jobctl import __version__
from jobctl.clock import iso
from jobctl.notify.notice import one_line
from jobctl.notify.sending import SendFailed, secret, trusted
from jobctl.notify.words import headline

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

_FINAL: Final = frozenset({400, 410, 413, 422})
"""What a service says of a message that it will never take. Others (401, 404, 429, 5xx) may be mended."""
_RUNS: Final = uuid.UUID("6a6f6263-746c-5f72-756e-000000000001")
_MOMENTS: Final = (
    "at",
    "due_at",
    "submitted_at",
    "started_at",
    "finished_at",
    "next_at",
    "first",
    "last",
)
_TEXT_OUTPUT: Final = 500


def send_webhook(notice: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Post the notice as JSON, signed if there is a key. Raises SendFailed."""
    key = secret(settings, "secret_file")
    body = json.dumps(payload(notice), ensure_ascii=False).encode()
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "X-Jobctl-Event": notice["event"],
        # The same each time it is tried: whoever has seen it may pass over it.
        "X-Jobctl-Delivery": notice["message_id"].strip("<>"),
    }
    if key is not None:
        headers["X-Jobctl-Signature-256"] = f"sha256={signature(key, body)}"
    return _post(_url(settings), headers, body, settings)


def payload(notice: Mapping[str, Any]) -> dict[str, Any]:
    """What a webhook says: the notice with moments as ISO 8601, and ``text``, which chats show."""
    said = {name: value for name, value in notice.items() if name not in ("message_id", "thread")}
    said |= {name: iso(said[name]) for name in _MOMENTS if isinstance(said.get(name), int)}
    if "items" in said:
        said["items"] = [payload(item) for item in said["items"]]
    return {"text": text_of(notice), **said}


def text_of(notice: Mapping[str, Any]) -> str:
    """The notice for a chat that takes Slack's mark-up; nothing in it is a link or calls anybody."""
    lines = [f"[{notice['host']}] {headline(notice)}"]
    lines += [f"• {headline(item)}" for item in notice.get("items", ())[:20]]
    output = str(notice.get("output") or "").strip()[-_TEXT_OUTPUT:]
    if output and notice["event"] in ("failure", "retry", "output"):
        lines += ["```", output.replace("```", "'''"), "```"]
    escaped = "\n".join(lines).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # Mattermost and Discord know other calls than Slack does.
    return re.sub(r"@(?=\w)", "@\u200b", escaped)


def signature(key: str, body: bytes) -> str:
    """HMAC-SHA256 of the body, as hexadecimal digits."""
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


def send_ping(notice: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Tell a service like healthchecks.io. Raises SendFailed."""
    url = _url(settings)
    task = re.sub(r"[^a-z0-9_-]+", "-", str(notice.get("task") or "jobctl").lower())
    url = url.replace("{task}", task)
    parts = urlsplit(url)
    path = parts.path.rstrip("/") + suffix(notice)
    query = parts.query
    if notice.get("id") is not None:
        rid = urlencode({"rid": run_id(notice)})
        query = f"{query}&{rid}" if query else rid
    body = str(notice.get("output") or "").encode()
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    return _post(parts._replace(path=path, query=query).geturl(), headers, body, settings)


def suffix(notice: Mapping[str, Any]) -> str:
    """What is appended to the address: ``/start``, nothing for success, ``/12``, ``/fail``, ``/log``."""
    match notice["event"]:
        case "start":
            return "/start"
        case "success":
            return ""
        case "failure":
            code = notice.get("exit_code")
            return f"/{code}" if isinstance(code, int) and 0 < code < 256 else "/fail"
        case _:
            return "/log"


def run_id(notice: Mapping[str, Any]) -> str:
    """A UUID that the start and the end of one attempt share."""
    told = f"{notice['instance']}/{notice['id']}/{notice['attempt']}"
    return str(uuid.uuid5(_RUNS, told))


def _url(settings: Mapping[str, Any]) -> str:
    url = secret(settings, "url_file") or settings["url"]
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        is_whole = False
    if not is_whole or any(not 32 < ord(c) < 127 for c in url):
        raise SendFailed("url_file: it holds no URL")
    return str(url)


def _post(url: str, headers: dict[str, str], body: bytes, settings: Mapping[str, Any]) -> str:
    parts = urlsplit(url)
    where = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {**headers, "User-Agent": f"jobctl/{__version__}"}
    try:
        connection = _connection(parts, settings)
        try:
            connection.request("POST", target, body=body, headers=headers)
            answer = connection.getresponse()
            answer.read(64 * 1024)
        finally:
            connection.close()
    except ssl.SSLError as error:
        raise SendFailed(f"{where}: no safe connection: {one_line(str(error), 300)}") from None
    except TimeoutError:
        raise SendFailed(f"{where} did not answer in time") from None
    except OSError as error:
        raise SendFailed(f"{where}: {error.strerror or error}") from None
    except HTTPException as error:
        raise SendFailed(f"{where} gave no proper answer: {type(error).__name__}") from None
    if 200 <= answer.status < 300:
        return f"{where} answered {answer.status}"
    said = f"{where} answered {answer.status} {one_line(answer.reason or '', 100)}".rstrip()
    if 300 <= answer.status < 400:
        said += "; redirects are not followed: write the URL to which it leads"
    raise SendFailed(said, is_final=answer.status in _FINAL)


def _connection(parts: SplitResult, settings: Mapping[str, Any]) -> HTTPConnection:
    assert parts.hostname is not None
    timeout = settings["timeout"]
    if parts.scheme == "http":
        return HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    return HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=trusted(settings))
