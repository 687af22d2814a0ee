"""Runs every fault on real processes and prints the table: ``python -m tests.faults [--quick] [WORD ...]``."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.faults.row import judge, shown
from tests.faults.table import ROWS


def main(arguments: list[str]) -> int:
    """Run the rows whose names hold all the words; return how many fail that should hold."""
    words = [one for one in arguments if not one.startswith("-")]
    chosen = [one for one in ROWS if all(word in one.name for word in words)]
    if "--quick" in arguments:
        chosen = [one for one in chosen if not one.is_slow]
    ends: Counter[str] = Counter()
    for one in chosen:
        with tempfile.TemporaryDirectory(prefix="fault-") as folder:
            ending = judge(one, Path(folder))
        ends[ending.word] += 1
        print(shown(ending), flush=True)
    print(", ".join(f"{count} {word}" for word, count in ends.items()))
    return ends["FAILS"]


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:])))
