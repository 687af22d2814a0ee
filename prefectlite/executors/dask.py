"""Executors that run flows on Dask: what they accept, and which place that means. Imports no Dask."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, Unpack

from prefectlite.errors import DefinitionError, DefinitionTypeError, NoOptions, refuse_options
from prefectlite.executors.cluster import Place, start_cluster
from prefectlite.executors.protocol import Deliver, DeliverLogs, RunBrief
from prefectlite.executors.reach import (
    borrow_client,
    borrow_cluster,
    check_versions,
    is_address,
    reach_address,
    reach_scheduler_file,
)
from prefectlite.executors.security import ROLES, check_security, security_of
from prefectlite.executors.session import DaskSession
from prefectlite.executors.submitting import Executor
from prefectlite.kinds import check_kind
from prefectlite.late import loaded
from prefectlite.lowering.pace import most_together
from prefectlite.settings import Settings
from prefectlite.settings import current as current_settings
from prefectlite.settings.loggers import ClassLogger

#: The names of Dask's own schedulers for what a local cluster can be.
_SCHEDULERS: Final = {
    "threads": "threads",
    "threading": "threads",
    "processes": "processes",
    "multiprocessing": "processes",
}
#: What flows of Prefect 1 give to a ``LocalDaskExecutor``, which looked at ``num_workers`` alone.
_UNREAD: Final = {"n_workers": "Prefect 1 did not look at, either; give num_workers"}
_PATH: Final = str | os.PathLike


@Executor.register
class DaskExecutor:
    """Runs flows on a Dask cluster.

    Without a target, it uses the process's active Dask client if there is one when a flow starts, else the
    scheduler that the setting ``dask.address`` names, else it starts a ``LocalCluster`` of worker processes
    for each flow run, or what ``dask.cluster_class`` names. What it did not start, it never closes.

    ``address``, ``cluster_class``, ``cluster_kwargs``, ``adapt_kwargs``, ``client_kwargs``,
    ``performance_report_path`` and ``watch_worker_status`` are attributes, which hold for runs that begin
    later when they are changed.

    Parameters
    ----------
    target : str, path, distributed.Client, Cluster, type, callable or None
        The address of a scheduler (``"tcp://host:8786"``), a scheduler file, a live client or cluster, or
        what makes a cluster: a class or its import string.
    cluster_class : type, callable, str or None
        What makes a cluster for each flow run; the same as giving it as ``target``.
    cluster_kwargs : mapping or None
        Arguments for what makes the cluster.
    adapt_kwargs : mapping or None
        Arguments of the cluster's ``adapt``, for a cluster that grows and shrinks with its work.
    client_kwargs : mapping or None
        Arguments for the client that we open: ``timeout`` (seconds) and others.
    debug : bool or None
        Whether Dask's own warnings about a local cluster are let through; by default, the setting ``debug``.
    performance_report_path : str, path or None
        Where to write Dask's performance report of each flow run, an HTML page; the scheduler needs bokeh.
    disable_cancellation_event : bool
        Not looked at: no task run asks the scheduler whether its flow run was cancelled.
    watch_worker_status : bool or None
        Whether workers that come and go are told to the log, at INFO; needs the plugin. By default they are,
        unless the cluster adapts.
    address : str or None
        The address of a scheduler; the same as giving it as ``target``.
    n_workers : int or None
        How many workers a cluster of our own has; by default what the class does, for a LocalCluster what
        the setting ``n_workers`` says.
    scheduler_file : str, path or None
        The file that ``dask scheduler --scheduler-file`` wrote.
    security : distributed.security.Security, str, path or None
        Certificates for a ``tls://`` cluster, or for one to be started: the directory that ``prefectlite
        tls`` made, or what Dask takes.
    keep_limit : int or None
        How many bytes of results stay readable after a flow run's end, as long as its state is held; by
        default, the setting ``results.keep_limit``.
    plugin : bool
        Whether to install our plugin on the scheduler. Without it, bodies may run again when workers are
        lost, and reports come as events of a Dask topic.
    bundle_size : int, "auto", "config" or None
        How many task runs may travel as one Dask task, which pays where bodies are tiny; with "auto", that is
        decided by how long they take. Each keeps its own state, retries and result. None lets each travel
        alone; else a task's own ``bundle_size``, if it has one, counts for its runs. By default, the setting
        ``bundle_size``, which is "auto" unless you set another.
    stall_timeout : float or None
        For how many seconds a task run may lack its inputs on a worker that has a thread for it (and a second
        more for each 10 MB), because the machines that have them cannot be reached. Then another worker gets
        it, and if that does not help, it is ``Crashed("input-unreachable")``. ``math.inf`` waits for ever; by
        default, the setting ``stall_timeout``, a minute unless you set another. Not without the plugin.

    Raises
    ------
    DefinitionError, DefinitionTypeError
        When the arguments contradict each other or have the wrong type.

    Examples
    --------
    >>> DaskExecutor("tcp://10.0.0.1:8786")
    DaskExecutor('tcp://10.0.0.1:8786')
    >>> DaskExecutor(n_workers=2)
    DaskExecutor(n_workers=2)
    """

    #: The logger of its class's own.
    logger = ClassLogger()

    def __init__(
        self,
        target: Any = None,
        cluster_class: Any = None,
        cluster_kwargs: Mapping[str, Any] | None = None,
        adapt_kwargs: Mapping[str, Any] | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
        debug: bool | None = None,
        performance_report_path: str | os.PathLike[str] | None = None,
        disable_cancellation_event: bool = False,
        watch_worker_status: bool | None = None,
        *,
        address: str | None = None,
        n_workers: int | None = None,
        scheduler_file: str | os.PathLike[str] | None = None,
        security: Any = None,
        keep_limit: int | None = None,
        plugin: bool = True,
        bundle_size: int | Literal["auto", "config"] | None = "config",
        stall_timeout: float | None = None,
    ) -> None:
        given = {
            "target": target,
            "address": address,
            "cluster_class": cluster_class,
            "scheduler_file": scheduler_file,
        }
        named = [name for name, value in given.items() if value is not None]
        if len(named) > 1:
            raise DefinitionError(f"DaskExecutor was given {' and '.join(named)}; give one of them.")
        _check_count("n_workers", n_workers)
        _check_count("keep_limit", keep_limit, "of bytes", 0)
        for name, value, kind, mend in (
            ("cluster_kwargs", cluster_kwargs, Mapping, "it must be a dict of keyword arguments"),
            ("adapt_kwargs", adapt_kwargs, Mapping, "it must be a dict of keyword arguments"),
            ("client_kwargs", client_kwargs, Mapping, "it must be a dict of keyword arguments"),
            ("cluster_class", cluster_class, str | Callable, "pass a class or its import string"),
            ("scheduler_file", scheduler_file, _PATH, "pass the path of the scheduler's file"),
            ("performance_report_path", performance_report_path, _PATH, "pass 'report.html', say"),
        ):
            check_kind("DaskExecutor", name, value, kind | None, f"{mend}.")
        if address is not None:
            if not is_address(str(address)):
                raise DefinitionError(
                    f"DaskExecutor was given address={address!r}, which is no scheduler's address; write it "
                    "with its port, as `dask scheduler` shows it: tcp://host:8786."
                )
            target = address
        check_security(security)
        # What is up already, and no address: a client or a cluster.
        self._target = target
        self.address: str | None = None
        self.cluster_class = cluster_class
        self._scheduler_file = scheduler_file
        self.cluster_kwargs = dict(cluster_kwargs or {})
        self.adapt_kwargs = dict(adapt_kwargs or {})
        self._n_workers = n_workers
        self.client_kwargs = dict(client_kwargs or {})
        self._security = security
        self._keep_limit = keep_limit
        self._plugin = plugin
        if bundle_size not in ("auto", "config"):
            _check_count("bundle_size", bundle_size, "of task runs")
        self._bundle_size = bundle_size
        self.performance_report_path = performance_report_path
        # Read by nobody: attempts are called off by the driver.
        self.disable_cancellation_event = disable_cancellation_event
        self.watch_worker_status = watch_worker_status
        self._debug = debug
        _check_seconds("stall_timeout", stall_timeout)
        self._stall_timeout = stall_timeout
        # What runs of this executor taught about how long tasks take; a few bytes for each task.
        self._seconds: dict[str, float] = {}
        if target is not None:
            self._sort(target)
        if not (self._scheduler_file is self.address is self._target is None):
            self._refuse_options(named[0])
        if security is not None:
            self._refuse_second_security()

    def _sort(self, target: Any) -> None:
        """Tell what makes a cluster, and a scheduler file, from what is up already."""
        if isinstance(target, os.PathLike) or (isinstance(target, str) and target.endswith(".json")):
            self._scheduler_file, self._target = target, None
        elif (isinstance(target, str) and not is_address(target)) or callable(target):
            self.cluster_class, self._target = target, None
        elif isinstance(target, str):
            self.address, self._target = target, None
        elif not hasattr(target, "scheduler_address") and not _is_client(target):
            raise DefinitionTypeError(
                f"DaskExecutor was given {target!r} of type {type(target).__name__}; pass a scheduler's "
                "address, a scheduler file, a Dask Client or Cluster, or a cluster class or its import "
                "string."
            )

    def _refuse_options(self, name: str) -> None:
        options = {
            "cluster_kwargs": self.cluster_kwargs,
            "adapt_kwargs": self.adapt_kwargs,
            "n_workers": self._n_workers,
        }
        for option, value in options.items():
            if value:
                raise DefinitionError(
                    f"DaskExecutor was given {option}={value!r}, which is about a cluster to be started, "
                    f"beside {name}, which names one that is up; leave out one of the two."
                )

    def _refuse_second_security(self) -> None:
        if self._target is not None:
            raise DefinitionError(
                f"DaskExecutor was given security={self._security!r} beside {self._target!r}, which is "
                "connected already; give security to that when you make it, or pass its address here."
            )
        for name, kwargs in (
            ("client_kwargs", self.client_kwargs),
            ("cluster_kwargs", self.cluster_kwargs),
        ):
            if "security" in kwargs:
                raise DefinitionError(
                    f"DaskExecutor was given security={self._security!r} and another security in {name}; "
                    "give one of them."
                )

    def open(self, brief: RunBrief, deliver: Deliver, deliver_logs: DeliverLogs) -> DaskSession:
        """Begin a session; a cluster of our own starts behind the program's back.

        Parameters
        ----------
        brief : RunBrief
            The flow run.
        deliver : callable
            Takes sequences of events, from any thread.
        deliver_logs : callable
            Takes sequences of log lines, from any thread.

        Returns
        -------
        DaskSession
            Where to submit.

        Raises
        ------
        ExecutorError
            When a cluster that should be up cannot be reached or used.
        """
        settings = current_settings()
        keep_limit = settings.results.keep_limit if self._keep_limit is None else self._keep_limit
        size = settings.bundle_size if self._bundle_size == "config" else self._bundle_size
        session = DaskSession(
            brief,
            deliver,
            deliver_logs,
            keep_limit=keep_limit,
            plugin_allowed=self._plugin,
            bundle_size=most_together(size),
            seconds=self._seconds,
            watch_workers=not self.adapt_kwargs
            if self.watch_worker_status is None
            else self.watch_worker_status,
            report_path=None
            if self.performance_report_path is None
            else os.fspath(self.performance_report_path),
            stall_timeout=settings.stall_timeout if self._stall_timeout is None else self._stall_timeout,
            annotations=_annotations(),
        )
        reach = self._reach(settings.dask.address)
        if reach is None:
            count = self._n_workers
            if count is None and not (self._class_of(settings) or self.cluster_kwargs or self.adapt_kwargs):
                count = settings.n_workers
            session.start(lambda: self._start(count, settings))
            return session
        place = reach()
        try:
            check_versions(place)
            session.attach(place)
        except BaseException:
            place.close()
            raise
        return session

    @property
    def performance_report(self) -> str:
        """The performance report that was written last; empty, with a warning, if none is asked for."""
        if self.performance_report_path is None:
            warnings.warn(
                "This executor writes no performance report; give it performance_report_path='report.html'.",
                stacklevel=2,
            )
            return ""
        return Path(self.performance_report_path).read_text(encoding="utf-8")

    def _reach(self, address: str | None) -> Callable[[], Place] | None:
        """How to get at a cluster that is up, with the settings' address at last; None means to start one."""
        target, file, own = self._target, self._scheduler_file, self.address
        if file is not None:
            return lambda: reach_scheduler_file(file, self._connection())
        if own is not None:
            return lambda: reach_address(own, self._connection())
        if target is not None:
            return lambda: borrow_client(target) if _is_client(target) else borrow_cluster(target)
        if self.cluster_class or self.cluster_kwargs or self.adapt_kwargs or self._n_workers is not None:
            return None
        client = None if self._security else active_client()
        if client is not None:
            return lambda: borrow_client(client)
        return None if address is None else lambda: reach_address(address, self._connection())

    def _connection(self) -> dict[str, Any]:
        """Return the arguments of a client."""
        if self._security is None:
            return self.client_kwargs
        return {**self.client_kwargs, "security": security_of(self._security)}

    def _class_of(self, settings: Settings) -> Any:
        """Return what makes a cluster; None means Dask's LocalCluster."""
        return self.cluster_class or settings.dask.cluster_class

    def _start(self, n_workers: int | None, settings: Settings) -> Place:
        cluster_class = self._class_of(settings)
        debug = settings.debug if self._debug is None else self._debug
        # What Dask does unless it is told otherwise, as it is for clusters of ours.
        aloud = {"silence_logs": logging.WARNING} if debug and cluster_class is None else {}
        cluster_kwargs = {**aloud, **self.cluster_kwargs}
        if self._security is not None:
            cluster_kwargs["security"] = security_of(self._security, ROLES)
        return start_cluster(
            cluster_class,
            cluster_kwargs,
            self.adapt_kwargs,
            n_workers,
            self.client_kwargs,
        )

    def __repr__(self) -> str:
        """Return how it was made."""
        shown = self.address or self._target or self.cluster_class or self._scheduler_file
        parts = [] if shown is None else [repr(shown)]
        if self._n_workers is not None:
            parts.append(f"n_workers={self._n_workers}")
        parts += [
            f"{name}={value!r}"
            for name, value in (
                ("cluster_kwargs", self.cluster_kwargs),
                ("adapt_kwargs", self.adapt_kwargs),
                ("security", self._security),
            )
            if value
        ]
        return f"{type(self).__name__}({', '.join(parts)})"


