"""Chooses how progress shows: moving in a terminal, in plain lines elsewhere. Knows no flow run."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from prefectlite.views.lines import LineDisplay
from prefectlite.views.live import LiveDisplay
from prefectlite.views.progress import Display, Progress


def display_for(stream: TextIO | None = None) -> Display:
    """Return the display that fits a stream.

    Parameters
    ----------
    stream : file or None
        Where to show; by default the process's standard error.

    Returns
    -------
    Display
        One that moves where the stream is a terminal that can; plain lines elsewhere.
    """
    out = sys.stderr if stream is None else stream
    if not out.isatty() or os.environ.get("TERM", "").lower() in ("dumb", "unknown"):
        return LineDisplay(out)
    return LiveDisplay(out)


def terminal_progress(stream: TextIO | None = None, *, logs: bool = True) -> Progress:
    """Return an observer that shows progress on a stream.

    Parameters
    ----------
    stream : file or None
        Where to show; by default the process's standard error.
    logs : bool
        Whether the lines show that task bodies log and print.

    Returns
    -------
    Progress
        To be given to a flow run as an observer, and to be closed after it.
    """
    return Progress(display_for(stream), logs=logs)
