"""The loggers of prefectlite and of its tasks. Knows no handlers: where lines go is the program's word."""

from __future__ import annotations

import logging
from typing import Final

_ROOT: Final = "prefectlite"


def get_logger(name: str | None = None) -> logging.Logger:
    """Return a logger of the tree ``prefectlite``; what it takes inside a task body reaches the driver.

    Parameters
    ----------
    name : str or None
        Its name below ``prefectlite``; None for that one itself.

    Returns
    -------
    logging.Logger
        The one that the task of this name has, too.

    Examples
    --------
    >>> get_logger("load").name
    'prefectlite.load'
    """
    return logging.getLogger(_ROOT if not name or name == _ROOT else f"{_ROOT}.{name}")
