"""Where each argument of a run comes from. Knows run numbers; knows neither values nor Dask keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias


# The two that are made for nearly every argument are tuples: they cost half, and being of different lengths
# they never equal one another.
class FromRun(NamedTuple):
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
class FromSpan:
    """The values of runs that stand side by side, in graphs of one ``submission`` number.

    In ``FromMany`` it stands for as many items. As the argument of children that are submitted together it
    gives each child one of them.

    Parameters
    ----------
    run, submission : int
        The first value.
    count : int
        How many.
    """

    run: int
    submission: int
    count: int

    def __iter__(self) -> Iterator[FromRun]:
        """Return each value alone."""
        return (FromRun(run, self.submission) for run in range(self.run, self.run + self.count))


@dataclass(frozen=True, slots=True)
class FromElements:
    """Elements of one value that stand side by side: one for each child that is submitted together.

    Parameters
    ----------
    source : FromRun, FromDriver, FromValue or FromCollection
        The whole value, unnested first if it says so.
    first : int
        The place of the first child's element.
    """

    source: FromRun | FromDriver | FromValue | FromCollection
    first: int

    def one(self, place: int) -> Source:
        """Return the element of one child.

        Parameters
        ----------
        place : int
            Which child, counted from 0.

        Returns
        -------
        Source
            The element alone.
        """
        whole, item = self.source, self.first + place
        if isinstance(whole, FromRun | FromValue):
            return whole._replace(item=item)
        return replace(whole, item=item)


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


class FromValue(NamedTuple):
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
        One source per child, or a ``FromSpan`` for many.
    flat : bool
        Whether to unnest the list by one level.
    """

    items: tuple[Source | FromSpan, ...]
    flat: bool = False

    def singly(self) -> Iterator[Source]:
        """Return the source of each child.

        Yields
        ------
        Source
            In index order.
        """
        for item in self.items:
            if isinstance(item, FromSpan):
                yield from item
            else:
                yield item


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


#: Where children that are submitted together get an argument from: the same for all, or one for each.
RowSource: TypeAlias = Source | FromSpan | FromElements


@dataclass(frozen=True, slots=True)
class Row:
    """One argument of children that are submitted together.

    Parameters
    ----------
    key : str
        The argument's name.
    source : Source, FromSpan or FromElements
        Where its value comes from; the last two differ by child.
    """

    key: str
    source: RowSource


class Argument(NamedTuple):
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
