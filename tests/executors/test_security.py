"""What DaskExecutor makes of ``security``, and whom it warns of a cluster without."""

from __future__ import annotations

import socket
import warnings
from collections import deque
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from distributed import Security

from prefectlite import DaskExecutor
from prefectlite.cli.certificates import make_certificates, write_private
from prefectlite.errors import (
    DefinitionError,
    DefinitionTypeError,
    ExecutorError,
    InsecureClusterWarning,
)
from prefectlite.executors import security
from prefectlite.executors.security import ROLES, client_context, is_open, security_of, warn_if_open


@pytest.fixture
def made(tmp_path: Path) -> Path:
    now = datetime.now(UTC)
    write_private(tmp_path / "tls", make_certificates(["a"], now, now + timedelta(1)), force=False)
    return tmp_path / "tls"


@pytest.fixture(autouse=True)
def _looked_at_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "_looked_at", set())


@pytest.mark.parametrize(
    ("address", "is_it"),
    [
        ("tcp://127.0.0.1:8786", False),
        ("tcp://127.9.9.9:8786", False),
        ("tcp://localhost:8786", False),
        ("tcp://[::1]:8786", False),
        ("tcp://[::ffff:127.0.0.1]:8786", False),
        ("tcp://[::ffff:10.0.0.1]:8786", True),
        ("tcp://0.0.0.0:8786", True),
        ("tcp://192.0.2.1:8786", True),
        ("ws://192.0.2.1:8786", True),
        ("tcp://[fe80::1%lo]:8786", True),
        ("tcp://no-such-host.invalid:8786", True),
        ("tls://192.0.2.1:8786", False),
        ("wss://192.0.2.1:8786", False),
        ("gateway://192.0.2.1:8786", False),
        ("inproc://192.0.2.1/1/2", False),
    ],
)
def test_an_address_is_open_if_it_is_on_a_network_and_plain(address: str, is_it: bool) -> None:
    assert is_open(address) is is_it


def client_of(known: str, says: str) -> Any:
    """A client, as far as it is asked."""
    return SimpleNamespace(scheduler=SimpleNamespace(address=known), scheduler_info=lambda: {"address": says})


def test_an_open_cluster_is_warned_of_once_with_the_mend() -> None:
    client = client_of("tcp://192.0.2.1:8786", "tcp://192.0.2.1:8786")
    with pytest.warns(InsecureClusterWarning) as caught:
        deque(map(warn_if_open, [client, client]))
    [one] = caught
    for words in (
        "'tcp://192.0.2.1:8786' is open to the network",
        "prefectlite tls DIRECTORY",
        "DaskExecutor('tls://192.0.2.1:8786', security='DIRECTORY')",
        "warnings.simplefilter('ignore', prefectlite.errors.InsecureClusterWarning)",
    ):
        assert words in str(one.message)


def test_behind_a_tunnel_the_schedulers_own_address_counts() -> None:
    with pytest.warns(InsecureClusterWarning, match=r"tcp://192\.0\.2\.7:8786"):
        warn_if_open(client_of("tcp://localhost:8786", "tcp://192.0.2.7:8786"))


def test_what_is_on_the_loopback_or_encrypted_is_not_warned_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_open(client_of("tcp://127.0.0.1:1", "tcp://127.0.0.1:1"))
        warn_if_open(client_of("tls://192.0.2.1:1", "tls://192.0.2.1:1"))


def test_a_directory_becomes_dasks_security(made: Path) -> None:
    of_client, of_all = security_of(str(made)), security_of(made, ROLES)

    assert of_client.require_encryption
    assert of_client.tls_client_key == str(made / "client-key.pem")
    assert of_client.tls_scheduler_key is None
    assert of_all.tls_scheduler_cert == str(made / "scheduler-cert.pem")
    assert of_all.tls_worker_key == str(made / "worker-key.pem")
    assert security_of(of_all) is of_all


def test_a_client_needs_three_files_and_a_cluster_all(made: Path) -> None:
    for name in ("scheduler-key.pem", "worker-cert.pem"):
        (made / name).unlink()

    assert security_of(made).tls_ca_file == str(made / "ca.pem")
    with pytest.raises(
        ExecutorError, match=r"lacks scheduler-key\.pem, worker-cert\.pem\. Make it with 'prefectlite tls"
    ):
        security_of(made, ROLES)
    with pytest.raises(ExecutorError, match=r"lacks ca\.pem, client-cert\.pem, client-key\.pem"):
        security_of(made / "nowhere")


def test_a_file_that_is_no_certificate_is_named(made: Path) -> None:
    (made / "client-key.pem").write_text("no key")

    with pytest.raises(ExecutorError, match=r"client-key\.pem.*prefectlite tls"):
        client_context("tls://a:1", security_of(made))


def test_a_client_without_a_certificate_is_told_where_to_get_one() -> None:
    with pytest.raises(ExecutorError, match=r"DaskExecutor\('tls://a:1', security='DIRECTORY'\)"):
        client_context("tls://a:1", None)


def test_security_is_a_directory_or_dasks_own() -> None:
    assert "security='x'" in repr(DaskExecutor("tls://a:1", security="x"))
    DaskExecutor(n_workers=1, security=Security())
    with pytest.raises(DefinitionTypeError, match="security=True of type bool"):
        DaskExecutor("tls://a:1", security=True)


def test_two_securities_are_refused() -> None:
    with pytest.raises(DefinitionError, match="another security in client_kwargs"):
        DaskExecutor("tls://a:1", security="x", client_kwargs={"security": Security()})
    with pytest.raises(DefinitionError, match="another security in cluster_kwargs"):
        DaskExecutor(security="x", cluster_kwargs={"security": Security()})


def test_a_cluster_that_is_connected_needs_no_security() -> None:
    with pytest.raises(DefinitionError, match="connected already"):
        DaskExecutor(SimpleNamespace(scheduler_address="tls://a:1"), security="x")


def test_nothing_that_listens_is_told_apart_from_what_refuses(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prefectlite.executors.reach.CONNECT_TIMEOUT", 0.3)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"tls://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ExecutorError, match="Nothing listens"):
            DaskExecutor(address, security=made).open(None, print, print)  # type: ignore[arg-type]
