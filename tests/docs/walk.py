"""Which modules, classes and functions the package shows to its readers."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

# Read from the files, so that a module that cannot be imported fails its own tests and no others.
ROOT = Path(__file__).resolve().parents[2] / "prefectlite"


def public_modules() -> list[str]:
    """Return the names of all modules of the package that do not begin with an underscore."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if not any(part.startswith("_") for part in parts):
            found.append(".".join(parts))
    return found


def public_members(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield the public classes and functions that ``module`` itself defines, and what the classes hold."""
    for name, thing in vars(module).items():
        if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
            continue
        where = f"{module.__name__}.{name}"
        if inspect.isclass(thing):
            yield where, thing
            yield from _public_attributes(where, thing)
        elif function := _function(thing):
            yield where, function


def _public_attributes(where: str, owner: type) -> Iterator[tuple[str, Any]]:
    for name, raw in vars(owner).items():
        if name.startswith("_"):
            continue
        if inspect.isclass(raw) and raw.__qualname__.startswith(f"{owner.__qualname__}."):
            yield f"{where}.{name}", raw
            yield from _public_attributes(f"{where}.{name}", raw)
        elif isinstance(raw, property | functools.cached_property):
            yield f"{where}.{name}", raw
        elif function := _function(raw):
            yield f"{where}.{name}", function


def _function(raw: Any) -> Callable[..., Any] | None:
    if isinstance(raw, classmethod | staticmethod):
        raw = raw.__func__
    unwrapped = inspect.unwrap(raw) if callable(raw) else raw
    return unwrapped if inspect.isfunction(unwrapped) else None
