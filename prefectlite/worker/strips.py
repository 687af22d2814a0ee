"""Attempts that differ in little: their arguments, made one after the other. Knows values; runs nothing.

The children of a map that travel as a block are a row; an attempt that stands on its own is a strip of one,
so that both are run by the same lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, Final, TypeAlias

from prefectlite.lowering.elements import element, flat_taker
from prefectlite.lowering.parts import FLAT_ITEM, ITEM, OF_COLUMN, PACKED, PLAIN, READ, Block, Column
from prefectlite.lowering.spec import NEED, NEEDS, VALUE, Recipe, Spec, Upstream
from prefectlite.lowering.spec import PACKED as PACKED_RECIPE
from prefectlite.lowering.wrappers import Slots, Succeeded, Veiled
from prefectlite.worker.around import Kind, Kinds
from prefectlite.worker.inputs import all_plain, make
from prefectlite.worker.stretches import (
    NOBODY,
    THE_ONE,
    Places,
    expand,
    held_children,
    lying,
    read_by_column,
)

#: Makes an argument for the child at a place of its strip.
Maker: TypeAlias = Callable[[int], Any]

_SLICED: Final = frozenset({list, tuple, range, str, bytes})


class Strip:
    """Attempts that run one after the other and differ in index and some arguments alone."""

    __slots__ = ("_upstreams", "_values", "consumed", "count", "first", "held", "kind", "making", "slug")

    #: What they have in common.
    kind: Kind
    #: Their task's slug.
    slug: str
    #: The map index of the first; None for a run that is no child.
    first: int | None
    #: How many there are.
    count: int
    #: The places of those that must not run, since an input was no plain success.
    held: Places
    #: What could not be made, in words, for the attempt whose arguments were asked for last.
    making: str
    #: By place, values that nobody needs any more once that attempt has succeeded, and in which slots; empty
    #: where there are none, or none that is worth it.
    consumed: Sequence[Sequence[tuple[Slots, int]]]
    _upstreams: Sequence[Upstream]
    _values: Sequence[Any]

    def arguments(self, place: int) -> dict[str, Any]:
        """Return the arguments of one attempt, until the next is asked for.

        Parameters
        ----------
        place : int
            Counted from 0.

        Returns
        -------
        dict
            By name; to be unpacked.

        Raises
        ------
        Exception
            Whatever making them raised; ``making`` then says which it was.
        """
        raise NotImplementedError

    def beside(self) -> dict[str, Any]:
        """Return what the context holds that other attempts do not see.

        Returns
        -------
        dict
            By name.
        """
        return {}

    def upstreams(self, index: int | None) -> tuple[Sequence[Upstream], Sequence[Any]]:
        """Return what an attempt may know of its upstreams.

        Parameters
        ----------
        index : int or None
            The child's place in its map.

        Returns
        -------
        (sequence of Upstream, sequence)
            As ``UpstreamStates`` takes them.
        """
        return self._upstreams, self._values

    def secrets(self) -> tuple[str, ...]:
        """Return the secrets in what the attempts read.

        Returns
        -------
        tuple of str
            As texts.
        """
        return _secrets(self._values)

    def forget(self) -> None:
        """Let go of all that the attempts read, when they are over.

        A timer of Dask's that a body has set off, say by a client of its own, keeps what surrounds the body
        for as long as it might have waited.
        """
        self._upstreams = self._values = ()


class Single(Strip):
    """An attempt that stands on its own.

    Parameters
    ----------
    kinds : Kinds
        Of its task.
    spec : Spec
        What it is told.
    values : sequence
        What lies under the keys that it needs, in order.
    """

    __slots__ = ("_beside", "_given", "_recipes")

    def __init__(self, kinds: Kinds, spec: Spec, values: Sequence[Any]) -> None:
        (
            self.slug, self.first, loop, attempt, self._given, self._recipes, self._upstreams,
            drop_value, measure, self._beside,
        ) = spec  # fmt: skip
        self.kind = kinds[loop, attempt, drop_value, measure]
        self.count = 1
        self.held = NOBODY if all_plain(values) else THE_ONE
        self.making = ""
        self.consumed = ()
        self._values = values

    def arguments(self, place: int) -> dict[str, Any]:
        """Return the arguments.

        Parameters
        ----------
        place : int
            0, its only place.

        Returns
        -------
        dict
            As of ``Strip``.

        Raises
        ------
        Exception
            As of ``Strip``.
        """
        recipes = self._recipes
        if not recipes:
            return self._given
        made, values = self._given.copy(), self._values
        name = ""  # an interruption may come before the first
        try:
            for name, recipe in recipes:
                made[name] = make(recipe, values)
        except BaseException:
            self.making = _making(name)
            raise
        return made

    def beside(self) -> dict[str, Any]:
        """Return what the context holds that other attempts do not see.

        Returns
        -------
        dict
            By name.
        """
        return {name: make(recipe, self._values) for name, recipe in self._beside}

    def forget(self) -> None:
        """Let go of all that the attempt read."""
        super().forget()
        self._given, self._recipes, self._beside = {}, (), ()


class Row(Strip):
    """Children of a map that stand side by side.

    Parameters
    ----------
    kinds : Kinds
        Of their task.
    block : Block
        What they are told.
    values : sequence
        What was passed by position.
    own : sequence
        What stands for the earlier slots of the same bundle.
    """

    __slots__ = ("_columns", "_made", "_makers", "_read")

    def __init__(self, kinds: Kinds, block: Block, values: Sequence[Any], own: Sequence[Any]) -> None:
        self.kind = kinds[1, block.attempt, block.drop_value, block.measure]
        self.slug = block.slug
        self.first = block.first
        self.count = block.count
        self.making = ""
        self._upstreams = block.upstreams
        self._values = expand(block.reads, values, own)
        self._read = read_by_column(block, values, own)
        self.held = held_children(block, self._values, self._read)
        consumed = [
            lying(what, values)
            for name, kind, what in block.columns
            if kind == READ and name in block.consumes
        ]
        self.consumed = list(zip(*consumed, strict=True)) if all(consumed) else ()
        # A call with ``**arguments`` copies them, so one dict does for all.
        self._made = dict(block.given)
        self._columns: list[tuple[str, Sequence[Any]]] = []
        self._makers: list[tuple[str, Maker]] = []
        if isinstance(self.held, range):
            return  # none of them runs
        for name, recipe in block.recipes:
            self._share(name, recipe)
        for column, found in zip(block.columns, self._read, strict=True):
            self._add(column, found)

    def arguments(self, place: int) -> dict[str, Any]:
        """Return the arguments of one child, until the next is asked for.

        Parameters
        ----------
        place : int
            Counted from 0.

        Returns
        -------
        dict
            As of ``Strip``.

        Raises
        ------
        Exception
            As of ``Strip``.
        """
        made = self._made
        for name, values in self._columns:
            made[name] = values[place]
        if self._makers:
            self.making = name = ""
            try:
                for name, maker in self._makers:
                    made[name] = maker(place)
            except BaseException:
                self.making = _making(name)
                raise
        return made

    def upstreams(self, index: int | None) -> tuple[Sequence[Upstream], Sequence[Any]]:
        """Return what a child may know of its upstreams.

        Parameters
        ----------
        index : int or None
            As of ``Strip``.

        Returns
        -------
        (sequence of Upstream, sequence)
            As of ``Strip``.
        """
        values, told, first = self._values, self._upstreams, self.first
        if index is None or first is None or not any(isinstance(fact, tuple) for *_, fact in told):
            return told, values
        values = list(values)
        facts: list[Upstream] = []
        for slug, argument, fact in told:
            if isinstance(fact, tuple):
                assert fact[0] == OF_COLUMN, fact
                values.append(self._read[fact[1]][index - first])
                facts.append((slug, argument, len(values) - 1))
            else:
                facts.append((slug, argument, fact))
        return facts, values

    def secrets(self) -> tuple[str, ...]:
        """Return the secrets in what the children read.

        Returns
        -------
        tuple of str
            As texts.
        """
        return _secrets(chain(self._values, *self._read))

    def forget(self) -> None:
        """Let go of all that the children read."""
        super().forget()
        self._made, self._read, self._columns, self._makers = {}, [], [], []

    def _share(self, name: str, recipe: Recipe) -> None:
        """Add an argument that all children share; it is made for each where a body could change it."""
        op, _, _, flat = recipe
        values = self._values  # a maker that held the row would keep it, and what it reads, when all is done
        if op in (NEED, VALUE) and not flat:
            try:
                self._made[name] = make(recipe, values)
            except Exception:
                pass  # each child will say so
            else:
                return
        elif op == NEEDS and not flat:
            try:
                all_of_them = make(recipe, values)
            except Exception:
                pass
            else:
                if type(all_of_them) is list:
                    self._makers.append((name, lambda _: all_of_them.copy()))
                    return
        self._makers.append((name, lambda _: make(recipe, values)))

    def _add(self, column: Column, read: Sequence[Any]) -> None:
        """Add an argument that differs by child."""
        name, kind, what = column
        if kind == PLAIN:
            self._columns.append((name, what))
        elif kind == READ:
            if {Succeeded}.issuperset(map(type, read)):
                self._columns.append((name, [wrapper.value for wrapper in read]))
            else:
                self._makers.append((name, lambda place: make((NEED, place, None, False), read)))
        elif kind == PACKED:
            self._makers.append((name, lambda place: make((PACKED_RECIPE, what[place], None, False), ())))
        else:
            assert kind in (ITEM, FLAT_ITEM), kind
            place, first = what
            self._add_items(name, place, first, flat=kind == FLAT_ITEM)

    def _add_items(self, name: str, place: int, first: int, *, flat: bool) -> None:
        values = self._values
        wrapper = values[place]
        if type(wrapper) is not Succeeded:
            self._makers.append((name, lambda child: make((NEED, place, first + child, flat), values)))
            return
        value = wrapper.value
        if not flat and type(value) in _SLICED:
            part = value[first : first + self.count]
            if len(part) == self.count:
                self._columns.append((name, part))
                return
        take = flat_taker(value) if flat else lambda at: element(value, at)
        self._makers.append((name, lambda child: take(first + child)))


def _secrets(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple([text for one in values if isinstance(one, Veiled) for text in one.texts])


def _making(name: str) -> str:
    return f"Its argument {name!r} could not be made: "
