"""From a function's signature to the parameters of a flow. Knows parameters; knows no flow."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

from prefectlite.core.parameter import ANY, NO_DEFAULT, Parameter
from prefectlite.errors import DefinitionTypeError


def parameters_from_signature(fn: Callable[..., Any]) -> list[Parameter]:
    """Return a parameter for each argument of a function; annotations are the types.

    Parameters
    ----------
    fn : callable
        The function that builds a flow.

    Returns
    -------
    list of Parameter
        In the order of the signature. Their order of creation is their order in the flow.

    Raises
    ------
    DefinitionError
        When a default is not what its annotation asks for.
    DefinitionTypeError
        When the function has no signature, takes ``*args``, ``**kwargs`` or positional-only arguments, or an
        annotation cannot be read.
    """
    name = getattr(fn, "__name__", repr(fn))
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError) as error:
        raise DefinitionTypeError(
            f"Flow {name!r} cannot be made of {fn!r}, which has no signature; put @flow on a function."
        ) from error
    try:
        hints = get_type_hints(fn, include_extras=True)
    except Exception as error:
        raise DefinitionTypeError(
            f"Flow {name!r} has an annotation that cannot be read ({type(error).__name__}: {error}); "
            "its types must be importable where the flow is defined, not only while types are checked."
        ) from error
    found: list[Parameter] = []
    for argument in signature.parameters.values():
        if argument.kind not in (argument.POSITIONAL_OR_KEYWORD, argument.KEYWORD_ONLY):
            raise DefinitionTypeError(
                f"Flow {name!r} takes {str(argument).split(':')[0]!r}, but each parameter of a flow needs a "
                "name of its own; write them out."
            )
        default = NO_DEFAULT if argument.default is argument.empty else argument.default
        found.append(Parameter(argument.name, default, type=hints.get(argument.name, ANY)))
    return found
