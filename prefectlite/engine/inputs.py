"""Where each argument of a run comes from. Knows run numbers; knows neither values nor Dask keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class FromRun:
    """The value of a run that is on the cluster or will be, in the graph named by ``submission``.

    Parameters
    ----------
    run, submission : int
        Which value.
    item : int or None
        The element to take, for a child of a map over the value; None takes all.
    flat : bool
        Whether to unnest by one level first.
    """

    run: int
    submission: int
    item: int | None = None
    flat: bool = False


@dataclass(frozen=True, slots=True)
class FromDriver:
    """What the driver knows of a final run without a value on the cluster.

    It is the exception of a failed run, None for a skipped one, or the value that a state handler gave.

    Parameters
    ----------
    run : int
        Which run; its state is on the board.
    item : int or None
        As in ``FromRun``.
    flat : bool
        As in ``FromRun``.
    """

    run: int
    item: int | None = None
    flat: bool = False


@dataclass(frozen=True, slots=True)
class FromValue:
    """A constant or parameter, which the lowering holds.

    Parameters
    ----------
    node : int
        The plan's number of the ``value`` node.
    item : int or None
        As in ``FromRun``.
    flat : bool
        As in ``FromRun``.
    """

    node: int
    item: int | None = None
    flat: bool = False


@dataclass(frozen=True, slots=True)
class FromMany:
    """The values of all children of a map, in index order, as a list.

    Parameters
    ----------
    items : tuple
        One source per child.
    flat : bool
        Whether to unnest the list by one level.
    """

    items: tuple[Source, ...]
    flat: bool = False


@dataclass(frozen=True, slots=True)
class FromCollection:
    """A list, tuple, set or dict of values, put together where the consumer runs.

    Parameters
    ----------
    node : int
        The plan's number of the ``collection`` node.
    items : tuple
        One source per member, in order.
    item : int or None
        As in ``FromRun``.
    flat : bool
        As in ``FromRun``.
    """

    node: int
    items: tuple[Source, ...]
    item: int | None = None
    flat: bool = False


Source: TypeAlias = FromRun | FromDriver | FromValue | FromMany | FromCollection


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a run and where its value comes from.

    Parameters
    ----------
    key : str
        The argument's name.
    source : FromRun, FromDriver, FromValue, FromMany or FromCollection
        Where its value comes from.
    """

    key: str
    source: Source
