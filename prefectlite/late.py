"""Modules and names that are imported when they are first used, or not at all. Knows none of them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any


def late_names(module: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a function for a module to call ``__getattr__``.

    Parameters
    ----------
    module : str
        The module's name.
    homes : mapping of str to str
        Where each name is to be found: ``"package.module:Thing"``, or ``"package.module"`` for a module.

    Returns
    -------
    callable
        It imports what has the name that it is given, and keeps it in the module.
    """

    def find(name: str) -> Any:
        if name not in homes:
            absent = importlib.import_module("prefectlite.absent")
            raise AttributeError(absent.lacking(module, name, homes))
        home, _, thing = homes[name].partition(":")
        found: Any = importlib.import_module(home)
        if thing:
            found = getattr(found, thing)
        setattr(sys.modules[module], name, found)
        return found

    return find


def loaded(module: str) -> ModuleType | None:
    """Return a module if this process has it; what another thread is importing just now is waited for.

    Parameters
    ----------
    module : str
        A library's: the user's may be what runs the flow while it is imported.

    Returns
    -------
    module or None
        Never one that lacks names still.
    """
    found = sys.modules.get(module)
    if found is not None and getattr(found.__spec__, "_initializing", False):
        return importlib.import_module(module)
    return found
