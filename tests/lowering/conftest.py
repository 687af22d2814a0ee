"""A flow, its engine and its lowering, held together without a place to run."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest

from prefectlite.core.graph import FlowGraph
from prefectlite.engine.engine import Engine
from prefectlite.engine.events import AttemptFinished, RunStarted
from prefectlite.engine.instructions import Submit, SubmitMany, one_by_one
from prefectlite.lowering.compile import compile  # noqa: A004  # its name everywhere
from prefectlite.lowering.lower import Lowered, Lowering, Shipment
from prefectlite.lowering.spec import Spec
from prefectlite.states.report import Report
from prefectlite.states.state import State

RUN = "0123456789abcdef" * 2


class Bench:
    """Steps through a flow run by hand.

    Parameters
    ----------
    graph, parameters
        The flow.
    singly : bool
        Whether children that the engine submits together are lowered one by one all the same.
    settings
        Of the lowering.
    """

    def __init__(
        self,
        graph: FlowGraph,
        parameters: dict[str, Any] | None = None,
        *,
        singly: bool = False,
        **settings: Any,
    ) -> None:
        self.singly = singly
        self.compiled = compile(graph, parameters or {})
        self.engine = Engine(self.compiled.plan, run_id=RUN)
        self.lowering = Lowering(self.compiled, run_id=RUN, **settings)
        self.values: dict[Any, Any] = {}
        self.time = 0.0

    def start(self) -> Lowered:
        return self._lower(self.engine.handle(RunStarted(self.time)))

    def finish(self, run: int, state: State | None = None, **report: Any) -> Lowered:
        self.time += 1.0
        submission = dict(self.engine.live_submissions())[run]
        event = AttemptFinished(self.time, run, submission, Report(state, self.time - 1, self.time, **report))
        return self._lower(self.engine.handle(event))

    def number(self, task: Any) -> int:
        return self.compiled.numbers[task]

    def _lower(self, instructions: list[Any]) -> Lowered:
        wanted = one_by_one(instructions) if self.singly else instructions
        submits = [one for one in wanted if isinstance(one, Submit | SubmitMany)]
        return self.lowering.lower(submits, self.engine.state)


@pytest.fixture
def bench() -> Callable[..., Bench]:
    """Makes a bench of a flow."""
    return Bench


@pytest.fixture
def spec_of() -> Callable[[Shipment], Spec]:
    """Opens a shipment's spec."""

    def read(shipment: Shipment) -> Spec:
        return Spec(*pickle.loads(shipment.spec))

    return read
