"""What the texts of a file or variable mean: values, and what they refer to. Knows no setting."""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

#: ``${other.key}`` or ``${VARIABLE}``, and ``$VARIABLE``.
_REFERENCE: Final = re.compile(r"\$\{([A-Za-z_][\w.]*)\}|\$([A-Za-z_]\w*)")
_BRACED: Final = re.compile(r"\$\{([A-Za-z_][\w.]*)\}")


def meaning(text: str) -> Any:
    """Return what a text says, as JSON or as Python, else the text.

    Parameters
    ----------
    text : str
        Of a variable, say.

    Returns
    -------
    object
        The value.

    Examples
    --------
    >>> meaning("[1, 2]"), meaning("TRUE"), meaning("('a', None)"), meaning("north")
    ([1, 2], True, ('a', None), 'north')
    """
    lower = text.strip().lower()
    for form, read in ((lower if lower in ("true", "false") else text, json.loads), (text, ast.literal_eval)):
        with suppress(ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            return read(form)
    return text


def filled(text: str, value_of: Callable[[str], Any]) -> Any:
    """Put into a text what it refers to: ``${other.key}``, ``${VARIABLE}``, ``$VARIABLE``, a leading ``~``.

    Parameters
    ----------
    text : str
        As it was written.
    value_of : callable
        Returns the value of a name in braces.

    Returns
    -------
    object
        The text; what stands alone in it keeps its type. A ``$NAME`` that is no variable stays.
    """
    alone = _BRACED.fullmatch(text)
    if alone is not None:
        return value_of(alone[1])

    def meant(found: re.Match[str]) -> str:
        return str(value_of(found[1])) if found[1] else os.environ.get(found[2], found[0])

    text = _REFERENCE.sub(meant, text)
    return os.path.expanduser(text) if text.startswith("~") else text  # noqa: PTH111  # Path's raises


def filled_in_braces(text: str, value_of: Callable[[str], Any]) -> str:
    """Put into a text what it refers to in braces, and nothing else: it may be a password.

    Parameters
    ----------
    text : str
        As it was written.
    value_of : callable
        Returns the value of a name.

    Returns
    -------
    str
        The text.
    """
    return _BRACED.sub(lambda found: str(value_of(found[1])), text)
