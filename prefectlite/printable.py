"""Text that any terminal can show. Knows nothing but characters.

Names and messages are users' or strangers' (a file's name, a web page's title), and what they hold must not
move a cursor, ring, turn the direction of reading, or pass for a line that we wrote.
"""

from __future__ import annotations

import re
from typing import Final

# Control characters move the cursor or ring; lone surrogates (file names that are no UTF-8) have no bytes;
# the last ones end lines and turn the direction of what follows.
_UNSHOWABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028-\u202e\u2066-\u2069]")
_INDENT: Final = "\n    "


def printable(text: str) -> str:
    r"""Return ``text`` with what no terminal can show written as escapes.

    Parameters
    ----------
    text : str
        Anything: messages and file names of user code.

    Returns
    -------
    str
        The same text, but for control characters and lone surrogates; tabs and line ends stay.

    Examples
    --------
    >>> printable("caf\udce9.py\x1b[2J")
    'caf\\udce9.py\\x1b[2J'
    """
    if text.isprintable():
        return text
    return _UNSHOWABLE.sub(_escape, text.replace("\r\n", "\n"))


def label(name: str) -> str:
    r"""Return a name as it may stand in a line of ours.

    Parameters
    ----------
    name : str
        What a flow, a task, a tag or a parameter is called.

    Returns
    -------
    str
        The same, with tabs and line ends as escapes too.

    Examples
    --------
    >>> label("load\nall is well")
    'load\\nall is well'
    """
    if name.isprintable():
        return name
    return printable(name).replace("\n", r"\n").replace("\t", r"\t")


def hanging(text: str) -> str:
    r"""Return a text whose further lines are indented, so that none of them passes for one of ours.

    Parameters
    ----------
    text : str
        Anything.

    Returns
    -------
    str
        As from ``printable``.

    Examples
    --------
    >>> hanging("load | first\nsecond")
    'load | first\n    second'
    """
    return printable(text).replace("\n", _INDENT)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