class LocalDaskExecutor(DaskExecutor):
    """Runs flows on a Dask cluster of this machine, of threads or of processes.

    Parameters
    ----------
    scheduler : {"threads", "processes", "threading", "multiprocessing"}
        Whether bodies run in threads of this process or in processes of their own, by either name. Only a
        process can be ended when its body hangs in C code, and only it survives a body that crashes.
    num_workers : int or None
        How many bodies run at once; by default as many as there are cores.

    Raises
    ------
    DefinitionError
        When the scheduler's name is unknown or the number is not positive.
    DefinitionTypeError
        When there is no such option.

    Examples
    --------
    >>> LocalDaskExecutor("threads", num_workers=4)
    LocalDaskExecutor('threads', num_workers=4)
    """

    def __init__(
        self,
        scheduler: Literal["threads", "processes", "threading", "multiprocessing"] = "threads",
        num_workers: int | None = None,
        **_others: Unpack[NoOptions],
    ) -> None:
        refuse_options("LocalDaskExecutor", _others, LocalDaskExecutor, _UNREAD)
        if scheduler not in tuple(_SCHEDULERS):
            raise DefinitionError(
                f"LocalDaskExecutor was given scheduler={scheduler!r}; it is 'threads' or 'processes'. "
                "For one task at a time in the calling thread there is LocalExecutor()."
            )
        _check_count("num_workers", num_workers)
        count = num_workers or os.cpu_count() or 1
        by_threads = _SCHEDULERS[scheduler] == "threads"
        super().__init__(
            cluster_kwargs={
                "n_workers": 1 if by_threads else count,
                "threads_per_worker": count if by_threads else 1,
                "processes": not by_threads,
            }
        )
        self._num_workers = num_workers

    @property
    def scheduler(self) -> str:
        """``"threads"`` or ``"processes"``, whichever name it was given."""
        return "processes" if self.cluster_kwargs["processes"] else "threads"

    @property
    def dask_config(self) -> dict[str, Any]:
        """What was said beside the scheduler: ``num_workers``, if it was."""
        return {} if self._num_workers is None else {"num_workers": self._num_workers}

    def _class_of(self, settings: Settings) -> Any:
        return None

    def __repr__(self) -> str:
        """Return how it was made."""
        given = [repr(self.scheduler), *(f"{name}={value}" for name, value in self.dask_config.items())]
        return f"LocalDaskExecutor({', '.join(given)})"


def active_client() -> Any:
    """Return the Dask client that this process uses by default.

    Returns
    -------
    distributed.Client or None
        None when there is none.
    """
    # Without Dask in the process there is no client, and asking need not bring it in.
    distributed: Any = loaded("distributed")
    if distributed is None:
        return None
    try:
        return distributed.default_client()
    except ValueError:
        return None


def _annotations() -> dict[str, Any]:
    """Return what ``dask.annotate`` says here."""
    # Who has said something has imported it.
    dask: Any = loaded("dask")
    return {} if dask is None else dict(dask.get_annotations())


def _is_client(target: Any) -> bool:
    distributed: Any = loaded("distributed")
    return distributed is not None and isinstance(target, distributed.Client)


def _check_count(name: str, value: Any, what: str = "of workers", least: int = 1) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
        raise DefinitionError(f"{name}={value!r} is no number {what}; pass a whole number from {least} on.")


def _check_seconds(name: str, value: Any) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not value > 0):
        raise DefinitionError(f"{name}={value!r} is no time; pass a number of seconds greater than 0.")
