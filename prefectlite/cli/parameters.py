"""Gathers a flow's parameters from what a person typed. Knows texts and JSON, and no types."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from prefectlite.core.parameter import Parameter
from prefectlite.core.task import Task
from prefectlite.errors import ContextError, ParameterError


def gather(declared: Iterable[Task], typed: Iterable[str], file: Path | None) -> dict[str, Any]:
    """Return the values that a person gave, those typed before those of the file.

    Parameters
    ----------
    declared : iterable of Parameter
        What the flow takes.
    typed : iterable of str
        Texts such as ``"limit=100"``.
    file : Path or None
        A JSON file with an object of names and values.

    Returns
    -------
    dict of str to object
        Values by name; names that the flow does not know are left for it to refuse.

    Raises
    ------
    ParameterError
        When a text has no ``=``, a name comes twice, a value does not fit, or the file is no such file.
    """
    known = {one.name: one for one in declared if isinstance(one, Parameter)}
    found = {} if file is None else read_file(file)
    texts: dict[str, str] = {}
    for text in typed:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ParameterError(f"-p {text!r} is not of the form name=value; write -p limit=100, say.")
        if name in texts:
            both = f", as {texts[name]!r} and {value!r}"
            if name in known and known[name].is_secret_type:
                both = ""
            raise ParameterError(f"The parameter {name!r} is given twice{both}; give it once.")
        texts[name] = value
        found[name] = known[name].parse(value) if name in known else value
    return found


def context_from(named: Iterable[str]) -> dict[str, Any]:
    """Return the context that a person gave.

    Parameters
    ----------
    named : iterable of str
        Texts such as ``"region=north"``; a later one goes before an earlier one of the same name.

    Returns
    -------
    dict of str to object
        Values by name: what a text means as JSON, else the text.

    Raises
    ------
    ContextError
        When a text has no ``=``.
    """
    found: dict[str, Any] = {}
    for text in named:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ContextError(
                f"--context {text!r} is not of the form name=value; write --context region=north."
            )
        try:
            found[name] = json.loads(value)
        except (ValueError, RecursionError):
            found[name] = value
    return found


def read_file(path: Path) -> dict[str, Any]:
    """Return the parameters in a JSON file.

    Parameters
    ----------
    path : Path
        A file with a JSON object.

    Returns
    -------
    dict of str to object
        Its names and values.

    Raises
    ------
    ParameterError
        When it cannot be read, or holds anything else.
    """
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise ParameterError(
            f"The parameter file {str(path)!r} cannot be read: {error.strerror}; "
            "give the path of a JSON file."
        ) from error
    except (ValueError, RecursionError) as error:
        raise ParameterError(
            f"The parameter file {str(path)!r} is not JSON: {error}; it must hold an object "
            'such as {"limit": 100}.'
        ) from error
    if not isinstance(found, Mapping):
        raise ParameterError(
            f"The parameter file {str(path)!r} holds a {type(found).__name__}, but must hold an object "
            'such as {"limit": 100}.'
        )
    return dict(found)
