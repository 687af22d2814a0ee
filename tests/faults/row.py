"""A fault, what must come of it, and what came of it. Knows no cluster."""

from __future__ import annotations

import textwrap
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tests.faults.ground import Ground

#: Brings a fault about, asserts its verdict, and returns what it saw, in a few words.
Provoke: TypeAlias = Callable[[Ground], str]


class CannotRunHere(Exception):
    """This machine lacks what a row needs; the text says what, and the command that provides it."""


@dataclass(frozen=True, slots=True)
class Row:
    """A fault of the table.

    Parameters
    ----------
    name : str
        The fault.
    verdict : str
        What must come of it.
    provoke : callable
        Brings it about.
    is_slow : bool
        Whether that takes more than eight seconds.
    missing : str
        What the product lacks for this; the row is then expected to fail.
    """

    name: str
    verdict: str
    provoke: Provoke
    is_slow: bool = False
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Ending:
    """What came of a row.

    Parameters
    ----------
    row : Row
        Which.
    word : str
        ``"holds"``, ``"FAILS"``, ``"missing"`` (fails, and is known to) or ``"not run"``.
    seen : str
        What was seen.
    seconds : float
        How long it took.
    """

    row: Row
    word: str
    seen: str
    seconds: float


#: All rows, in the order of the table.
ROWS: list[Row] = []


def row(name: str, verdict: str, *, slow: bool = False, missing: str = "") -> Callable[[Provoke], Provoke]:
    """Enter a function in the table."""

    def enter(provoke: Provoke) -> Provoke:
        ROWS.append(Row(name, verdict, provoke, slow, missing))
        return provoke

    return enter


def judge(one: Row, folder: Path) -> Ending:
    """Run a row and return what came of it; only Ctrl-C gets out."""
    begun = time.monotonic()
    try:
        seen = one.provoke(Ground(folder))
        word = "holds"
    except CannotRunHere as lack:
        word, seen = "not run", str(lack)
    except Exception as error:
        word = "missing" if one.missing else "FAILS"
        seen = one.missing or _told(error)
    return Ending(one, word, seen, time.monotonic() - begun)


def shown(ending: Ending, width: int = 110) -> str:
    """Return a row of the printed table: the fault with its verdict, and below what must be and what was seen."""
    lines = [f"{ending.word:<8}{ending.row.name} ({ending.seconds:.1f} s)"]
    for head, text in (("must: ", ending.row.verdict), ("seen: ", ending.seen)):
        lines += textwrap.wrap(text, width, initial_indent=" " * 8 + head, subsequent_indent=" " * 14)
    return "\n".join(lines)


def _told(error: Exception) -> str:
    where = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"{type(error).__name__}: {error or where.line} (line {where.lineno} of {Path(where.filename).name})"
    )
