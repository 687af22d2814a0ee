"""Clusters that somebody else started: found, connected, looked at. Starts nothing, sends no task."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary

from prefectlite.errors import ExecutorError
from prefectlite.executors.cluster import Place, ask_workers, leave_workers_to_nannies, scheduler_file_address
from prefectlite.executors.security import client_context
from prefectlite.late import loaded

#: How long to look for a scheduler at an address, in seconds.
CONNECT_TIMEOUT: Final = 5.0
#: How long to wait for workers to name their version, in seconds; busy ones may be unable to.
ANSWER_TIMEOUT: Final = 10.0
_HOST_AND_PORT: Final = re.compile(r"^(\[[0-9a-fA-F:.]+\]|[\w.-]+):\d+$")
# What is asked of the scheduler and of each worker. It goes as text, since a process that lacks prefectlite
# could not look up a function of ours.
_VERSION: Final = (
    "(__import__('socket').gethostname(), __import__('prefectlite').__version__,"
    " '%d.%d' % __import__('sys').version_info[:2], __import__('distributed').__version__)"
)
# Of a scheduler: what Dask tells its workers apart by, by address. A process may hold several schedulers.
_WORKERS: Final = (
    "{address: worker.server_id for one in __import__('distributed').Scheduler._instances"
    " if %r in one.clients for address, worker in one.workers.items()}"
)
_PATIENCE: Final = 0.3
_logger = logging.getLogger(__name__)
_SCHEDULER: Final = "the scheduler"
#: How often to look whether a client is connected, in seconds.
_GLANCE: Final = 0.01
#: By client, which workers said the right version: what Dask tells each apart by, by address.
_said: WeakKeyDictionary[Any, dict[str, str]] = WeakKeyDictionary()


def is_address(text: str) -> bool:
    """Return whether a string looks like an address, not like the name of a class.

    Parameters
    ----------
    text : str
        Anything.

    Returns
    -------
    bool
        True for ``tcp://host:8786`` and ``host:8786``.
    """
    return "://" in text or _HOST_AND_PORT.match(text) is not None


def borrow_client(client: Any) -> Place:
    """Return the place behind a live client, which stays open.

    Parameters
    ----------
    client : distributed.Client
        Synchronous, or asynchronous if its scheduler lives elsewhere than in this thread's event loop.

    Returns
    -------
    Place
        With that client, or with one of our own beside an asynchronous one.

    Raises
    ------
    ExecutorError
        When the client is closed, or cannot be used from here.
    """
    _await_connection(client)
    if client.status != "running":
        raise ExecutorError(
            f"The Dask client {client!r} is {client.status}, so nothing can be sent through it; pass a "
            "running one, or its scheduler's address."
        )
    address = client.scheduler.address
    leave_workers_to_nannies(client.cluster)
    if not client.asynchronous:
        return Place(client, _name_of(client), False, None, address.startswith("inproc://"))
    if client.cluster is not None:
        _refuse_own_loop(f"asynchronous Dask client of {address} and its cluster live", client.loop)
    return _connect(address, {"security": client.security})


def _await_connection(client: Any) -> None:
    """Wait for a client that another thread has just opened; not in the loop that would have to open it."""
    if _running_loop() is client.loop.asyncio_loop:
        return
    deadline = time.monotonic() + CONNECT_TIMEOUT
    while client.status in ("newly-created", "connecting") and time.monotonic() < deadline:
        time.sleep(_GLANCE)


def borrow_cluster(cluster: Any) -> Place:
    """Return the place of a live cluster object, which stays up.

    Parameters
    ----------
    cluster : distributed.deploy.Cluster
        Any cluster that is running.

    Returns
    -------
    Place
        With a client of our own.

    Raises
    ------
    ExecutorError
        When the cluster is not running, or in the event loop that the call would block.
    """
    status = getattr(cluster.status, "name", str(cluster.status))
    if status != "running":
        raise ExecutorError(
            f"The cluster {type(cluster).__name__} is {status}, so nothing can run there; pass one that "
            "is running, or its class with cluster_kwargs, so that each flow run starts its own."
        )
    _refuse_own_loop(f"cluster {type(cluster).__name__} lives", getattr(cluster, "loop", None))
    leave_workers_to_nannies(cluster)
    place = _connect(cluster.scheduler_address, {"security": cluster.security})
    place.name = type(cluster).__name__
    return place


def reach_scheduler_file(path: str | os.PathLike[str], client_kwargs: Mapping[str, Any]) -> Place:
    """Connect to the scheduler that a scheduler file names.

    Parameters
    ----------
    path : str or path
        The file.
    client_kwargs : mapping
        Arguments of the client.

    Returns
    -------
    Place
        With a client of our own.

    Raises
    ------
    ExecutorError
        When the file is missing or no scheduler answers at its address.
    """
    return reach_address(scheduler_file_address(path), client_kwargs)


def reach_address(address: str, client_kwargs: Mapping[str, Any]) -> Place:
    """Connect to a scheduler.

    Parameters
    ----------
    address : str
        ``tcp://host:8786``, ``tls://...`` or ``host:8786``.
    client_kwargs : mapping
        Arguments of the client.

    Returns
    -------
    Place
        With a client of our own.

    Raises
    ------
    ExecutorError
        When no scheduler answers there; the text names the address and the mend.
    """
    scheme, _, rest = address.rpartition("://")
    if scheme in ("http", "https"):
        raise _is_dashboard(address)
    _refuse_own_loop(f"Dask scheduler at {address!r} lives", _schedulers_loop(address))
    if scheme in ("", "tcp"):
        _knock(address, rest.strip("/"))
    elif scheme == "tls":
        _show_certificate(address, rest.strip("/"), client_context(address, client_kwargs.get("security")))
    return _connect(address, client_kwargs)


def _refuse_own_loop(what: str, loop: Any) -> None:
    """Say that something can never answer in this thread, if its event loop is this thread's."""
    if loop is not None and _running_loop() is getattr(loop, "asyncio_loop", loop):
        raise ExecutorError(
            f"The {what} in the event loop that this call would block, so the flow could never end. Call it "
            "from another thread with 'await asyncio.to_thread(flow.run)', or make a synchronous one "
            "(asynchronous=False), which works in notebooks too."
        )


