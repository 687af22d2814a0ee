"""Mails, told of by flows that run, at a mail server on this machine."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from prefectlite import Flow, LocalExecutor, task
from prefectlite.notifications import EmailNotifier, email_notifier
from prefectlite.states import Failed, State

HERE = LocalExecutor()


class Mailbox:
    """Takes in every mail, and notes who logged in."""

    def __init__(self) -> None:
        self.mails: list[Message] = []
        self.logins: list[tuple[bytes, bytes]] = []
        self.port = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(message_from_bytes(envelope.content))
        return "250 OK"

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login, data.password))
        # Not handled: a refusal is the server's to say.
        return AuthResult(success=data.password == b"s3cr3t", handled=False)


class OnAnyPort(Controller):
    """A mail server on a port that is free."""

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


Serve = Callable[..., Mailbox]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start mail servers on loopback."""
    running = []

    def start(**options: Any) -> Mailbox:
        box = Mailbox()
        controller = OnAnyPort(
            box,
            hostname="127.0.0.1",
            port=0,
            authenticator=box.authenticate,
            auth_require_tls=False,
            **options,
        )
        controller.start()
        running.append(controller)
        box.port = controller.port
        return box

    yield start
    for controller in running:
        controller.stop()


def run(notify: EmailNotifier) -> State:
    def work() -> None:
        raise ValueError("no rows")

    with Flow("told\nof") as flow:
        task(work, name="work", state_handlers=[notify(only_states=[Failed])])()
    return flow.run(executor=HERE)


def mail_to(box: Mailbox, **options: Any) -> EmailNotifier:
    given = {"host": "127.0.0.1", "port": box.port, "security": "none", "login": False, "sender": "me@x.org"}
    return email_notifier(**{**given, "to": "you@x.org", **options})


def test_a_mail_tells_the_transition(serve: Serve) -> None:
    box = serve()

    run(mail_to(box, to=["you@x.org", "all@x.org"]))

    [mail] = box.mails
    assert mail["Subject"] == "Task work of flow told of is Failed"
    assert mail["From"] == "me@x.org"
    assert mail["To"] == "you@x.org, all@x.org"
    text = str(mail.get_payload())
    assert "old_state: Running\nstate: Failed\n" in text.replace("\r\n", "\n")
    assert "no rows" in text


def test_the_login_comes_from_secrets_and_is_sender_and_recipient_too(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMAIL_USERNAME", "me@x.org")
    monkeypatch.setenv("EMAIL_PASSWORD", "s3cr3t")
    box = serve()

    run(mail_to(box, login=True, sender=None, to=()))

    assert set(box.logins) == {(b"me@x.org", b"s3cr3t")}
    [mail] = box.mails
    assert mail["From"] == mail["To"] == "me@x.org"


def test_a_refused_login_is_logged_without_the_password(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    box = serve()

    run(mail_to(box, login=True, username="me@x.org", password="wr0ng"))

    assert box.mails == []
    assert "127.0.0.1 answered 535 (SMTPAuthenticationError)" in caplog.text
    assert "wr0ng" not in caplog.text


def test_a_server_that_is_not_there_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    run(
        email_notifier(host="127.0.0.1", port=1, security="none", login=False, sender="a@x.org", to="b@x.org")
    )

    assert "127.0.0.1 could not be reached (ConnectionRefusedError)" in caplog.text


@pytest.fixture
def certificate(tmp_path: Path) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate for 127.0.0.1 that it signed itself."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(
        [*command.split(), "-keyout", key, "-out", chain], check=True, capture_output=True, timeout=60
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    return context


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_the_way_is_encrypted(
    security: str, serve: Serve, certificate: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "chain.pem"))
    box = serve(**{"tls_context" if security == "starttls" else "ssl_context": certificate})

    run(mail_to(box, security=security, login=True, username="me@x.org", password="s3cr3t"))

    assert len(box.mails) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_server_that_nobody_vouches_for_gets_no_password(
    security: str, serve: Serve, certificate: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    box = serve(**{"tls_context" if security == "starttls" else "ssl_context": certificate})

    run(mail_to(box, security=security, login=True, username="me@x.org", password="s3cr3t"))

    assert box.mails == box.logins == []
    assert "(SSLCertVerificationError)" in caplog.text
