"""Random cases from a seed: flows of every kind that the engine knows, and everything that can happen to them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from prefectlite.engine.plan import PlanEdge, PlanNode, Policy
from prefectlite.rules.limit import Limit
from prefectlite.rules.retry import RetryPolicy
from tests.simulation.case import (
    Accident,
    Case,
    CustomKind,
    EndingKind,
    Faults,
    HandlerKind,
    Shape,
    TriggerName,
    TriggerSpec,
    connect,
    lengths_of,
    mix,
    some_shape,
    trigger_of,
    weighted,
)
from tests.simulation.changed import replace

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
    "endrun_pending",
    "signal_loop",
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
    rng = random.Random(mix(seed, 0))
    mood = _Mood(
        trouble=rng.choice((0.0, 0.1, 0.2, 0.5)),
        mapped=rng.choice((0.0, 0.3, 0.6)),
        state_only=rng.choice((0.0, 0.2, 0.5)),
        odd_triggers=rng.choice((0.0, 0.1, 0.2, 0.5)),
        handled=rng.choice((0.0, 0.0, 0.0, 0.3)),
        retries=rng.choice((0.2, 0.5, 0.8)),
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
            PlanNode(
                f"value-{i}", policy, "value", length=length, flat_length=flat_length, unmappable=unmappable
            )
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
        # All children fail alike at first, and are tried again at once.
        alike = mapped and rng.random() < 0.15
        handled = rng.random() < mood.handled and not alike
        if handled:
            menu: list[tuple[HandlerKind, int]] = [("keep", 20)]
            replacing: tuple[HandlerKind, ...] = (
                "success",
                "failed",
                "skipped",
                "retrying",
                "pending",
                "nonsense",
                "raise",
            )
            menu.extend((kind, rng.choice((0, 0, 0, 1, 3))) for kind in replacing)
            self.handlers[i] = menu
        self.nodes.append(
            PlanNode(
                f"task-{i}",
                Policy(
                    trigger_of(spec),
                    skip_on_upstream_skip=rng.random() < 0.8,
                    retry=RetryPolicy(2) if alike else self._some_retry(),
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
        if alike:
            menu_of_endings.append(("failed", 60))
        elif rng.random() < mood.trouble:
            how_many = rng.choice((1, 1, 2, 3))
            menu_of_endings.extend(
                (rng.choice(_BAD_ENDINGS), rng.choice((1, 2, 5, 10, 40))) for _ in range(how_many)
            )
        if self.nodes[i].policy.retry.max_retries and rng.random() < max(mood.trouble, 0.1):
            menu_of_endings.append(("failed", rng.choice((3, 10, 30))))
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
        return some_shape(self.rng, width, plain=0.6)

    def _some_trigger(self) -> TriggerSpec:
        rng, mood = self.rng, self.mood
        if rng.random() < mood.pauses:
            return TriggerSpec("manual_only")
        if rng.random() >= mood.odd_triggers:
            return TriggerSpec()
        name = weighted(rng, _COMMON)
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
        if rng.random() < 0.25:
            return RetryPolicy(most, asks_delay=True)
        delays: tuple[float, ...] = rng.choice(((), (), (0.0,), (1.5,), (0.5, 2.0, 8.0), (60.0,)))
        return RetryPolicy(most, delays, jitter=rng.choice((0.0, 0.3)) if delays else 0.0)

    def _put_under_limits(self) -> tuple[Limit, ...]:
        rng = random.Random(mix(self.seed, 5))
        if rng.random() > 0.25:
            return ()
        most = sorted(rng.choice((1, 1, 2, 3)) for _ in range(rng.choice((1, 1, 2, 3))))
        for i, node in enumerate(self.nodes):
            under = tuple(place for place in range(len(most)) if rng.random() < 0.5)
            if under and node.kind == "task":
                self.nodes[i] = replace(node, limits=under)
        return tuple(Limit(f"limit-{place}", one) for place, one in enumerate(most))

    # What came to be drawn later has a chance of its own, so that seeds go on to mean what they meant.

    def _vary_endings(self) -> None:
        """Let some attempts run out of time, and some find their value instead of making it."""
        rng = random.Random(mix(self.seed, 6))
        other: dict[EndingKind, EndingKind] = {
            "failed": "timed_out",
            "endrun_success": "endrun_cached",
            "endrun_own_success": "endrun_cached",
        }
        for i, menu in self.menus.items():
            self.menus[i] = [
                (other[kind] if kind in other and rng.random() < 0.3 else kind, weight)
                for kind, weight in menu
            ]

    def _map_collections(self) -> None:
        """Let some lists of tasks be made child by child, and unnest some of their members."""
        rng = random.Random(mix(self.seed, 7))
        mapped = rng.choice((0.0, 0.3, 0.7)) if self.mood.mapped else 0.0
        flat = rng.choice((0.0, 0.0, 0.3))
        maps: set[int] = set()
        for place, edge in enumerate(self.edges):
            # A list that maps stands in the function of apply_map: nobody unnests it, and what holds it maps too.
            if self.nodes[edge.downstream].kind == "collection":
                first = edge.key == "arg_1" and rng.random() < mapped
                is_mapped = first or edge.upstream in maps or (edge.downstream in maps and rng.random() < 0.4)
                edge = replace(edge, mapped=is_mapped, flattened=rng.random() < flat)
                maps.update([edge.downstream] if is_mapped else [])
            self.edges[place] = replace(edge, flattened=edge.flattened and edge.upstream not in maps)

    def _flow_handlers(self) -> dict[str, HandlerKind]:
        rng = random.Random(mix(self.seed, 8))
        if rng.random() > 0.15:
            return {}
        kinds: list[HandlerKind] = ["keep", "keep", "keep", "success", "failed", "skipped", "retrying"]
        kinds += ["pending", "nonsense", "raise"]
        begins: HandlerKind = rng.choice(kinds) if rng.random() < 0.3 else "keep"
        return {"Running": begins, "Success": rng.choice(kinds), "Failed": rng.choice(kinds)}

    def _accidents(self) -> tuple[int, tuple[Accident, ...]]:
        """Let some cases have several workers, and what befalls these; then some tasks are idempotent."""
        rng = random.Random(mix(self.seed, 10))
        if rng.random() > 0.35:
            return 1, ()
        for i, node in enumerate(self.nodes):
            if node.kind == "task" and rng.random() < 0.4:
                self.nodes[i] = replace(node, policy=replace(node.policy, idempotent=True))
        workers = rng.choice((1, 2, 3))
        kinds: Sequence[Literal["killed", "cut off", "retired"]] = ("killed", "killed", "cut off", "retired")
        return workers, tuple(
            Accident(
                rng.random() ** 3 * 20,
                rng.choice(kinds),
                rng.randrange(workers),
                lasts=rng.choice((1.0, 10.0, 31.0, 60.0)),
            )
            for _ in range(rng.choice((1, 1, 2, 4)))
        )

    def finish(self) -> Case:
        rng = self.rng
        workers, accidents = self._accidents()
        self._vary_endings()
        self._map_collections()
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
            together=random.Random(self.seed).choice((0.0, 0.7, 1.0)),
            folded=random.Random(~self.seed).choice((0.0, 0.5, 1.0)),
        )
        limits = self._put_under_limits()
        flow_handlers = self._flow_handlers()
        return Case(
            seed=self.seed,
            plan=connect(
                self.nodes,
                self.edges,
                reference,
                limits,
                handled=bool(flow_handlers),
                on_failure=random.Random(mix(self.seed, 9)).random() < 0.2,
            ),
            triggers=tuple(self.specs),
            shapes=self.shapes,
            menus=self.menus,
            value_shapes=self.value_shapes,
            ragged=frozenset(self.ragged),
            slow=frozenset(i for i in range(size) if rng.random() < 0.1),
            handlers=self.handlers,
            flow_handlers=flow_handlers,
            window=rng.choice((1, 2, 3, 8, 4096, 4096, 4096)),
            slots=rng.choice((1, 2, 4, 16)),
            faults=faults,
            workers=workers,
            accidents=accidents,
            approved=random.Random(self.seed ^ 0x5EED).choice((0.0, 0.5, 1.0)),
            cancel_at=rng.random() ** 3 * 10 if rng.random() < 0.12 else None,
        )
