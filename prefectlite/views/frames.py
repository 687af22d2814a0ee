"""The user's own lines of a traceback, as text. Knows no exception object."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Final

#: A frame's first line; the prefix of bars is what an exception group puts before its members' lines.
_FRAME: Final = re.compile(r'^(?P<indent>[ |]*)File "(?P<path>.*)", line \d+')
_HOUSE: Final = str(Path(__file__).resolve().parent.parent)
#: The flows that ship with the package are read as if a user had written them.
_EXAMPLES: Final = str(Path(_HOUSE) / "examples")


def own_lines(text: str, limit: int | None = None) -> list[str]:
    """Return a traceback's lines without the frames of prefectlite and of Python's import machinery.

    Parameters
    ----------
    text : str
        A formatted traceback, or several that are chained.
    limit : int or None
        How many lines at most; the last ones are kept, since the error is at the end. None: all.

    Returns
    -------
    list of str
        The lines, without line ends; a traceback without any frame left keeps no header either.

    Examples
    --------
    >>> own_lines('''Traceback (most recent call last):
    ...   File "<frozen importlib._bootstrap>", line 241, in _call
    ...   File "/home/me/etl.py", line 3, in load
    ...     return 1 / 0
    ... ZeroDivisionError: division by zero''')
    ['  File "/home/me/etl.py", line 3, in load', '    return 1 / 0', 'ZeroDivisionError: division by zero']
    """
    kept: list[str] = []
    dropping: int | None = None  # the indent of the frame that is being left out
    for line in text.splitlines():
        frame = _FRAME.match(line)
        if frame is not None:
            dropping = len(frame["indent"]) if _is_ours(frame["path"]) else None
        elif dropping is not None and _indent(line) <= dropping:
            dropping = None
        if dropping is None and line.strip(" |+") != "Traceback (most recent call last):":
            kept.append(line)
    if limit is None or len(kept) <= limit:
        return kept
    return [f"  ... {len(kept) - limit} lines above", *kept[-limit:]]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" |"))


def _is_ours(path: str) -> bool:
    if path.startswith("<frozen ") or path == importlib.__file__:
        return True
    return path.startswith(_HOUSE) and not path.startswith(_EXAMPLES)
