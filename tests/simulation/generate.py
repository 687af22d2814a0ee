"""Random flows from a seed: a plan, and a script of what its bodies and handlers will do. Knows no engine."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from prefectlite.engine.plan import FlowPlan, PlanEdge, PlanNode, Policy
from prefectlite.rules import triggers
from prefectlite.rules.retry import RetryPolicy
from prefectlite.rules.triggers import Trigger

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
#: body; ``lost`` takes the worker with it; ``unsent`` and ``refused`` never reach one.
EndingKind: TypeAlias = Literal[
    "value",
    "failed",
    "hopeless",
    "checked_failed",
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
    "endrun_own_success",
    "endrun_own_skipped",
    "lost",
    "unsent",
    "refused",
]

#: What a state handler, or a user's own trigger, may do.
HandlerKind: TypeAlias = Literal["keep", "success", "failed", "skipped", "raise"]
CustomKind: TypeAlias = Literal["odd_successes", "any_skipped", "truthy", "falsy", "raises", "signals_skip", "signals_fail"]


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
    """

    latency: float = 0.001
    doubled: float = 0.0
    lost: float = 0.0
    hints: float = 0.5
    unreachable: float = 0.0
    slow_answers: float = 0.01
    echoes: float = 0.0
    skew: float = 0.0


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
    handlers : mapping of int to sequence of (HandlerKind, int)
        By handled node: what its handlers do, weighted.
    endings, handlings : dict
        Fixed entries that beat the menus, for tables written by hand.
    """

    seed: int
    plan: FlowPlan
    triggers: Sequence[TriggerSpec]
    shapes: Mapping[int, Shape] = field(default_factory=dict)
    menus: Mapping[int, Sequence[tuple[EndingKind, int]]] = field(default_factory=dict)
    value_shapes: Mapping[int, Shape] = field(default_factory=dict)
    ragged: frozenset[int] = frozenset()
    handlers: Mapping[int, Sequence[tuple[HandlerKind, int]]] = field(default_factory=dict)
    window: int = 4096
    slots: int = 4
    faults: Faults = field(default_factory=Faults)
    cancel_at: float | None = None
    endings: dict[tuple[int, int, int], Ending] = field(default_factory=dict)
    handlings: dict[tuple[int, int, str, str, int], HandlerKind] = field(default_factory=dict)

    def ending(self, node: int, index: int, attempt: int) -> Ending:
        """Return how an attempt ends; ``index`` is -1 for a run that is no child."""
        place = (node, index, attempt)
        found = self.endings.get(place)
        if found is None:
            found = self.endings[place] = self._ending(node, index, attempt)
        return found

    def _ending(self, node: int, index: int, attempt: int) -> Ending:
        rng = random.Random(_mix(self.seed, 1, node, index, attempt))
        menu = self.menus.get(node, ())
        # Nobody tries for ever: what signals RETRY or PAUSE gets through in the end.
        kind: EndingKind = "value" if attempt > 5 or not menu else _weighted(rng, menu)
        duration = 0.001 + rng.random() ** 4 * 2
        if rng.random() < 0.03:
            duration *= 50
        shape = self.value_shapes.get(node)
        if node in self.ragged:
            # The same for each attempt, so that a width does not hang on a retry.
            ragged = random.Random(_mix(self.seed, 2, node, index, 0))
            shape = _shape(ragged, ragged.choice((0, 1, 2, 3)), plain=0.7)
        return Ending(kind, duration, shape)

    def handling(self, node: int, index: int, old: str, new: str, attempt: int) -> HandlerKind:
        """Return what the handlers of a node do about a transition."""
        place = (node, index, old, new, attempt)
        found = self.handlings.get(place)
        if found is None:
            menu = self.handlers.get(node, ())
            # Replacing what must be tried again and again would never end.
            calm = attempt > 4 or not menu
            rng = random.Random(_mix(self.seed, 3, node, index, attempt, *map(ord, old[:3] + new[:3])))
            found = self.handlings[place] = "keep" if calm else _weighted(rng, menu)
        return found

    def delay(self, node: int, index: int, attempt: int) -> float | None:
        """Return the seconds that a node's own ``retry_delay`` gives; None when it raises."""
        rng = random.Random(_mix(self.seed, 4, node, index, attempt))
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


