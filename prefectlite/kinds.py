"""What kind of thing an argument must be, and what is said of one that is not. Knows no kind of ours."""

from __future__ import annotations

from typing import Any, Final

from prefectlite.errors import DefinitionTypeError

#: What ``isinstance`` takes for bytes.
BYTES: Final = bytes | bytearray | memoryview
_LONGEST: Final = 300


def check_kind(owner: str, name: str, value: object, kind: Any, mend: str) -> None:
    """Refuse an argument that is of none of the kinds that it may be.

    Parameters
    ----------
    owner : str
        What it was given to.
    name : str
        As what.
    value : object
        The argument.
    kind : type, union or tuple of type
        As ``isinstance`` takes it; a bool is of none of them, not even a number.
    mend : str
        What to give instead, as a sentence.

    Raises
    ------
    DefinitionTypeError
        When it is of none of them; the text says what, where, and the mend.

    Examples
    --------
    >>> check_kind("Task 'load'", "env", 3, dict, "write env={'NAME': 'value'}.")
    Traceback (most recent call last):
    prefectlite.errors.DefinitionTypeError: Task 'load' has env=3; write env={'NAME': 'value'}.
    """
    if isinstance(value, bool) or not isinstance(value, kind):
        raise DefinitionTypeError(f"{owner} has {name}={shown(value)}; {mend}")


def is_truth(value: object) -> bool:
    """Return whether a value is a truth value, or one of the numbers that stand for them.

    Parameters
    ----------
    value : object
        Anything.

    Returns
    -------
    bool
        Whether it is True, False, 1 or 0.

    Examples
    --------
    >>> is_truth(1), is_truth(2), is_truth("yes")
    (True, False, False)
    """
    return isinstance(value, int) and value in (0, 1)


def shown(value: object) -> str:
    """Return a value as it may stand in an error: not without end, and whatever its ``repr`` does.

    Parameters
    ----------
    value : object
        Anything.

    Returns
    -------
    str
        The beginning of its ``repr``.

    Examples
    --------
    >>> shown("rows")
    "'rows'"
    """
    try:
        text = repr(value)
    except Exception as error:
        return f"<{type(value).__name__} whose repr raises {type(error).__name__}>"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
