"""How an argument is to be handed over: whole, item by item, unnested first. Knows nothing of flows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from prefectlite.errors import DefinitionError, DefinitionTypeError

if TYPE_CHECKING:
    # For a type checker an annotated argument fits every parameter: `add(x=mapped(numbers), y=1)`.
    from typing import Any as _Fitting
else:
    _Fitting = object


class Pipeable:
    """What can be handed on to a task by a method."""

    __slots__ = ()

    def pipe(self, task: Callable[..., Any], /, **kwargs: Any) -> Any:
        """Call a task with this as its first argument: ``a.pipe(f).pipe(g, y=1)``.

        Parameters
        ----------
        task : callable
            A task, or ``mapped``, ``unmapped`` or ``flatten``.
        **kwargs : object
            Its other arguments.

        Returns
        -------
        Task
            What the call returns.

        Raises
        ------
        DefinitionError
            When an argument is called ``self``.
        DefinitionTypeError
            When ``task`` cannot be called.
        """
        given: object = task
        if not callable(given):
            raise DefinitionTypeError(
                f"pipe() from {self!r} was given {given!r}, which cannot be called; pass a task: a.pipe(b)."
            )
        if "self" in kwargs:
            raise DefinitionError(
                f"pipe() from {self!r} was given an argument named 'self', which no task takes; leave it "
                "out: the first argument stands before the dot."
            )
        return task(self, **kwargs)


class EdgeAnnotation(Pipeable, _Fitting):  # type: ignore[misc]  # see above
    """The base of ``mapped``, ``unmapped`` and ``flatten``, which say how an argument is handed over.

    Annotations may wrap each other; of ``mapped`` and ``unmapped``, the outer one counts.

    Parameters
    ----------
    value : object
        A task, or any value.
    """

    __slots__ = ("flattened", "mapped", "value")
    value: Any
    #: Whether the consumer maps over the value; None leaves it to the call.
    mapped: bool | None
    #: Whether the value is unnested by one level first.
    flattened: bool

    def __init__(self, value: Any) -> None:
        if type(self) is EdgeAnnotation:
            raise DefinitionTypeError(
                "EdgeAnnotation says nothing by itself; use mapped(...), unmapped(...) or flatten(...)."
            )
        if isinstance(value, EdgeAnnotation):
            self.value, self.mapped, self.flattened = value.value, value.mapped, value.flattened
        else:
            self.value, self.mapped, self.flattened = value, None, False

    @property
    def annotations(self) -> dict[str, bool]:
        """What is said of the value: ``mapped`` and ``flattened``, as far as it is."""
        said = {} if self.mapped is None else {"mapped": self.mapped}
        return {**said, "flattened": True} if self.flattened else said

    def __repr__(self) -> str:
        """Return the annotation as it was written."""
        return f"{type(self).__name__}({self.value!r})"


class mapped(EdgeAnnotation):  # noqa: N801  # Prefect 1's name, written like a function
    """Map over this argument: the task runs once per item.

    Parameters
    ----------
    value : object
        A task, or a sequence.
    """

    __slots__ = ()

    def __init__(self, value: Any) -> None:
        super().__init__(value)
        self.mapped = True


class unmapped(EdgeAnnotation):  # noqa: N801  # as above
    """Hand this argument over whole, to every child of a map.

    Parameters
    ----------
    value : object
        A task, or any value.
    """

    __slots__ = ()

    def __init__(self, value: Any) -> None:
        super().__init__(value)
        self.mapped = False


class flatten(EdgeAnnotation):  # noqa: N801  # as above
    """Unnest this argument by one level before it is handed over or mapped over.

    Parameters
    ----------
    value : object
        A task, or a sequence of sequences.
    """

    __slots__ = ()

    def __init__(self, value: Any) -> None:
        super().__init__(value)
        self.flattened = True