def _schedulers_loop(address: str) -> Any:
    """Return the event loop of the scheduler at an address, if it is in this process."""
    distributed: Any = loaded("distributed")
    schedulers = () if distributed is None else distributed.Scheduler._instances
    there = address.rpartition("://")[2].strip("/")
    for one in list(schedulers):
        if one.status.name == "running" and one.address.rpartition("://")[2] == there:
            return one.loop
    return None


def _connect(address: str, client_kwargs: Mapping[str, Any]) -> Place:
    import distributed

    kwargs = {"timeout": CONNECT_TIMEOUT, **client_kwargs}
    try:
        client = distributed.Client(address, set_as_default=False, **kwargs)
    except (OSError, TimeoutError, ValueError, RuntimeError) as error:
        raise ExecutorError(
            f"No Dask scheduler answers at {address!r} ({type(error).__name__}: {error}). Check the "
            "address in the scheduler's log ('Scheduler at: ...'), that it is reachable from this host, "
            "and security= for a tls:// one."
        ) from error
    return Place(client, address, True, None, address.startswith("inproc://"))


def _knock(address: str, host_and_port: str) -> None:
    """Say quickly and exactly why no scheduler can be at an address, before Dask waits for it in vain."""
    with _door(address, host_and_port) as door:
        said = _first_words(door)
    if said.startswith(b"HTTP/"):
        raise _is_dashboard(address)
    if not said:
        # Dask would wait for it much longer than its own timeout says.
        raise ExecutorError(
            f"Something listens at {address!r}, but it does not speak as a Dask scheduler does. Check the "
            "port in the scheduler's log ('Scheduler at: ...'). One that was started with certificates has a "
            "tls:// address and takes only clients that have one too: DaskExecutor('tls://...', "
            "security='DIRECTORY'), with the directory that 'prefectlite tls' made."
        )


def _show_certificate(address: str, host_and_port: str, context: ssl.SSLContext) -> None:
    """Say quickly and exactly why a scheduler and this client cannot agree on certificates, if so."""
    with _door(address, host_and_port) as plain:
        try:
            with context.wrap_socket(plain) as door:
                # What the other side thinks of our certificate comes after the handshake.
                door.settimeout(CONNECT_TIMEOUT)
                if door.recv(1):
                    return
                reason = "it closed the connection"
        except OSError as error:
            reason = str(error.reason if isinstance(error, ssl.SSLError) else error)
            reason = getattr(error, "verify_message", "") or reason
    raise ExecutorError(
        f"The Dask scheduler at {address!r} and this client do not accept each other's certificates "
        f"({reason}). Both need files of one run of 'prefectlite tls', which are good for the days that it "
        "said: pass as security the directory that the scheduler was started with, or make new files with "
        "--force and start scheduler and workers again. Without certificates, an address has tcp://."
    )


def _door(address: str, host_and_port: str) -> socket.socket:
    """Return a connection to an address."""
    if not _HOST_AND_PORT.match(host_and_port):
        raise ExecutorError(
            f"The scheduler address {address!r} has no host and port; write it as 'tcp://HOST:PORT', "
            "usually with port 8786."
        )
    host, _, port = host_and_port.rpartition(":")
    end = time.monotonic() + CONNECT_TIMEOUT
    while True:
        try:
            # A scheduler that is started beside us may need a moment.
            return socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT)
        except (socket.gaierror, UnicodeError) as error:
            why = getattr(error, "strerror", None) or error
            raise ExecutorError(
                f"The host of the scheduler address {address!r} is not known here ({why}); "
                "check its spelling, or use its IP address."
            ) from error
        except (OSError, OverflowError) as error:
            if time.monotonic() > end or not isinstance(error, ConnectionRefusedError):
                raise ExecutorError(
                    f"Nothing listens at the scheduler address {address!r} ({error}). Start one with "
                    "'dask scheduler', or take the address from its log ('Scheduler at: ...')."
                ) from error
            time.sleep(0.2)


