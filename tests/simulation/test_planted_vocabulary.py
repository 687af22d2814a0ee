"""Faults planted in what a flow can say: its own handlers, lists that map, ways to end. Each must be found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from prefectlite.engine import conduct, mapping
from prefectlite.engine.inputs import FromCollection, FromMany
from prefectlite.engine.overall import Overall
from prefectlite.engine.readers import Readers
from prefectlite.engine.sources import arguments_of
from prefectlite.rules.retry import RetryPolicy
from prefectlite.rules.verdict import Become, Proceed, Reason
from prefectlite.states.state import Cached, Failed, Success, TimedOut
from tests.simulation.case import Case
from tests.simulation.changed import replace
from tests.simulation.generate import generate
from tests.simulation.planting import BOUND, Fault, Patch, is_found

#: They test the tests, and take a minute and a half together.
pytestmark = pytest.mark.slow


def a_timeout_is_not_tried_again(patch: Patch) -> None:
    honest = RetryPolicy.decide

    def faulty(self: RetryPolicy, failures: int, state: Failed, *rest: Any, **more: Any) -> Any:
        if isinstance(state, TimedOut):
            return Proceed(Reason("planted", "A planted fault."))
        return honest(self, failures, state, *rest, **more)

    patch.setattr(RetryPolicy, "decide", faulty)


def a_value_that_was_found_cannot_be_mapped_over(patch: Patch) -> None:
    honest = mapping._has_value
    patch.setattr(mapping, "_has_value", lambda state: honest(state) and not isinstance(state, Cached))


def the_flows_handlers_are_not_heard(patch: Patch) -> None:
    honest = Overall.answered

    def faulty(self: Overall, event: Any) -> None:
        proposed = self._proposed
        answer = proposed.state if proposed is not None else event.answer
        honest(self, replace(event, answer=answer, error=None))

    patch.setattr(Overall, "answered", faulty)


def nobody_is_told_that_the_flow_failed(patch: Patch) -> None:
    honest = Overall.__init__
    patch.setattr(
        Overall, "__init__", lambda self, plan, *rest: honest(self, replace(plan, on_failure=False), *rest)
    )


def the_flows_handlers_are_asked_of_its_end_alone(patch: Patch) -> None:
    honest = Overall.begin

    def faulty(self: Overall) -> bool:
        plan, self._plan = self._plan, replace(self._plan, handled=False)
        begun = honest(self)
        self._plan = plan
        return begun

    patch.setattr(Overall, "begin", faulty)


def a_flow_is_told_as_a_success_before_its_handlers_are_asked(patch: Patch) -> None:
    honest = Overall.end

    def faulty(self: Overall, last: Become) -> None:
        honest(self, Become(Success("Well enough."), last.why) if last.state.is_failed() else last)

    patch.setattr(Overall, "end", faulty)


def a_list_that_maps_is_read_from_its_end(patch: Patch) -> None:
    def faulty(*args: Any) -> Any:
        return tuple([replace(one, source=_turned(one.source)) for one in arguments_of(*args)])

    patch.setattr(conduct, "arguments_of", faulty)


def _turned(source: Any) -> Any:
    is_many = isinstance(source, FromMany) and any(isinstance(one, FromCollection) for one in source.items)
    return replace(source, items=source.items[::-1]) if is_many else source


def members_of_a_list_that_maps_go_before_its_reader_is_final(patch: Patch) -> None:
    honest = Readers.child_settled

    def faulty(self: Readers, run: int) -> None:
        readers, self._board.readers[run] = self._board.readers[run], 0
        honest(self, run)
        self._board.readers[run] = readers

    patch.setattr(Readers, "child_settled", faulty)


FAULTS: tuple[Fault, ...] = (
    a_timeout_is_not_tried_again,
    a_value_that_was_found_cannot_be_mapped_over,
    the_flows_handlers_are_not_heard,
    nobody_is_told_that_the_flow_failed,
    the_flows_handlers_are_asked_of_its_end_alone,
    a_flow_is_told_as_a_success_before_its_handlers_are_asked,
    a_list_that_maps_is_read_from_its_end,
    members_of_a_list_that_maps_go_before_its_reader_is_final,
)


def cases() -> Iterator[Case]:
    """Yield what has handlers of the flow's own, lists that map, or values that are found or come too late."""
    for case in map(generate, range(BOUND)):
        kinds = {kind for menu in case.menus.values() for kind, _ in menu}
        maps = any(node.kind == "collection" and node.is_mapped for node in case.plan.nodes)
        if maps or case.plan.handled or case.plan.on_failure or kinds & {"timed_out", "endrun_cached"}:
            yield case


def test_the_sound_engine_passes_what_faulty_ones_fail() -> None:
    assert not is_found(cases(), audit=False)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_is_found_without_the_audits_help(fault: Fault, monkeypatch: Patch) -> None:
    fault(monkeypatch)
    assert is_found(cases(), audit=False), f"no seed found that {fault.__name__.replace('_', ' ')}"
