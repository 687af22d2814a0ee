"""Typed errors, each with a mend in its text. Knows nothing of the rest of the house."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, TypedDict

#: What code of a user's own may raise where we call it; what else there is comes from outside, as an
#: interrupt does. A module may end its program where it is imported, on a machine without a GPU, say.
OF_USER_CODE: Final = (Exception, SystemExit)


class PrefectliteError(Exception):
    """The base of every error that prefectlite raises on its own behalf."""


class DefinitionError(PrefectliteError, ValueError):
    """A task or flow was declared with a value that cannot work."""


class DefinitionTypeError(PrefectliteError, TypeError):
    """A task or flow was declared with an object of the wrong kind."""


class ParameterError(PrefectliteError, ValueError):
    """A flow was given a parameter that is unknown, missing or of the wrong type."""


class ParameterNameError(ParameterError, TypeError):
    """A flow was given a value under a name that none of its parameters has, or under no name at all."""


class ContextError(PrefectliteError, ValueError):
    """A flow run was given a context that it cannot have."""


class ConfigError(PrefectliteError, ValueError):
    """A configuration file, an environment variable or a temporary setting says what cannot be."""


class SecretError(PrefectliteError, ValueError):
    """A secret is not there, or was asked for where its value would be written down."""


class FlowLoadError(PrefectliteError):
    """A file or module does not hold the flow that was asked for."""


class FlowFileNotFound(FileNotFoundError, FlowLoadError):
    """There is no file where a saved flow was looked for."""


class ExecutorError(PrefectliteError):
    """The place where a flow should run cannot be reached or cannot be used."""


class CertificateError(PrefectliteError):
    """Certificates cannot be made or written as asked."""


class InsecureClusterWarning(UserWarning):
    """A Dask cluster is open to the network without certificates; the text says how to close it."""


class SerializationError(PrefectliteError):
    """A function, argument or value cannot travel to or from a worker."""


class ResultUnavailable(PrefectliteError, LookupError):
    """A result was asked for that no longer exists; the text says when and why it went."""


# An OSError has a ``__new__`` of its own, which must be found first, or the error cannot be unpickled.
class ResultNotFound(FileNotFoundError, ResultUnavailable):
    """Nothing is stored where a result was looked for."""


class ResultError(PrefectliteError, ValueError):
    """A result cannot be stored where it should be."""


class ResultCorrupt(PrefectliteError, ValueError):
    """What lies where a result was stored is not what was written there."""


class EngineError(PrefectliteError, RuntimeError):
    """An event reached the engine that cannot happen; the text carries the run's story."""


class AuditError(PrefectliteError, AssertionError):
    """The engine's books do not agree with each other."""


class TaskError(Exception):
    """The stand-in for a task's exception that could not travel as itself.

    Parameters
    ----------
    type_name : str
        The qualified name of the original exception's class.
    message : str
        What the original said.
    traceback_text : str
        The original's traceback, formatted where it was raised.
    """

    def __init__(self, type_name: str, message: str, traceback_text: str = "") -> None:
        super().__init__(type_name, message, traceback_text)
        self.type_name = type_name
        self.message = message
        self.traceback_text = traceback_text

    def __str__(self) -> str:
        """Return the original's type and message, as a traceback ends."""
        return f"{self.type_name}: {self.message}" if self.message else self.type_name


class NoOptions(TypedDict):
    """No options: a type checker lets none through, and what comes all the same is refused by name."""


def unknown_option(owner: str, option: str, names: Sequence[str], elsewhere: Mapping[str, str]) -> str:
    """Return the text for an option that does not exist.

    Parameters
    ----------
    owner : str
        Whose.
    option : str
        What was given.
    names : sequence of str
        The options that there are.
    elsewhere : mapping of str to str
        What to do about options of Prefect 1 that are none here, as the rest of a sentence after "which".

    Returns
    -------
    str
        What, where, and the mend.
    """
    if option in elsewhere:
        return f"{owner} is given the option {option!r}, which {elsewhere[option]}."
    close = get_close_matches(option, names, n=1)
    mend = f"did you mean {close[0]!r}?" if close else f"remove it. The options are {', '.join(names)}."
    return f"{owner} is given the option {option!r}, which does not exist; {mend}"


def refuse_options(
    owner: str, given: Mapping[str, object], takes: Callable[..., Any], elsewhere: Mapping[str, str]
) -> None:
    """Refuse keyword arguments that do not exist, by name.

    Parameters
    ----------
    owner : str
        What they were given to.
    given : mapping of str to object
        The arguments; usually there are none.
    takes : callable
        What its other parameters are is told; names that begin with ``_`` are left out.
    elsewhere : mapping of str to str
        As in ``unknown_option``.

    Raises
    ------
    DefinitionTypeError
        When there are any.
    """
    for option in given:
        names = [name for name in inspect.signature(takes).parameters if not name.startswith("_")]
        raise DefinitionTypeError(unknown_option(owner, option, names, elsewhere))


def warn_caller(text: str, category: type[Warning] = UserWarning) -> None:
    """Warn the code that called us.

    Parameters
    ----------
    text : str
        Of what, and what to do about it.
    category : type
        The class of the warning.
    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).startswith("prefectlite."):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, category, stacklevel=level)


def warn_of_old(text: str) -> None:
    """Warn the code that called us of something that Prefect 1 was about to give up.

    Parameters
    ----------
    text : str
        What, and what to do instead.
    """
    warn_caller(text, DeprecationWarning)
