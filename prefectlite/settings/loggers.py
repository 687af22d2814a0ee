"""The logger of a class's own. Knows names alone."""

from __future__ import annotations

import logging


class ClassLogger:
    """An attribute that is the logger by the name of an object's class, unless somebody sets another.

    Examples
    --------
    >>> class Shelf:
    ...     logger = ClassLogger()
    >>> Shelf().logger.name
    'prefectlite.Shelf'
    """

    __slots__ = ()

    def __get__(self, instance: object, owner: type) -> logging.Logger:
        """Return the logger."""
        return logging.getLogger(f"prefectlite.{owner.__name__}")
