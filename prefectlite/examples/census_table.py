"""A census as a page of text. Knows its numbers; knows neither files nor flows."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Final

from prefectlite.examples.source_facts import Census, Totals

_PACKAGES: Final = 15
_LARGEST: Final = 5


def page(census: Census, changes: Mapping[str, int] | None = None, written: str = "") -> str:
    """Return a census as a page of text.

    Parameters
    ----------
    census : Census
        The count.
    changes : mapping of str to int or None
        What changed since an earlier report, by the name of the number; None if there is none.
    written : str
        Where the whole report was written.

    Returns
    -------
    str
        Tables of packages and of the largest modules; short enough to travel with a report.
    """
    total = census.total
    head = f"Census of the Python {census.python} code below {' and '.join(map(shown, census.roots))}"
    states = ", ".join(f"{count:,} {name}" for name, count in census.states.items()) or "none"
    largest = [[f"{lines:,}", shown(path)] for path, lines in census.largest[:_LARGEST]]
    longest = [[f"{lines:,}", f"{name}  in {shown(path)}"] for path, name, lines in census.longest]
    docstrings = f"{total.docstring_share:.0%} of {total.documentable:,} modules, classes and functions"
    parts = [
        head,
        _packages(census),
        *_section("Largest modules", largest),
        *_section("Longest functions", longest),
        f"Files by state: {states}. With a docstring: {docstrings}.",
    ]
    if changes is not None:
        told = ", ".join(f"{change:+,} {name}" for name, change in changes.items() if change)
        parts.append(f"Since the earlier report: {told or 'no change'}.")
    if written:
        parts.append(f"Report: {shown(written)}")
    return "\n\n".join(parts)


def shown(path: str) -> str:
    """Return a path as text that any terminal can show.

    Parameters
    ----------
    path : str
        A path; bytes that are no UTF-8 are lone surrogates in it.

    Returns
    -------
    str
        The path with those bytes as escapes.
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _packages(census: Census) -> str:
    rows = [_row(shown(name), totals) for name, totals in list(census.packages.items())[:_PACKAGES]]
    rest = list(census.packages.values())[_PACKAGES:]
    if rest:
        others = Totals()
        for totals in rest:
            for name in Totals.__slots__:
                setattr(others, name, getattr(others, name) + getattr(totals, name))
        rows.append(_row(f"{len(rest):,} others", others))
    heads = ["package", "files", "lines", "functions", "classes", "docstrings"]
    return _columns([heads, *rows, _row("total", census.total)], "lrrrrr")


def _section(title: str, rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"{title}\n{_columns(rows, 'r')}"] if rows else []


def _row(name: str, totals: Totals) -> list[str]:
    return [
        name,
        f"{totals.files:,}",
        f"{totals.lines:,}",
        f"{totals.functions:,}",
        f"{totals.classes:,}",
        f"{totals.docstring_share:.0%}",
    ]


def _columns(rows: Sequence[Sequence[str]], sides: str) -> str:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if side == "r" else cell.ljust(width)
            for cell, width, side in zip(row, widths, sides.ljust(len(row), "l"), strict=True)
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)
