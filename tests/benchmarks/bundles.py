"""The figures of bundles: ours and plain Dask in pairs, each row of the table with its target."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from pathlib import Path
from typing import Any

from tests.benchmarks import bundle_alone, bundle_rows, metg, report
from tests.benchmarks.bundle_rows import UNSAID, Scale
from tests.benchmarks.pace import Pace

ON_THE_CLUSTER = {**bundle_rows.ON_THE_CLUSTER, "metg": metg.row}
ALONE = {**bundle_alone.ALONE, "metg-apart": metg.apart}

EPILOG = """examples:
  python -m tests.benchmarks.bundles                            # every row, about 30 minutes on two cores
  python -m tests.benchmarks.bundles --rows map-10k chain tree
  python -m tests.benchmarks.bundles --rows all --tasks 500 --reps 3 --steps 10      # a look, in minutes
  python -m tests.benchmarks.bundles --rows metg --plot metg.svg
  python -m tests.benchmarks.bundles --rows map-10k --bundle-size none               # what bundles bring

--tasks scales every row: 10000 is the full size, with a million children, chains of 1000, blocks of 100 MiB and METG
graphs 64 wide.
A row takes --reps pairs, or as many as --seconds allow, but at least --least. Ctrl-C ends the program with what was
measured until then.
A value that misses its target is "over" or "under"; a "?" says that the target lies inside the interval.
README.md beside this program explains rows, pairs and accounting.
"""


def bundle_size(text: str) -> Any:
    """Read ``auto``, ``none``, ``unsaid`` or a number."""
    if text == "none":
        return None
    if text in ("auto", UNSAID):
        return text
    size = int(text)
    if size < 1:
        raise ValueError(text)
    return size


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.bundles",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [*ON_THE_CLUSTER, *ALONE]
    parser.add_argument(
        "--rows",
        nargs="+",
        choices=["all", *names],
        default=["all"],
        metavar="ROW",
        help=f"all, or of: {', '.join(names)}",
    )
    parser.add_argument("--reps", type=int, default=15, help="pairs of a row, at most (default: 15)")
    parser.add_argument(
        "--seconds",
        type=float,
        default=75,
        help="after which a row begins no further pair, once it has --least (default: 75)",
    )
    parser.add_argument(
        "--least",
        type=int,
        default=6,
        help="pairs of a row whose pairs are long (default: 6, the fewest whose interval is 95 %% sure)",
    )
    parser.add_argument("--tasks", type=int, default=10_000, help="tasks of the wide rows (default: 10000)")
    parser.add_argument("--steps", type=int, default=100, help="steps of the METG graphs (default: 100)")
    parser.add_argument(
        "--bundle-size",
        type=bundle_size,
        default=UNSAID,
        metavar="SIZE",
        help="auto, none or a number, for all rows of ours; by default unsaid: ours is told nothing",
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="run Dask at 100,000 once, and through all steps of the METG graphs",
    )
    parser.add_argument(
        "--plot",
        type=Path,
        nargs="?",
        const=Path("metg.svg"),
        metavar="FILE.svg",
        help="draw the METG curves there (metg.svg, when no file is named)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every line's facts there too")
    found = parser.parse_args(arguments)
    if "all" in found.rows:
        found.rows = names
    if min(found.reps, found.least) < 1 or found.tasks < 10 or found.steps < 2:
        parser.error("--reps and --least must be at least 1, --steps at least 2 and --tasks at least 10")
    if found.plot is not None and (found.plot.suffix != ".svg" or not found.plot.parent.is_dir()):
        parser.error(f"--plot {found.plot} is no .svg file in a folder that exists")
    if found.plot is not None and not {"metg", "metg-apart"}.intersection(found.rows):
        parser.error("--plot draws the rows metg and metg-apart, and neither is among --rows")
    return found


def main(arguments: list[str] | None = None) -> int:
    chosen = options(arguments)
    scale = Scale(
        tasks=chosen.tasks,
        pace=Pace(chosen.reps, chosen.seconds, chosen.least),
        bundle_size=chosen.bundle_size,
        steps=chosen.steps,
        full=chosen.full,
        plot=chosen.plot,
    )
    setting = "as it comes" if scale.bundle_size == UNSAID else f"with bundle_size={scale.bundle_size!r}"
    told = (
        f"--tasks {scale.tasks}, {chosen.reps} pairs or {chosen.seconds:g} s, at least {chosen.least}; ours {setting}; "
        "medians with their 95 % interval from order statistics"
    )
    return report.run(chosen.rows, ON_THE_CLUSTER, ALONE, scale, told, chosen.json)


if __name__ == "__main__":
    # The report is on standard output; what becomes of each task, which costs less than a hundredth, is not for it.
    logging.getLogger("prefectlite").setLevel(logging.WARNING)
    # Whoever stops it by a time limit keeps what was measured, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
