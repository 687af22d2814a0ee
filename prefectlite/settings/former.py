"""What settings were called in Prefect 1: which of ours they are, or why they do nothing. Knows no values."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, NamedTuple


def _same(value: Any) -> Any:
    return value


class Renamed(NamedTuple):
    """A setting of Prefect 1 that is one of ours.

    Parameters
    ----------
    key : str
        Ours: ``tasks.max_retries``.
    taken : callable
        Makes of a value that was meant for the former one what ours takes.
    shown : callable
        Makes of our value what a reader of the former one looks for.
    """

    key: str
    taken: Callable[[Any], Any] = _same
    shown: Callable[[Any], Any] = _same


class Idle(NamedTuple):
    """A setting of Prefect 1 that changes nothing here.

    Parameters
    ----------
    why : str
        The reason, as the end of a sentence.
    holds : object
        What is so here, and needs no word; ``WHATEVER`` where all that can be said is so, ``NOTHING`` where
        there is nothing that it could be about.
    """

    why: str
    holds: Any


WHATEVER: Final = object()
NOTHING: Final = object()

_EXECUTORS: Final = {"LocalExecutor": "local", "DaskExecutor": "dask", "LocalDaskExecutor": "threads"}
_CLASSES: Final = {
    "local": "prefectlite.LocalExecutor",
    "threads": "prefectlite.LocalDaskExecutor",
    "processes": "prefectlite.LocalDaskExecutor",
}
_RUNNERS: Final = {"FlowRunner", "CloudFlowRunner", "TaskRunner", "CloudTaskRunner"}


def _executor(value: Any) -> Any:
    """Return the setting ``executor`` for what a class of executors is called."""
    if isinstance(value, type):
        value = f"{value.__module__}.{value.__qualname__}"
    if not isinstance(value, str) or value.partition(".")[0] not in ("prefect", "prefectlite"):
        return value
    return _EXECUTORS.get(value.rpartition(".")[2], value)


def _delay(value: float | None) -> timedelta | None:
    return None if value is None else timedelta(seconds=value)


RENAMED: Final = {
    "home_dir": Renamed("home_dir", shown=os.path.expanduser),
    "tasks.defaults.max_retries": Renamed("tasks.max_retries"),
    "tasks.defaults.retry_delay": Renamed("tasks.retry_delay", shown=_delay),
    "tasks.defaults.timeout": Renamed("tasks.timeout"),
    "engine.executor.default_class": Renamed(
        "executor", _executor, lambda name: _CLASSES.get(name, "prefectlite.DaskExecutor")
    ),
    "engine.executor.dask.address": Renamed("dask.address"),
    "engine.executor.dask.cluster_class": Renamed("dask.cluster_class"),
}

_NO_SERVER: Final = "it is about a server, and there is none"
_LOOKED_UP_HERE: Final = "secrets are always those of the configuration and the context"

IDLE: Final = {
    "flows.checkpointing": Idle(
        "who gives a task a target or a result wishes it to be stored; checkpoint=False is for tasks that "
        "shall not be",
        holds=True,
    ),
    "flows.eager_edge_validation": Idle("edges are always checked when a flow gets them", holds=True),
    "logging.extra_loggers": Idle("all loggers are heard", WHATEVER),
    "logging.log_to_cloud": Idle(_NO_SERVER, holds=False),
    "cloud.send_flow_run_logs": Idle(_NO_SERVER, holds=False),
    "cloud.use_local_secrets": Idle(_LOOKED_UP_HERE, holds=True),
}
#: Classes that applied the rules, which one engine does here.
RUNNERS: Final = ("engine.flow_runner.default_class", "engine.task_runner.default_class")
#: Settings, and sections of settings, of a server.
SERVERS: Final = ("agent", "backend", "cloud", "flows.defaults.storage", "server", "telemetry")


def idle(key: str) -> Idle | None:
    """Return why a setting changes nothing.

    Parameters
    ----------
    key : str
        As Prefect 1 called it.

    Returns
    -------
    Idle or None
        None for one that is no such setting.
    """
    found = IDLE.get(key)
    if found is None and any(key == one or key.startswith(f"{one}.") for one in SERVERS):
        return Idle(_NO_SERVER, NOTHING)
    return found


def is_prefect_1s_runner(value: object) -> bool:
    """Return whether a class is one of the two that applied the rules in Prefect 1 itself.

    Parameters
    ----------
    value : object
        Its import string.

    Returns
    -------
    bool
        False for one that somebody wrote.
    """
    first, _, last = str(value).partition(".")
    return first == "prefect" and last.rpartition(".")[2] in _RUNNERS


def sections() -> frozenset[str]:
    """Return the names of all sections and sections of sections in which Prefect 1 had settings.

    Returns
    -------
    frozenset of str
        ``tasks``, ``tasks.defaults`` and the like.
    """
    found: set[str] = set()
    for key in (*RENAMED, *IDLE, *RUNNERS):
        while key := key.rpartition(".")[0]:
            found.add(key)
    return frozenset(found)
