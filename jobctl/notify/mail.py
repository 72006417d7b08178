"""Mail: the message, and how it is handed to a server.

Names of tasks, commands and outputs come from users. In headers they are one line without control
characters (`jobctl.notify.notice.one_line`); the standard library encodes what is not ASCII, and refuses line
ends there in any case. Everything travels as 7-bit text.
"""

from __future__ import annotations

import os
import pwd
import re
import smtplib
import ssl
import subprocess
from datetime import UTC, datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Final

from jobctl.clock import SECOND
from jobctl.notify.notice import one_line
from jobctl.notify.sending import SendFailed, secret, trusted
from jobctl.notify.words import about, facts, headline

if TYPE_CHECKING:
    from collections.abc import Mapping

_PERMANENT: Final = range(500, 600)
_POLICY: Final = policy.SMTP.clone(cte_type="7bit")


def compose(notice: Mapping[str, Any], settings: Mapping[str, Any]) -> EmailMessage:
    """The mail of a notice."""
    mail = EmailMessage(policy=_POLICY)
    is_cron = settings["form"] == "cron" and notice["event"] not in (
        "digest",
        "test",
        "missed",
        "late",
    )
    mail["From"] = _sender(notice, settings, is_cron=is_cron)
    mail["To"] = ", ".join(settings["to"])
    mail["Subject"] = _cron_subject(notice) if is_cron else _subject(notice)
    mail["Date"] = format_datetime(datetime.fromtimestamp(notice["at"] / SECOND, tz=UTC))
    mail["Message-ID"] = notice["message_id"]
    if not is_cron and (threads := _threads(notice)):
        mail["References"] = " ".join(threads)
    mail["Auto-Submitted"] = "auto-generated"
    mail["Precedence"] = "bulk"
    mail["List-Id"] = f"<jobctl.{notice['host']}>"
    for name in ("event", "task", "id", "state"):
        if notice.get(name) is not None:
            header = "Job" if name == "id" else name.title()
            mail[f"X-Jobctl-{header}"] = one_line(str(notice[name]), 200)
    mail.set_content(_cron_body(notice) if is_cron else _body(notice), charset="utf-8")
    return mail


def _sender(notice: Mapping[str, Any], settings: Mapping[str, Any], *, is_cron: bool) -> str:
    named = settings.get("from")
    if is_cron:
        return f'"(Cron Daemon)" <{named or "root"}>'
    if named is not None:
        return str(named)
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = str(os.geteuid())
    return str(Address("jobctl", user, notice["host"]))


def _subject(notice: Mapping[str, Any]) -> str:
    return one_line(f"[{notice['host']}] jobctl: {headline(notice)}", 250)


def _cron_subject(notice: Mapping[str, Any]) -> str:
    user = notice.get("user")
    if user is None or isinstance(user, int):
        try:
            user = pwd.getpwuid(os.geteuid() if user is None else user).pw_name
        except KeyError:
            user = user if user is not None else os.geteuid()
    command = notice.get("command") or about(notice)
    return one_line(f"Cron <{user}@{notice['host']}> {command}", 900)


def _threads(notice: Mapping[str, Any]) -> list[str]:
    """What the mail belongs to: its task, and the first failure of the series."""
    found = []
    if notice.get("task") is not None:
        task = re.sub(r"[^A-Za-z0-9._-]", "-", str(notice["task"]))
        found.append(f"<jobctl.{notice['instance']}.task.{task}@{notice['host']}>")
    thread = notice.get("thread")
    if thread and thread != notice["message_id"]:
        found.append(str(thread))
    return found


def _cron_body(notice: Mapping[str, Any]) -> str:
    output = str(notice.get("output") or "")
    return output if output.endswith("\n") else f"{output}\n"


def _body(notice: Mapping[str, Any]) -> str:
    if notice["event"] == "digest":
        return _body_of_digest(notice)
    lines = [f"{headline(notice)}", "", *_fact_lines(notice)]
    output = notice.get("output")
    if output:
        size = notice.get("output_bytes")
        lines += ["", f"Output ({size} bytes):", "", output.rstrip("\n")]
    lines += _next_lines(notice)
    return "\n".join(lines) + "\n"


def _fact_lines(notice: Mapping[str, Any]) -> list[str]:
    known = facts(notice)
    width = max(len(name) for name, _ in known) + 1
    indent = "\n" + " " * (width + 1)
    return [f"{f'{name}:':{width}} {text}".replace("\n", indent) for name, text in known]


