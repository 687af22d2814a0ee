"""Docstrings against signatures, both ways, for everything public."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from textwrap import indent
from types import ModuleType

import pytest

from tests.docs.law import breaches
from tests.docs.walk import public_members, public_modules


def breaches_of(module: ModuleType) -> Iterator[str]:
    yield from breaches(module.__name__, module)
    for where, thing in public_members(module):
        yield from breaches(where, thing)


@pytest.mark.parametrize("name", public_modules())
def test_docstrings_agree_with_signatures(name: str) -> None:
    assert list(breaches_of(importlib.import_module(name))) == []


def test_all_rooms_are_walked() -> None:
    assert {"prefectlite", "prefectlite.engine.engine", "prefectlite.flow", "prefectlite.cli.main"} <= set(
        public_modules()
    )


WHOLE = '''"""Return the sum.

Parameters
----------
x, y : int
    Summands.
*more : int
    Further ones.

Returns
-------
int
    The sum.

Raises
------
ValueError
    Never.
"""'''

WITHOUT_RETURNS = WHOLE.replace("Returns\n-------\nint\n    The sum.\n\n", "")
FIELD = """class A(NamedTuple):
    '''Stand.

    Parameters
    ----------
    x : int
        It.
    '''
    y: int
"""
DECORATED = """import functools
def d(f):
    '''Return ``f`` wrapped.'''
    @functools.wraps(f)
    def g(*a): ...
    return g
@d
def f(x: int) -> None:
    '''Do.'''
"""

PLANTED = {
    "a missing docstring": ("def f() -> None: pass", "has no docstring"),
    "no full sentence": ("def f() -> None:\n    '''Do it'''", "the first line is no full sentence"),
    "a small beginning": ("def f() -> None:\n    '''does it.'''", "the first line begins small"),
    "a second line at once": ("def f() -> None:\n    '''Do it.\n    Or not.'''", "no blank line"),
    "an undocumented parameter": (
        f"def f(x: int, y: int, z: int, *more: int) -> int:\n{indent(WHOLE, '    ')}",
        "parameter 'z' is not documented",
    ),
    "an invented parameter": (
        f"def f(x: int, *more: int) -> int:\n{indent(WHOLE, '    ')}",
        "documents a parameter 'y' that does not exist",
    ),
    "parameters out of order": (
        f"def f(y: int, x: int, *more: int) -> int:\n{indent(WHOLE, '    ')}",
        "documents the parameters out of order: x, y, more",
    ),
    "an invented return": (
        f"def f(x: int, y: int, *more: int) -> None:\n{indent(WHOLE, '    ')}",
        "documents a return value, but returns None",
    ),
    "an invented exception": (
        f"def f(x: int, y: int, *more: int) -> int:\n{indent(WHOLE.replace('ValueError', 'ValuError'), '    ')}",
        "raises 'ValuError'",
    ),
    "a parameter missing from a sentence": (
        "def f(x: int, y: int) -> int:\n    '''Return ``x`` alone.'''",
        "parameter 'y' is not documented",
    ),
    "a silent return": ("def f(x: int) -> int:\n    '''Take ``x``.'''", "does not say what it returns"),
    "a missing Returns": (
        f"def f(x: int, y: int, *more: int) -> int:\n{indent(WITHOUT_RETURNS, '    ')}",
        "has sections, but no Returns or Yields",
    ),
    "a line under a heading that is too short": (
        f"def f(x: int, y: int, *more: int) -> int:\n{indent(WHOLE.replace('-------', '---'), '    ')}",
        "wrong underline length",
    ),
    "a function of a class": ("def f(cls: type) -> None:\n    '''Do.'''", "f: parameter 'cls'"),
    "a method": (
        "class A:\n    '''Stands.'''\n    def f(self, x: int) -> None:\n        '''Do.'''",
        "A.f: parameter 'x'",
    ),
    "a class method": (
        "class A:\n    '''Stands.'''\n    @classmethod\n    def f(cls, x: int) -> None:\n        '''Do.'''",
        "A.f: parameter 'x'",
    ),
    "a property": (
        "class A:\n    '''Stands.'''\n    @property\n    def f(self) -> int: ...",
        "A.f: has no docstring",
    ),
    "a class without its parameters": (
        "class A:\n    '''Stand.'''\n    def __init__(self, x: int) -> None: ...",
        "A: parameter 'x' is not documented",
    ),
    "a dataclass without its fields": (
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    '''Stand.'''\n    x: int",
        "A: parameter 'x' is not documented",
    ),
    "a named tuple with another field": (
        f"from typing import NamedTuple\n{FIELD}",
        "A: documents a parameter 'x' that does not exist",
    ),
    "a decorated function": (DECORATED, "f: parameter 'x' is not documented"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_breach_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source, expected = PLANTED[name]

    found = list(breaches_of(made(source, monkeypatch)))

    assert [text for text in found if expected in text], found


def test_a_whole_docstring_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    source = f"def f(x: int, y: int, *more: int) -> int:\n{indent(WHOLE, '    ')}"

    assert list(breaches_of(made(source, monkeypatch))) == []


def made(source: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("planted", "A planted module.")
    monkeypatch.setitem(sys.modules, "planted", module)
    exec(f"from __future__ import annotations\n{source}", module.__dict__)
    return module