def connect(nodes: Sequence[PlanNode], edges: Sequence[PlanEdge], reference: frozenset[int] | None = None) -> FlowPlan:
    """Build a plan from nodes without edges, and edges in argument order."""
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
        )
        for i, node in enumerate(nodes)
    )
    terminal = frozenset(i for i in range(len(linked)) if not linked[i].outs)
    return FlowPlan("simulated", linked, terminal if reference is None else reference, terminal)


# The generator

_COMMON: Final[Sequence[tuple[TriggerName, int]]] = (
    ("all_successful", 8),
    ("all_finished", 8),
    ("any_successful", 4),
    ("any_failed", 2),
    ("all_failed", 1),
    ("some_failed", 3),
    ("some_successful", 3),
    ("not_all_skipped", 3),
    ("custom", 4),
)
_BAD_ENDINGS: Final[Sequence[EndingKind]] = (
    "failed",
    "failed",
    "failed",
    "hopeless",
    "checked_failed",
    "exited",
    "signal_trigger_failed",
    "signal_skip",
    "signal_skip",
    "signal_retry",
    "signal_pause_until",
    "endrun_success",
    "endrun_failed",
    "endrun_skipped",
    "endrun_cancelled",
    "endrun_own_success",
    "endrun_own_skipped",
    "lost",
    "lost",
    "unsent",
    "refused",
)
_CUSTOM: Final[Sequence[CustomKind]] = (
    "odd_successes",
    "any_skipped",
    "truthy",
    "truthy",
    "falsy",
    "raises",
    "signals_skip",
    "signals_fail",
)
_BOUNDS: Final[Sequence[float | None]] = (None, None, 0, 1, 2, 0.0, 0.25, 0.5, 1.0)


@dataclass(slots=True)
class _Mood:
    # How much of everything a case has: cases of one kind find more than an average of all.
    trouble: float
    mapped: float
    state_only: float
    odd_triggers: float
    handled: float
    retries: float
    pauses: float
    width: int
    unequal: float


def generate(seed: int) -> Case:
    """Return the case of a seed.

    Parameters
    ----------
    seed : int
        Any number; the same one gives the same case.

    Returns
    -------
    Case
        A flow of 1 to 30 nodes and all that will happen in it.
    """
    rng = random.Random(_mix(seed, 0))
    mood = _Mood(
        trouble=rng.choice((0.0, 0.1, 0.2, 0.5)),
        mapped=rng.choice((0.0, 0.3, 0.6)),
        state_only=rng.choice((0.0, 0.2, 0.5)),
        odd_triggers=rng.choice((0.0, 0.1, 0.2, 0.5)),
        handled=rng.choice((0.0, 0.0, 0.0, 0.3)),
        retries=rng.choice((0.2, 0.6)),
        pauses=rng.choice((0.0, 0.0, 0.0, 0.0, 0.05)),
        width=rng.choice((0, 1, 2, 3, 3, 4, 5)),
        unequal=rng.choice((0.0, 0.0, 0.05, 0.3)),
    )
    if rng.random() < 0.05:
        # Maps without children are seldom, and have rows of their own in the table of triggers.
        mood.width, mood.unequal, mood.mapped, mood.odd_triggers, mood.trouble = 0, 0.0, 0.5, 0.7, 0.05
    size = rng.choice((1, 2, 3, 4, 5, 6, 7, 8, 10, 10, 12, 12, 15, 15, 20, 20, 25, 30))
    building = _Building(rng, mood, seed)
    for i in range(size):
        building.add(i, size)
    return building.finish()


