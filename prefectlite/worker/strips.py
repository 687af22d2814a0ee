"""Attempts that differ in little: their arguments, made one after the other. Knows values; runs nothing.

The children of a map that travel as a block are a strip; an attempt that stands on its own is a strip of one,
so that both are run by the same lines.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, Final, TypeAlias

from prefectlite.lowering.elements import element, flat_element, length_of
from prefectlite.lowering.parts import (
    FLAT_ITEM,
    ITEM,
    OF_COLUMN,
    PACKED,
    PLAIN,
    READ,
    SELF,
    WHOLE,
    Block,
    Column,
    Part,
    Stretch,
)
from prefectlite.lowering.spec import NEED, NEEDS, VALUE, Recipe, Spec, Upstream
from prefectlite.lowering.spec import PACKED as PACKED_RECIPE
from prefectlite.lowering.wrappers import Slots, Succeeded
from prefectlite.worker.around import Kind
from prefectlite.worker.here import Here
from prefectlite.worker.inputs import all_plain, is_plain, make
from prefectlite.worker.opened import OpenFlow, OpenTask

#: Makes an argument for the child at a place of its strip.
Maker: TypeAlias = Callable[[int], Any]
#: Some places of a strip.
Places: TypeAlias = range | frozenset[int]

_SLICED: Final = frozenset({list, tuple, range, str, bytes})


class Strip:
    """Attempts that run one after the other and differ in index and some arguments alone.

    Parameters
    ----------
    kind : Kind
        What they have in common.
    first : int or None
        The map index of the first; None for a run that is no child.
    count : int
        How many there are.
    given : dict
        Plain arguments that all share.
    """

    __slots__ = (
        "_beside",
        "_columns",
        "_made",
        "_makers",
        "_read",
        "_upstreams",
        "_values",
        "count",
        "first",
        "held",
        "kind",
        "making",
    )

    def __init__(self, kind: Kind, first: int | None, count: int, given: dict[str, Any]) -> None:
        self.kind = kind
        self.first = first
        self.count = count
        #: The places of those that must not run, since an input was no plain success.
        self.held: Places = range(0)
        #: What could not be made, in words, while it is being made.
        self.making = ""
        # A call with ``**arguments`` copies them, so one dict does for all.
        self._made = dict(given)
        self._columns: list[tuple[str, Sequence[Any]]] = []
        self._makers: list[tuple[str, Maker]] = []
        self._read: list[Sequence[Any]] = []
        self._values: Sequence[Any] = ()
        self._upstreams: Sequence[Upstream] = ()
        self._beside: Sequence[tuple[str, Recipe]] = ()

    @classmethod
    def of_spec(cls, flow: OpenFlow, task: OpenTask, spec: Spec, values: Sequence[Any], here: Here) -> Strip:
        """Return the strip of an attempt that stands on its own.

        Parameters
        ----------
        flow : OpenFlow
            The flow run's facts.
        task : OpenTask
            The task.
        spec : Spec
            What the attempt is told.
        values : sequence
            What lies under the keys that it needs, in order.
        here : Here
            Where it runs.

        Returns
        -------
        Strip
            Of one.
        """
        slug, index, loop, attempt, given, recipes, upstreams, drop_value, measure, beside = spec
        strip = cls(Kind(flow, task, slug, loop, attempt, here, drop_value, measure), index, 1, given)
        strip._values = values
        strip._upstreams = upstreams
        strip._beside = beside
        if values and not all_plain(values):
            strip.held = range(1)
        elif recipes:
            strip._makers = [(name, _maker(recipe, values)) for name, recipe in recipes]
        return strip

    @classmethod
    def of_block(
        cls,
        flow: OpenFlow,
        task: OpenTask,
        block: Block,
        values: Sequence[Any],
        own: Sequence[Any],
        here: Here,
    ) -> Strip:
        """Return the strip of a block's children.

        Parameters
        ----------
        flow : OpenFlow
            The flow run's facts.
        task : OpenTask
            The task.
        block : Block
            What they are told.
        values : sequence
            What was passed by position.
        own : sequence
            What stands for the earlier slots of the same bundle.
        here : Here
            Where they run.

        Returns
        -------
        Strip
            A child for each of the block's.
        """
        kind = Kind(flow, task, block.slug, 1, block.attempt, here, block.drop_value, block.measure)
        strip = cls(kind, block.first, block.count, block.given)
        strip._upstreams = block.upstreams
        strip._values = expand(block.reads, values, own)
        strip._read = _reads(block, values, own)
        strip.held = _held(block, strip._values, strip._read)
        if isinstance(strip.held, range):
            return strip
        for name, recipe in block.recipes:
            strip._share(name, recipe)
        for column, read in zip(block.columns, strip._read, strict=True):
            strip._add(column, read)
        return strip

    def _share(self, name: str, recipe: Recipe) -> None:
        """Add an argument that all children share; it is made for each where a body could change it."""
        op, _, _, flat = recipe
        if op in (NEED, VALUE) and not flat:
            try:
                self._made[name] = make(recipe, self._values)
            except Exception:
                pass  # each child will say so
            else:
                return
        elif op == NEEDS and not flat:
            try:
                all_of_them = make(recipe, self._values)
            except Exception:
                pass
            else:
                if type(all_of_them) is list:
                    self._makers.append((name, lambda _: all_of_them.copy()))
                    return
        self._makers.append((name, _maker(recipe, self._values)))

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
        wrapper = self._values[place]
        if type(wrapper) is not Succeeded:
            self._makers.append((name, lambda child: make((NEED, place, first + child, flat), self._values)))
            return
        value = wrapper.value
        if not flat and type(value) in _SLICED:
            part = value[first : first + self.count]
            if len(part) == self.count:
                self._columns.append((name, part))
                return
        take = _flat_taker(value) if flat else lambda at: element(value, at)
        self._makers.append((name, lambda child: take(first + child)))

    def arguments(self, place: int) -> dict[str, Any]:
        """Return the arguments of one child, until the next is asked for.

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
        made = self._made
        for name, values in self._columns:
            made[name] = values[place]
        if self._makers:
            for name, maker in self._makers:
                self.making = f"Its argument {name!r} could not be made: "
                made[name] = maker(place)
            self.making = ""
        return made

    def beside(self) -> dict[str, Any]:
        """Return what the context holds that other attempts do not see.

        Returns
        -------
        dict
            By name.
        """
        return {name: make(recipe, self._values) for name, recipe in self._beside} if self._beside else {}

    def upstreams(self, index: int | None) -> tuple[Sequence[Upstream], Sequence[Any]]:
        """Return what a child may know of its upstreams.

        Parameters
        ----------
        index : int or None
            The child's place in its map.

        Returns
        -------
        (sequence of Upstream, sequence)
            As ``UpstreamStates`` takes them.
        """
        values, told = self._values, self._upstreams
        if index is None or self.first is None or not any(isinstance(fact, tuple) for *_, fact in told):
            return told, values
        values = list(values)
        facts: list[Upstream] = []
        for slug, argument, fact in told:
            if isinstance(fact, tuple):
                assert fact[0] == OF_COLUMN, fact
                values.append(self._read[fact[1]][index - self.first])
                facts.append((slug, argument, len(values) - 1))
            else:
                facts.append((slug, argument, fact))
        return facts, values


