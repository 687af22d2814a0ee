"""What one turn of the loop sends to a place to run. Knows keys and bytes; knows neither rules nor Dask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from typing import Literal as Choice

from prefectlite.engine.instructions import Submit
from prefectlite.lowering.envelope import Envelope, FlowFacts
from prefectlite.lowering.keys import DataKey
from prefectlite.lowering.spec import Spec


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
    spec : bytes
        The pickled ``Spec``; empty when nothing needs to be pickled.
    needs : tuple of tuple
        Data keys, each once, whose values are passed by position.
    annotations : mapping or None
        ``priority``, ``resources``, ``workers``, ``allow_other_workers`` for the scheduler; equal ones are
        one object.
    live : Spec or None
        The spec itself, for places in this process.
    """

    key: DataKey
    run: int
    attempt: int
    submission: int
    slug: str
    flow: Blob
    task: Blob
    spec: bytes
    needs: tuple[DataKey, ...]
    annotations: Mapping[str, Any] | None = None
    live: Spec | None = None


@dataclass(frozen=True, slots=True)
class Literal:
    """A large constant, task or set of parameters that travels under a data key of its own.

    Parameters
    ----------
    key : tuple
        Its name.
    payload : bytes
        The pickled content.
    kind : {"value", "blob"}
        ``value``: opened once per worker, for arguments; ``blob``: kept as bytes until an attempt opens it.
    """

    key: DataKey
    payload: bytes
    kind: Choice["value", "blob"] = "value"


@dataclass(frozen=True, slots=True)
class Lowered:
    """A turn's submits, lowered.

    Parameters
    ----------
    shipments : list of Shipment
        In the order of the submits.
    literals : list of Literal
        New shared data that the shipments need; each is listed once in a flow run.
    refused : list of (Submit, BaseException)
        Submits that cannot be sent, and the ``SerializationError`` that says why.
    """

    shipments: list[Shipment] = field(default_factory=list)
    literals: list[Literal] = field(default_factory=list)
    refused: list[tuple[Submit, BaseException]] = field(default_factory=list)
