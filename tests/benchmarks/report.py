"""Runs rows, prints their lines as they come and writes them down. Knows no row."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import distributed

from tests.benchmarks.meter import Bench
from tests.benchmarks.table import Line, as_data, could_run, failed, head, markdown, plain_data, shown

#: A row: what it needs to know comes as its second argument; the first is None for one that starts its own.
Row = Callable[[Any, Any], Iterable[Line]]
#: What a shell says of a program that ended on a Ctrl-C.
INTERRUPTED = 130


def measured(name: str, row: Row, bench: Bench | None, sizes: Any) -> Iterator[Line]:
    """Yield the lines of a row as they come; one that cannot run says why and lets the others run."""
    try:
        yield from row(bench, sizes)
    except Exception as error:
        yield failed(name, error)


def run(
    chosen: Sequence[str],
    on_the_cluster: Mapping[str, Row],
    alone: Mapping[str, Row],
    sizes: Any,
    told: str,
    path: Path | None,
) -> int:
    """Run the chosen rows, those that share a warm cluster first; return 1 when one could not run.

    What was measured is shown and written down whatever ends the program.

    Parameters
    ----------
    chosen : sequence of str
        Names of rows.
    on_the_cluster, alone : mapping of str to Row
        Rows that are given a warm cluster, and rows that start their own processes.
    sizes : object
        What the rows get as their second argument; its ``pace`` says whether a Ctrl-C came.
    told : str
        The settings, for the first line.
    path : Path or None
        Where to write every line's facts as JSON, row by row.
    """
    print(
        f"Python {platform.python_version()}, distributed {distributed.__version__}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f}; {told}"
    )
    print(head(), flush=True)
    lines: list[Line] = []

    def tell(name: str, row: Row, bench: Bench | None) -> None:
        try:
            for line in measured(name, row, bench, sizes):
                print(shown(line), flush=True)
                lines.append(line)
        finally:
            if path is not None:
                path.write_text(json.dumps([as_data(line) for line in lines], default=plain_data, indent=1))
        if sizes.pace.interrupted:
            raise KeyboardInterrupt

    # A warm cluster would share the cores with the programs that start their own.
    warm = [name for name in chosen if name in on_the_cluster]
    try:
        if warm:
            with Bench() as bench:
                for name in warm:
                    tell(name, on_the_cluster[name], bench)
        for name in chosen:
            if name in alone:
                tell(name, alone[name], None)
    except KeyboardInterrupt:
        print("Interrupted; what was measured before:", flush=True)
        return INTERRUPTED
    finally:
        print(f"\n{markdown(lines)}", flush=True)
    return 0 if all(map(could_run, lines)) else 1