class _Building:
    def __init__(self, rng: random.Random, mood: _Mood, seed: int) -> None:
        self.rng, self.mood, self.seed = rng, mood, seed
        self.nodes: list[PlanNode] = []
        self.edges: list[PlanEdge] = []
        self.specs: list[TriggerSpec] = []
        self.shapes: dict[int, Shape] = {}
        self.value_shapes: dict[int, Shape] = {}
        self.ragged: set[int] = set()
        self.menus: dict[int, list[tuple[EndingKind, int]]] = {}
        self.handlers: dict[int, list[tuple[HandlerKind, int]]] = {}

    def add(self, i: int, size: int) -> None:
        draw = self.rng.random()
        if draw < (0.5 if i == 0 else 0.12) and size > 1:
            self._add_value(i)
        elif draw > 0.9 and i:
            self._add_collection(i)
        else:
            self._add_task(i)

    def _add_value(self, i: int) -> None:
        shape = None if self.rng.random() < 0.1 else self._some_shape()
        length, flat_length, unmappable = lengths_of(shape)
        self.shapes[i] = shape
        self.specs.append(TriggerSpec())
        policy = Policy(trigger_of(TriggerSpec()))
        self.nodes.append(
            PlanNode(f"value-{i}", policy, "value", length=length, flat_length=flat_length, unmappable=unmappable)
        )

    def _add_collection(self, i: int) -> None:
        rng = self.rng
        # Prefect 1 gives collections the default trigger; whether they are skipped with a member is open.
        lenient = rng.random() < 0.3
        spec = TriggerSpec()
        self.specs.append(spec)
        members = [rng.randrange(i) for _ in range(rng.choice((1, 2, 2, 3, self.mood.width or 1)))]
        for place, up in enumerate(members):
            self.edges.append(PlanEdge(up, i, f"arg_{place + 1}", token=("edge", up, i, place)))
        ordered = rng.random() < 0.85
        self.nodes.append(
            PlanNode(
                f"list-{i}",
                Policy(trigger_of(spec), skip_on_upstream_skip=not lenient),
                "collection",
                length=len(members) if ordered else None,
                unmappable=None if ordered else "a set has no order",
            )
        )

    def _add_task(self, i: int) -> None:
        rng, mood = self.rng, self.mood
        mapped = bool(i) and rng.random() < mood.mapped
        self._connect(i, mapped)
        spec = self._some_trigger()
        self.specs.append(spec)
        handled = rng.random() < mood.handled
        if handled:
            menu: list[tuple[HandlerKind, int]] = [("keep", 20)]
            for kind in ("success", "failed", "skipped", "raise"):
                menu.append((kind, rng.choice((0, 0, 1, 3))))  # type: ignore[arg-type]
            self.handlers[i] = menu
        self.nodes.append(
            PlanNode(
                f"task-{i}",
                Policy(
                    trigger_of(spec),
                    skip_on_upstream_skip=rng.random() < 0.8,
                    retry=self._some_retry(),
                    max_crashes=rng.choice((0, 0, 1, 2)),
                    map_lengths="shortest" if rng.random() < 0.3 else "equal",
                    handled=handled,
                    on_failure=rng.random() < 0.15,
                    keep_result=rng.random() < 0.1,
                ),
            )
        )
        if rng.random() < mood.unequal:
            self.ragged.add(i)
        else:
            self.value_shapes[i] = None if rng.random() < 0.05 else self._some_shape()
        menu_of_endings: list[tuple[EndingKind, int]] = [("value", 10)]
        if rng.random() < mood.trouble:
            for _ in range(rng.choice((1, 1, 2, 3))):
                menu_of_endings.append((rng.choice(_BAD_ENDINGS), rng.choice((1, 2, 5, 10, 40))))
        if rng.random() < mood.pauses:
            menu_of_endings.append(("signal_pause", 10))
        self.menus[i] = menu_of_endings

    def _connect(self, i: int, mapped: bool) -> None:
        rng, mood = self.rng, self.mood
        count = min(rng.choice((0, 1, 1, 1, 2, 2, 3, 4)), 4) if i else 0
        if mapped:
            count = max(1, count)
        must_map = mapped
        for place in range(count):
            # Mostly near ones, so that flows are deep.
            up = i - 1 - min(int(rng.expovariate(0.5)), i - 1)
            key = None if rng.random() < mood.state_only else "abcd"[place]
            maps = mapped and (must_map or rng.random() < 0.5)
            must_map = must_map and not maps
            # One level less seldom gives the length that the other inputs have.
            flat = key is not None and rng.random() < (0.1 if maps and place else 0.2)
            self.edges.append(PlanEdge(up, i, key, mapped=maps, flattened=flat, token=("edge", up, i, place)))

    def _some_shape(self) -> Shape:
        width = self.mood.width if self.rng.random() > self.mood.unequal else self.rng.choice((0, 1, 2, 3))
        return _shape(self.rng, width, plain=0.6)

    def _some_trigger(self) -> TriggerSpec:
        rng, mood = self.rng, self.mood
        if rng.random() < mood.pauses:
            return TriggerSpec("manual_only")
        if rng.random() >= mood.odd_triggers:
            return TriggerSpec()
        name = _weighted(rng, _COMMON)
        if name == "custom":
            return TriggerSpec(name, custom=rng.choice(_CUSTOM))
        if name in ("some_failed", "some_successful"):
            low, high = rng.choice(_BOUNDS), rng.choice(_BOUNDS)
            if low is not None and high is not None and type(low) is type(high) and low > high:
                low, high = high, low
            return TriggerSpec(name, at_least=low, at_most=high)
        return TriggerSpec(name)

    def _some_retry(self) -> RetryPolicy:
        rng = self.rng
        if rng.random() >= self.mood.retries:
            return RetryPolicy()
        most = rng.choice((1, 1, 2, 3))
        if rng.random() < 0.2:
            return RetryPolicy(most, asks_delay=True)
        delays: tuple[float, ...] = rng.choice(((), (), (0.0,), (1.5,), (0.5, 2.0, 8.0), (60.0,)))
        return RetryPolicy(most, delays, jitter=rng.choice((0.0, 0.3)) if delays else 0.0)

    def finish(self) -> Case:
        rng = self.rng
        size = len(self.nodes)
        reference = None
        if rng.random() < 0.3:
            reference = frozenset(rng.sample(range(size), rng.randint(1, size)))
        rough = rng.random()
        faults = Faults(
            latency=rng.choice((0.0005, 0.01, 1.0)),
            doubled=rng.choice((0.0, 0.2)) if rough > 0.4 else 0.0,
            lost=rng.choice((0.0, 0.15)) if rough > 0.4 else 0.0,
            hints=rng.choice((0.0, 0.5, 1.0)),
            unreachable=rng.choice((0.0, 0.0, 0.1)),
            slow_answers=rng.choice((0.001, 0.5, 5.0)),
            echoes=rng.choice((0.0, 0.2)) if rough > 0.4 else 0.0,
            skew=rng.choice((0.0, 0.0, -30.0, 30.0)),
        )
        return Case(
            seed=self.seed,
            plan=connect(self.nodes, self.edges, reference),
            triggers=tuple(self.specs),
            shapes=self.shapes,
            menus=self.menus,
            value_shapes=self.value_shapes,
            ragged=frozenset(self.ragged),
            handlers=self.handlers,
            window=rng.choice((1, 2, 3, 8, 4096, 4096, 4096)),
            slots=rng.choice((1, 2, 4, 16)),
            faults=faults,
            cancel_at=rng.random() ** 3 * 10 if rng.random() < 0.12 else None,
        )


def _shape(rng: random.Random, width: int, plain: float) -> Shape:
    if rng.random() < plain:
        return (-1,) * width
    return tuple(rng.choice((-1, 0, 1, 2)) for _ in range(width))


def _weighted(rng: random.Random, menu: Sequence[tuple[Any, int]]) -> Any:
    draw = rng.random() * sum(weight for _, weight in menu)
    for one, weight in menu:
        draw -= weight
        if draw < 0:
            return one
    return menu[0][0]


def _mix(*numbers: int) -> int:
    # A plain hash of small numbers: seeding with text costs several times as much.
    mixed = 0x9E3779B97F4A7C15
    for number in numbers:
        mixed = ((mixed ^ (number + 0x7F4A7C15)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        mixed ^= mixed >> 29
    return mixed
