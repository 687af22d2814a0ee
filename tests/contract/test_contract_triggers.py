"""Triggers: every built-in one against every pair of upstream outcomes, and users' own."""

from __future__ import annotations

from typing import Any

import pytest

from prefectlite import Flow, signals, task
from prefectlite.rules import triggers
from prefectlite.states import Paused, Skipped, Success, TriggerFailed

SS, SF, FF, SK, KK, FK = ["ss", "sf", "ff", "sk", "kk", "fk"]

# Outcome for two upstreams (s: success, f: failure, k: skipped) of a task with skip_on_upstream_skip=False.
TABLE: list[tuple[Any, dict[str, str]]] = [
    (triggers.all_successful, {SS: "ran", SF: "refused", FF: "refused", SK: "ran", KK: "ran", FK: "refused"}),
    (
        triggers.all_failed,
        {SS: "refused", SF: "refused", FF: "ran", SK: "refused", KK: "refused", FK: "refused"},
    ),
    (triggers.all_finished, dict.fromkeys((SS, SF, FF, SK, KK, FK), "ran")),
    (triggers.always_run, dict.fromkeys((SS, SF, FF, SK, KK, FK), "ran")),
    (triggers.any_successful, {SS: "ran", SF: "ran", FF: "refused", SK: "ran", KK: "ran", FK: "ran"}),
    (triggers.any_failed, {SS: "refused", SF: "ran", FF: "ran", SK: "refused", KK: "refused", FK: "ran"}),
    (
        triggers.not_all_skipped,
        {SS: "ran", SF: "refused", FF: "refused", SK: "ran", KK: "skipped", FK: "refused"},
    ),
    (
        triggers.some_failed(at_least=1, at_most=1),
        {SS: "refused", SF: "ran", FF: "refused", SK: "refused", KK: "refused", FK: "ran"},
    ),
    (
        triggers.some_successful(at_least=0.5),
        {SS: "ran", SF: "ran", FF: "refused", SK: "ran", KK: "ran", FK: "ran"},
    ),
    (
        lambda upstream_states: sum(state.is_failed() for state in upstream_states.values()) == 1,
        {SS: "refused", SF: "ran", FF: "refused", SK: "refused", KK: "refused", FK: "ran"},
    ),
]
WORDS = {"ran": Success, "refused": TriggerFailed, "skipped": Skipped}


def test_every_trigger_against_every_pair_of_outcomes(world: Any) -> None:
    ran = world.ran

    @task
    def upstream(how: str) -> str:
        if how == "f":
            raise ValueError
        if how == "k":
            raise signals.SKIP
        return how

    expected = {}
    with Flow("table") as flow:
        for row, (trigger, outcomes) in enumerate(TABLE):
            for pair, outcome in outcomes.items():

                @task(name=f"t{row}{pair}", trigger=trigger, skip_on_upstream_skip=False)
                def judged(a: Any, b: Any, name: str = f"t{row}{pair}") -> None:
                    ran(name)

                expected[judged(upstream(pair[0]), upstream(pair[1]))] = outcome

    state = world.run(flow)

    assert {one: type(state.result[one]) for one in expected} == {
        one: WORDS[outcome] for one, outcome in expected.items()
    }
    assert world.runs() == {one.name: 1 for one, outcome in expected.items() if outcome == "ran"}


def test_a_task_of_its_own_trigger_sees_edges_and_states(world: Any) -> None:
    seen: list[Any] = []

    def looks(upstream_states: Any) -> bool:
        seen.extend(
            (edge.key, edge.upstream.name, type(state).__name__) for edge, state in upstream_states.items()
        )
        return True

    @task
    def one() -> int:
        return 1

    @task
    def bad() -> int:
        raise ValueError

    @task
    def child(x: int) -> int:
        return x

    @task(trigger=looks)
    def below(a: Any, b: Any, c: Any) -> list[str]:
        return [type(x).__name__ for x in (a, b, c)]

    with Flow("sees") as flow:
        last = below(one(), bad(), child.map([1, 2]))

    state = world.run(flow)

    assert seen == [("a", "one", "Success"), ("b", "bad", "Failed"), ("c", "child", "Mapped")]
    assert state.result[last].result == ["int", "ValueError", "list"]


