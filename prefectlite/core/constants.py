"""Tasks that stand for values: constants, and collections, made by hand or of arguments. Knows no flow."""

from __future__ import annotations

from collections.abc import Collection as Sized
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Unpack

from prefectlite.core.arguments import RunSignature
from prefectlite.core.assembly import Assembly, AssemblyKind
from prefectlite.core.base import Task
from prefectlite.core.members import MemberSignature, in_order, member_place, members_taken
from prefectlite.core.options import OptionArgs
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
    **options : OptionArgs
        Slug, tags and the like; it runs nowhere.
    """

    __slots__ = ("auto_generated", "value")
    is_stand_in: ClassVar[bool] = True
    auto_generated: bool
    value: Any

    def __init__(self, value: Any, name: str | None = None, **options: Unpack[OptionArgs]) -> None:
        if name is None:
            name = short_text(value, _LONGEST_NAME) or f"Constant[{type(value).__name__}]"
        super().__init__(name=name, **options)
        self.value = value
        self.auto_generated = False

    def run(self) -> Any:
        """Return the value.

        Returns
        -------
        object
            The value.
        """
        return self.value


def constant_for(value: Any) -> Constant:
    """Return a constant that stands for an argument.

    Parameters
    ----------
    value : object
        The argument.

    Returns
    -------
    Constant
        It is known as one that nobody made by hand.
    """
    constant = Constant(value)
    constant.auto_generated = True
    return constant


class _Gatherer(Task):
    """Takes as many members as a call gives it."""

    __slots__ = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let calls give members by position, whatever names ``run`` has for them."""
        super().__init_subclass__(**kwargs)
        if "run" in vars(cls):
            takes = cls._takes
            cls._takes = MemberSignature(takes.signature, cls.__name__, takes.nout)


class List(_Gatherer):
    """A task that returns what it is called with as a list: ``List()(a, b)``.

    A list of tasks that is handed to a task needs none. One that is made by hand has what tasks have: a run
    of its own, with a trigger, retries and a state.
    """

    __slots__ = ()

    def run(self, **members: Any) -> list[Any]:
        """Return a list.

        Parameters
        ----------
        **members : object
            Its members, ``arg_1``, ``arg_2`` and so on.

        Returns
        -------
        list
            The members in the order of their numbers.
        """
        return in_order(members)


class Tuple(_Gatherer):
    """A task that returns what it is called with as a tuple; see ``List``."""

    __slots__ = ()

    def run(self, **members: Any) -> tuple[Any, ...]:
        """Return a tuple.

        Parameters
        ----------
        **members : object
            Its members, ``arg_1``, ``arg_2`` and so on.

        Returns
        -------
        tuple
            The members in the order of their numbers.
        """
        return tuple(in_order(members))


class Set(_Gatherer):
    """A task that returns what it is called with as a set; see ``List``."""

    __slots__ = ()

    def run(self, **members: Any) -> set[Any]:
        """Return a set.

        Parameters
        ----------
        **members : object
            Its members.

        Returns
        -------
        set
            The members.
        """
        return set(members.values())


class Dict(Task):
    """A task that returns a dict: ``Dict()(keys=["a", "b"], values=[a, b])``; see ``List``."""

    __slots__ = ()

    def run(self, keys: Sized[Any], values: Sized[Any]) -> dict[Any, Any]:
        """Return a dict.

        Parameters
        ----------
        keys, values : collection
            As many of one as of the other.

        Returns
        -------
        dict
            The values by key.

        Raises
        ------
        ValueError
            When there are more keys than values, or fewer.
        """
        if len(keys) != len(values):
            raise ValueError(
                f"A dict has a value for each key, but there are {len(keys)} keys and {len(values)} values."
            )
        return dict(zip(keys, values, strict=True))


class Collection(Task):
    """A list, tuple, set, dict or dataclass that holds tasks; it is put together where its consumer runs.

    Those of its classes that are also a ``List``, ``Tuple``, ``Set`` or ``Dict`` are called what that is
    called.

    Parameters
    ----------
    kind, size, names, cls
        As of ``Assembly``.
    name : str or None
        What the task is called; by default, its class's name.
    """

    __slots__ = ("cls", "kind", "names", "size")
    auto_generated = True
    is_stand_in: ClassVar[bool] = True
    is_collection: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Call the class what it is called when it is made by hand."""
        super().__init_subclass__(**kwargs)
        # Pickle finds a class by its qualified name, which stays.
        cls.__name__ = cls.__name__.removeprefix("Auto")

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

    def place_of(self, key: str | None) -> int:
        """Return which member an argument is.

        Parameters
        ----------
        key : str or None
            The argument's name; None for what brings no value.

        Returns
        -------
        int
            The member's place, counted from 0; -1 for none.
        """
        return member_place(key)

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
        fixed = [(self.place_of(key), value) for key, value in constants.items()] if constants else []
        # No two have the same place, so values are not compared.
        fixed.sort()
        return Assembly(self.kind, self.size, self.names, tuple(fixed), self.cls)


class AutoList(Collection, List):
    """A list that holds tasks."""

    __slots__ = ()


class AutoTuple(Collection, Tuple):
    """A tuple, or a tuple with names, that holds tasks."""

    __slots__ = ()


class AutoSet(Collection, Set):
    """A set or frozenset that holds tasks."""

    __slots__ = ()


class AutoDict(Collection, Dict):
    """A dict that holds tasks among its values; its members are its keys and the list of its values."""

    __slots__ = ()

    @property
    def takes(self) -> RunSignature:
        """Keys and values."""
        return self._takes

    def place_of(self, key: str | None) -> int:
        """Return which member an argument is.

        Parameters
        ----------
        key : str or None
            ``"keys"`` or ``"values"``; None for what brings no value.

        Returns
        -------
        int
            The member's place, counted from 0; -1 for none.
        """
        return -1 if key is None else self.takes.names.index(key)


class Record(Collection):
    """A dataclass instance that holds tasks in its fields; it is called what its class is called."""

    __slots__ = ()
