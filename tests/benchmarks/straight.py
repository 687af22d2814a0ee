"""The figures of the straight path: ours and plain Dask in turn on one warm cluster, as a table."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from tests.benchmarks import report
from tests.benchmarks.pace import Pace
from tests.benchmarks.rows import ALONE, ON_THE_CLUSTER, Sizes

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


def main(arguments: list[str] | None = None) -> int:
    chosen = options(arguments)
    sizes = Sizes(chosen.tasks, Pace(chosen.reps), "auto" if chosen.bundles else None)
    told = f"{chosen.reps} repetitions, --tasks {sizes.tasks}"
    return report.run(chosen.rows, ON_THE_CLUSTER, ALONE, sizes, told, chosen.json)


if __name__ == "__main__":
    # The report is on standard output; what becomes of each task, which costs less than a hundredth, is not for it.
    logging.getLogger("prefectlite").setLevel(logging.WARNING)
    sys.exit(main())
