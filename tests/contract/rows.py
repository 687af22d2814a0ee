"""Rows of a contract: a rule of the reference with its section, and a function that shows that it holds.

The function may also build what shows it, for a test that plays all rows at all places.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Row = Callable[..., Any]


class Rows(dict[str, Row]):
    """The rows of some sections, by section and rule."""

    def __call__(self, section: str, rule: str) -> Callable[[Row], Row]:
        """Add a row: the decorated function raises where the rule does not hold."""

        def add(show: Row) -> Row:
            name = f"{section}: {rule}"
            assert name not in self, f"two rows say {name!r}"
            self[name] = show
            return show

        return add
