"""What one turn of the loop sends to a place to run. Knows keys and bytes; knows neither rules nor Dask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias
from typing import Literal as Choice

from prefectlite.engine.instructions import Submit
from prefectlite.lowering.envelope import Envelope, FlowFacts, by_value_names, dumps
from prefectlite.lowering.keys import BundleKey, DataKey
from prefectlite.lowering.parts import FLAT_ITEM, ITEM, READ, Column
from prefectlite.lowering.spec import Recipe, SentSpec, Spec, Upstream

#: The values of runs that stand side by side: first run, submission, how many.
Span: TypeAlias = tuple[int, int, int]
#: What is passed by position: a shared constant, by its data key, or the values of a span.
Need: TypeAlias = DataKey | Span


@dataclass(frozen=True, slots=True)
class Blob:
    """Something that many attempts share, pickled once per flow run.

    Parameters
    ----------
    digest : str
        A hash of the payload, or of nothing when nothing was pickled.
    payload : bytes
        The pickled content; empty when nothing needs to be pickled to get there.
    key : tuple or None
        The data key under which a large payload travels; None when it rides in each shipment.
    content : Envelope or FlowFacts
        What was pickled, for places in this process.
    """

    digest: str
    payload: bytes
    key: DataKey | None
    content: Envelope | FlowFacts = field(repr=False, compare=False)


class Fold(NamedTuple):
    """What an associative reduce is told, for calls of it on parts of the list that it reads.

    Parameters
    ----------
    spec : Spec
        The attempt's; but for the list, it finds nothing by position save ``shared``.
    argument : str
        The one that takes the list.
    shared : tuple of tuple
        Data keys of constants, which have the first positions.
    spans : tuple of Span
        The values of the list, in order.
    """

    spec: Spec
    argument: str
    shared: tuple[DataKey, ...]
    spans: tuple[Span, ...]


class Shipment(NamedTuple):
    """One attempt, ready to be sent.

    Parameters
    ----------
    key : tuple
        The name of its value.
    run, attempt, submission : int
        Which, as in ``Submit``.
    slug : str
        The task's slug; shipments of one slug make one layer of a Dask graph.
    flow : Blob
        What all attempts of the flow run share (a ``FlowFacts``).
    task : Blob
        What all attempts of the task share (an ``Envelope``).
    told : tuple or bytes
        The ``Spec``, as it travels in a bundle; empty when nothing needs to be pickled.
    needs : tuple of Need
        What is passed by position, each once; a span takes as many positions as it has values.
    annotations : mapping or None
        ``priority``, ``resources``, ``workers``, ``allow_other_workers`` for the scheduler; equal ones are
        one object.
    live : Spec or None
        The spec itself, for places in this process.
    fold : Fold or None
        For a reduce that may go as a tree.
    most : int or None
        How many attempts of the task may share a bundle; None where that is left to who packs.
    measure : tuple of str
        What maps downstream must know of its value.
    """

    key: DataKey
    run: int
    attempt: int
    submission: int
    slug: str
    flow: Blob
    task: Blob
    told: SentSpec
    needs: tuple[Need, ...]
    annotations: Mapping[str, Any] | None = None
    live: Spec | None = None
    fold: Fold | None = None
    most: int | None = None
    measure: tuple[str, ...] = ()

    @property
    def spec(self) -> bytes:
        """The ``Spec``, as it travels alone."""
        told = self.told
        return told if isinstance(told, bytes) else dumps(told, by_value_names())


class BlockShipment(NamedTuple):
    """Attempts of a map's children that stand side by side, ready to be sent in whatever bundles.

    Parameters
    ----------
    runs : range
        Their numbers, without gaps.
    attempt, submission : int
        Which, for all of them.
    slug, prefix : str
        The map's slug, and the first part of their data keys.
    first : int
        The map index of the first.
    flow, task : Blob
        As of ``Shipment``.
    given : dict
        Plain arguments that all share.
    recipes : tuple of (str, tuple)
        The other arguments that all share.
    needs : tuple of Need
        What all of them find by position.
    columns : tuple of Column
        The arguments that differ; what a ``READ`` column says is a ``Span`` here.
    upstreams : tuple of Upstream
        What the bodies may read of their direct upstreams.
    drop_value : bool
        Whether nobody reads the values.
    measure : tuple of str
        What maps downstream must know of them.
    annotations : mapping or None
        As of ``Shipment``.
    left : int
        How many children of the map are still to come.
    most : int or None
        As of ``Shipment``.
    keeps_step : bool
        Whether some reduce of the flow goes as a tree: who asks for that means values to be few at once.
    consumes : frozenset of str
        The columns of values of which each is needed no more once the child that takes it has succeeded.
    """

    runs: range
    attempt: int
    submission: int
    slug: str
    prefix: str
    first: int
    flow: Blob
    task: Blob
    given: dict[str, Any]
    recipes: tuple[tuple[str, Recipe], ...]
    needs: tuple[Need, ...]
    columns: tuple[Column, ...]
    upstreams: tuple[Upstream, ...]
    drop_value: bool
    measure: tuple[str, ...]
    annotations: Mapping[str, Any] | None = None
    left: int = 0
    most: int | None = None
    keeps_step: bool = False
    consumes: frozenset[str] = frozenset()

    def part(self, start: int, stop: int) -> BlockShipment:
        """Return some of them.

        Parameters
        ----------
        start, stop : int
            The first place, and the one behind the last.

        Returns
        -------
        BlockShipment
            Those; the same object for all of them.
        """
        if start == 0 and stop == len(self.runs):
            return self
        return self._replace(
            runs=self.runs[start:stop],
            first=self.first + start,
            columns=tuple([_part(column, start, stop) for column in self.columns]),
        )


def _part(column: Column, start: int, stop: int) -> Column:
    name, kind, what = column
    if kind == READ:
        run, submission, _ = what
        return name, kind, (run + start, submission, stop - start)
    if kind in (ITEM, FLAT_ITEM):
        place, first = what
        return name, kind, (place, first + start)
    return name, kind, what[start:stop]


@dataclass(frozen=True, slots=True)
class Literal:
    """A large constant, task or set of parameters that travels under a data key of its own.

    Parameters
    ----------
    key : tuple
        Its name.
    payload : bytes
        The pickled content.
    kind : {"value", "blob", "shelf"}
        ``value``: opened once per worker, for arguments; ``blob``: kept as bytes until an attempt opens it;
        ``shelf``: values of attempts, as of ``open_shelf``.
    """

    key: DataKey | BundleKey
    payload: bytes
    kind: Choice["value", "blob", "shelf"] = "value"


@dataclass(frozen=True, slots=True)
class Lowered:
    """A turn's submits, lowered.

    Parameters
    ----------
    shipments : list of Shipment or BlockShipment
        In the order of the submits.
    literals : list of Literal
        New shared data that the shipments need; each is listed once in a flow run.
    refused : list of (Submit, BaseException)
        Submits that cannot be sent, and the ``SerializationError`` that says why.
    """

    shipments: list[Shipment | BlockShipment] = field(default_factory=list)
    literals: list[Literal] = field(default_factory=list)
    refused: list[tuple[Submit, BaseException]] = field(default_factory=list)
