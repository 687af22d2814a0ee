"""Where the context's values live: layers around each other. Knows names and values, and not what they mean.

There is a layer for each block and each body. A ``contextvars`` variable holds the innermost, so threads that
are started through ``contextvars.copy_context`` and async code see it, and other threads don't. What is set
goes into the innermost layer and ends with it: nothing leaks from a block that was left, or from one task run
into the next. Below all of them lies what the program's main thread sets outside of blocks, and not in a
context of ``contextvars``, since each cell of a notebook may have one of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from functools import partial
from typing import Any, Final


class Later(partial[Any]):
    """Stands for a value that is made when somebody asks for it: called, it makes it."""

    __slots__ = ()


def value_in(values: dict[str, Any], name: str) -> Any:
    """Return one of a layer's values.

    Parameters
    ----------
    values : dict
        Of the layer; a ``Later`` in it gives way to what it makes.
    name : str
        One that is among them.

    Returns
    -------
    object
        The value.
    """
    found = values[name]
    if type(found) is Later:
        found = values[name] = found()
    return found


class Layer:
    """The values of one block, and the block around it.

    Parameters
    ----------
    values : dict
        All that is visible here, what shines through from outside included.
    outer : Layer, LazyLayer or None
        What holds again when the block is left.
    given : iterable
        The names of those values that a person set, here or in a block around this one.
    block : object
        What hears of tasks that are put into a flow here; see ``core.blocks``.
    """

    __slots__ = ("block", "given", "outer", "values")

    def __init__(
        self,
        values: dict[str, Any],
        outer: Layer | LazyLayer | None = None,
        given: Iterable[str] = (),
        block: Any = None,
    ) -> None:
        self.values = values
        self.outer = outer
        self.given = set(given)
        self.block = block

    def fact(self, name: str) -> Any:
        """Return one value.

        Parameters
        ----------
        name : str
            The value's.

        Returns
        -------
        object
            None if there is none of that name.
        """
        return self.values.get(name)


class LazyLayer:
    """A block whose values are made when somebody asks for the first; nothing shines through from outside."""

    __slots__ = ("_given", "_values")
    _given: set[str]
    _values: dict[str, Any]

    @property
    def values(self) -> dict[str, Any]:
        """All that is visible here."""
        try:
            return self._values
        except AttributeError:
            self._values = self.make()
            return self._values

    @property
    def outer(self) -> None:
        """No block around it can be gone back to."""
        return

    @property
    def given(self) -> set[str]:
        """The names of those values that a person set, here or for the flow run."""
        try:
            return self._given
        except AttributeError:
            self._given = self.given_before()
            return self._given

    @property
    def block(self) -> None:
        """Nothing around it hears of tasks that are put into a flow here."""
        return

    def fact(self, name: str) -> Any:
        """Return one value.

        Parameters
        ----------
        name : str
            The value's.

        Returns
        -------
        object
            None if there is none of that name.
        """
        return self.values.get(name)

    def given_before(self) -> set[str]:
        """Return which of the values a person set before the block began.

        Returns
        -------
        set of str
            Their names; not to be changed by whoever makes it.
        """
        return set()

    def make(self) -> dict[str, Any]:
        """Make the values.

        Returns
        -------
        dict
            Values by name; not to be changed by whoever makes them.
        """
        raise NotImplementedError


_BASE: Final = Layer({})
_current: ContextVar[Layer | LazyLayer] = ContextVar("prefectlite.context", default=_BASE)
#: Returns the innermost layer; bound once because every call of a task asks.
current_layer = _current.get
#: Makes a layer the innermost one, as long as the ``contextvars`` context lasts.
enter_layer = _current.set


def push(values: Mapping[str, Any], *, fresh: bool = False, given: bool = False) -> None:
    """Enter a block.

    Parameters
    ----------
    values : mapping of str to object
        What the block adds or hides.
    fresh : bool
        Whether nothing shines through from outside.
    given : bool
        Whether a person set the values, for the flow runs that begin inside the block too.
    """
    outer = current_layer()
    if fresh:
        enter_layer(Layer(dict(values), outer))
    else:
        names = {*outer.given, *values} if given else outer.given
        enter_layer(Layer({**outer.values, **values}, outer, names, outer.block))


def push_block(block: object) -> None:
    """Enter a block that hears of the tasks that are put into a flow inside.

    Parameters
    ----------
    block : object
        What hears of them; None where nothing shall.
    """
    outer = current_layer()
    enter_layer(Layer(dict(outer.values), outer, outer.given, block))


def pop() -> None:
    """Leave the innermost block; without one, do nothing."""
    outer = current_layer().outer
    if outer is not None:
        enter_layer(outer)


def own_layer() -> Layer | LazyLayer:
    """Return the layer that a change goes into.

    Returns
    -------
    Layer or LazyLayer
        The innermost one; outside of blocks, one of the thread's own unless it is the program's main thread.
    """
    layer = current_layer()
    if layer is _BASE and threading.current_thread() is not threading.main_thread():
        # What another thread sets is its own, as in Prefect 1, and ends with it.
        push({})
        layer = current_layer()
    return layer
