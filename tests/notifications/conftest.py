"""Servers on this machine that take in what is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from prefectlite.notifications import notifier
from prefectlite.notifications.outbox import Outbox


class Hook:
    """A web server that notes what is posted to it, and answers as it is told."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, dict[str, str], Any]] = []
        self.status = 200
        self.hold = threading.Event()
        self.hold.set()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.posts.append((self.path, dict(self.headers), json.loads(body)))
                hook.hold.wait(30)
                self.send_response(hook.status)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def do_GET(self) -> None:
                hook.posts.append((self.path, {}, None))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/services/T0/B0/s3cr3t"

    @property
    def bodies(self) -> list[Any]:
        return [body for _, _, body in self.posts]


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    """A web server on loopback, which no proxy of the machine stands before."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    found = Hook()
    thread = threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    found.hold.set()
    found.server.shutdown()
    thread.join()
    found.server.server_close()


@pytest.fixture(autouse=True)
def outbox(monkeypatch: pytest.MonkeyPatch) -> Outbox:
    """An outbox of the test's own, which has not complained of anything yet."""
    fresh = Outbox()
    monkeypatch.setattr(notifier, "OUTBOX", fresh)
    monkeypatch.setattr("prefectlite.driver.run.OUTBOX", fresh)
    return fresh
