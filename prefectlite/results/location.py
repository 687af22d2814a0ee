"""Names of stored values: templates filled in, and a task run's own. Knows neither stores nor values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from string import Formatter
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from prefectlite.errors import ResultError
from prefectlite.moments import Named

#: A template for ``str.format``, or a function of the same names that returns a text.
Location: TypeAlias = str | Callable[..., str]
#: The longest name of a file on the usual file systems is 255 bytes; a store adds to it.
_LONGEST: Final = 200


def default_location(task_run_id: str, task_run_count: object = None, **_others: Any) -> str:
    """Return a name for a task run's value of which nobody says one.

    Parameters
    ----------
    task_run_id : str
        Which run; it makes the name.
    task_run_count : object
        Which attempt; it has a part in the name from the second on.

    Returns
    -------
    str
        Another for each attempt: one that was given up may go on, and store its value last.

    Examples
    --------
    >>> default_location(task_run_id="8fe2/load-1[3]", task_run_count=1)
    '8fe2/load-1[3]'
    >>> default_location(task_run_id="8fe2/load-1[3]", task_run_count=2)
    '8fe2/load-1[3]#2'
    """
    flow_run, _, name = task_run_id.partition("/")
    ending = f"#{task_run_count}" if isinstance(task_run_count, int) and task_run_count > 1 else ""
    # A slug may hold anything.
    safe = quote(name, safe=" []@()+,=", errors="backslashreplace").replace("..", "%2E%2E")
    if len(safe) > _LONGEST or safe in ("", "."):
        digest = blake2b(task_run_id.encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()
        safe = f"{safe[: _LONGEST - 40]}-{digest}"
    return f"{flow_run}/{safe}{ending}"


def filled_in(template: Location, names: Mapping[str, Any], what: str = "location") -> str:
    """Return the text that a template or a function makes.

    Parameters
    ----------
    template : str or callable
        A text with fields, or a function that takes what they may name.
    names : mapping of str to object
        What may be named.
    what : str
        What it is, for the error.

    Returns
    -------
    str
        The text.

    Raises
    ------
    ResultError
        When the template needs what is not there, or the function gives no text.
    """
    if callable(template):
        named = Named(names)
        found: object = template(**{name: named[name] for name in named})
        if not isinstance(found, str):
            raise ResultError(f"The {what} function {template!r} returned {found!r}, which is no text.")
        return found
    given: object = template
    if not isinstance(given, str):
        raise ResultError(f"The {what} {template!r} is no text; give one, or a function that returns one.")
    try:
        return template.format_map(Named(names))
    except (LookupError, ValueError, AttributeError, TypeError) as error:
        raise ResultError(
            f"The {what} {template!r} cannot be filled in ({type(error).__name__}: {error}); it may name "
            f"{', '.join(sorted(names)) or 'nothing'}, and a brace itself is written twice: '{{{{'."
        ) from error


def folder_in(template: Location) -> str:
    """Return in which folder a template puts all that it may name.

    Parameters
    ----------
    template : str or callable
        One that can be filled in.

    Returns
    -------
    str
        What its author wrote before the first field, up to the last ``/``; empty for a function, of whose
        text nobody knows which part its author wrote.

    Examples
    --------
    >>> folder_in("../{date:%Y}/{x}.pkl"), folder_in("/data/rows-{x}"), folder_in("{x}/rows")
    ('../', '/data/', '')
    """
    written = ""
    for text, field, _, _ in () if callable(template) else Formatter().parse(template):
        written += text
        if field is not None:
            break
    return written[: written.rfind("/") + 1]
