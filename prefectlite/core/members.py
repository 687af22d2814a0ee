"""Members of a collection as arguments: ``arg_1``, ``arg_2`` and so on. Knows no tasks."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from prefectlite.core.arguments import RunSignature
from prefectlite.errors import DefinitionTypeError

# Nearly all collections have few members.
_NAMES: Final = tuple(f"arg_{number}" for number in range(1, 257))
_PLACES: Final[Mapping[str | None, int]] = {None: -1, **{name: place for place, name in enumerate(_NAMES)}}


class MemberSignature(RunSignature):
    """The arguments of a task that takes members: a call gives them by position, and they are numbered."""

    __slots__ = ()

    def bind(self, task_name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return a call's members by argument name.

        Parameters
        ----------
        task_name : str
            For error texts.
        args : tuple
            The members.
        kwargs : mapping of str to object
            None may be given by name.

        Returns
        -------
        dict
            Values by argument name, in the order given.

        Raises
        ------
        DefinitionTypeError
            When a member is given by name, or ``run`` does not take as many.
        """
        if kwargs:
            raise DefinitionTypeError(
                f"Task {task_name!r} numbers what it is given, but its call gives {next(iter(kwargs))!r} by "
                "name; give it by position."
            )
        return super().bind(task_name, (), {argument_name(place): one for place, one in enumerate(args)})


def argument_name(place: int) -> str:
    """Return as which argument a collection takes a member.

    Parameters
    ----------
    place : int
        The member's, counted from 0.

    Returns
    -------
    str
        The name, counted from 1.
    """
    return _NAMES[place] if place < len(_NAMES) else f"arg_{place + 1}"


def member_place(key: str | None) -> int:
    """Return which member a collection takes as an argument.

    Parameters
    ----------
    key : str or None
        The argument's name, whose end behind the last ``_`` is a number; None for what brings no value.

    Returns
    -------
    int
        The member's place, counted from 0; -1 for none.

    Raises
    ------
    ValueError
        When the name has no number.
    """
    place = _PLACES.get(key)
    if place is not None:
        return place
    assert key is not None  # it has a place
    try:
        return int(key.rpartition("_")[2]) - 1
    except ValueError:
        raise ValueError(
            f"The member {key!r} has no number, by which it would find its place; name it arg_1, arg_2 ..."
        ) from None


@lru_cache(maxsize=64)
def members_taken(size: int) -> RunSignature:
    """Return what a collection of a known size takes.

    Parameters
    ----------
    size : int
        How many members it has.

    Returns
    -------
    RunSignature
        An argument for each, none with a default.
    """
    names = map(argument_name, range(size))
    return RunSignature(
        inspect.Signature([inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names]),
        "collection",
    )


def in_order(members: Mapping[str, Any]) -> list[Any]:
    """Return members in the order of their numbers.

    Parameters
    ----------
    members : mapping of str to object
        Values by argument name.

    Returns
    -------
    list
        The values.

    Raises
    ------
    ValueError
        When a name has no number.
    """
    return [members[key] for key in sorted(members, key=member_place)]
