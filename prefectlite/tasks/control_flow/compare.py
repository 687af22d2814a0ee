"""The task behind every branch: it is skipped unless a value is the expected one. Knows signals only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Unpack

from prefectlite.core.base import Task
from prefectlite.core.options import TaskArgs
from prefectlite.core.plain import LONGEST_IN_NAME, short_text
from prefectlite.states.signals import SKIP

_LONGEST: Final = 32


class CompareValue(Task):
    """Is skipped when the value that it is given differs from its own, and what waits for it is skipped too.

    Parameters
    ----------
    value : object
        What to compare with, by ``!=``.
    **options : TaskArgs
        Tags and the like; it is called ``CompareValue: "<value>"`` unless ``name`` says otherwise.
    """

    def __init__(self, value: Any, **options: Unpack[TaskArgs]) -> None:
        # There is nothing in its None to store.
        options.setdefault("checkpoint", False)
        options.setdefault("name", f'CompareValue: "{words(value, str, LONGEST_IN_NAME)}"')
        super().__init__(**options)
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
            raise SKIP(f"The value is {words(value)}, so this branch, for {words(self.value)}, is skipped.")


def words(value: Any, text_of: Callable[[Any], str] = repr, longest: int = _LONGEST) -> str:
    """Return a short text for a value; that of a big one costs more than it is worth.

    Parameters
    ----------
    value : object
        The value.
    text_of : callable
        Makes the text of a value that is not big.
    longest : int
        How many characters are short.

    Returns
    -------
    str
        That text, or ``a <type>``.
    """
    text = short_text(value, longest, text_of)
    return f"a {type(value).__name__}" if text is None else text
