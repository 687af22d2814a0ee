"""The examples in docstrings, run."""

from __future__ import annotations

import doctest
import importlib
from types import ModuleType

import pytest

from tests.docs.walk import public_modules

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.DONT_ACCEPT_TRUE_FOR_1


@pytest.mark.parametrize("name", public_modules())
def test_examples_print_what_they_say(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name), optionflags=FLAGS).failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)

    modules = [importlib.import_module(name) for name in public_modules()]

    assert sum(len(found.examples) for module in modules for found in finder.find(module)) > 10


def test_a_planted_wrong_example_is_caught(capsys: pytest.CaptureFixture[str]) -> None:
    module = ModuleType("planted", "Add.\n\n>>> 1 + 1\n3\n")

    assert doctest.testmod(module, optionflags=FLAGS).failed == 1
    assert "Expected:\n    3" in capsys.readouterr().out
