"""A case: a plan, and a script of what its bodies, handlers and wires will do. Knows no engine and no chance but its seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from prefectlite.engine.plan import FlowPlan, PlanEdge, PlanNode
from prefectlite.rules import triggers
from prefectlite.rules.limit import Limit
from prefectlite.rules.triggers import Trigger
from prefectlite.states import signals

#: What a value looks like: None has no length; else one entry per element, -1 for a plain one and
#: otherwise the length of an inner list.
Shape: TypeAlias = tuple[int, ...] | None

TriggerName: TypeAlias = Literal[
    "all_successful",
    "all_failed",
    "all_finished",
    "any_successful",
    "any_failed",
    "not_all_skipped",
    "manual_only",
    "some_failed",
    "some_successful",
    "custom",
]

#: How an attempt can end. ``value`` is a return value; ``signal_*`` and ``endrun_*`` are raised by the
#: body; ``found`` is one that was stored before; ``lost`` takes the worker with it; ``unheard`` is given up
#: with a worker before it began, ``unreachable`` for want of its inputs; ``unsent`` and ``refused`` never
#: reach one.
EndingKind: TypeAlias = Literal[
    "value",
    "found",
    "failed",
    "hopeless",
    "checked_failed",
    "timed_out",
    "exited",
    "signal_trigger_failed",
    "signal_skip",
    "signal_retry",
    "signal_pause",
    "signal_pause_until",
    "endrun_success",
    "endrun_failed",
    "endrun_skipped",
    "endrun_cancelled",
    "endrun_cached",
    "endrun_own_success",
    "endrun_own_skipped",
    "endrun_pending",
    "signal_loop",
    "lost",
    "unheard",
    "unreachable",
    "unsent",
    "refused",
]

#: What a state handler, or a user's own trigger, may do.
HandlerKind: TypeAlias = Literal[
    "keep", "success", "failed", "skipped", "retrying", "pending", "nonsense", "raise"
]
CustomKind: TypeAlias = Literal[
    "cleanup", "odd_successes", "any_skipped", "truthy", "falsy", "raises", "signals_skip", "signals_fail"
]


#: What a run may begin with, of an earlier flow run: ``anew`` is a state that says nothing.
BegunKind: TypeAlias = Literal[
    "success",
    "failed",
    "skipped",
    "cancelled",
    "retrying",
    "scheduled",
    "paused",
    "paused_until",
    "resume",
    "looped",
    "anew",
]
#: A node's number and a child's place in its map; -1 for a run that is no child.
Name: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Begun:
    """What one run begins with, of an earlier flow run.

    Parameters
    ----------
    kind : str
        What it came to.
    times : int
        How often it failed, for a retry; how many iterations it made, for a loop.
    delay : float
        Seconds from the start of the flow run until it goes on by itself, where it waits.
    """

    kind: BegunKind
    times: int = 0
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class TriggerSpec:
    """A trigger by name, as the oracle reads it."""

    name: TriggerName = "all_successful"
    at_least: float | None = None
    at_most: float | None = None
    custom: CustomKind = "truthy"


@dataclass(frozen=True, slots=True)
class Ending:
    """How one attempt ends, after how long."""

    kind: EndingKind
    duration: float
    shape: Shape = None


@dataclass(frozen=True, slots=True)
class Leaf:
    """An element of a value: it has a name and no length."""

    name: str

    def __repr__(self) -> str:
        return f"<{self.name}>"


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong between cluster and driver.

    Parameters
    ----------
    latency : float
        Mean seconds that a report takes.
    doubled, lost : float
        The share of reports that come twice, or not at all until the driver reconciles.
    hints : float
        The share of holds that are told of.
    unreachable : float
        The share of submissions that hold though every upstream succeeded, since a value could not be had.
    slow_answers : float
        Mean seconds that user code takes to answer.
    echoes : float
        The share of timers that fire twice.
    skew : float
        Seconds by which the workers' clocks are ahead of the driver's.
    together : float
        The share of plain successes of a map's children that are told of together with their neighbours.
    folded : float
        The share of a map's values that a run which reads the whole map has read for good before it starts.
    """

    latency: float = 0.001
    doubled: float = 0.0
    lost: float = 0.0
    hints: float = 0.5
    unreachable: float = 0.0
    slow_answers: float = 0.01
    echoes: float = 0.0
    skew: float = 0.0
    together: float = 0.0
    folded: float = 0.0


@dataclass(frozen=True, slots=True)
class Accident:
    """What befalls one worker.

    Parameters
    ----------
    at : float
        When, in seconds since the start of the flow run.
    kind : {"killed", "cut off", "retired", "parted"}
        What.
    worker : int
        Which.
    lasts : float
        For how many seconds it is cut off, or parted from another.
    other : int
        The one from which it is parted: neither can fetch what the other holds.
    """

    at: float
    kind: Literal["killed", "cut off", "retired", "parted"]
    worker: int
    lasts: float = 0.0
    other: int = -1


