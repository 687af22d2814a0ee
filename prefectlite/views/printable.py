"""Text that any terminal can show. Knows nothing but characters."""

from __future__ import annotations

import re
from typing import Final

# Control characters move the cursor or ring; lone surrogates (file names that are no UTF-8) have no bytes.
_UNSHOWABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


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


def lasting(seconds: float) -> str:
    """Return a length of time in a form that people read at a glance.

    Parameters
    ----------
    seconds : float
        How long.

    Returns
    -------
    str
        ``"0.42 s"``, ``"14.2 s"``, ``"3:07"`` or ``"1:02:07"``.

    Examples
    --------
    >>> lasting(0.4217), lasting(14.2), lasting(187), lasting(3727)
    ('0.42 s', '14.2 s', '3:07', '1:02:07')
    """
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def counted(count: int, noun: str) -> str:
    """Return a count with its noun.

    Parameters
    ----------
    count : int
        How many.
    noun : str
        The noun's singular; its plural has an ``s``.

    Returns
    -------
    str
        ``"1 task run"``, ``"12,004 task runs"``.
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
