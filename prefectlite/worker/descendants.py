"""What a process has started, and how to end that. Knows the operating system; knows no tasks and no Dask."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import psutil

#: Python's processes that clear away what others leave behind; they end with the last of those.
_TRACKER: Final = "resource_tracker"


def descendants(pid: int) -> set[psutil.Process]:
    """Return the processes that a process has started, and those that these have.

    Parameters
    ----------
    pid : int
        Its number.

    Returns
    -------
    set of psutil.Process
        Empty for one that is gone; those of which the one between has ended have lost their connection to it.
    """
    import psutil

    try:
        return set(psutil.Process(pid).children(recursive=True))
    except psutil.Error:
        return set()


def end_all(processes: Iterable[psutil.Process]) -> None:
    """Kill processes; another that has got the number of one meanwhile is left alone.

    Parameters
    ----------
    processes : iterable of psutil.Process
        Which; Python's resource trackers among them have their own end, and shared memory to take along.
    """
    import psutil

    for process in processes:
        with suppress(psutil.Error):
            if not any(_TRACKER in word for word in process.cmdline()):
                process.kill()
