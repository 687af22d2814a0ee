"""Tells by mail. Knows SMTP from the standard library; lets no password out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from prefectlite.errors import DefinitionError
from prefectlite.kinds import check_kind
from prefectlite.notifications.notifier import Notice, Notifier, secret
from prefectlite.notifications.outbox import Undelivered

if TYPE_CHECKING:
    from email.message import EmailMessage
    from smtplib import SMTP

_PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}


@dataclass(frozen=True, kw_only=True, repr=False)
class EmailNotifier(Notifier):
    """A notifier that sends a mail.

    Parameters
    ----------
    ignore_states : iterable of type
        Classes of states that are not told, nor are those below them.
    only_states : iterable of type
        If any: the classes of the only states that are told, with those below them.
    timeout : float
        How long the server may take to answer, in seconds.
    host : str
        The mail server.
    port : int or None
        Its port; by default, 587, 465 or 25, as ``security`` has it.
    security : {"starttls", "tls", "none"}
        Whether the connection turns to TLS after a greeting, begins with it, or has none.
    login : bool
        Whether the server wants a name and a password.
    username, password : str, pydantic.SecretStr or None
        The login. If None, they are looked up as ``EMAIL_USERNAME`` and ``EMAIL_PASSWORD``, in the context's
        ``secrets`` or in the environment.
    sender : str or None
        Who the mail is from; by default, the user name.
    to : str or sequence of str
        Whom it is for; by default, the user name.

    Raises
    ------
    DefinitionError
        When ``security`` is none of the three, or the timeout not positive.
    DefinitionTypeError
        When another option is of the wrong kind.
    """

    host: str = "localhost"
    port: int | None = None
    security: Literal["starttls", "tls", "none"] = "starttls"
    login: bool = True
    username: Any = None
    password: Any = None
    sender: str | None = None
    to: str | Sequence[str] = ()

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        for name, kind, mend in (
            ("host", str, "the mail server's name: host='smtp.example.org'"),
            ("port", int | None, "a number: port=587"),
            ("sender", str | None, "an address: sender='flows@example.org'"),
            ("to", str | Sequence, "an address, or a list of them: to='me@example.org'"),
        ):
            check_kind("An EmailNotifier", name, getattr(self, name), kind, f"give {mend}.")
        if self.security not in tuple(_PORTS):
            raise DefinitionError(
                f"security of an EmailNotifier is {self.security!r}; give 'starttls', 'tls' or 'none'."
            )

    @property
    def label(self) -> str:
        """Who it is, and the server that it uses."""
        return f"{type(self).__name__}({self.host})"

    def letter(self, notice: Notice) -> Callable[[], None]:
        """Return what mails a notice.

        Parameters
        ----------
        notice : Notice
            What to tell.

        Returns
        -------
        callable
            Mails it.

        Raises
        ------
        Undelivered
            When the login, the sender or the recipient is not known.
        """
        # Imported where it is needed: every run of a flow imports this module, and few send mails.
        from email.message import EmailMessage

        username = self._username() if self.login else ""
        password = secret(self.password, "EMAIL_PASSWORD", "its password") if self.login else ""
        mail = EmailMessage()
        mail["Subject"] = " ".join(notice.text.split())
        mail["From"] = self.sender or self._username()
        mail["To"] = (self.to if isinstance(self.to, str) else ", ".join(self.to)) or self._username()
        lines = [f"{name}: {value}" for name, value in notice.to_dict().items() if value and name != "color"]
        mail.set_content("\n".join(lines))
        return lambda: self._send(mail, username, password)

    def _username(self) -> str:
        return secret(self.username, "EMAIL_USERNAME", "its user name")

    def _send(self, mail: EmailMessage, username: str, password: str) -> None:
        import smtplib
        import ssl

        try:
            with self._connected() as server:
                if self.security == "starttls":
                    server.starttls(context=ssl.create_default_context())
                if self.login:
                    server.login(username, password)
                server.send_message(mail)
        except smtplib.SMTPResponseException as error:
            raise Undelivered(f"{self.host} answered {error.smtp_code} ({type(error).__name__})") from None
        except (OSError, smtplib.SMTPException) as error:
            raise Undelivered(f"{self.host} could not be reached ({type(error).__name__})") from None

    def _connected(self) -> SMTP:
        import smtplib
        import ssl

        port = self.port or _PORTS[self.security]
        if self.security == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(self.host, port, timeout=self.timeout, context=context)
        return smtplib.SMTP(self.host, port, timeout=self.timeout)


#: Mails by the server of this machine, unless told otherwise.
email_notifier: Final = EmailNotifier()
#: Mails by Gmail to its user; the secrets are ``EMAIL_USERNAME`` and ``EMAIL_PASSWORD``.
gmail_notifier: Final = EmailNotifier(host="smtp.gmail.com", security="tls")
