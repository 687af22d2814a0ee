"""Tasks that the framework makes of arguments: constants, and collections of tasks. Knows no flow."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, ClassVar, Final

from prefectlite.core.arguments import RunSignature
from prefectlite.core.assembly import Assembly
from prefectlite.core.base import Task
from prefectlite.core.plain import short_text

_LONGEST_NAME: Final = 8
_ARGUMENT = "arg_"
# Nearly all collections have few members.
_NAMES: Final = tuple(f"{_ARGUMENT}{number}" for number in range(1, 257))


class Constant(Task):
    """A value that stands in the flow as a task, because it is mapped over or comes first.

    Parameters
    ----------
    value : object
        The value.
    name : str or None
        What the task is called; by default the value's text if it is short, else ``Constant[<type>]``.
    """

    __slots__ = ("value",)
    auto_generated: ClassVar[bool] = True
    value: Any

    def __init__(self, value: Any, name: str | None = None) -> None:
        if name is None:
            name = short_text(value, _LONGEST_NAME) or f"Constant[{type(value).__name__}]"
        super().__init__(name=name)
        self.value = value

    def run(self) -> Any:
        """Return the value.

        Returns
        -------
        object
            The value.
        """
        return self.value


class Collection(Task):
    """A list, tuple, set, dict or dataclass that holds tasks; it is put together where its consumer runs.

    Parameters
    ----------
    assembly : Assembly
        How it is put together.
    name : str or None
        What the task is called; by default, its class's name.
    """

    __slots__ = ("assembly",)
    auto_generated: ClassVar[bool] = True
    is_collection: ClassVar[bool] = True
    assembly: Assembly

    def __init__(self, assembly: Assembly, name: str | None = None) -> None:
        super().__init__(name=name)
        self.assembly = assembly

    @property
    def takes(self) -> RunSignature:
        """A value for each member that is a task."""
        known = {at for at, _ in self.assembly.fixed}
        return RunSignature(
            inspect.Signature(
                [
                    inspect.Parameter(argument_name(at), inspect.Parameter.KEYWORD_ONLY)
                    for at in range(self.assembly.size)
                    if at not in known
                ]
            ),
            self.name,
        )

    def build(self, values: Sequence[Any]) -> Any:
        """Return the collection.

        Parameters
        ----------
        values : sequence
            The values of the members that are tasks, in the order of the edges to this task.

        Returns
        -------
        object
            The collection.
        """
        return self.assembly.build(values)


class List(Collection):
    """A list that holds tasks."""

    __slots__ = ()


class Tuple(Collection):
    """A tuple, or a tuple with names, that holds tasks."""

    __slots__ = ()


class Set(Collection):
    """A set or frozenset that holds tasks."""

    __slots__ = ()


class Dict(Collection):
    """A dict that holds tasks among its values."""

    __slots__ = ()


class Record(Collection):
    """A dataclass instance that holds tasks in its fields; it is called what its class is called."""

    __slots__ = ()


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
    return _NAMES[place] if place < len(_NAMES) else f"{_ARGUMENT}{place + 1}"


def member_place(key: str | None) -> int:
    """Return which member a collection takes as an argument.

    Parameters
    ----------
    key : str or None
        The argument's name; None for what brings no value.

    Returns
    -------
    int
        The member's place, counted from 0; -1 for none.
    """
    return -1 if key is None else int(key.removeprefix(_ARGUMENT)) - 1
