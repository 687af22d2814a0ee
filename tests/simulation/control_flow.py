"""Random flows that branch, filter, map functions and use resources, built as users build them. Knows no engine."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from prefectlite import FilterTask, Flow, apply_map, case, ifelse, merge, resource_manager, switch, task
from prefectlite.core.task import Task
from prefectlite.lowering.compile import compile as compile_flow
from tests.simulation.case import Case, EndingKind, Faults, TriggerSpec, mix

#: What may go wrong in any body, weighted against ten times that nothing does.
_TROUBLE: Final[tuple[EndingKind, ...]] = (
    "failed",
    "timed_out",
    "signal_skip",
    "exited",
    "lost",
    "endrun_skipped",
)


@task
def number() -> int:
    return 3


@task(max_retries=1)
def add(x: Any, y: Any) -> Any:
    return x + y


@task(max_crashes=1)
def remainder(x: Any) -> Any:
    return x % 3


@task
def is_odd(x: Any) -> bool:
    return bool(x % 2)


@task
def up_to(x: Any) -> list[int]:
    return list(range(x % 4))


@task
def half(x: int) -> float:
    return 6 / (x - 1)


@task
def total(xs: list[Any]) -> Any:
    return sum(xs)


@task
def first(xs: list[Any]) -> Any:
    return xs[0]


@resource_manager
@dataclass
class Resource:
    """Something that must be cleaned up."""

    size: Any

    def setup(self) -> Any:
        return self.size + 1

    def cleanup(self, made: Any) -> None:
        assert made == self.size + 1


def generate(seed: int) -> Case:
    """Return the case of a seed: a flow of such shapes, and all that will happen in it.

    Parameters
    ----------
    seed : int
        Any number; the same one gives the same case.

    Returns
    -------
    Case
        Its bodies are real ones, though each may fail or skip itself instead.
    """
    rng = random.Random(mix(seed, 20))
    with Flow("branches") as flow:
        building = _Building(rng)
        for _ in range(rng.randint(1, 5)):
            building.add(depth=2)
    compiled = compile_flow(flow, {})
    trouble = rng.choice((0.0, 0.1, 0.3))
    bodies: dict[int, Callable[..., Any]] = {}
    menus: dict[int, list[tuple[EndingKind, int]]] = {}
    for i, node in enumerate(compiled.plan.nodes):
        if node.kind == "task":
            one = compiled.tasks[i]
            bodies[i] = partial(one.run, **compiled.constants[i])
            bad = [(rng.choice(_TROUBLE), rng.choice((2, 5, 20)))] if rng.random() < trouble else []
            menus[i] = [("value", 10), *bad]
    return Case(
        seed,
        compiled.plan,
        [_trigger_of(one) for one in compiled.tasks],
        values=compiled.values,
        bodies=bodies,
        menus=menus,
        window=rng.choice((1, 3, 4096)),
        slots=rng.choice((1, 4)),
        faults=Faults(
            latency=rng.choice((0.001, 0.5)),
            doubled=rng.choice((0.0, 0.2)),
            lost=rng.choice((0.0, 0.1)),
            together=rng.choice((0.0, 0.7)),
        ),
    )


def _trigger_of(one: Task) -> TriggerSpec:
    name: Any = getattr(one.frozen_options.trigger, "name", None)
    return TriggerSpec("custom", custom="cleanup") if name is None else TriggerSpec(name)


class _Building:
    """Adds shapes to the flow that is being built; ``pool`` holds the tasks whose values are numbers."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.pool: list[Any] = [number()]

    def some(self) -> Any:
        return self.rng.choice(self.pool[-6:])

    def add(self, depth: int) -> None:
        shapes = [self.call, self.switch, self.ifelse, self.filter, self.apply_map]
        if depth:
            shapes += [partial(self.case, depth), partial(self.resource, depth)] * 2
        self.rng.choice(shapes)()

    def call(self) -> None:
        self.pool.append(add(self.some(), self.some()))

    def case(self, depth: int) -> None:
        before = self.some()
        with case(remainder(self.some()), self.rng.randrange(3)):
            for _ in range(self.rng.randint(1, 3)):
                self.add(depth - 1)
        if self.rng.random() < 0.5:
            self.pool.append(merge(self.pool[-1], before))

    def switch(self) -> None:
        branches = {value: add(self.some(), value) for value in range(self.rng.randint(1, 3))}
        switch(remainder(self.some()), branches)
        self.pool.append(merge(*branches.values()))

    def ifelse(self) -> None:
        yes, no = add(self.some(), 1), add(self.some(), self.some())
        ifelse(is_odd(self.some()), yes, self.rng.choice((no, None)))
        self.pool.append(merge(yes, no))

    def filter(self) -> None:
        kept = FilterTask()(half.map(up_to(self.some())))
        self.pool.append(self.rng.choice((total, first))(kept))

    def apply_map(self) -> None:
        outside = self.some()

        def func(x: Any) -> Any:
            with case(is_odd(x), True):
                raised = add(x, outside)
            return merge(raised, first([x, add(x, 2)]))

        self.pool.append(total(apply_map(func, up_to(self.some()))))

    def resource(self, depth: int) -> None:
        with Resource(self.some()) as made:
            self.pool.append(add(made, self.some()))
            for _ in range(self.rng.randint(0, 2)):
                self.add(depth - 1)
