"""What states take from clock and context where nobody says it: tags, times and counts; at every place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from prefectlite import Flow, LocalExecutor, context, signals, task
from prefectlite.states import Failed, Looped, Mapped, Paused, Resume, Retrying, Scheduled, State, Success

TAGS = ["db", "nightly"]


def test_each_state_of_a_task_with_tags_has_them(executor: Any) -> None:
    seen: dict[str, list[Any]] = {"handler": [], "trigger": [], "on_failure": []}

    def handler(told: Any, old: State, new: State) -> State | None:
        seen["handler"] += [old.context["tags"], new.context["tags"]]
        if isinstance(new, Success) and new.message == "body":
            return Success("made by a handler", new.result)
        return None

    def reads(upstreams: Any) -> bool:
        seen["trigger"] += [one.context["tags"] for one in upstreams.values()]
        return True

    def failed(told: Any, state: State) -> None:
        seen["on_failure"].append(state.context["tags"])

    @task(tags=["nightly", "db"], max_retries=1, on_failure=failed, state_handlers=[handler])
    def load(x: int) -> int:
        if x == 1 and context.task_run_count == 1:
            raise signals.FAIL("no")
        if x == 2:
            raise ValueError(x)
        raise signals.SUCCESS("body", result=x)

    @task(tags={"db", "nightly"})
    def plain(x: int) -> int:
        return x

    @task(trigger=reads)
    def last(given: list[int], plains: list[int]) -> int:
        return len(given) + len(plains)

    with Flow("tags") as flow:
        loads, plains = load.map([0, 1, 2]), plain.map([0, 1])
        single = plain(7)
        total = last(loads, plains)
    state = flow.run(executor=executor)

    found = state.result
    for one in (found[loads], *found[loads].map_states, found[plains], *found[plains].map_states):
        assert one.context["tags"] == TAGS
    assert found[loads].map_states[0].message == "made by a handler"
    assert (type(found[loads].map_states[2]), found[loads].map_states[2].context) == (Failed, {"tags": TAGS})
    assert found[single].context == {"tags": TAGS}
    assert found[single].result == 7
    assert [one.result for one in found[plains].map_states] == [0, 1]
    assert (len(found[plains].map_states), found[plains].n_map_states) == (2, 2)
    assert found[total].result == 5
    assert (found[total].context, found[total].context["tags"]) == ({}, [])
    for told in seen.values():
        assert told
        assert all(tags == TAGS for tags in told)


def test_what_a_body_makes_takes_time_and_counts_and_tags(executor: Any) -> None:
    def made() -> dict[str, Any]:
        states = {
            kind.__name__: kind("made") for kind in (Scheduled, Paused, Resume, Retrying, Looped, Success)
        }
        return {
            "times": [getattr(one, "start_time", None) for one in states.values()],
            "counts": (states["Retrying"].run_count, states["Looped"].loop_count),  # type: ignore[attr-defined]
            "contexts": {name: dict(one.context) for name, one in states.items()},
            "upstream": dict(context.upstream_states["x"].context).get("tags"),
        }

    @task(tags=TAGS, max_retries=1)
    def makes(x: int) -> Any:
        if context.get("task_loop_count", 1) == 1:
            raise signals.LOOP(result=x)
        if context.task_run_count == 1:
            raise signals.RETRY("again")
        return made()

    @task
    def one() -> int:
        return 1

    with Flow("made") as flow:
        makes_one = makes(one())
    before = datetime.now(UTC)
    found = flow.run(executor=executor).result[makes_one].result
    after = datetime.now(UTC)

    scheduled, paused, resumed, retrying, *others = found["times"]
    assert before <= scheduled <= resumed <= retrying <= after
    assert (paused, others) == (None, [None, None])
    assert found["counts"] == (2, 2)
    bare = {"tags": TAGS}
    waits = {**bare, "task_run_count": 2}
    assert found["contexts"] == {
        "Scheduled": waits,
        "Paused": waits,
        "Resume": waits,
        "Retrying": waits,
        "Looped": bare,
        "Success": bare,
    }
    assert found["upstream"] is None


def test_a_retry_that_a_handler_makes_is_until_now() -> None:
    heard = []

    def handler(told: Any, old: State, new: State) -> State | None:
        heard.append((type(new).__name__, new.context.get("task_run_count")))
        if isinstance(new, Failed):
            return Retrying("by a handler")
        return None

    @task(state_handlers=[handler])
    def sometimes() -> None:
        if context.task_run_count < 3:
            raise ValueError("not yet")

    with Flow("heard") as flow:
        sometimes()
    assert flow.run(executor=LocalExecutor()).is_successful()
    again = [("Running", None), ("Failed", None)]
    assert heard == [*again, *again, ("Running", None), ("Success", None)]


def test_a_handler_is_told_the_count_of_a_retry_by_the_rules() -> None:
    heard = []

    def handler(told: Any, old: State, new: State) -> None:
        if isinstance(new, Retrying):
            heard.append((new.run_count, new.context["task_run_count"]))

    def fails() -> None:
        raise ValueError("no")

    with Flow("told") as flow:
        task(fails, name="fails", max_retries=2, state_handlers=[handler])()
    flow.run(executor=LocalExecutor())
    assert heard == [(1, 1), (2, 2)]


def test_a_map_with_tags_makes_its_childrens_states_when_they_are_looked_at() -> None:
    with Flow("lazily") as flow:
        many = task(lambda x: x, name="many", tags=["t"]).map(list(range(50)))
    state = flow.run(executor=LocalExecutor()).result[many]

    assert isinstance(state, Mapped)
    assert {tuple(one.context["tags"]) for one in state.map_states[10:20]} == {("t",)}
    assert state.result == list(range(50))
    assert state.load_result().map_states[3].context == {"tags": ["t"]}


def test_a_flow_that_a_task_runs_is_not_taken_for_that_task() -> None:
    @task(tags=["inner"])
    def inner() -> dict[str, Any]:
        return {"made": dict(Retrying().context), "count": Retrying().run_count}

    @task
    def bare() -> None: ...

    @task(tags=["outer"], max_retries=1)
    def outer() -> dict[str, Any]:
        if context.task_run_count == 1:
            raise ValueError("no")
        with Flow("inside") as inside:
            made, nothing = inner(), bare()
        result = inside.run(executor=LocalExecutor())
        return {
            "flow": dict(result.context),
            "inner": (dict(result.result[made].context), result.result[made].result),
            "bare": dict(result.result[nothing].context),
        }

    with Flow("outside") as outside:
        told = outer()
    found = outside.run(executor=LocalExecutor()).result[told].result
    assert found["flow"] == found["bare"] == {}
    assert found["inner"] == (
        {"tags": ["inner"]},
        {"made": {"tags": ["inner"], "task_run_count": 1}, "count": 1},
    )


def test_a_state_that_waits_until_now_waits_for_nothing(executor: Any) -> None:
    began = datetime.now(UTC)

    def handler(told: Any, old: State, new: State) -> State | None:
        return Scheduled("put off, until now") if old.is_pending() and not old.is_scheduled() else None

    @task(state_handlers=[handler])
    def soon() -> int:
        return 1

    with Flow("now") as flow:
        reached = soon()
    assert flow.run(executor=executor).result[reached].result == 1
    assert datetime.now(UTC) - began < timedelta(minutes=1)
