"""What Dask says of an own cluster is kept from its handlers. Knows records and handlers; knows no cluster.

Dask's own way, ``silence_logs``, raises the level of each handler of its loggers. A handler that stands at
other loggers too, as a log file of the user's or what a test captures, then loses their records with Dask's;
ours are among them, and they say why a run became what it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

#: Dask's loggers, and that of what draws its dashboard.
NOISY: Final = ("distributed", "bokeh")


class _Hush(logging.Filter):
    def __init__(self, level: int) -> None:
        super().__init__()
        self._level = level

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= self._level or record.name.partition(".")[0] not in NOISY


def level_of(given: int | str | bool | None) -> int:
    """Return the level that ``silence_logs`` of a cluster's arguments means.

    Parameters
    ----------
    given : int, str, bool or None
        A level or its name, in any case; what is false means that nothing is kept back.

    Returns
    -------
    int
        As in `logging`.

    Raises
    ------
    ValueError
        When no level has that name.
    """
    if not isinstance(given, str):
        return int(given or logging.NOTSET)
    level = logging.getLevelNamesMapping().get(given.upper())
    if level is None:
        raise ValueError(f'silence_logs is {given!r}, which is no level; give one such as "error" or 40')
    return level


def hush(level: int) -> Callable[[], None]:
    """Keep from the handlers of Dask's loggers what Dask says below a level.

    Parameters
    ----------
    level : int
        The least level that still gets through.

    Returns
    -------
    callable
        Ends it; what others keep back meanwhile stays kept back, in whichever order they end.
    """
    kept = _Hush(level)
    handlers = {handler for name in NOISY for handler in logging.getLogger(name).handlers}
    for handler in handlers:
        handler.addFilter(kept)

    def end() -> None:
        for handler in handlers:
            handler.removeFilter(kept)

    return end
