"""What surrounds running code: its context and its clock, which states ask. Knows layers; knows no state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final

from prefectlite.core.layers import Layer, current_layer, enter_layer, push
from prefectlite.states.surroundings import HERE

_clock: Final[ContextVar[Callable[[], float] | None]] = ContextVar("prefectlite.clock", default=None)


@contextmanager
def surroundings(values: Mapping[str, Any]) -> Iterator[None]:
    """Let ``context`` show these values and no others inside a block: a handler or a trigger, say.

    Parameters
    ----------
    values : mapping of str to object
        What code in the block may ask about its run.

    Yields
    ------
    None
        Nothing; the values are read through ``context``.
    """
    before = current_layer()
    push(values, fresh=True)
    try:
        yield
    finally:
        # Whatever blocks the code opened and did not leave, what held before holds again.
        enter_layer(before)


@contextmanager
def clocked(clock: Callable[[], float]) -> Iterator[None]:
    """Let states that are made inside a block go by a clock.

    Parameters
    ----------
    clock : callable
        Returns seconds since the epoch.

    Yields
    ------
    None
        Nothing.
    """
    token = _clock.set(clock)
    try:
        yield
    finally:
        _clock.reset(token)


@contextmanager
def run_layer() -> Iterator[None]:
    """Hide from a flow run the task whose body runs it, but for what a person set there.

    Yields
    ------
    None
        Nothing.
    """
    before = current_layer()
    if before.fact("task_name") is None:
        yield
        return
    given = before.given
    enter_layer(Layer({name: before.values[name] for name in given}, None, given))
    try:
        yield
    finally:
        enter_layer(before)


class _Here:
    """The place of the code that asks."""

    def moment(self) -> datetime:
        clock = _clock.get()
        return datetime.now(UTC) if clock is None else datetime.fromtimestamp(clock(), UTC)

    def fact(self, name: str) -> Any:
        return current_layer().fact(name)


HERE.fill_in(_Here())