@dataclass(slots=True)
class Case:
    """One simulated flow run: all that happens in it follows from this.

    Parameters
    ----------
    seed : int
        Where it came from.
    plan : FlowPlan
        What the engine drives.
    triggers : sequence of TriggerSpec
        By node, for the oracle.
    shapes : mapping of int to Shape
        Values of ``value`` nodes.
    menus : mapping of int to sequence of (EndingKind, int)
        By node: how attempts end, weighted.
    value_shapes : mapping of int to Shape
        By node: what its values look like.
    ragged : frozenset of int
        Nodes whose children's values are each of another shape.
    slow : frozenset of int
        Nodes whose bodies take fifty times as long as others.
    handlers : mapping of int to sequence of (HandlerKind, int)
        By handled node: what its handlers do, weighted.
    values : mapping of int to object
        By ``value`` node: its value, where that is no mere shape.
    bodies : mapping of int to callable
        By node: what an attempt that ends with a value does with its arguments, if it does not make one up.
    flow_handlers : mapping of str to HandlerKind
        By the class that the flow would become: what the flow's own handlers do; none are there without entries.
    workers, accidents : int, tuple of Accident
        How many workers share the slots, and what befalls them.
    stored : frozenset of int
        Nodes of whose values there are copies, stored or in their reports, so that none is lost for good.
    begun : mapping of (int, int) to Begun
        What runs begin with, by node and place in the map.
    approved : float
        The share of pauses without a time that somebody approves.
    endings, handlings : dict
        Fixed entries that beat the menus, for flows written by hand.
    corner : str
        The name of the flow, if it was written by hand.
    kind : str
        What kind of case the seed was made into, as ``--sim-kind`` takes it.
    """

    seed: int
    plan: FlowPlan
    triggers: Sequence[TriggerSpec]
    shapes: Mapping[int, Shape] = field(default_factory=dict)
    menus: Mapping[int, Sequence[tuple[EndingKind, int]]] = field(default_factory=dict)
    value_shapes: Mapping[int, Shape] = field(default_factory=dict)
    ragged: frozenset[int] = frozenset()
    slow: frozenset[int] = frozenset()
    handlers: Mapping[int, Sequence[tuple[HandlerKind, int]]] = field(default_factory=dict)
    flow_handlers: Mapping[str, HandlerKind] = field(default_factory=dict)
    values: Mapping[int, Any] = field(default_factory=dict)
    bodies: Mapping[int, Callable[..., Any]] = field(default_factory=dict)
    window: int = 4096
    slots: int = 4
    faults: Faults = field(default_factory=Faults)
    workers: int = 1
    accidents: tuple[Accident, ...] = ()
    stored: frozenset[int] = frozenset()
    cancel_at: float | None = None
    begun: Mapping[Name, Begun] = field(default_factory=dict)
    approved: float = 0.0
    endings: dict[tuple[int, int, int], Ending] = field(default_factory=dict)
    handlings: dict[tuple[int, int, str, str, int], HandlerKind] = field(default_factory=dict)
    corner: str = ""
    kind: str = "random"

    def ending(self, node: int, index: int, attempt: int) -> Ending:
        """Return how an attempt ends, counted over all iterations; ``index`` is -1 for a run that is no child."""
        place = (node, index, attempt)
        found = self.endings.get(place)
        if found is None:
            found = self.endings[place] = self._ending(node, index, attempt)
        return found

    def _ending(self, node: int, index: int, attempt: int) -> Ending:
        rng = random.Random(mix(self.seed, 1, node, index, attempt))
        menu = self.menus.get(node, ())
        # Nobody tries for ever: what signals RETRY, PAUSE or LOOP gets through in the end.
        kind: EndingKind = "value" if attempt > 5 or not menu else weighted(rng, menu)
        duration = 0.001 + rng.random() ** 4 * 2
        if node in self.slow or rng.random() < 0.03:
            duration *= 50
        shape = self.value_shapes.get(node)
        if node in self.ragged:
            # The same for each attempt, so that a width does not hang on a retry.
            ragged = random.Random(mix(self.seed, 2, node, index, 0))
            shape = some_shape(ragged, ragged.choice((0, 1, 2, 3)), plain=0.7)
        return Ending(kind, duration, shape)

    def value(self, node: int) -> Any:
        """Return the value of a ``value`` node."""
        return self.values[node] if node in self.values else value_of(f"v{node}", self.shapes.get(node))

    def outcome(
        self, node: int, ending: Ending, name: str, given: Mapping[str, Any]
    ) -> tuple[EndingKind, Any]:
        """Return how an attempt ends that is given some arguments, and the value that it makes."""
        body = self.bodies.get(node)
        if body is None or ending.kind not in ("value", "found"):
            return ending.kind, value_of(name, ending.shape)
        try:
            return ending.kind, body(**given)
        except signals.SKIP:
            return "signal_skip", None
        except Exception:
            return "failed", None

    def handling(self, node: int, index: int, old: str, new: str, attempt: int) -> HandlerKind:
        """Return what the handlers of a node do about a transition."""
        place = (node, index, old, new, attempt)
        found = self.handlings.get(place)
        if found is None:
            menu = self.handlers.get(node, ())
            # Replacing what must be tried again would never end.
            calm = attempt > 4 or not menu
            rng = random.Random(mix(self.seed, 3, node, index, attempt, *map(ord, old[:3] + new[:3])))
            found = self.handlings[place] = "keep" if calm else weighted(rng, menu)
        return found

    def approval(self, node: int, index: int, pause: int) -> float | None:
        """Return after how many seconds somebody approves a run's pause, counted from 1; None when nobody does."""
        rng = random.Random(mix(self.seed, 5, node, index, pause))
        return rng.choice((0.0, 0.5, 40.0)) if rng.random() < self.approved else None

    def delay(self, node: int, index: int, attempt: int) -> float | None:
        """Return the seconds that a node's own ``retry_delay`` gives; None when it raises."""
        rng = random.Random(mix(self.seed, 4, node, index, attempt))
        return None if rng.random() < 0.1 else rng.choice((0.0, 0.5, 3.0))


