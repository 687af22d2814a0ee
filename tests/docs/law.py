"""What a docstring owes its signature. Knows numpydoc's sections; knows nothing of the package."""

from __future__ import annotations

import builtins
import enum
import functools
import inspect
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, NoReturn, Protocol

from numpydoc.docscrape import NumpyDocString

# A docstring without sections is enough where a sentence says it all. It then names its parameters so.
_NAMED = re.compile(r"``\*{0,2}(\w+)")
_SAYS_WHAT_COMES_BACK = re.compile(r"\b(return|yield|whether|answer|give|make|read back)", re.IGNORECASE)


def breaches(where: str, thing: Any) -> Iterator[str]:
    """Say in words what the docstring of a module, class, function or property lacks or has too much."""
    text = inspect.cleandoc(thing.__doc__ or "")
    if not text:
        yield f"{where}: has no docstring"
        return
    yield from (f"{where}: {breach}" for breach in _first_line(text))
    if inspect.ismodule(thing) or isinstance(thing, property | functools.cached_property):
        return
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        parsed = NumpyDocString(text)
    yield from (f"{where}: {' '.join(str(one.message).split())}" for one in said)
    if inspect.isclass(thing):
        found = _class_parameters(thing)
        if found is not None:
            yield from (f"{where}: {breach}" for breach in _parameters(text, parsed, found))
        return
    in_class = "." in thing.__qualname__.rpartition("<locals>.")[2]
    found = list(inspect.signature(thing).parameters)
    if in_class and found[:1] in (["self"], ["cls"]):
        del found[0]
    found = [name for name in found if not name.startswith("_")]
    breached = [*_parameters(text, parsed, found), *_return(text, parsed, thing), *_raises(parsed, thing)]
    yield from (f"{where}: {breach}" for breach in breached)


def _first_line(text: str) -> Iterator[str]:
    first, _, rest = text.partition("\n")
    if not first.endswith((".", "?", ":")) or (first.endswith(":") and not rest.strip()):
        yield f"the first line is no full sentence: {first!r}"
    elif first[0].isalpha() and first[0].islower():
        yield f"the first line begins small: {first!r}"
    if rest and not rest.startswith("\n"):
        yield "no blank line after the first"


def _class_parameters(cls: type) -> list[str] | None:
    """Return what a user hands to the class, or None where nobody calls it or another room wrote its call."""
    if issubclass(cls, enum.Enum) or Protocol in cls.__bases__:
        return None
    owner = next((one for one in cls.__mro__ if {"__init__", "__new__"} & vars(one).keys()), object)
    if owner is not cls and not _is_a_model(cls):
        return None  # its base documents the call
    return [name for name in inspect.signature(cls).parameters if not name.startswith("_")]


def _is_a_model(cls: type) -> bool:
    return hasattr(cls, "model_fields") and bool(cls.model_fields)


def _parameters(text: str, parsed: NumpyDocString, found: Sequence[str]) -> Iterator[str]:
    listed = [name.strip().lstrip("*") for one in parsed["Parameters"] for name in one.name.split(",")]
    listed += [name.strip() for one in parsed["Other Parameters"] for name in one.name.split(",")]
    if not listed and not _has_sections(parsed):
        listed = [name for name in found if name in _NAMED.findall(text)]
    for name in found:
        if name not in listed:
            yield f"parameter {name!r} is not documented"
    for name in listed:
        if name not in found:
            yield f"documents a parameter {name!r} that does not exist"
    in_order = [name for name in found if name in listed]
    if not set(listed) ^ set(in_order) and listed != in_order:
        yield f"documents the parameters out of order: {', '.join(listed)}"


def _has_sections(parsed: NumpyDocString) -> bool:
    return any(parsed[name] for name in ("Parameters", "Returns", "Yields", "Raises", "Other Parameters"))


def _return(text: str, parsed: NumpyDocString, function: Callable[..., Any]) -> Iterator[str]:
    says = bool(parsed["Returns"] or parsed["Yields"])
    given = inspect.signature(function).return_annotation
    nothing = given in (None, "None", NoReturn, "NoReturn", "Never")
    if nothing and says:
        yield "documents a return value, but returns None"
    if not nothing and given is not inspect.Signature.empty and not says:
        if _has_sections(parsed):
            yield "has sections, but no Returns or Yields"
        elif not _SAYS_WHAT_COMES_BACK.search(text):
            yield "does not say what it returns"


def _raises(parsed: NumpyDocString, function: Callable[..., Any]) -> Iterator[str]:
    home = inspect.getmodule(function)
    for one in parsed["Raises"]:
        for name in one.type.split(","):
            if not _is_exception(name.strip(), home):
                yield f"documents that it raises {name.strip()!r}, which is no exception that its module knows"


def _is_exception(name: str, home: ModuleType | None) -> bool:
    errors = sys.modules.get("prefectlite.errors")
    for place in (home, errors, builtins):
        thing = place
        for part in name.split("."):
            thing = getattr(thing, part, None)
        if inspect.isclass(thing) and issubclass(thing, BaseException):
            return True
    return False
