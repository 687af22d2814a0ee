"""Columns of the board, compared and filled by the slice, at a nanosecond or two a run. Knows no runs."""

from __future__ import annotations

from array import array


def all_are(column: array[int], value: int, runs: range) -> bool:
    """Return whether a column has one value for runs that stand side by side.

    Parameters
    ----------
    column : array of int
        A column of the board.
    value : int
        Which.
    runs : range
        Without gaps.

    Returns
    -------
    bool
        True also for none.
    """
    return column[runs.start : runs.stop] == array(column.typecode, (value,)) * len(runs)


def fill(column: array[int], value: int, runs: range) -> None:
    """Give a column one value for runs that stand side by side.

    Parameters
    ----------
    column : array of int
        A column of the board.
    value : int
        Which.
    runs : range
        Without gaps.
    """
    column[runs.start : runs.stop] = array(column.typecode, (value,)) * len(runs)


def add(column: array[int], step: int, runs: range) -> None:
    """Add to a column for runs that stand side by side.

    Parameters
    ----------
    column : array of int
        A column of the board.
    step : int
        What to add.
    runs : range
        Without gaps.
    """
    if runs and all_are(column, column[runs.start], runs):
        fill(column, column[runs.start] + step, runs)
    else:
        start, stop = runs.start, runs.stop
        column[start:stop] = array(column.typecode, [old + step for old in column[start:stop]])
