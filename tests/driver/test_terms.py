"""What a run goes by is settled when it is made; which number a task run has outlives the engine."""

from __future__ import annotations

import gc
import logging
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from prefectlite import Flow, Parameter, context, task
from prefectlite.driver.numbers import live_numbers, numbers_of
from prefectlite.driver.task_contexts import TaskContexts
from prefectlite.driver.terms import terms_of
from prefectlite.engine.engine import Engine
from prefectlite.engine.events import RunStarted
from prefectlite.errors import ParameterError
from prefectlite.lowering.compile import compile  # noqa: A004  # its name everywhere
from prefectlite.schedules.events import ClockEvent
from prefectlite.states import RunKey


@task
def same(x: Any) -> Any:
    return x


def flow() -> tuple[Flow, Any]:
    with Flow("etl") as made:
        one = same(Parameter("x", default=1))
    return made, one


class TestTerms:
    def test_a_parameter_is_what_is_given_before_what_context_and_clock_say(self) -> None:
        made, _ = flow()
        start = ClockEvent(datetime(2026, 1, 2, tzinfo=UTC), {"x": 5})
        around = {"parameters": {"x": 3, "more": 4}}

        assert dict(terms_of(made, {}).parameters) == {"x": 1}
        assert dict(terms_of(made, {}, context=around).parameters) == {"x": 3, "more": 4}
        assert terms_of(made, {"x": 2}, context=around).parameters["x"] == 2
        assert terms_of(made, {}, start=start).parameters["x"] == 5
        with pytest.raises(ParameterError):
            terms_of(made, {"y": 2})

    def test_what_was_scheduled_is_in_the_context_unless_that_says_another(self) -> None:
        made, _ = flow()
        start = ClockEvent(datetime(2026, 1, 2, 3, tzinfo=UTC))

        terms = terms_of(made, {}, start=start)
        assert terms.scheduled == terms.context["scheduled_start_time"] == datetime(2026, 1, 2, 3, tzinfo=UTC)
        facts = terms.facts("etl", "0" * 32, 0.0)
        assert facts["today"] == "2026-01-02"
        assert facts["parameters"] == {"x": 1}
        other = terms_of(made, {}, start=start, context={"date": datetime(2025, 1, 1, tzinfo=UTC)})
        assert other.facts("etl", "0" * 32, 0.0)["today"] == "2025-01-01"

    def test_an_approval_is_looked_for_in_the_context_of_the_task_first(self) -> None:
        made, one = flow()
        other = Flow("other", tasks=[same])

        def terms(whole: dict[str, Any], own: dict[str, Any]) -> Any:
            return terms_of(made, {}, context=whole, task_contexts=TaskContexts(made, {one: own}))

        assert terms({"resume": True}, {"region": "north"}).approves(one)
        assert not terms({"resume": True}, {"resume": False}).approves(one)
        assert terms({}, {"resume": True}).approves(one)
        assert not terms_of(other, {}).approves(same)

    def test_what_changes_around_it_later_is_not_its_own(self) -> None:
        made, _ = flow()
        with context(region="north", raise_on_exception=True):
            terms = terms_of(made, {}, log_level=logging.WARNING)

        assert terms.context["region"] == "north"
        assert terms.raises
        assert terms.log_level == logging.WARNING
        assert not terms_of(made, {}).raises


class TestNumbers:
    def engine(self) -> tuple[Any, Engine]:
        with Flow("etl") as made:
            same.map([same(1), same(2)])
        compiled = compile(made, {})
        engine = Engine(compiled.plan, run_id="0" * 32)
        engine.handle(RunStarted(time.time()))
        return compiled, engine

    def test_they_are_those_of_the_engine(self) -> None:
        compiled, engine = self.engine()
        live, after = live_numbers(engine), numbers_of(compiled, engine)

        for run in range(len(compiled.plan.nodes)):
            assert live(engine.key(run)) == after(engine.key(run)) == run
        for name in ("unknown-1", "same-3[7]"):
            assert after(RunKey.parse(name)) is None

    def test_what_finds_them_keeps_no_engine_alive(self) -> None:
        compiled, engine = self.engine()
        key, live, after = engine.key(0), live_numbers(engine), numbers_of(compiled, engine)
        del engine
        gc.collect()

        assert live(key) is None
        assert after(key) == 0