def held_places(part: Part, values: Sequence[Any], own: Sequence[Any]) -> Places:
    """Return which attempts of a part must not run, since an input was no plain success.

    Parameters
    ----------
    part : Member or Block
        The attempts.
    values : sequence
        What was passed by position.
    own : sequence
        What stands for the earlier slots of the same bundle.

    Returns
    -------
    range or frozenset of int
        Their places in the part.
    """
    reads = expand(part.reads, values, own)
    if isinstance(part, Block):
        return _held(part, reads, _reads(part, values, own))
    return range(0 if all_plain(reads) else 1)


def _reads(block: Block, values: Sequence[Any], own: Sequence[Any]) -> list[Sequence[Any]]:
    """Return what each column gives to the children, where it gives something on the cluster."""
    return [expand(what, values, own) if kind == READ else () for _, kind, what in block.columns]


def _held(block: Block, values: Sequence[Any], read: Sequence[Sequence[Any]]) -> Places:
    if not all_plain(values):
        return range(block.count)
    return frozenset(
        place
        for column in read
        if not all_plain(column)
        for place, wrapper in enumerate(column)
        if not is_plain(wrapper)
    )


def expand(stretches: Sequence[Stretch], values: Sequence[Any], own: Sequence[Any]) -> list[Any]:
    """Return the wrappers that stretches name.

    Parameters
    ----------
    stretches : sequence of Stretch
        What to read.
    values : sequence
        What was passed by position.
    own : sequence
        What stands for the earlier slots of the same bundle.

    Returns
    -------
    list
        In order.
    """
    found: list[Any] = []
    for place, first, count in stretches:
        if place == SELF:
            found.extend(own[first : first + count])
            continue
        value = values[place]
        if first == WHOLE:
            found.append(value)
        elif type(value) is Slots:
            found.extend(value.wrappers[first : first + count])
        else:
            found.extend([value] * count)  # whatever it is, it is no plain success, and is held for
    return found


def _maker(recipe: Recipe, values: Sequence[Any]) -> Maker:
    return lambda _: make(recipe, values)


def _flat_taker(value: Any) -> Maker:
    """Return what ``flat_element`` does, without counting from the start for each element."""
    try:
        lengths = [length_of(part) for part in value]
        ends = list(accumulate(1 if isinstance(length, str) else length for length in lengths))
    except Exception:
        return lambda at: flat_element(value, at)  # each child will say so

    def take(at: int) -> Any:
        part = bisect_right(ends, at)
        if part == len(ends):
            return flat_element(value, at)  # it says what is wrong
        if isinstance(lengths[part], str):
            return value[part]
        return element(value[part], at - (ends[part - 1] if part else 0))

    return take