def test_to_a_trigger_a_constant_is_an_upstream_that_succeeded(world: Any) -> None:
    seen: list[Any] = []

    def looks(upstream_states: Any) -> bool:
        seen.extend((edge.key, edge.upstream.name, state.result) for edge, state in upstream_states.items())
        return True

    @task
    def bad() -> int:
        raise ValueError

    def told(text: str, why: Any = None) -> str:
        return text

    with Flow("constants") as flow:
        failed = bad()
        ends = {
            trigger: task(told, trigger=trigger)("it failed", failed)
            for trigger in (triggers.any_failed, triggers.all_failed, triggers.any_successful)
        }
        alone = {
            trigger: task(told, trigger=trigger)("it failed")
            for trigger in (triggers.any_failed, triggers.not_all_skipped)
        }
        task(told, trigger=looks)("it failed")

    state = world.run(flow)

    assert {trigger: type(state.result[end]) for trigger, end in ends.items()} == {
        triggers.any_failed: Success,
        triggers.all_failed: TriggerFailed,
        triggers.any_successful: Success,
    }
    assert {trigger: type(state.result[end]) for trigger, end in alone.items()} == {
        triggers.any_failed: TriggerFailed,
        triggers.not_all_skipped: Success,
    }
    assert seen == [("text", "Constant[str]", "it failed")]


def test_a_trigger_that_raises_refuses_with_its_text(world: Any) -> None:
    def breaks(upstream_states: Any) -> bool:
        raise RuntimeError("the trigger broke")

    @task
    def one() -> int:
        return 1

    @task(trigger=breaks, max_retries=2)
    def below(x: int) -> int:
        return x

    with Flow("breaks") as flow:
        last = below(one())

    state = world.run(flow).result[last]

    assert type(state) is TriggerFailed
    assert "the trigger broke" in (state.message or "")


@pytest.mark.parametrize(
    ("signal", "expected"),
    [(signals.SKIP("no"), Skipped), (signals.TRIGGERFAIL("no"), TriggerFailed)],
)
def test_a_trigger_may_raise_a_signal(world: Any, signal: Any, expected: type) -> None:
    def raises(upstream_states: Any) -> bool:
        raise signal

    @task
    def one() -> int:
        return 1

    @task(trigger=raises)
    def below(x: int) -> int:
        return x

    with Flow("raises") as flow:
        last = below(one())

    assert type(world.run(flow).result[last]) is expected


def test_a_trigger_may_read_a_result(world: Any) -> None:
    def large_enough(upstream_states: Any) -> bool:
        return all(len(state.result) > 1000 for state in upstream_states.values())

    @task
    def data(size: int) -> bytes:
        return b"x" * size

    @task(trigger=large_enough)
    def below(x: bytes) -> int:
        return len(x)

    with Flow("reads") as flow:
        yes, no = below(data(100_000)), below(data(10))

    state = world.run(flow)

    assert state.result[yes].result == 100_000
    assert type(state.result[no]) is TriggerFailed


def test_a_task_for_a_person_to_start_pauses_and_the_flow_stays_running(world: Any) -> None:
    @task(trigger=triggers.manual_only)
    def manual() -> None:
        raise AssertionError

    @task
    def other() -> int:
        return 1

    with Flow("manual") as flow:
        paused = manual()
        fine = other()

    state = world.run(flow)

    assert state.is_running()
    assert type(state.result[paused]) is Paused
    assert state.result[fine].result == 1


def test_a_task_that_runs_only_if_something_failed(world: Any) -> None:
    @task
    def work(fail: bool) -> None:
        if fail:
            raise ValueError

    @task(trigger=triggers.any_failed)
    def alarm() -> str:
        return "rung"

    for fail, expected in ((True, Success), (False, TriggerFailed)):
        with Flow("alarm") as flow:
            rung = alarm(upstream_tasks=[work(fail), work(False)])
        assert type(world.run(flow).result[rung]) is expected