def value_of(name: str, shape: Shape) -> Any:
    """Make a value of a shape, each element with a name of its own."""
    if shape is None:
        return Leaf(name)
    return [
        Leaf(f"{name}.{i}") if inner < 0 else [Leaf(f"{name}.{i}.{j}") for j in range(inner)]
        for i, inner in enumerate(shape)
    ]


def flattened(value: list[Any]) -> list[Any]:
    """Unnest by one level; what is no list stays as it is."""
    flat: list[Any] = []
    for one in value:
        if isinstance(one, list):
            flat.extend(one)
        else:
            flat.append(one)
    return flat


def lengths_of(shape: Shape) -> tuple[int | None, int | None, str | None]:
    """Return length, flat length, and why there is none."""
    if shape is None:
        return None, None, "it has no order"
    return len(shape), sum(1 if inner < 0 else inner for inner in shape), None


def trigger_of(spec: TriggerSpec) -> Trigger | None:
    """Return the real trigger that a spec names; None for a user's own."""
    if spec.name == "custom":
        return None
    if spec.name in ("some_failed", "some_successful"):
        make: Callable[..., Trigger] = getattr(triggers, spec.name)
        return make(at_least=spec.at_least, at_most=spec.at_most)
    found: Trigger = getattr(triggers, spec.name)
    return found


def connect(
    nodes: Sequence[PlanNode],
    edges: Sequence[PlanEdge],
    reference: frozenset[int] | None = None,
    limits: tuple[Limit, ...] = (),
    **facts: bool,
) -> FlowPlan:
    """Build a plan from nodes without edges, and edges in argument order; ``facts`` are those of the flow."""
    ins: dict[int, list[PlanEdge]] = {}
    outs: dict[int, list[PlanEdge]] = {}
    for edge in edges:
        ins.setdefault(edge.downstream, []).append(edge)
        outs.setdefault(edge.upstream, []).append(edge)
    linked = tuple(
        PlanNode(
            slug=node.slug,
            policy=node.policy,
            kind=node.kind,
            ins=tuple(ins.get(i, ())),
            outs=tuple(outs.get(i, ())),
            length=node.length,
            flat_length=node.flat_length,
            unmappable=node.unmappable,
            limits=node.limits,
        )
        for i, node in enumerate(nodes)
    )
    terminal = frozenset(i for i in range(len(linked)) if not linked[i].outs)
    return FlowPlan(
        "simulated", linked, terminal if reference is None else reference, terminal, limits, **facts
    )


def some_shape(rng: random.Random, width: int, plain: float) -> Shape:
    if rng.random() < plain:
        return (-1,) * width
    return tuple(rng.choice((-1, 0, 1, 2)) for _ in range(width))


def weighted(rng: random.Random, menu: Sequence[tuple[Any, int]]) -> Any:
    draw = rng.random() * sum(weight for _, weight in menu)
    for one, weight in menu:
        draw -= weight
        if draw < 0:
            return one
    return menu[0][0]


def mix(*numbers: int) -> int:
    # A plain hash of small numbers: seeding with text costs several times as much.
    mixed = 0x9E3779B97F4A7C15
    for number in numbers:
        mixed = ((mixed ^ (number + 0x7F4A7C15)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        mixed ^= mixed >> 29
    return mixed
