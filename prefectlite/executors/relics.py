"""What workers leave behind, as the scheduler plugin reads it. Knows addresses and marks; decides nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterable
from ipaddress import ip_address
from typing import Any

from distributed.comm import get_address_host

from prefectlite.worker.marks import Marks, Snapshot, mark_of


class Relics:
    """The marks of all workers whose directories can be read here."""

    def __init__(self) -> None:
        #: By address; None for a worker whose marks cannot be read.
        self._marks: dict[str, Marks | None] = {}
        self._gone: dict[str, Snapshot | None] = {}

    def provide(self, worker: str, directory: str, threads: int, scheduler: str) -> None:
        """Make a place for the marks of a worker, unless it has one or is on another machine.

        Parameters
        ----------
        worker : str
            Its address.
        directory : str
            Its own directory.
        threads : int
            How many of its threads run tasks.
        scheduler : str
            The scheduler's address.
        """
        if worker not in self._marks:
            self._marks[worker] = None
            if _is_here(worker, scheduler):
                with contextlib.suppress(OSError):  # in a container of its own, say
                    self._marks[worker] = Marks(directory, threads=max(threads, 1))

    def forget(self, worker: str) -> None:
        """Let go of a worker's marks.

        Parameters
        ----------
        worker : str
            Its address.
        """
        self._marks.pop(worker, None)
        self._gone.pop(worker, None)

    def teardown(self) -> None:
        """Let go of all marks, and so of their files: the scheduler ends, and Dask keeps our plugin."""
        self.keep_only(())

    def keep_only(self, workers: Container[str]) -> None:
        """Let go of the marks of all but some workers.

        Parameters
        ----------
        workers : container of str
            Their addresses.
        """
        for worker in [one for one in self._marks if one not in workers]:
            self.forget(worker)

    def begun_by(self, worker: str, keys: Iterable[Any]) -> list[Any] | None:
        """Return what a worker that is there has begun of some tasks.

        Parameters
        ----------
        worker : str
            Its address.
        keys : iterable of tuple
            Their data keys.

        Returns
        -------
        list of tuple or None
            Some of the keys; None when it leaves no marks that can be read here.
        """
        marks = self._marks.get(worker)
        if marks is None:
            return None
        begun = marks.begun()
        return [key for key in keys if mark_of(key) in begun]

    def of_the_gone(self, workers: Container[str]) -> list[Snapshot] | None:
        """Return what the workers that are gone have left, after which they begin nothing more.

        Parameters
        ----------
        workers : container of str
            The addresses of those that are there.

        Returns
        -------
        list of Snapshot or None
            None when nothing can be concluded from them, since somebody who is gone left nothing.
        """
        for worker, marks in self._marks.items():
            if worker not in workers and worker not in self._gone:
                if marks is not None:
                    marks.stop()
                self._gone[worker] = None if marks is None else marks.snapshot()
        found = [one for one in self._gone.values() if one is not None]
        return found if found and len(found) == len(self._gone) else None

    def who_had(self, key: Any) -> tuple[str, int]:
        """Return which of the workers that are gone had begun a task.

        Parameters
        ----------
        key : tuple
            Its data key.

        Returns
        -------
        (str, int)
            Its address, and how many tasks of ours ran there at the end; 0 when that is not known. An empty
            address when it may have been any of several.
        """
        for worker, snapshot in self._gone.items():
            if snapshot is not None and snapshot.has_begun(key):
                return worker, snapshot.running
        return (next(iter(self._gone)), 0) if len(self._gone) == 1 else ("", 0)

    def record_of_ended(self, key: Any, workers: Container[str]) -> bytes | None:
        """Return what a task of ours had come to that has ended.

        Parameters
        ----------
        key : tuple
            Its data key.
        workers : container of str
            The addresses of those that are there.

        Returns
        -------
        bytes or None
            Its record; None when nobody has it any more.
        """
        self.of_the_gone(workers)
        for worker, marks in self._marks.items():
            snapshot = self._gone.get(worker, marks)
            found = None if snapshot is None else snapshot.record(key, whole=True)
            if found is not None:
                return found
        return None


def _is_here(worker: str, scheduler: str) -> bool:
    # A map of a file on another machine's disk shows nothing in time.
    host = get_address_host(worker)
    if host == get_address_host(scheduler):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