def _first_words(door: socket.socket) -> bytes:
    # A scheduler speaks first; a web server waits to be asked.
    try:
        door.settimeout(_PATIENCE)
        with contextlib.suppress(TimeoutError):
            return door.recv(5)
        door.sendall(b"GET / HTTP/1.0\r\n\r\n")
        door.settimeout(CONNECT_TIMEOUT)
        return door.recv(5)
    except OSError:
        return b""


def _is_dashboard(address: str) -> ExecutorError:
    return ExecutorError(
        f"{address!r} is a web page, probably the Dask dashboard; flows are sent to the scheduler itself. "
        "Its address begins with tcp:// (usually port 8786) and stands in the scheduler's log and at the "
        "top of the dashboard's info page."
    )


def check_versions(place: Place) -> None:
    """Make sure that scheduler and workers have this very prefectlite, and workers this Python.

    Through a client that was in use before, new workers alone are asked: others have said it, and one that
    is busy might take long to say it again. Where the scheduler cannot say who is new, all of them are.

    Parameters
    ----------
    place : Place
        A cluster that we did not start.

    Raises
    ------
    ExecutorError
        When one of them lacks it or has another version, of Python another minor one; the text names host,
        versions and the mend. Another Dask, and another Python of the scheduler, are warned of.
    """
    client = place.client
    said = _said.get(client, {})
    there = _workers_by_plugin(client) if client in _said else None
    if there is None:
        _judge(_scheduler_s(client))
        there = _workers_by_scheduler(client)
    new = None if there is None else [one for one, identity in there.items() if said.get(one) != identity]
    answers: dict[str, Any] = {}
    if new is None or new:
        answers = ask_workers(client, eval, _VERSION, timeout=ANSWER_TIMEOUT, on_error="return", workers=new)
        _judge({f"the worker {address}": answer for address, answer in answers.items()})
    place.count = len(answers if there is None else there)
    _said[client] = {
        one: identity
        for one, identity in (there or {}).items()
        if said.get(one) == identity or isinstance(answers.get(one), tuple)
    }


def _workers_by_plugin(client: Any) -> dict[str, str] | None:
    """Return what tells workers apart, by address; None where our plugin is not there to ask."""
    try:
        return dict(client.sync(client.scheduler.prefectlite_workers))
    except Exception:
        return None


def _workers_by_scheduler(client: Any) -> dict[str, str] | None:
    """Return the same as the scheduler itself says it; None from one that answers no such questions."""
    try:
        return dict(client.run_on_scheduler(eval, _WORKERS % client.id))
    except Exception:
        return None


def _scheduler_s(client: Any) -> dict[str, Any]:
    """Return the scheduler's answer; none from one that was told to open no pickles of its clients."""
    try:
        return {_SCHEDULER: client.run_on_scheduler(eval, _VERSION)}
    except (ImportError, AttributeError) as error:
        return {_SCHEDULER: error}
    except ValueError:
        return {}


def _judge(found: Mapping[str, Any]) -> None:
    """Refuse places that cannot do our work; of those that may misunderstand us, tell."""
    here, ours, python, dask = eval(_VERSION)
    for who, answer in found.items():
        if isinstance(answer, ImportError | AttributeError):
            raise ExecutorError(
                f"prefectlite {ours} cannot be imported on {who} ({type(answer).__name__}: {answer}). "
                f"Install the same version there, for example with pip install prefectlite=={ours}."
            )
        if not isinstance(answer, tuple):
            continue
        host, theirs, their_python, their_dask = answer
        if theirs != ours:
            raise ExecutorError(
                f"prefectlite is {theirs} on {who} (host {host}), but {ours} here (host {here}). Install one "
                "version in all places."
            )
        if their_python != python and who != _SCHEDULER:
            # Functions travel as bytecode: another version crashes by it, or computes something else.
            raise ExecutorError(
                f"Python is {their_python} on {who} (host {host}), but {python} here (host {here}), and "
                "neither runs what the other compiled. Use one version in all places."
            )
        for name, there, at_home in (("Python", their_python, python), ("Dask", their_dask, dask)):
            if there != at_home:
                _logger.warning(
                    "%s is %s on %s (host %s), but %s here: they may misunderstand each other, and a worker "
                    "may be lost by that. Install one version in all places.",
                    *(name, there, who, host, at_home),
                )


def _running_loop() -> Any:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _name_of(client: Any) -> str:
    return str(client.scheduler.address) if client.cluster is None else type(client.cluster).__name__
