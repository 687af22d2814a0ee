"""The task behind every branch: it is skipped unless a value is the expected one. Knows signals only."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Unpack

from prefectlite.core.base import Task
from prefectlite.core.constants import PLAIN
from prefectlite.core.options import OptionArgs
from prefectlite.states.signals import SKIP

_LONGEST: Final = 32


class CompareValue(Task):
    """Is skipped when the value that it is given differs from its own, and what waits for it is skipped too.

    Parameters
    ----------
    value : object
        What to compare with, by ``!=``.
    **options : OptionArgs
        Tags and the like.
    """

    auto_generated: ClassVar[bool] = True

    def __init__(self, value: Any, **options: Unpack[OptionArgs]) -> None:
        super().__init__(name=f"case({_words(value)})", **options)
        self.value = value

    def run(self, value: Any) -> None:
        """Compare.

        Parameters
        ----------
        value : object
            What came out.

        Raises
        ------
        SKIP
            When it is another value.
        """
        if value != self.value:
            raise SKIP(f"The value is {_words(value)}, so this branch, for {_words(self.value)}, is skipped.")


def _words(value: Any) -> str:
    """Return a short text for a value; that of a big one costs more than it is worth."""
    if type(value) not in PLAIN or (isinstance(value, str | bytes) and len(value) > _LONGEST):
        return f"a {type(value).__name__}"
    text = repr(value)
    return text if len(text) <= _LONGEST else f"a {type(value).__name__}"
