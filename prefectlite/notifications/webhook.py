"""Tells by HTTP: any webhook, and Slack's. Knows requests; lets no URL out."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import urlsplit

from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.kinds import check_kind
from prefectlite.notifications.notifier import Notice, Notifier, plain, secret
from prefectlite.notifications.outbox import THREAD, Undelivered

_OK: Final = range(200, 300)


@dataclass(frozen=True, kw_only=True, repr=False)
class WebhookNotifier(Notifier):
    """A notifier that posts JSON to a URL.

    Parameters
    ----------
    ignore_states : iterable of type
        Classes of states that are not told, nor are those below them.
    only_states : iterable of type
        If any: the classes of the only states that are told, with those below them.
    timeout : float
        How long the other side may take to answer, in seconds.
    url : str, pydantic.SecretStr or None
        Where to post; a secret, which shows nowhere but for its host. If None, it is looked up by its name.
    webhook_secret : str
        The name of the URL in the context's ``secrets`` or in the environment.
    headers : mapping of str to str, or None
        More headers, such as ``Authorization``; they are secrets, too.
    proxies : mapping of str to str, or None
        Proxies by scheme, as requests takes them.
    formatter : callable or None
        Takes the ``Notice`` and returns what is posted; by default, its fields.

    Raises
    ------
    DefinitionError
        When the URL is none, or the timeout not positive.
    DefinitionTypeError
        When another option is of the wrong kind.
    """

    url: Any = None
    webhook_secret: str = "WEBHOOK_URL"
    headers: Mapping[str, str] | None = None
    proxies: Mapping[str, str] | None = None
    formatter: Callable[[Notice], Any] | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        name = f"A {type(self).__name__}"
        check_kind(
            name, "webhook_secret", self.webhook_secret, str, "give the name of a secret: 'WEBHOOK_URL'."
        )
        check_kind(name, "formatter", self.formatter, Callable | None, "give a function of a Notice.")
        for option in ("headers", "proxies"):
            if not isinstance(getattr(self, option), Mapping | None):
                raise DefinitionTypeError(
                    f"{option} of {self} is no mapping (it is not shown, as it may hold a secret); give a "
                    "dict of texts."
                )
        if self.url is not None and not _host(plain(self.url)):
            raise DefinitionError(
                f"url of a {type(self).__name__} is no web address (it is not shown, as it is a secret); "
                "give one that begins with https://."
            )

    @property
    def label(self) -> str:
        """Who it is, the host that it posts to, and a mark that tells URLs of one host apart."""
        if self.url is None:
            return f"{type(self).__name__}({self.webhook_secret})"
        url = plain(self.url)
        mark = blake2b(url.encode("utf-8", "surrogatepass"), digest_size=2).hexdigest()
        return f"{type(self).__name__}({_host(url)} #{mark})"

    def letter(self, notice: Notice) -> Callable[[], None]:
        """Return what posts a notice.

        Parameters
        ----------
        notice : Notice
            What to tell.

        Returns
        -------
        callable
            Posts it.

        Raises
        ------
        Undelivered
            When the URL is not known.
        """
        url = secret(self.url, self.webhook_secret, "its URL")
        if not _host(url):
            raise Undelivered(f"{self.webhook_secret} is no web address; it begins with https://")
        body = json.dumps(self.payload(notice)).encode()
        return lambda: _post(url, body, self.headers, self.timeout, self.proxies)

    def payload(self, notice: Notice) -> Any:
        """Return what is posted, ready for JSON.

        Parameters
        ----------
        notice : Notice
            What to tell.

        Returns
        -------
        object
            What the formatter makes of it, or its fields.
        """
        return notice.to_dict() if self.formatter is None else self.formatter(notice)


@dataclass(frozen=True, kw_only=True, repr=False)
class SlackNotifier(WebhookNotifier):
    """A notifier that posts to an incoming webhook of Slack, or of a chat that understands the same form.

    Parameters
    ----------
    ignore_states : iterable of type
        Classes of states that are not told, nor are those below them.
    only_states : iterable of type
        If any: the classes of the only states that are told, with those below them.
    timeout : float
        How long the other side may take to answer, in seconds.
    url : str, pydantic.SecretStr or None
        The webhook; a secret. If None, it is looked up by its name.
    webhook_secret : str
        The name of the URL in the context's ``secrets`` or in the environment.
    headers : mapping of str to str, or None
        More headers.
    proxies : mapping of str to str, or None
        Proxies by scheme, as requests takes them.
    formatter : callable or None
        Takes the ``Notice`` and returns what is posted; by default, an attachment in the state's color.
    """

    webhook_secret: str = "SLACK_WEBHOOK_URL"

    def payload(self, notice: Notice) -> Any:
        """Return what is posted.

        Parameters
        ----------
        notice : Notice
            What to tell.

        Returns
        -------
        object
            What the formatter makes of it, or a message with one attachment.
        """
        if self.formatter is not None:
            return self.formatter(notice)
        attachment = {
            "fallback": notice.text,
            "color": notice.color,
            "title": notice.text,
            "text": notice.message or "",
            "footer": f"flow run {notice.flow_run_id}, {notice.time}",
        }
        return {"attachments": [attachment]}


#: Posts the fields of a ``Notice``; needs a ``url``.
webhook_notifier: Final = WebhookNotifier()
#: Posts to Slack; the URL is the secret ``SLACK_WEBHOOK_URL`` if none is given.
slack_notifier: Final = SlackNotifier()


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        return (parts.hostname or "") if parts.scheme in ("http", "https") else ""
    except ValueError:
        return ""


def _post(
    url: str,
    body: bytes,
    headers: Mapping[str, str] | None,
    timeout: float,
    proxies: Mapping[str, str] | None,
) -> None:
    try:
        import requests
    except ImportError as error:
        raise Undelivered("requests is not installed: pip install 'prefectlite[notify]'") from error
    _hush()
    try:
        # A redirect is not followed, as it would take the notice to where nobody sent it.
        with requests.post(
            url,
            data=body,
            headers={"Content-Type": "application/json", **(headers or {})},
            timeout=timeout,
            proxies=dict(proxies or {}),
            allow_redirects=False,
            stream=True,
        ) as answer:
            status = answer.status_code
    except requests.RequestException as error:
        # The error's text holds the URL.
        raise Undelivered(f"{_host(url)} could not be reached ({type(error).__name__})") from None
    if status not in _OK:
        raise Undelivered(f"{_host(url)} answered {status}")


def _hush() -> None:
    # urllib3 logs the path of each request at DEBUG, and a webhook's path is its password.
    logging.getLogger("urllib3.connectionpool").addFilter(_is_not_ours)


def _is_not_ours(record: logging.LogRecord) -> bool:
    return record.threadName != THREAD
