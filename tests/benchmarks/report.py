"""Runs rows, prints their lines as they come and writes them down. Knows no row."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import distributed

from tests.benchmarks.meter import Bench
from tests.benchmarks.table import Line, as_data, could_run, failed, head, plain_data, shown

#: A row: what it needs to know comes as its second argument; the first is None for one that starts its own.
Row = Callable[[Any, Any], list[Line]]


def measured(name: str, row: Row, bench: Bench | None, sizes: Any) -> list[Line]:
    """Run a row; one that cannot run says why and lets the others run."""
    try:
        return row(bench, sizes)
    except Exception as error:
        return [failed(name, error)]


def run(
    chosen: Sequence[str],
    on_the_cluster: Mapping[str, Row],
    alone: Mapping[str, Row],
    sizes: Any,
    told: str,
    path: Path | None,
) -> int:
    """Run the chosen rows, those that share a warm cluster first; return 1 when one could not run.

    Parameters
    ----------
    chosen : sequence of str
        Names of rows.
    on_the_cluster, alone : mapping of str to Row
        Rows that are given a warm cluster, and rows that start their own processes.
    sizes : object
        What the rows get as their second argument.
    told : str
        The settings, for the first line.
    path : Path or None
        Where to write every line's facts as JSON.
    """
    print(
        f"Python {platform.python_version()}, distributed {distributed.__version__}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f}; {told}"
    )
    print(head(), flush=True)
    lines: list[Line] = []
    # A warm cluster would share the cores with the programs that start their own.
    warm = [name for name in chosen if name in on_the_cluster]
    if warm:
        with Bench() as bench:
            for name in warm:
                lines += _told(measured(name, on_the_cluster[name], bench, sizes))
    for name in chosen:
        if name in alone:
            lines += _told(measured(name, alone[name], None, sizes))
    if path is not None:
        path.write_text(json.dumps([as_data(line) for line in lines], default=plain_data, indent=1))
    return 0 if all(map(could_run, lines)) else 1


def _told(lines: list[Line]) -> list[Line]:
    print(*map(shown, lines), sep="\n", flush=True)
    return lines
