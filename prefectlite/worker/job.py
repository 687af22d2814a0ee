"""What the process of a body is told of an attempt. Plain tuples; knows no process."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

#: After so many seconds without a job, the process ends.
IDLE: Final = 60.0


class Surroundings(NamedTuple):
    """What a body may see of the process whose part it plays.

    Parameters
    ----------
    folder : str
        The working directory.
    path : list of str
        Where modules are found.
    environment : dict
        The environment variables.
    hidden : tuple of str
        Texts that are secret.
    """

    folder: str
    path: list[str]
    environment: dict[str, str]
    hidden: tuple[str, ...]


class Job(NamedTuple):
    """One attempt.

    Parameters
    ----------
    surroundings : Surroundings or None
        None where they are those of the last job; so with the next two.
    flow, task : bytes or None
        The flow run's facts and the task, pickled.
    spec : tuple
        A ``Spec`` whose arguments are all given.
    where : str
        As in ``Here``.
    captures : bool
        Whether log lines are wanted.
    exception_limit : int or None
        As in ``Here``.
    """

    surroundings: Surroundings | None
    flow: bytes | None
    task: bytes | None
    spec: tuple[Any, ...]
    where: str
    captures: bool
    exception_limit: int | None