def _next_lines(notice: Mapping[str, Any]) -> list[str]:
    if notice.get("id") is not None:
        job = notice["id"]
        commands = [f"jobctl status {job}", f"jobctl logs {job}"]
        if notice["event"] == "late":
            commands.append(f"jobctl why {job}")
        if notice["event"] == "failure":
            commands.append(f"jobctl retry {job}")
    elif notice["event"] == "missed":
        commands = [f"jobctl why {notice['task']}"]
    else:
        return []
    return ["", "To go on:", *(f"  {command}" for command in commands)]


def _body_of_digest(notice: Mapping[str, Any]) -> str:
    lines = [headline(notice), ""]
    for item in notice["items"]:
        lines.append(f"* {headline(item)}")
        for name, text in facts(item):
            if name in ("job", "finished", "error", "last"):
                lines.append(f"    {name}: {one_line(text, 200)}")
    rest = notice["count"] - len(notice["items"])
    if rest > 0:
        lines.append(f"* and {rest} more: jobctl list")
    return "\n".join(lines) + "\n"


# -- handing it over --------------------------------------------------------------------------------


def send(notice: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Hand the mail over; gives back what came of it. Raises SendFailed."""
    mail = compose(notice, settings)
    if settings.get("smtp"):
        return _by_smtp(mail, settings)
    return _by_sendmail(mail, settings)


def _by_sendmail(mail: EmailMessage, settings: Mapping[str, Any]) -> str:
    program = settings["sendmail"]
    data = mail.as_bytes(policy=_POLICY.clone(linesep="\n"))
    # -oi: a line with a dot alone is text. -t: it reads from the header who gets it; nothing of a user
    # stands among its arguments.
    try:
        done = subprocess.run(
            [program, "-oi", "-t"],
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    except OSError as error:
        raise SendFailed(f"{program} cannot be started: {error.strerror}") from None
    if done.returncode != 0:
        said = one_line(done.stdout.decode(errors="replace"), 300)
        raise SendFailed(f"{program} ended with {done.returncode}: {said or 'it said nothing'}")
    return f"{program} took the mail"


def _by_smtp(mail: EmailMessage, settings: Mapping[str, Any]) -> str:
    host, _, port = settings["smtp"].rpartition(":")
    if not host or not port.isdecimal():
        host, port = settings["smtp"], "465" if settings["tls"] == "tls" else "587"
    host = host.strip("[]")
    where = f"{host}:{port}"
    password = secret(settings, "password_file")
    try:
        with _connect(host, int(port), settings) as server:
            if password is not None:
                server.login(settings["username"], password)
            refused = server.send_message(mail)
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        final = all(code in _PERMANENT for code in codes)
        raise SendFailed(f"{where} refused: {_said(error.recipients)}", is_final=final) from None
    except smtplib.SMTPAuthenticationError as error:
        raise SendFailed(f"{where} refused the login: {_text(error.smtp_error)}") from None
    except smtplib.SMTPDataError as error:
        final = error.smtp_code in _PERMANENT
        said = f"{error.smtp_code} {_text(error.smtp_error)}"
        raise SendFailed(f"{where} refused the mail: {said}", is_final=final) from None
    except smtplib.SMTPResponseException as error:
        said = f"{error.smtp_code} {_text(error.smtp_error)}"
        raise SendFailed(f"{where} refused: {said}") from None
    except smtplib.SMTPException as error:
        raise SendFailed(f"{where}: {one_line(str(error), 300)}") from None
    except ssl.SSLError as error:
        raise SendFailed(f"{where}: no safe connection: {one_line(str(error), 300)}") from None
    except OSError as error:
        raise SendFailed(f"{where}: {error.strerror or error}") from None
    if refused:
        return f"{where} took the mail, but refused: {_said(refused)}"
    return f"{where} took the mail"


def _connect(host: str, port: int, settings: Mapping[str, Any]) -> smtplib.SMTP:
    timeout = settings["timeout"]
    if settings["tls"] == "tls":
        return smtplib.SMTP_SSL(host, port, timeout=timeout, context=trusted(settings))
    server = smtplib.SMTP(host, port, timeout=timeout)
    if settings["tls"] == "starttls":
        try:
            server.starttls(context=trusted(settings))
        except BaseException:
            server.close()
            raise
    return server


def _said(refused: Mapping[str, tuple[int, bytes]]) -> str:
    said = [f"{address} ({code} {_text(text)})" for address, (code, text) in refused.items()]
    return one_line(", ".join(said), 500)


def _text(said: bytes | str) -> str:
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    return one_line(text, 300)
