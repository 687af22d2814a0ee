"""Which names settings have, and which a person may make up. Knows no values and no sources."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final

from prefectlite.errors import ConfigError
from prefectlite.settings import former
from prefectlite.settings.schema import known

#: What sections have as methods, so that a name of a person's own would not be an attribute.
METHODS: Final = frozenset(
    {"clear", "copy", "get", "items", "keys", "pop", "popitem", "reload", "setdefault", "to_dict", "update"}
    | {"values"}
)
#: From this likeness on, what looks like a setting of ours is a slip and no name of a person's own.
_ALIKE: Final = 0.8


@lru_cache(maxsize=1)
def sections() -> frozenset[str]:
    """Return the names of the sections, of ours and of Prefect 1.

    Returns
    -------
    frozenset of str
        ``results``, ``context.secrets``, ``tasks.defaults`` and the like.
    """
    ours = {key.rpartition(".")[0] for key in known()} - {""}
    return frozenset({"context", "context.secrets", *ours, *former.sections()})


def named(given: object, who: str) -> dict[str, Any]:
    """Return values by name.

    Parameters
    ----------
    given : object
        What somebody said of settings.
    who : str
        What was called with it, for the error.

    Returns
    -------
    dict
        A copy.

    Raises
    ------
    ConfigError
        When it has no names.
    """
    with suppress(TypeError, ValueError):
        found: dict[str, Any] = dict(given)  # type: ignore[call-overload]
        if all(isinstance(name, str) for name in found):
            return found
    raise ConfigError(
        f"{who} was given {given!r}, which has no names; give keys and values: {{'n_workers': 4}}."
    )


def is_table(key: str) -> bool:
    """Return whether a mapping of that name is a table of settings, and not the value of one.

    Parameters
    ----------
    key : str
        A name.

    Returns
    -------
    bool
        So for ``results`` and for a section of a person's own, not for what is in the context.
    """
    return key in sections() or not (key in known() or key.startswith("context."))


def is_replaced(key: str) -> bool:
    """Return whether who sets a whole section takes out what was there.

    Parameters
    ----------
    key : str
        Its name.

    Returns
    -------
    bool
        So where names are a person's own; of a section of ours each setting has a value in any case.
    """
    return is_table(key) and (key not in sections() or key in ("context", "context.secrets"))


def within(section: str, keys: Iterable[str]) -> list[str]:
    """Return which settings are in a section, or are that setting.

    Parameters
    ----------
    section : str
        Our name for it, Prefect 1's, or one of a person's own; all are in one without a name.
    keys : iterable of str
        Of settings, by our names.

    Returns
    -------
    list of str
        In order.
    """

    def is_in(key: str, name: str) -> bool:
        return not name or key == name or key.startswith(f"{name}.")

    names = {section, *(one.key for name, one in former.RENAMED.items() if is_in(name, section))}
    return [key for key in keys if any(is_in(key, name) for name in names)]


def objection(key: str, *, free: bool = True) -> str:
    """Return why a name can be no setting.

    Parameters
    ----------
    key : str
        Neither ours nor one of Prefect 1's.
    free : bool
        Whether a person may make up names at all, there where it was written.

    Returns
    -------
    str
        With the mend; empty if the setting may be a person's own.
    """
    shadowing = METHODS.intersection(key.split("."))
    if shadowing:
        return f"which cannot be read as an attribute: {min(shadowing)} is a method; choose another name."
    if not free or key.partition(".")[0] in sections() or _closest(key, _ALIKE):
        return f"which is no setting; {mend(key)} `prefectlite config` lists the settings."
    return ""


def mend(key: str, otherwise: str = "take it out.") -> str:
    """Return what to do about a setting that there is not.

    Parameters
    ----------
    key : str
        What was written.
    otherwise : str
        What to do if none is near.

    Returns
    -------
    str
        The nearest one, or that.
    """
    close = _closest(key, 0.6)
    return f"did you mean {close}?" if close else otherwise


def _closest(key: str, alike: float) -> str:
    names = {key: key for key in (*former.RENAMED, *former.IDLE)}
    names |= {name: whole for whole in known() for name in (whole, whole.rpartition(".")[2])}
    close = get_close_matches(key, names, n=1, cutoff=alike)
    return names[close[0]] if close else ""
