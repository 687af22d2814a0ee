"""Worker processes that never import the user's ``__main__``. Knows how they are spawned; knows no task.

A spawned process imports the main script of its parent, so that objects defined there can be unpickled. Our
tasks travel by value and need no such import, and a script without a ``__main__`` guard would start itself
again in each worker, at once or when a nanny restarts one. Python keeps no switch for this: what the child
imports is written by ``multiprocessing.spawn.get_preparation_data``, which is told nothing but the new
process's name. So the processes of our own clusters get a name of their own, and for that name the main
module is left out. All other processes, those of the user's clusters and pools too, are prepared as ever.

Nor does Ctrl-C reach them, or what bodies start there: a terminal, and who interrupts a notebook's kernel,
sends it to a whole group of processes, and only the driver knows whether it is meant for its run. Each has a
session of its own. Were Ctrl-C held back or ignored instead, the programs that bodies start would inherit
that, and whoever stops them by it would wait for ever.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from multiprocessing import spawn
from typing import Any, Final

from distributed import Nanny
from distributed.nanny import WorkerProcess

from prefectlite.executors.exits import tell_exit

#: The name of our worker processes, which no other process in a sane program has.
PROCESS_NAME: Final = "prefectlite worker process"

_MAIN: Final = ("init_main_from_name", "init_main_from_path")
_installing = threading.Lock()


class MainlessProcess(WorkerProcess):
    """The process of a worker, under a name of ours."""

    @classmethod
    def _run(cls, *args: Any, **kwargs: Any) -> None:
        with suppress(OSError):
            os.setsid()
        # Before any other thread begins, as each inherits what is let through. One may have come meanwhile.
        if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # as under ``nohup``, which is meant for all
            signal.signal(signal.SIGINT, _ignore)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        super()._run(*args, **kwargs)

    @property
    def process(self) -> Any:
        """The operating system's process, or None."""
        return self.__dict__.get("process")

    @process.setter
    def process(self, process: Any) -> None:
        # Distributed makes the process and starts it in one go; this assignment is the only moment between.
        spawned = getattr(process, "_process", None)
        if spawned is not None:
            spawned.name = PROCESS_NAME
        self.__dict__["process"] = process


class MainlessNanny(Nanny):
    """A nanny whose workers, the first and all later ones, do not import the user's main script.

    Parameters
    ----------
    *args
        As a nanny's.
    hushed : int
        The least level of what Dask says in their processes, 0 for all of it. Dask's ``silence_logs``
        would be for handlers of this process too, which are not the workers' to change.
    **kwargs
        As a nanny's.
    """

    tells_exits = True

    def __init__(self, *args: Any, hushed: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # What it hands to each process that it starts.
        self.silence_logs = hushed

    def _on_worker_exit_sync(self, exitcode: int) -> None:
        tell_exit(self, exitcode)
        super()._on_worker_exit_sync(exitcode)

    @property
    def process(self) -> Any:
        """The worker's process, or None."""
        return self.__dict__.get("process")

    @process.setter
    def process(self, process: Any) -> None:
        if process is not None:
            install()
            process.__class__ = MainlessProcess
        self.__dict__["process"] = process


def _ignore(number: int, frame: Any) -> None:
    pass


def install() -> None:
    """Teach ``multiprocessing`` to leave out the main module for processes of our name; once is enough."""
    with _installing:
        if getattr(spawn.get_preparation_data, "leaves_out_main", None) != PROCESS_NAME:
            spawn.get_preparation_data = _wrapped(spawn.get_preparation_data)


def _wrapped(original: Any) -> Any:
    def get_preparation_data(name: str) -> dict[str, Any]:
        data: dict[str, Any] = original(name)
        if name == PROCESS_NAME:
            for entry in _MAIN:
                data.pop(entry, None)
        return data

    # A mark instead of a flag of this module: the module may be loaded twice, the wrapping must not be.
    get_preparation_data.leaves_out_main = PROCESS_NAME  # type: ignore[attr-defined]
    return get_preparation_data
