"""What Python's operators mean between tasks: each makes a task. Knows the flow's doors only.

``==`` and ``!=`` stay what they are, whether two names mean the same task; ``is_equal`` compares values.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from prefectlite.core.plain import LONGEST_IN_NAME, short_text
from prefectlite.core.relations import Relations
from prefectlite.errors import DefinitionError, DefinitionTypeError

if TYPE_CHECKING:
    from prefectlite.core.options import TaskArgs


class Expression(Relations):
    """What can stand in an expression: ``a + 1``, ``a[0]``, ``a > b``, ``a & b``, ``first, second = a``."""

    __slots__ = ()
    if TYPE_CHECKING:
        is_secret: ClassVar[bool]

        @property
        def checkpoint(self) -> bool | None: ...  # noqa: D102  # an option of Task
        @property
        def nout(self) -> int | None: ...  # noqa: D102  # an option of Task

    #: An array or a table on the left leaves the operation to the task; it would go through its items else.
    __array_ufunc__: ClassVar[None] = None
    __pandas_priority__: ClassVar[int] = 10_000
    # Python would look for a value among promises of values.
    __contains__: ClassVar[None] = None

    def __add__(self, other: Any) -> Any:
        return self._operate("Add", self, other)

    def __radd__(self, other: Any) -> Any:
        return self._operate("Add", other, self)

    def __sub__(self, other: Any) -> Any:
        return self._operate("Sub", self, other)

    def __rsub__(self, other: Any) -> Any:
        return self._operate("Sub", other, self)

    def __mul__(self, other: Any) -> Any:
        return self._operate("Mul", self, other)

    def __rmul__(self, other: Any) -> Any:
        return self._operate("Mul", other, self)

    def __truediv__(self, other: Any) -> Any:
        return self._operate("Div", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._operate("Div", other, self)

    def __floordiv__(self, other: Any) -> Any:
        return self._operate("FloorDiv", self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._operate("FloorDiv", other, self)

    def __mod__(self, other: Any) -> Any:
        return self._operate("Mod", self, other)

    def __rmod__(self, other: Any) -> Any:
        return self._operate("Mod", other, self)

    def __pow__(self, other: Any) -> Any:
        return self._operate("Pow", self, other)

    def __rpow__(self, other: Any) -> Any:
        return self._operate("Pow", other, self)

    def __and__(self, other: Any) -> Any:
        return self._operate("And", self, other)

    def __rand__(self, other: Any) -> Any:
        return self._operate("And", other, self)

    def __gt__(self, other: Any) -> Any:
        return self._operate("GreaterThan", self, other)

    def __ge__(self, other: Any) -> Any:
        return self._operate("GreaterThanOrEqual", self, other)

    def __lt__(self, other: Any) -> Any:
        return self._operate("LessThan", self, other)

    def __le__(self, other: Any) -> Any:
        return self._operate("LessThanOrEqual", self, other)

    def __getitem__(self, key: Any) -> Any:
        """Return a task that takes an item of this one's value."""
        if isinstance(key, slice) and any(
            isinstance(one, Expression) for one in (key.start, key.stop, key.step)
        ):
            raise DefinitionError(
                f"Task {self.name!r} is sliced at the value of a task, which no edge can bring into a slice; "
                "let a task of your own take both and slice there."
            )
        shown = (
            key.name
            if isinstance(key, Expression)
            else short_text(key, LONGEST_IN_NAME) or type(key).__name__
        )
        options: TaskArgs = {"name": f"{self.name}[{shown}]"}
        if self.is_secret or self.checkpoint is not None:
            # A part of what is stored nowhere is stored nowhere either.
            options["checkpoint"] = not self.is_secret and self.checkpoint
        return self._operate("GetItem", self, key, **options)

    def __iter__(self) -> Iterator[Any]:
        """Return a task for each of the values that this one returns."""
        if self.nout is None:
            raise DefinitionTypeError(
                f"Task {self.name!r} does not say how many values it returns, so it cannot be taken apart; "
                "give @task(nout=2), annotate it (-> tuple[int, str]), or map a task over it: other.map(...)."
            )
        return iter([self[number] for number in range(self.nout)])

    def is_equal(self, other: Any) -> Any:
        """Return a task that compares this one's value with another: ``x == y``.

        Parameters
        ----------
        other : object
            A task or a value.

        Returns
        -------
        Task
            Its value is whether they are equal.
        """
        return self._operate("Equal", self, other)

    def is_not_equal(self, other: Any) -> Any:
        """Return a task that compares this one's value with another: ``x != y``.

        Parameters
        ----------
        other : object
            A task or a value.

        Returns
        -------
        Task
            Its value is whether they differ.
        """
        return self._operate("NotEqual", self, other)

    def not_(self) -> Any:
        """Return a task for ``not x``.

        Returns
        -------
        Task
            Its value is True or False.
        """
        return self._operate("Not", self)

    def or_(self, other: Any) -> Any:
        """Return a task for ``x or y``; both are computed.

        Parameters
        ----------
        other : object
            A task or a value.

        Returns
        -------
        Task
            Its value is that of this one where it is true, else the other.
        """
        return self._operate("Or", self, other)

    def _operate(self, kind: str, *operands: Any, **options: Unpack[TaskArgs]) -> Any:
        return self._graph(None).operate(kind, operands, **options)
