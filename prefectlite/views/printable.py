"""Words for what people read: texts that any terminal can show, lengths of time, counts. Knows no run."""

from __future__ import annotations

from prefectlite.printable import hanging, label, printable

__all__ = ["counted", "hanging", "label", "lasting", "printable"]


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
