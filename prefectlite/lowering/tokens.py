"""Tokens: texts that are the same for equal values, in every process. Knows Dask's; rules ask here."""

from __future__ import annotations

from typing import Any

from prefectlite.rules.caching import TOKEN_OF


def token_of(value: Any) -> str | None:
    """Return a value's token.

    Parameters
    ----------
    value : object
        Any value; a class of the user's may define ``__dask_tokenize__``.

    Returns
    -------
    str or None
        None for a value that has none in common with its equals, an open file say.

    Examples
    --------
    >>> token_of([1, 2]) == token_of([1, 2]), token_of([1, 2]) == token_of([2, 1])
    (True, False)
    >>> token_of(object()) is None
    True
    """
    # Imported when first needed: few tasks keep their values, and it is a tenth of a second.
    from dask.tokenize import tokenize

    try:
        token: str = tokenize(value, ensure_deterministic=True)
    except Exception:  # the value's own code may be part of it
        return None
    return token


TOKEN_OF.fill_in(token_of)
