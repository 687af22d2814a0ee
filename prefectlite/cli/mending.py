"""Errors of the user's making, and how the program tells them. Knows no command."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click

from prefectlite.errors import (
    CertificateError,
    ConfigError,
    ContextError,
    DefinitionError,
    DefinitionTypeError,
    ExecutorError,
    FlowLoadError,
    ParameterError,
    SerializationError,
)
from prefectlite.masking import mask
from prefectlite.printable import printable

#: The exit status.
USAGE: Final = 2

#: Errors of the user's making.
_UNMENDED: Final = (
    FlowLoadError,
    ParameterError,
    DefinitionError,
    DefinitionTypeError,
    ExecutorError,
    ConfigError,
    ContextError,
    SerializationError,
    CertificateError,
)


class Unmended(click.ClickException):
    """An error of the user's making: its text says what is wrong, where, and the mend."""

    exit_code = USAGE


@contextmanager
def mended(debug: bool = False) -> Iterator[None]:
    """Let what the user can mend end the command with its text alone.

    Parameters
    ----------
    debug : bool
        Whether it also shows where it arose.

    Yields
    ------
    None
        Nothing.

    Raises
    ------
    Unmended
        With the text of the error.
    """
    try:
        yield
    except _UNMENDED as error:
        if debug:
            click.echo(where_it_arose(), err=True)
        raise Unmended(printable(mask(str(error)))) from error


def where_it_arose() -> str:
    """Return the traceback of the exception that is being handled, without secrets.

    Returns
    -------
    str
        For ``--debug``.
    """
    return printable(mask(traceback.format_exc().rstrip()))
