"""Where attempts run, and what calls them off. Knows nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from prefectlite.worker.logs import Sink


class Interruption(KeyboardInterrupt):
    """Raised inside a body by a Ctrl-C that the driver has taken: the run is called off, nothing crashed."""


@dataclass(frozen=True, slots=True)
class Here:
    """Where attempts run.

    Parameters
    ----------
    where : str
        The worker's address, or ``"local"``.
    pickles : bool
        Whether values must be pickled to get to their readers.
    sink : callable or None
        Takes batches of log lines; None captures nothing.
    apart : callable or None
        Runs an attempt of a strip in a process of its own, for tasks that ask for one; None in that process.
    is_called_off : callable or None
        Whether a body that runs apart is to end; where nobody can say so by an ``Interruption``.
    exception_limit : int or None
        Up to how many pickled bytes an exception travels as itself; by default, as many as a result.
    keeps : bool
        Whether values are stored, and looked for, as their tasks say.
    is_given_up : callable or None
        Whether this worker was taken for dead, so that it stores nothing more; None where nobody could tell.
    """

    where: str
    pickles: bool = True
    sink: Sink | None = None
    apart: Callable[[Any, int], Any] | None = None
    is_called_off: Callable[[], bool] | None = None
    exception_limit: int | None = None
    keeps: bool = True
    is_given_up: Callable[[], bool] | None = None
