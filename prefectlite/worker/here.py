"""Where attempts run, and what calls them off. Knows nothing else."""

from __future__ import annotations

from dataclasses import dataclass

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
    """

    where: str
    pickles: bool = True
    sink: Sink | None = None
