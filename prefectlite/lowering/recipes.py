"""How each argument of a run is made where it runs. Knows sources and values; knows neither rules nor Dask.

What lies on the cluster is named by its key and passed by position. What the driver holds travels inside the
spec: plain scalars as they are, other values as bytes of their own, so that one which cannot be unpickled
over there fails its own run and says which argument it was. Large constants, and those that many runs read,
get a data key of their own instead and travel once per worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import chain, pairwise
from typing import Any, Final
from typing import Literal as Choice

from prefectlite.core.assembly import Assembly
from prefectlite.engine.inputs import (
    FromCollection,
    FromDriver,
    FromElements,
    FromMany,
    FromRun,
    FromSpan,
    FromValue,
    Source,
)
from prefectlite.errors import SerializationError, TaskError
from prefectlite.late import loaded
from prefectlite.lowering.elements import element, flat_element, flatten
from prefectlite.lowering.envelope import dumps
from prefectlite.lowering.keys import DataKey
from prefectlite.lowering.parts import FLAT_ITEM, ITEM, PLAIN
from prefectlite.lowering.parts import PACKED as PACKED_COLUMN
from prefectlite.lowering.shipment import Literal, Need
from prefectlite.lowering.spec import ASSEMBLE, MANY, NEED, NEEDS, PACKED, VALUE, Recipe
from prefectlite.states.state import Failed, State

#: A constant over this many pickled bytes gets a data key of its own.
SHARE_LIMIT: Final = 64 * 1024
#: The same for a constant that more than one run reads.
SHARE_LIMIT_OF_MANY: Final = 2 * 1024

_SCALARS: Final = frozenset({int, float, bool, type(None)})
_TEXTS: Final = frozenset({str, bytes})
_SHORT: Final = 256
#: Stands in what a Dask future is pickled to.
_FUTURES: Final = b"distributed.client"
#: So many lists, one in the other, are searched for one.
_DEPTH: Final = 4


class Needs:
    """What one run is given by position, or children of a map that are sent together."""

    __slots__ = ("_count", "_places")

    def __init__(self) -> None:
        self._places: dict[Need, int] = {}
        self._count = 0

    def place(self, need: Need) -> int:
        """Return the position of what a run needs, a new one for what is new.

        Parameters
        ----------
        need : tuple
            A shared constant's data key, or a span.

        Returns
        -------
        int
            The first position, counted from 0; a span takes one for each value.
        """
        place = self._places.get(need)
        if place is None:
            place = self._places[need] = self._count
            self._count += need[2] if len(need) == 3 else 1
        return place

    def all(self) -> tuple[Need, ...]:
        """Return what the run needs, in order of position.

        Returns
        -------
        tuple of Need
            Each once.
        """
        return tuple(self._places)


class Pantry:
    """The values that the driver holds for a flow run, and the form in which each travels.

    Parameters
    ----------
    values : mapping of int to object
        Constants and parameters, by the plan's number of their node.
    assemblies : mapping of int to Assembly
        How collections are put together, by the plan's number of their node.
    names : tuple of bytes
        From ``by_value_names``.
    prefix : str
        The first part of the keys of shared constants.
    pickles : bool
        Whether values must be pickled to get where they are needed.
    """

    def __init__(
        self,
        values: Mapping[int, Any],
        assemblies: Mapping[int, Assembly],
        names: tuple[bytes, ...],
        prefix: str,
        pickles: bool,
    ) -> None:
        self._values = values
        self._assemblies = assemblies
        self._names = names
        self._prefix = prefix
        self._pickles = pickles
        # By identity: the values are constants of the flow, which outlive this object. The count of readers
        # decides when bytes are better off under a key of their own.
        self._packed: dict[int, bytes | DataKey] = {}
        self._flat: dict[int, Any] = {}
        self._bare: dict[int, Assembly] = {}
        self._count = 0
        self.literals: list[Literal] = []

    def bind(self, name: str, value: Any, given: dict[str, Any], needs: Needs, many: bool) -> Recipe | None:
        """Add a constant to a run's arguments.

        Parameters
        ----------
        name : str
            The argument.
        value : object
            A constant that outlives the flow run.
        given : dict
            Where a plain one goes.
        needs : Needs
            Where the key of a large one goes.
        many : bool
            Whether the children of a map read it.

        Returns
        -------
        tuple or None
            How to make the argument, unless it was put into ``given``.
        """
        if not self._pickles or is_plain_value(value):
            given[name] = value
            return None
        return self._constant(value, needs, many)

    def recipe(self, source: Source, needs: Needs, state_of: Callable[[int], State], many: bool) -> Recipe:
        """Return how an argument is made.

        Parameters
        ----------
        source : Source
            Where it comes from.
        needs : Needs
            The keys that the run is given; grows.
        state_of : callable
            Returns the state of a run.
        many : bool
            Whether the children of a map read it.

        Returns
        -------
        tuple
            The recipe.
        """
        if isinstance(source, FromRun):
            run, submission, item, flat = source
            return NEED, needs.place((run, submission, 1)), item, flat
        if isinstance(source, FromValue):
            return self._of_value(source, needs, many)
        if isinstance(source, FromDriver):
            return self.sent(_part(value_of(state_of(source.run)), source.item, source.flat), needs)
        if isinstance(source, FromMany):
            return self._of_many(source, needs, state_of, many)
        return self._of_collection(source, needs, state_of, many)

    def _of_value(self, source: FromValue, needs: Needs, many: bool) -> Recipe:
        value = self._values[source.node]
        if source.flat:
            value = self._unnested(source.node, value)
        if source.item is not None:
            return self.sent(element(value, source.item), needs)
        if not self._pickles or is_plain_value(value):
            return VALUE, value, None, False
        return self._constant(value, needs, many)

    def _of_many(
        self, source: FromMany, needs: Needs, state_of: Callable[[int], State], many: bool
    ) -> Recipe:
        places = _places(source.items, needs)
        if places is not None:
            return NEEDS, places, None, source.flat
        items = tuple([self.recipe(item, needs, state_of, many) for item in source.singly()])
        return MANY, items, None, source.flat

    def _of_collection(
        self, source: FromCollection, needs: Needs, state_of: Callable[[int], State], many: bool
    ) -> Recipe:
        assembly = self._assemblies[source.node]
        members = [self.recipe(item, needs, state_of, many) for item in source.items]
        if assembly.fixed and self._pickles:
            # Members that are known are constants like others: a large one is not sent with each reader.
            for place, value in assembly.fixed:
                plain = is_plain_value(value)
                members.insert(
                    place, (VALUE, value, None, False) if plain else self._constant(value, needs, many)
                )
            bare = self._bare.get(source.node)
            if bare is None:
                bare = self._bare[source.node] = replace(assembly, fixed=())
            assembly = bare
        return ASSEMBLE, (assembly, tuple(members)), source.item, source.flat

    def _constant(self, value: Any, needs: Needs, many: bool) -> Recipe:
        """Return how a constant of the flow is made; it is pickled once."""
        held = self._packed.get(id(value))
        again = held is not None
        if held is None:
            held = self._dumps(value)
        if isinstance(held, bytes):
            if len(held) > (SHARE_LIMIT_OF_MANY if many or again else SHARE_LIMIT):
                held = self.share(held)
            self._packed[id(value)] = held
        if isinstance(held, bytes):
            return PACKED, held, None, False
        return NEED, needs.place(held), None, False

    def sent(self, value: Any, needs: Needs) -> Recipe:
        """Return how a value is made that one run alone reads.

        Parameters
        ----------
        value : object
            What the driver holds.
        needs : Needs
            The keys that the run is given; grows.

        Returns
        -------
        tuple
            The recipe.
        """
        if not self._pickles or is_plain_value(value):
            return VALUE, value, None, False
        try:
            payload = self._dumps(value)
        except SerializationError:
            if not isinstance(value, BaseException):
                raise
            payload = self._dumps(TaskError(type(value).__qualname__, str(value)))
        if len(payload) > SHARE_LIMIT:
            return NEED, needs.place(self.share(payload)), None, False
        return PACKED, payload, None, False

    def elements(
        self, source: FromElements, count: int, needs: Needs, state_of: Callable[[int], State]
    ) -> tuple[int, Any] | None:
        """Return how children that are sent together get an element of one value each.

        Parameters
        ----------
        source : FromElements
            Where the elements come from.
        count : int
            How many children there are.
        needs : Needs
            What they are given by position; grows.
        state_of : callable
            Returns the state of a run.

        Returns
        -------
        (int, object) or None
            Kind and content of a ``Column``; None when one of the elements is better sent by itself.
        """
        whole, first = source.source, source.first
        if isinstance(whole, FromRun):
            kind = FLAT_ITEM if whole.flat else ITEM
            return kind, (needs.place((whole.run, whole.submission, 1)), first)
        if isinstance(whole, FromCollection):
            return None
        value = self._values[whole.node] if isinstance(whole, FromValue) else value_of(state_of(whole.run))
        if whole.flat:
            value = self._unnested(whole.node, value) if isinstance(whole, FromValue) else flatten(value)
        if type(value) in (list, tuple, range):  # a class of the user's may hand out something else
            part: Any = value[first : first + count]
        else:
            part = [element(value, place) for place in range(first, first + count)]
        if (
            not self._pickles
            or isinstance(part, range)
            or _SCALARS.issuperset(map(type, part))
            or all(map(is_plain_value, part))
        ):
            return PLAIN, part
        packed = [self._dumps(one) for one in part]
        return None if max(map(len, packed)) > SHARE_LIMIT else (PACKED_COLUMN, packed)

    def _unnested(self, node: int, value: Any) -> Any:
        # Once, not for each child.
        found = self._flat.get(node, self)
        if found is self:
            found = self._flat[node] = flatten(value)
        return found

    def share(self, payload: bytes, kind: Choice["value", "blob"] = "value") -> DataKey:
        """Give bytes a data key of their own.

        Parameters
        ----------
        payload : bytes
            Something pickled.
        kind : {"value", "blob"}
            As in ``Literal``.

        Returns
        -------
        tuple
            The key; the literal is waiting in ``literals``.
        """
        key = (self._prefix, self._count, 0, 0, 0)
        self._count += 1
        self.literals.append(Literal(key, payload, kind))
        return key

    def _dumps(self, value: Any) -> bytes:
        try:
            payload = dumps(value, self._names)
        except SerializationError as error:
            kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
            raise SerializationError(f"is of type {kind}, which cannot be pickled ({error})") from error
        if _FUTURES in payload and (where := _future_in(value)) is not None:
            raise SerializationError(
                f"{where} a Dask future, which a worker could not read there; hand over what its `result()` "
                "returns, or have a task submit the work"
            )
        return payload


def _future_in(value: Any, depth: int = _DEPTH) -> str | None:
    """Return how a Dask future stands in a value, in a word; None where none is found."""
    distributed: Any = loaded("distributed")
    if distributed is None:
        return None
    if isinstance(value, distributed.Future):
        return "is"
    # Dask's own collections, once persisted, can be used where a worker has a client.
    if not depth or not isinstance(value, dict | list | tuple | set | frozenset):
        return None
    parts = value.values() if isinstance(value, dict) else value
    return "holds" if any(_future_in(part, depth - 1) for part in parts) else None


def is_ours(recipe: Recipe) -> bool:
    """Return whether a recipe can be unpickled wherever prefectlite is installed.

    Parameters
    ----------
    recipe : tuple
        How an argument is made.

    Returns
    -------
    bool
        False for a collection that may be of a class of the user's, and for what holds one.
    """
    op, what, _, _ = recipe
    if op == MANY:
        return all(map(is_ours, what))
    return op != ASSEMBLE and (op != VALUE or is_plain_value(what))


def value_of(state: State) -> Any:
    """Return what a consumer reads of a run that ended without a value on the cluster.

    Parameters
    ----------
    state : State
        How the run ended.

    Returns
    -------
    object
        The result; for a failure without an exception, one that says what the state said.
    """
    value = state.result
    if isinstance(state, Failed) and not state.has_result:
        return TaskError(type(state).__name__, state.message or "")
    return value


def _part(value: Any, item: int | None, flat: bool) -> Any:
    if item is None:
        return flatten(value) if flat else value
    return flat_element(value, item) if flat else element(value, item)


def _places(items: Iterable[Source | FromSpan], needs: Needs) -> range | tuple[int, ...] | None:
    """Return the positions of values that all lie on the cluster, whole; None if one does not."""
    found: list[range] = []
    for item in items:
        if isinstance(item, FromSpan):
            start = needs.place((item.run, item.submission, item.count))
            found.append(range(start, start + item.count))
        elif isinstance(item, FromRun) and item.item is None and not item.flat:
            start = needs.place((item.run, item.submission, 1))
            found.append(range(start, start + 1))
        else:
            return None
    if found and all(one.stop == other.start for one, other in pairwise(found)):
        return range(found[0].start, found[-1].stop)
    return tuple(chain.from_iterable(found))


def is_plain_value(value: Any) -> bool:
    """Return whether a value travels as it is: a number, or a short text.

    Parameters
    ----------
    value : object
        Any value.

    Returns
    -------
    bool
        False for what must be pickled by itself.
    """
    kind = type(value)  # what only calls itself an int must be pickled its own way
    return kind in _SCALARS or (kind in _TEXTS and len(value) <= _SHORT)
