"""Where the Dask cluster comes from: reached, borrowed or started. Knows clients and clusters; knows no task.

Nothing here imports Dask before it is needed, so that naming an executor costs nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import math
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import current_process, resource_tracker
from pathlib import Path
from typing import Any, Final

from prefectlite.errors import ExecutorError
from prefectlite.executors.hush import hush, level_of
from prefectlite.worker.descendants import descendants, end_all

#: How long to wait for worker processes that were killed, in seconds.
CLOSE_TIMEOUT: Final = 1.5
_DEFAULT_SATURATION: Final = 1.1
_NANNY: Final = "prefectlite.executors.mainless.MainlessNanny"
# Dask imports parts of itself when a scheduler starts, and not all are there for a thread that comes second.
_starting: Final = threading.Lock()


@dataclass(slots=True)
class Place:
    """A Dask cluster, through a client.

    Parameters
    ----------
    client : distributed.Client
        A synchronous client.
    name : str
        What the user would call it: a class name or an address.
    owns_client : bool
        Whether we made the client, so that we close it.
    cluster : object or None
        The cluster, if we started it.
    in_process : bool
        Whether its workers are threads of this process.
    count : int or None
        How many workers it had, or was told to have; None if not known.
    growth : Future or None
        Ends when the workers of an own local cluster have started.
    unhush : callable
        Lets through again what Dask says in this process.
    """

    client: Any
    name: str
    owns_client: bool
    cluster: Any = None
    in_process: bool = False
    count: int | None = None
    growth: Future[None] | None = None
    unhush: Callable[[], None] = field(default=lambda: None, repr=False)

    @property
    def description(self) -> str:
        """The name and the number of workers."""
        if self.count is None:
            return self.name
        return f"{self.name}, {self.count} worker{'' if self.count == 1 else 's'}"

    @property
    def is_local(self) -> bool:
        """Whether we started it and its workers share this machine's disk."""
        return self.cluster is not None and _is_local_cluster(type(self.cluster))

    @property
    def can_kill(self) -> bool:
        """Whether its workers are processes of this machine that we started."""
        return self.is_local and not self.in_process

    def settle(self) -> None:
        """Wait for the workers that an own local cluster was told to start.

        Raises
        ------
        ExecutorError
            When one of them cannot start.
        """
        if self.growth is None:
            return
        try:
            self.growth.result()
        except Exception as error:
            raise ExecutorError(
                f"A worker of {self.name} could not start: {_told(error)}. "
                "Look at the cluster_kwargs, and at the memory and the disk of this machine."
            ) from error

    def close(self, force: bool = False) -> None:
        """Stop what we started and leave the rest as it was.

        Parameters
        ----------
        force : bool
            Whether bodies may still run that would not end by themselves.
        """
        if self.cluster is None:
            if self.owns_client:
                _quietly(self.client.close)
            return
        if force and self.can_kill:
            self._kill_workers()
        _quietly(self.client.close)
        # A body that ignores everything must not hold up the end: when time is up, its process is killed.
        _quietly(lambda: self.cluster.close(timeout=20))
        self.unhush()

    def _kill_workers(self) -> None:
        """End workers with all that bodies have started there: nobody waits for it any more."""

        async def kill() -> None:
            # Among ``cluster.workers`` one comes after its worker may have begun a body.
            nannies = list(self.cluster._created)
            for nanny in nannies:
                # Else it would start the worker again.
                nanny.close_gracefully()
                process = getattr(nanny.process, "process", None)
                if process is not None and process.is_alive():
                    # It stands still first, or one of its bodies could start something meanwhile.
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process.pid, signal.SIGSTOP)
                    started = descendants(process.pid)
                    await process.kill()
                    end_all(started)
            closing = [asyncio.ensure_future(nanny.close(timeout=1)) for nanny in nannies]
            if closing:
                await asyncio.wait(closing, timeout=CLOSE_TIMEOUT)

        _quietly(lambda: self.cluster.sync(kill, callback_timeout=2 * CLOSE_TIMEOUT))


