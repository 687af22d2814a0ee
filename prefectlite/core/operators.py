"""The tasks that Python's operators make: ``x + y``, ``x > y``, ``x[key]``. Knows no flow."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any, ClassVar, Final, NoReturn, Unpack

from prefectlite.core.attributes import defaults_from_attrs
from prefectlite.core.base import Task
from prefectlite.core.options import OptionArgs
from prefectlite.core.parameter import NO_DEFAULT
from prefectlite.errors import DefinitionTypeError

__all__ = [
    "Add",
    "And",
    "Div",
    "Equal",
    "FloorDiv",
    "GetAttr",
    "GetItem",
    "GreaterThan",
    "GreaterThanOrEqual",
    "LessThan",
    "LessThanOrEqual",
    "Mod",
    "Mul",
    "Not",
    "NotEqual",
    "Or",
    "Pow",
    "Sub",
]


class Undecided(Task):
    """The base of what stands for a value that is not there while the flow is built."""

    __slots__ = ()

    def __bool__(self) -> NoReturn:
        """Refuse to be true: an ``if`` in a flow would decide before there is a value."""
        raise DefinitionTypeError(
            f"Whether {self.name!r} is true is known when the flow runs, not while it is built. Write "
            "`with case(condition, True):` for an if, `a & b` for and, a.or_(b) for or, a.not_() for not; "
            "or decide in the body of a task."
        )


class Operation(Undecided):
    """The base of what an operator makes of two values."""

    __slots__ = ()
    _compute: ClassVar[staticmethod[[Any, Any], Any]]

    def run(self, x: Any, y: Any) -> Any:
        """Return the operation's value.

        Parameters
        ----------
        x, y : object
            What stands on its left and on its right; both are computed before.

        Returns
        -------
        object
            What Python makes of them.
        """
        return type(self)._compute(x, y)


def _both(x: Any, y: Any) -> Any:
    return x and y


def _either(x: Any, y: Any) -> Any:
    return x or y


class Add(Operation):
    """``x + y``."""

    __slots__ = ()
    _compute = staticmethod(operator.add)


class Sub(Operation):
    """``x - y``."""

    __slots__ = ()
    _compute = staticmethod(operator.sub)


class Mul(Operation):
    """``x * y``."""

    __slots__ = ()
    _compute = staticmethod(operator.mul)


class Div(Operation):
    """``x / y``."""

    __slots__ = ()
    _compute = staticmethod(operator.truediv)


class FloorDiv(Operation):
    """``x // y``."""

    __slots__ = ()
    _compute = staticmethod(operator.floordiv)


class Mod(Operation):
    """``x % y``."""

    __slots__ = ()
    _compute = staticmethod(operator.mod)


class Pow(Operation):
    """``x ** y``."""

    __slots__ = ()
    _compute = staticmethod(operator.pow)


class And(Operation):
    """``x and y``."""

    __slots__ = ()
    _compute = staticmethod(_both)


class Or(Operation):
    """``x or y``."""

    __slots__ = ()
    _compute = staticmethod(_either)


class Equal(Operation):
    """``x == y``."""

    __slots__ = ()
    _compute = staticmethod(operator.eq)


class NotEqual(Operation):
    """``x != y``."""

    __slots__ = ()
    _compute = staticmethod(operator.ne)


class GreaterThan(Operation):
    """``x > y``."""

    __slots__ = ()
    _compute = staticmethod(operator.gt)


class GreaterThanOrEqual(Operation):
    """``x >= y``."""

    __slots__ = ()
    _compute = staticmethod(operator.ge)


class LessThan(Operation):
    """``x < y``."""

    __slots__ = ()
    _compute = staticmethod(operator.lt)


class LessThanOrEqual(Operation):
    """``x <= y``."""

    __slots__ = ()
    _compute = staticmethod(operator.le)


class Not(Undecided):
    """``not x``."""

    __slots__ = ()

    def run(self, x: Any) -> bool:
        """Return whether ``x`` is false."""
        return not x


class _LookUp(Undecided):
    """What takes a part of a value, or a default where there is no such part."""

    __slots__ = ("default",)
    default: Any

    def __init__(
        self, default: Any = NO_DEFAULT, name: str | None = None, **options: Unpack[OptionArgs]
    ) -> None:
        super().__init__(name, **options)
        self.default = default


class GetItem(_LookUp):
    """``task_result[key]``.

    Parameters
    ----------
    default : object, optional
        The value where there is no such key, or index.
    name : str or None
        What the task is called; by default, ``GetItem``.
    **options : OptionArgs
        Retries, trigger, tags and the like.
    """

    __slots__ = ()

    @defaults_from_attrs("default")
    def run(self, task_result: Any, key: Any, default: Any = NO_DEFAULT) -> Any:
        """Return an item.

        Parameters
        ----------
        task_result : object
            What holds it.
        key : object
            Its key, index or slice.
        default : object
            The value where there is none; by default, the task's own.

        Returns
        -------
        object
            The item.
        """
        try:
            return task_result[key]
        except LookupError:
            if default is NO_DEFAULT:
                raise
            return default


class GetAttr(_LookUp):
    """``task_result.attr``.

    Parameters
    ----------
    default : object, optional
        The value where there is no such attribute.
    name : str or None
        What the task is called; by default, ``GetAttr``.
    **options : OptionArgs
        Retries, trigger, tags and the like.
    """

    __slots__ = ()

    @defaults_from_attrs("default")
    def run(self, task_result: Any, attr: str, default: Any = NO_DEFAULT) -> Any:
        """Return an attribute.

        Parameters
        ----------
        task_result : object
            What has it.
        attr : str
            Its name, or a path of names: ``"shape.width"``.
        default : object
            The value where there is none; by default, the task's own.

        Returns
        -------
        object
            The attribute's value.
        """
        try:
            return operator.attrgetter(attr)(task_result)
        except AttributeError:
            if default is NO_DEFAULT:
                raise
            return default


#: The tasks that expressions make, by the names of their classes.
OPERATIONS: Final[Mapping[str, type[Task]]] = {
    kind.__name__: kind for kind in (*Operation.__subclasses__(), Not, GetItem)
}
