"""Mail by a real server with certificates and logins, sent as the sender sends it."""

from __future__ import annotations

import ssl
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.notify.mail import send
from jobctl.notify.sending import SendFailed
from tests.support.receivers import Mailbox, Place
from tests.unit.notify.test_mail import a_notice

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of 127.0.0.1, with its key in ``key.pem``."""
    path = tmp_path / "cert.pem"
    options = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30"
    names = ("-subj", "/CN=mail.test", "-addext", "subjectAltName=IP:127.0.0.1")
    subprocess.run(
        ["openssl", "req", *options.split(), "-keyout", tmp_path / "key.pem", "-out", path, *names],
        check=True,
        capture_output=True,
    )
    return path


def tls_of(certificate: Path) -> ssl.SSLContext:
    """What the server shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    return context


def settings(mailbox: Mailbox, tmp_path: Path, **others: Any) -> dict[str, Any]:
    """A route to the server, with a login."""
    password = tmp_path / "password"
    password.write_text("s3cret\n")
    return {
        "form": "jobctl",
        "to": ["ops@example.org"],
        "from": "jobs@example.org",
        "smtp": f"127.0.0.1:{mailbox.port}",
        "tls": "starttls",
        "timeout": 20.0,
        "username": "jobs",
        "password_file": str(password),
        **others,
    }


def test_a_login_goes_through_a_connection_that_was_made_safe(
    certificate: Path, tmp_path: Path
) -> None:
    with Mailbox(login=("jobs", "s3cret"), tls=tls_of(certificate)) as mailbox:
        send(a_notice(), settings(mailbox, tmp_path, ca_file=str(certificate)))

    assert mailbox.logins == [("jobs", "s3cret")]
    assert "backup FAILED" in mailbox.mails[0]["Subject"]


def test_a_certificate_that_is_not_trusted_gets_no_password(
    certificate: Path, tmp_path: Path
) -> None:
    with (
        Mailbox(login=("jobs", "s3cret"), tls=tls_of(certificate)) as mailbox,
        pytest.raises(SendFailed, match="no safe connection") as failed,
    ):
        send(a_notice(), settings(mailbox, tmp_path))

    assert not failed.value.is_final
    assert mailbox.logins == []
    assert mailbox.raw == []


def test_a_server_without_tls_gets_no_password(tmp_path: Path) -> None:
    with Mailbox() as mailbox, pytest.raises(SendFailed, match="STARTTLS"):
        send(a_notice(), settings(mailbox, tmp_path))

    assert mailbox.raw == []


def test_a_wrong_password_may_be_mended_and_is_not_told(certificate: Path, tmp_path: Path) -> None:
    with (
        Mailbox(login=("jobs", "other"), tls=tls_of(certificate)) as mailbox,
        pytest.raises(SendFailed, match="refused the login") as failed,
    ):
        send(a_notice(), settings(mailbox, tmp_path, ca_file=str(certificate)))

    assert not failed.value.is_final
    assert "s3cret" not in str(failed.value)


def test_one_bad_recipient_does_not_keep_the_mail_from_the_others(tmp_path: Path) -> None:
    def refuse(address: str) -> str | None:
        return "550 unknown" if address == "gone@example.org" else None

    plain = {"tls": "none", "username": None, "password_file": None}
    with Mailbox(refuse=refuse) as mailbox:
        to = ["gone@example.org", "ops@example.org"]
        said = send(a_notice(), settings(mailbox, tmp_path, to=to, **plain))
        with pytest.raises(SendFailed, match="550 unknown") as failed:
            send(a_notice(), settings(mailbox, tmp_path, to=to[:1], **plain))

    assert "refused: gone@example.org (550 unknown)" in said
    assert mailbox.recipients == [["ops@example.org"]]
    assert failed.value.is_final


def test_a_password_that_cannot_be_read_is_named_by_its_file(tmp_path: Path) -> None:
    with Mailbox() as mailbox:
        missing = settings(mailbox, tmp_path, password_file=str(tmp_path / "none"))
        with pytest.raises(SendFailed, match="none cannot be read"):
            send(a_notice(), missing)
        credential = settings(mailbox, tmp_path, password_file="credential:smtp")
        with pytest.raises(SendFailed, match='was given no "credential:smtp"'):
            send(a_notice(), credential)


def test_a_server_that_is_not_there_is_tried_again(tmp_path: Path) -> None:
    with Place() as away, Mailbox() as mailbox:
        gone = settings(mailbox, tmp_path, smtp=f"127.0.0.1:{away.port}")
        with pytest.raises(SendFailed, match="Connection refused") as failed:
            send(a_notice(), gone)

    assert not failed.value.is_final
