"""Tasks that the framework makes of arguments: constants, and collections of tasks. Knows no flow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from prefectlite.core.arguments import RunSignature
from prefectlite.core.assembly import Assembly, AssemblyKind
from prefectlite.core.base import Task
from prefectlite.core.members import member_place, members_taken
from prefectlite.core.plain import short_text

_LONGEST_NAME: Final = 8


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
    kind, size, names, cls
        As of ``Assembly``.
    name : str or None
        What the task is called; by default, its class's name.
    """

    __slots__ = ("cls", "kind", "names", "size")
    auto_generated: ClassVar[bool] = True
    is_collection: ClassVar[bool] = True

    def __init__(
        self,
        kind: AssemblyKind,
        size: int,
        names: tuple[Any, ...] = (),
        cls: type[Any] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.kind = kind
        self.size = size
        self.names = names
        self.cls = cls

    @property
    def takes(self) -> RunSignature:
        """A value for each member."""
        return members_taken(self.size)

    def assembly(self, constants: Mapping[str, Any] | None) -> Assembly:
        """Return how the collection is put together from the values of the tasks in it.

        Parameters
        ----------
        constants : mapping of str to object or None
            The members that are no tasks, by argument name.

        Returns
        -------
        Assembly
            It takes the values in the order of the edges to this task.
        """
        fixed = [(member_place(key), value) for key, value in constants.items()] if constants else []
        # No two have the same place, so values are not compared.
        fixed.sort()
        return Assembly(self.kind, self.size, self.names, tuple(fixed), self.cls)


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
