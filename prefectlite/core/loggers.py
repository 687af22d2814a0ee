"""The loggers of prefectlite and of its tasks. Knows no handlers: where lines go is the program's word."""

from __future__ import annotations

import logging
from typing import Any, Final

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
    return logging.getLogger(_full(name))


def run_logger(full_name: str) -> logging.Logger:
    """Return the logger of one child of a map, which ``logging`` does not keep.

    Parameters
    ----------
    full_name : str
        The child's: ``"load[3]"``.

    Returns
    -------
    logging.Logger
        As of ``passing_logger``.

    Examples
    --------
    >>> run_logger("load[3]").name
    'prefectlite.load[3]'
    """
    return passing_logger(_full(full_name))


def passing_logger(name: str) -> logging.Logger:
    """Return the logger of a name as ``logging.getLogger`` does, but make none that lasts.

    ``logging`` never lets go of a logger that it has made, and there may be one for each child of a map.

    Parameters
    ----------
    name : str
        Its whole name.

    Returns
    -------
    logging.Logger
        The one that the program has made by that name; else one that goes with its last reader, and hands
        records on to the one that ``logging.getLogger`` would have them handed on to.

    Examples
    --------
    >>> passing_logger("prefectlite.load[3]").parent is get_logger()
    True
    """
    kind = logging.Logger.manager.loggerClass or logging.getLoggerClass()
    return _known(name) or _KINDS[kind](name)


class _Passing(logging.Logger):
    """What is different of a logger that ``logging`` does not know, and so does not tell of what changes."""

    @property
    def parent(self) -> logging.Logger:
        above, found = self.name, None
        while found is None:
            above = above.rpartition(".")[0]
            found = _known(above)
        return found

    @parent.setter
    def parent(self, value: object) -> None:
        """Set nothing: who makes a logger says that it has no parent yet."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  # logging's name
        self._cache.clear()  # type: ignore[attr-defined]  # what it remembers of levels
        return super().isEnabledFor(level)

    def __reduce__(self) -> tuple[Any, ...]:
        return passing_logger, (self.name,)


class _Kinds(dict[type[logging.Logger], type[logging.Logger]]):
    """What classes of loggers are for such as pass; a program may have one of its own."""

    def __missing__(self, kind: type[logging.Logger]) -> type[logging.Logger]:
        made = self[kind] = type(kind.__name__, (_Passing, kind), {})
        return made


_KINDS: Final = _Kinds()


def _known(name: str) -> logging.Logger | None:
    root = logging.getLogger()
    found = root if name in ("", root.name) else logging.Logger.manager.loggerDict.get(name)
    return found if isinstance(found, logging.Logger) else None


def _full(name: str | None) -> str:
    return _ROOT if not name or name == _ROOT else f"{_ROOT}.{name}"
