"""Flows written down by hand, in a few lines. Knows cases; knows neither engine nor oracle."""

from __future__ import annotations

from typing import Any

from prefectlite.engine.plan import NodeKind, PlanEdge, PlanNode, Policy
from prefectlite.rules.limit import Limit
from prefectlite.rules.retry import RetryPolicy
from tests.simulation.case import (
    Case,
    Ending,
    EndingKind,
    HandlerKind,
    Shape,
    TriggerSpec,
    connect,
    lengths_of,
    trigger_of,
)


class Sketch:
    """A flow written down in a few lines; every body succeeds unless told otherwise."""

    def __init__(self) -> None:
        self.nodes: list[PlanNode] = []
        self.specs: list[TriggerSpec] = []
        self.edges: list[PlanEdge] = []
        self.shapes: dict[int, Shape] = {}
        self.values: dict[int, Shape] = {}
        self.endings: dict[tuple[int, int, int], Ending] = {}
        self.handlings: dict[tuple[int, int, str, str, int], HandlerKind] = {}
        self.reference: frozenset[int] | None = None
        self.flow_handlers: dict[str, HandlerKind] = {}
        self.on_failure = False

    def task(
        self,
        *ups: int | tuple[int, str],
        trigger: TriggerSpec | None = None,
        shape: Shape = (-1, -1),
        kind: NodeKind = "task",
        ends: dict[int, list[EndingKind]] | list[EndingKind] | None = None,
        lasts: float = 0.01,
        **options: Any,
    ) -> int:
        """Add a task; an upstream is its number, or a pair with words out of ``mapped``, ``flat``, ``after``.

        ``ends`` says how attempts end, one after the other, of the run or by child; ``lasts`` how long those take.
        """
        number = len(self.nodes)
        for place, up in enumerate(ups):
            source, words = up if isinstance(up, tuple) else (up, "")
            key = None if "after" in words else f"arg_{place + 1}"
            self.edges.append(PlanEdge(source, number, key, "mapped" in words, "flat" in words, token=place))
        spec = trigger or TriggerSpec()
        self.specs.append(spec)
        retry = RetryPolicy(options.pop("max_retries", 0), asks_delay=options.pop("asks_delay", False))
        limits = options.pop("limits", ())
        policy = Policy(trigger_of(spec), retry=retry, **options)
        length = len(ups) if kind == "collection" else None
        self.nodes.append(PlanNode(f"n{number}", policy, kind, length=length, limits=limits))
        self.values[number] = shape
        by_index = {-1: ends} if isinstance(ends, list) else ends or {}
        for index, kinds in by_index.items():
            for attempt, one in enumerate(kinds, start=1):
                self.endings[number, index, attempt] = Ending(one, lasts, shape)
        return number

    def value(self, shape: Shape) -> int:
        """Add a constant."""
        number = len(self.nodes)
        length, flat_length, unmappable = lengths_of(shape)
        self.specs.append(TriggerSpec())
        self.shapes[number] = shape
        policy = Policy(trigger_of(TriggerSpec()))
        self.nodes.append(
            PlanNode(
                f"n{number}", policy, "value", length=length, flat_length=flat_length, unmappable=unmappable
            )
        )
        return number

    def case(self, seed: int = 0, limits: tuple[Limit, ...] = (), **options: Any) -> Case:
        """Make a case of it; ``options`` are those of ``Case``."""
        handled, on_failure = bool(self.flow_handlers), self.on_failure
        return Case(
            seed,
            connect(self.nodes, self.edges, self.reference, limits, handled=handled, on_failure=on_failure),
            self.specs,
            self.shapes,
            value_shapes=self.values,
            endings=dict(self.endings),
            handlings=dict(self.handlings),
            flow_handlers=self.flow_handlers,
            **options,
        )
