"""The figures of the straight path: ours and plain Dask in turn on one warm cluster, as a table."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import platform
import sys
from pathlib import Path
from typing import Any

import distributed

from tests.benchmarks.meter import Bench
from tests.benchmarks.rows import ALONE, ON_THE_CLUSTER, Line, Sizes

EPILOG = """examples:
  python -m tests.benchmarks.straight
  python -m tests.benchmarks.straight --rows chain diamond --reps 9
  python -m tests.benchmarks.straight --tasks 1000 --json figures.json

--tasks scales every row: 10000 is the full size, with chains of 1000 and blocks of 100 MB.
README.md beside this program explains how to read the table.
"""


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.straight",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [*ON_THE_CLUSTER, *ALONE]
    parser.add_argument(
        "--rows", nargs="+", choices=names, default=names, metavar="ROW", help=f"of: {', '.join(names)}"
    )
    parser.add_argument("--reps", type=int, default=5, help="measured repetitions of each form (default: 5)")
    parser.add_argument("--tasks", type=int, default=10_000, help="tasks of the wide rows (default: 10000)")
    parser.add_argument(
        "--bundles",
        action="store_true",
        help='let ours bundle by itself (bundle_size="auto"); the targets hold without',
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every line's facts there too")
    found = parser.parse_args(arguments)
    if found.reps < 1 or found.tasks < 10:
        parser.error("--reps must be at least 1 and --tasks at least 10")
    return found


def shown(line: Line) -> str:
    if math.isnan(line.value):
        return f"{line.row:<11} {line.what}"
    value = f"{line.value:.2f}{line.unit}"
    target = "" if line.target is None else f"{line.target:g}{line.unit}"
    return (
        f"{line.row:<11} {line.what:<42} {value:>16} {target:>14}  {line.verdict:<5} {line.detail}".rstrip()
    )


def plain_data(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(f"{value!r} has no JSON form.")


def measured(name: str, bench: Bench | None, sizes: Sizes) -> list[Line]:
    """Run a row; one that cannot run says why and lets the others run."""
    try:
        if name in ALONE:
            return ALONE[name](bench, sizes)
        assert bench is not None
        return ON_THE_CLUSTER[name](bench, sizes)
    except Exception as error:
        text = str(error).strip() or repr(error)
        return [Line(name, "could not run", math.inf, 0, unit="", detail=f"{type(error).__name__}: {text}")]


def main(arguments: list[str] | None = None) -> int:
    chosen = options(arguments)
    sizes = Sizes(chosen.tasks, chosen.reps, "auto" if chosen.bundles else None)
    print(
        f"Python {platform.python_version()}, distributed {distributed.__version__}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f}; {sizes.reps} repetitions, --tasks {sizes.tasks}"
    )
    print(f"{'row':<11} {'what':<42} {'measured':>16} {'at most':>14}")
    lines: list[Line] = []
    on_cluster = [name for name in chosen.rows if name in ON_THE_CLUSTER]
    # A warm cluster would share the cores with the programs that start their own.
    for group in (on_cluster, [name for name in chosen.rows if name in ALONE]):
        bench = Bench() if group and group is on_cluster else None
        try:
            for name in group:
                found = measured(name, bench, sizes)
                lines += found
                print(*map(shown, found), sep="\n", flush=True)
        finally:
            if bench is not None:
                bench.close()
    if chosen.json:
        chosen.json.write_text(
            json.dumps(
                [{**dataclasses.asdict(one), "verdict": one.verdict} for one in lines],
                default=plain_data,
                indent=1,
            )
        )
    return 1 if any(math.isinf(line.value) for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