def ask_workers(
    client: Any,
    function: Callable[..., Any],
    *arguments: Any,
    timeout: float,
    on_error: str = "ignore",
    workers: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Call a function on workers, and wait for their answers no longer than that.

    Parameters
    ----------
    client : distributed.Client
        Through which to ask.
    function : callable
        What to call, in the worker's event loop.
    *arguments : object
        Its arguments.
    timeout : float
        Seconds. A worker whose body holds Python's global lock cannot answer before that body lets go.
    on_error : {"ignore", "return"}
        Whether a worker's exception is left out or given as its answer.
    workers : sequence of str, optional
        Their addresses; by default all.

    Returns
    -------
    dict of str to object
        Answers by worker address; empty when one did not answer in time, or nobody could be asked.
    """

    async def ask() -> Any:
        return await client.run(function, *arguments, on_error=on_error, workers=workers)

    if client.status != "running":
        return {}
    asked = asyncio.run_coroutine_threadsafe(ask(), client.loop.asyncio_loop)
    try:
        return dict(asked.result(timeout))
    except Exception:
        asked.cancel()
        return {}


def import_object(path: str) -> Any:
    """Import what a string names.

    Parameters
    ----------
    path : str
        ``"package.module.Name"`` or ``"package.module:Name"``.

    Returns
    -------
    object
        The class or function.

    Raises
    ------
    ExecutorError
        When there is no such module or name.
    """
    module, _, name = path.partition(":") if ":" in path else path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise ExecutorError(
            f"DaskExecutor was given {path!r}, which is no address and cannot be imported as a cluster class "
            f"({error}). Pass an address such as 'tcp://127.0.0.1:8786', or the import string of a class "
            "such as 'dask_jobqueue.SLURMCluster'."
        ) from error


def start_cluster(
    cluster_class: Any,
    cluster_kwargs: Mapping[str, Any],
    adapt_kwargs: Mapping[str, Any],
    n_workers: int | None,
    client_kwargs: Mapping[str, Any],
) -> Place:
    """Start a cluster of our own, and a client for it.

    Parameters
    ----------
    cluster_class : type, callable, str or None
        What makes the cluster; None makes a local one of worker processes.
    cluster_kwargs : mapping
        Its arguments.
    adapt_kwargs : mapping
        Arguments of its ``adapt``; empty for a cluster of fixed size.
    n_workers : int or None
        How many workers; None leaves it to the class.
    client_kwargs : mapping
        Arguments of the client.

    Returns
    -------
    Place
        With workers that may still be starting.

    Raises
    ------
    ExecutorError
        When it cannot start.
    """
    import distributed

    if isinstance(cluster_class, str):
        cluster_class = import_object(cluster_class)
    if cluster_class is None:
        cluster_class = distributed.LocalCluster
    if cluster_class is distributed.LocalCluster and _has_processes(cluster_kwargs) and is_daemon():
        raise ExecutorError(
            "A LocalCluster of processes cannot start here: this process may start none, as a Dask worker "
            "with a nanny may not. Give the flow run executor=LocalExecutor(), LocalDaskExecutor('threads') "
            "or DaskExecutor(ADDRESS), or set distributed.worker.daemon: False in the worker's Dask settings."
        )
    name = getattr(cluster_class, "__name__", repr(cluster_class))
    cluster = growth = None
    hushed = contextlib.ExitStack()
    try:
        if cluster_class is distributed.LocalCluster:
            options = dict(cluster_kwargs)
            silence = level_of(options.pop("silence_logs", logging.CRITICAL))
            hushed.callback(hush(silence))
            cluster, growth = _local_cluster(options, n_workers, bool(adapt_kwargs), silence)
        else:
            cluster = cluster_class(**cluster_kwargs)
            if n_workers is not None:
                cluster.scale(n_workers)
        if adapt_kwargs:
            cluster.adapt(**adapt_kwargs)
        client = _client_of(cluster, growth is not None, client_kwargs)
    except Exception as error:
        if cluster is not None:
            _quietly(cluster.close)
        hushed.close()
        raise ExecutorError(
            f"The cluster {name} could not start: {_told(error)}. Look at its "
            f"cluster_kwargs ({', '.join(cluster_kwargs) or 'none given'})."
        ) from error
    in_process = client.scheduler.address.startswith("inproc://")
    count = None if adapt_kwargs else len(getattr(cluster, "worker_spec", ())) or None
    return Place(client, name, True, cluster, in_process, count, growth, hushed.close)


def _client_of(cluster: Any, is_growing: bool, kwargs: Mapping[str, Any]) -> Any:
    import distributed

    if not is_growing:
        return distributed.Client(cluster, set_as_default=False, **kwargs)
    # A client that is given a cluster waits for its workers first; for one that cannot start, now and then,
    # for ever (seen with Dask 2024.12). What our workers come to is heard from ``growth``.
    options = {"security": cluster.security, "loop": cluster.loop, **kwargs}
    client = distributed.Client(cluster.scheduler_address, set_as_default=False, **options)
    client.cluster = cluster
    return client


def leave_workers_to_nannies(cluster: Any) -> None:
    """Let nobody but its nanny give up a worker of a local cluster.

    Dask closes the nanny of a worker that is not there 15 s after its process was lost, also if it was there
    meanwhile, was lost again and is just being started. Who waits for the last worker then waits for ever.

    Parameters
    ----------
    cluster : object
        Any cluster; one that is not Dask's own local one is left as it is.
    """
    if not _is_local_cluster(type(cluster)):
        return
    from distributed.deploy import Cluster, SpecCluster

    if type(cluster)._update_worker_status is SpecCluster._update_worker_status:
        cluster._update_worker_status = partial(Cluster._update_worker_status, cluster)


def _local_cluster(
    kwargs: dict[str, Any], n_workers: int | None, adaptive: bool, silence: int
) -> tuple[Any, Future[None] | None]:
    import distributed
    from dask.system import CPU_COUNT
    from distributed.deploy.utils import nprocesses_nthreads
    from distributed.system import MEMORY_LIMIT

    count = kwargs.pop("n_workers", None) if n_workers is None else n_workers
    threads = kwargs.pop("threads_per_worker", None)
    processes = kwargs.setdefault("processes", _has_processes(kwargs))
    if count is None and threads is None:
        count, threads = nprocesses_nthreads() if processes else (1, CPU_COUNT)
    elif count is None:
        count = max(1, CPU_COUNT // threads) if processes else 1
    elif threads is None:
        threads = max(1, math.ceil(CPU_COUNT / max(count, 1)))
    if count:
        kwargs.setdefault("memory_limit", int(MEMORY_LIMIT / count))
    # Dask's nannies would raise the level of handlers in this process too, so only those of others are told.
    kwargs["silence_logs"] = False
    if processes:
        is_ours = kwargs.setdefault("worker_class", _NANNY) == _NANNY
        kwargs["hushed" if is_ours else "silence_logs"] = silence
    # Port 8787 may be taken, and Dask would say so in red.
    kwargs.setdefault("dashboard_address", ":0")
    if not kwargs.get("host") and not kwargs.get("interface"):
        # Scheduler and workers listen on the loopback then, but Dask shows the dashboard to the network.
        for option in ("dashboard_address", "worker_dashboard_address"):
            address = kwargs.get(option)
            if isinstance(address, int) or (isinstance(address, str) and address.startswith(":")):
                kwargs[option] = f"127.0.0.1:{str(address).lstrip(':')}"
    # Without workers at first: then the client, the plugin and the first graph are under way while they
    # start.
    with _starting:
        cluster = distributed.LocalCluster(n_workers=0, threads_per_worker=threads, **kwargs)
    scheduler = cluster.scheduler
    if scheduler.WORKER_SATURATION == _DEFAULT_SATURATION:
        # Dask keeps wide layers back in the scheduler and hands them out one by one, a message each way for
        # each task: two to three times the cost of a small task. It guards against producers that run far
        # ahead of their consumers; here the window of the engine does.
        scheduler.WORKER_SATURATION = math.inf
    leave_workers_to_nannies(cluster)
    loop = cluster.loop.asyncio_loop
    if processes:
        asyncio.run_coroutine_threadsafe(_hold_interrupts_back(), loop).result()
    if adaptive or not count:
        return cluster, None
    return cluster, asyncio.run_coroutine_threadsafe(_grow(cluster, count), loop)


def _has_processes(kwargs: Mapping[str, Any]) -> bool:
    return bool(kwargs.get("processes", not kwargs.get("worker_class")))


def is_daemon() -> bool:
    """Return whether Python lets this process start no other by multiprocessing.

    Returns
    -------
    bool
        True in a Dask worker with a nanny.
    """
    return bool(current_process().daemon)


async def _hold_interrupts_back() -> None:
    # Ctrl-C reaches every process at a terminal, and a worker that is still starting would die of it with a
    # traceback. A process inherits what the thread that starts it holds back, until it has a session of its
    # own (``MainlessProcess``). (The tracker comes first: starting it lets Ctrl-C through to its thread.)
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


async def _grow(cluster: Any, count: int) -> None:
    cluster.scale(count)
    # ``scale`` lets this run unattended, and a worker that cannot start is then nobody's.
    await cluster._correct_state()


def _told(error: BaseException) -> str:
    # Dask wraps what went wrong in "Nanny failed to start.".
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _is_local_cluster(cluster_class: type) -> bool:
    import distributed

    return issubclass(cluster_class, distributed.LocalCluster)


def _quietly(act: Any) -> None:
    # What is being closed may be gone already, in as many ways as there are clusters.
    with contextlib.suppress(Exception):
        act()


def scheduler_file_address(path: str | os.PathLike[str]) -> str:
    """Return the address that a scheduler file names.

    Parameters
    ----------
    path : str or path
        The file that ``dask scheduler --scheduler-file`` wrote.

    Returns
    -------
    str
        The scheduler's address.

    Raises
    ------
    ExecutorError
        When there is no such file or it names no address.
    """
    import json

    file = Path(path)
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["address"])
    except OSError as error:
        raise ExecutorError(
            f"The scheduler file {str(file)!r} cannot be read ({error.strerror or error}). It is written by "
            f"'dask scheduler --scheduler-file {file.name}' once that runs; start it, or give the file's "
            "full path."
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ExecutorError(
            f"The file {str(file)!r} is no scheduler file: it holds no JSON object with an 'address'. "
            "Pass the file that 'dask scheduler --scheduler-file' writes."
        ) from error
