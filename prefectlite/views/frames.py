"""The user's own lines of a traceback, as text. Knows source files, no exception object."""

from __future__ import annotations

import importlib
import linecache
import re
from pathlib import Path
from typing import Final

from prefectlite.masking import mask

#: A frame's first line; the prefix of bars is what an exception group puts before its members' lines.
_FRAME: Final = re.compile(r'^(?P<indent>[ |]*)File "(?P<path>.*)", line (?P<number>\d+)')
_HOUSE: Final = str(Path(__file__).resolve().parent.parent)
#: The flows that ship with the package are read as if a user had written them.
_EXAMPLES: Final = str(Path(_HOUSE) / "examples")


def own_lines(text: str, limit: int | None = None) -> list[str]:
    """Return a traceback's lines without the frames of prefectlite and of Python's import machinery.

    A worker has no lines of a notebook's cell; where this process has them, they are put in.

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
    bare: re.Match[str] | None = None  # a frame of the user's whose source has not come yet
    for line in [*text.splitlines(), ""]:
        frame = _FRAME.match(line)
        if bare is not None and _indent(line) <= len(bare["indent"]):
            kept += _source_of(bare)
        bare = None
        if frame is not None:
            is_ours = _is_ours(frame["path"])
            dropping, bare = (len(frame["indent"]), None) if is_ours else (None, frame)
        elif dropping is not None and _indent(line) <= dropping:
            dropping = None
        if dropping is None and line.strip(" |+") != "Traceback (most recent call last):":
            kept.append(line)
    kept.pop()  # the end of the text
    if limit is None or len(kept) <= limit:
        return kept
    return [f"  ... {len(kept) - limit} lines above", *kept[-limit:]]


def _source_of(frame: re.Match[str]) -> list[str]:
    line = linecache.getline(frame["path"], int(frame["number"])).strip()
    return [f"{frame['indent']}  {mask(line)}"] if line else []


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" |"))


def _is_ours(path: str) -> bool:
    if path.startswith("<frozen ") or path == importlib.__file__:
        return True
    return path.startswith(_HOUSE) and not path.startswith(_EXAMPLES)
