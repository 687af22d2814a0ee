"""The testing kit: a flow's true rules in virtual time, with injected outcomes."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from prefectlite import (
    Flow,
    LocalExecutor,
    Parameter,
    case,
    context,
    merge,
    pause_task,
    resource_manager,
    signals,
    task,
    triggers,
    unmapped,
)
from prefectlite.errors import ContextError, DefinitionError, DefinitionTypeError, ParameterError, TaskError
from prefectlite.states import Cancelled, Crashed, Failed, Mapped, Retrying, Skipped, Success
from prefectlite.testing import crashes, raises, returns, runs, simulate


@task(max_retries=3, retry_delay=[600, 1200])
def load(source: str = "db") -> list[int]:
    raise NotImplementedError("talks to a server")


@task
def double(x: Any) -> Any:
    return 2 * x


@task
def add_up(xs: Any) -> Any:
    return sum(xs)


@task(trigger=triggers.any_failed, skip_on_upstream_skip=False)
def clean_up(xs: Any = None) -> str:
    return "cleaned"


def daily() -> tuple[Flow, Any, Any, Any]:
    with Flow("daily") as flow:
        loaded = load(Parameter("source", default="db"))
        doubled = double.map(loaded)
        total = add_up(doubled)
    return flow, loaded, doubled, total


def test_backoffs_of_half_an_hour_pass_at_once() -> None:
    flow, loaded, doubled, total = daily()

    run = simulate(flow, outcomes={load: [ConnectionError("down"), TimeoutError("slow"), returns([1, 2])]})

    assert run.state.is_successful()
    assert run[total].result == 6
    assert run.seconds == 1800
    assert [(one.attempt, one.began, type(one.state).__name__) for one in run.attempts(loaded)] == [
        (1, 0, "Failed"),
        (2, 600, "Failed"),
        (3, 1800, "Success"),
    ]
    assert run.states(loaded) == [
        *("Running", "Failed", "Retrying"),
        *("Running", "Failed", "Retrying"),
        *("Running", "Success"),
    ]
    assert isinstance(run[doubled], Mapped)


def test_the_last_outcome_of_a_list_repeats_and_a_single_one_is_for_all_attempts() -> None:
    flow, loaded, _, _ = daily()

    for outcome in (raises(OSError), OSError, OSError("x"), [TimeoutError(), OSError("x")]):
        run = simulate(flow, outcomes={"load": outcome})
        assert len(run.attempts(loaded)) == 4
        assert isinstance(run[loaded].result, OSError)
        assert run.seconds == 600 + 1200 + 1200


def test_a_crash_draws_on_the_budget_of_crashes() -> None:
    @task(max_retries=0, max_crashes=1)
    def fragile() -> int:
        return 1

    with Flow("crashes") as flow:
        made = fragile()

    once = simulate(flow, outcomes={made: [crashes(), runs()]})
    assert once[made].result == 1
    assert once.states(made) == ["Running", "Crashed", "Retrying", "Running", "Success"]

    twice = simulate(flow, outcomes={made: crashes("Too much.", cause="out-of-memory")})
    state = twice[made]
    assert isinstance(state, Crashed)
    assert (state.cause, state.message) == ("out-of-memory", "Too much.")


def test_children_of_a_map_are_named_one_by_one() -> None:
    flow, _, doubled, total = daily()

    run = simulate(
        flow,
        outcomes={
            "load": returns([1, 2, 3]),
            "double-1[1]": ValueError("odd"),
            doubled: returns(10),
        },
    )

    assert [type(child) for child in run[doubled].map_states] == [Success, Failed, Success]
    assert run["double-1[0]"].result == 10
    assert run["double[1]"].message == "Unexpected error: ValueError: odd"
    assert type(run[total]).__name__ == "TriggerFailed"


def test_durations_and_workers_say_who_runs_when() -> None:
    @task
    def sleeps(x: int) -> int:
        return x

    with Flow("slots") as flow:
        children = sleeps.map(list(range(4)))
        add_up(children)

    wide = simulate(flow, outcomes={add_up: runs(takes=5)}, takes=timedelta(minutes=1))
    assert [one.began for one in wide.attempts(children)] == [0, 0, 0, 0]
    assert wide.seconds == 65

    narrow = simulate(flow, outcomes={"sleeps-1[0]": runs(takes=100)}, takes=60, workers=2)
    assert [(one.run, one.began, one.ended) for one in narrow.attempts(sleeps)] == [
        ("sleeps-1[0]", 0, 100),
        ("sleeps-1[1]", 0, 60),
        ("sleeps-1[2]", 60, 120),
        ("sleeps-1[3]", 100, 160),
    ]
    assert narrow.seconds == 220


def test_limits_are_kept_in_virtual_time() -> None:
    @task(max_concurrency=2)
    def limited(x: int) -> int:
        return x

    with Flow("limits") as flow:
        children = limited.map(list(range(5)))

    run = simulate(flow, takes=10)

    assert [one.began for one in run.attempts(children)] == [0, 0, 10, 10, 20]
    assert run.seconds == 30


def test_triggers_skips_and_signals_are_those_of_any_run() -> None:
    with Flow("rules") as flow:
        loaded = load()
        doubled = double(loaded)
        cleaned = clean_up(doubled)

    failed = simulate(flow, outcomes={loaded: raises(signals.FAIL("no luck"))})
    assert failed[cleaned].result == "cleaned"
    assert failed[loaded].message == "no luck"

    skipped = simulate(flow, outcomes={loaded: signals.SKIP("nothing new")})
    assert isinstance(skipped[loaded], Skipped)
    assert isinstance(skipped[doubled], Skipped)
    assert "nothing new" in skipped.explain(loaded)
    assert "any_failed" in skipped.explain(cleaned)
    assert "TriggerFailed" in skipped.explain()


def test_retry_on_weighs_injected_errors() -> None:
    @task(max_retries=2, retry_on=OSError)
    def picky() -> None: ...

    with Flow("picky") as flow:
        picked = picky()

    assert len(simulate(flow, outcomes={picked: OSError()}).attempts(picked)) == 3
    assert len(simulate(flow, outcomes={picked: ValueError()}).attempts(picked)) == 1


def test_a_signal_that_asks_for_another_try_is_obeyed_in_virtual_time() -> None:
    with Flow("again") as flow:
        made = double(1)

    def asks(x: int) -> None:
        raise signals.RETRY("again")

    # What a signal was not told, it takes from the clock: that of the simulation, whatever the real one says.
    for begin in (datetime(2001, 5, 4, tzinfo=UTC), datetime(2031, 5, 4, tzinfo=UTC)):
        for asked in (signals.RETRY("again"), signals.RETRY, runs(asks)):
            at_once = simulate(flow, clock=begin, outcomes={made: [asked, runs()]})
            assert at_once[made].result == 2
            assert at_once.seconds == 0

    later = signals.RETRY("later", start_time=begin + timedelta(hours=9))
    assert simulate(flow, clock=begin, outcomes={made: [later, runs()]}).seconds == 9 * 3600


def test_bodies_without_an_outcome_run_unless_told_otherwise() -> None:
    flow, loaded, _, total = daily()

    run = simulate(flow, outcomes={load: returns([1]), double: returns(7)}, default=returns("nothing ran"))
    assert run[total].result == "nothing ran"

    failing = simulate(flow, default=[OSError(), returns([])])
    assert failing[loaded].result == []
    assert len(failing.attempts(loaded)) == 2


def test_tasks_that_the_framework_made_run_whatever_the_default_is() -> None:
    with Flow("items") as flow:
        picked = double(load()["key"])

    run = simulate(flow, outcomes={load: returns({"key": 4}), double: runs()}, default=raises(AssertionError))
    assert run[picked].result == 8


def test_branches_are_taken_by_what_tasks_are_said_to_return() -> None:
    with Flow("branches") as flow:
        loaded = load()
        with case(loaded, True):
            yes = double(1)
        with case(loaded, False):
            no = double(2)
        merged = merge(yes, no)

    run = simulate(flow, outcomes={load: returns(False), no: returns("no")}, default=returns("not run"))
    assert run[merged].result == "no"
    assert isinstance(run[yes], Skipped)


def test_a_context_is_given_as_to_any_run() -> None:
    with Flow("context") as flow:
        made = double(1)

    run = simulate(flow, outcomes={made: runs(lambda x: context.team)}, context={"team": "blue"})
    assert run[made].result == "blue"


def test_another_body_is_called_with_the_same_arguments_and_context() -> None:
    def body(x: int) -> tuple[int, int, int]:
        return x, context.map_index, context.attempt

    with Flow("bodies") as flow:
        made = double.map([5, 6])

    assert simulate(flow, outcomes={made: runs(body)})[made].result == [(5, 0, 1), (6, 1, 1)]


def test_parameters_are_checked_as_ever_and_callbacks_are_asked() -> None:
    seen: list[str] = []

    def handler(_: Any, old: Any, new: Any) -> None:
        seen.append(f"{type(old).__name__} -> {type(new).__name__}")

    def never(states: Any) -> bool:
        return not states

    @task(state_handlers=[handler], max_retries=1, retry_delay=lambda attempt: 60 * attempt)
    def watched(x: int) -> int:
        return x

    @task(trigger=never)
    def refused(x: int) -> int:
        return x

    with Flow("asks") as flow:
        made = watched(Parameter("x", type=int))
        last = refused(made)

    run = simulate(flow, {"x": 4}, outcomes={made: [OSError(), runs()]})
    assert run[made].result == 4
    assert run.seconds == 60
    assert seen[:2] == ["Pending -> Running", "Running -> Failed"]
    assert type(run[last]).__name__ == "TriggerFailed"
    with pytest.raises(ParameterError, match="x"):
        simulate(flow, {"y": 1})


def test_until_calls_the_run_off() -> None:
    flow, loaded, _, total = daily()

    run = simulate(flow, outcomes={loaded: OSError()}, until=timedelta(minutes=15))

    assert isinstance(run.state, Cancelled)
    assert run.seconds == 900
    assert run[loaded].message == "The flow run was cancelled: the simulation ends after 900 seconds."
    assert len(run.attempts(loaded)) == 2
    hanging = simulate(flow, outcomes={loaded: returns([], takes=timedelta(days=1000))}, until=3600)
    assert isinstance(hanging[total], Cancelled)


def test_a_run_that_is_called_off_cleans_up() -> None:
    said: list[str] = []

    @resource_manager
    class Room:
        def setup(self) -> str:
            said.append("opened")
            return "room"

        def cleanup(self, room: str) -> None:
            said.append("closed")

    with Flow("cleans") as flow, Room() as room:
        worked = double(room)

    run = simulate(flow, outcomes={worked: runs(takes=7200)}, takes=60, until=3600, workers=1)

    assert isinstance(run.state, Cancelled)
    assert isinstance(run[worked], Cancelled)
    assert said == ["opened", "closed"]
    assert run.seconds == 3660


def test_a_pause_leaves_the_run_unfinished() -> None:
    with Flow("pauses") as flow:
        made = double(1)
        after = double(made)

    run = simulate(flow, outcomes={made: signals.PAUSE("asks somebody")})

    assert not run.state.is_finished()
    assert type(run[made]).__name__ == "Paused"
    assert run[after].is_pending()


@pytest.mark.parametrize("year", [2001, 2031])
def test_a_pause_for_some_time_is_over_in_virtual_time(year: int) -> None:
    def waits(x: int) -> int:
        pause_task("wait", duration=timedelta(hours=2))
        return x

    with Flow("waits") as flow:
        made = task(waits)(1)

    run = simulate(flow, clock=datetime(year, 5, 4, tzinfo=UTC))

    assert (run[made].result, run.seconds) == (1, 7200)


def test_a_state_handler_goes_by_the_virtual_time() -> None:
    begin, heard = datetime(2001, 5, 4, tzinfo=UTC), []

    def handler(made: Any, old: Any, new: Any) -> None:
        heard.append(Retrying().start_time)

    with Flow("hears") as flow:
        task(lambda: 1, name="made", state_handlers=[handler])()

    assert simulate(flow, clock=begin, takes=60).state.is_successful()
    assert heard == [begin, begin + timedelta(seconds=60)]


def test_what_would_go_on_for_ever_ends() -> None:
    with Flow("for ever") as flow:
        made = double(1)

    run = simulate(flow, outcomes={made: signals.RETRY("again")})

    assert isinstance(run.state, Cancelled)
    assert "double-1 was begun 1000 times and is not over" in str(run[made].message)


def test_the_flow_and_the_real_clock_are_left_alone() -> None:
    flow, *_ = daily()
    before = time.monotonic()
    with Flow("plain") as plain:
        made = double(3)

    simulate(flow, outcomes={load: [OSError(), returns([2])]}, clock=0.0)
    assert simulate(plain, outcomes={made: returns(0)})[made].result == 0

    assert plain.run(executor=LocalExecutor()).result[made].result == 6
    assert time.monotonic() - before < 600


def test_many_children_and_unmapped_inputs_go_through() -> None:
    @task
    def scale(x: int, by: int) -> int:
        return x * by

    @task
    def numbers() -> list[int]:
        return list(range(300))

    with Flow("many") as flow:
        total = add_up(double.map(scale.map(numbers(), unmapped(double(1)))))

    run = simulate(flow, outcomes={"scale-1[7]": [OSError("x")]}, takes=1, workers=3)
    assert type(run[total]).__name__ == "TriggerFailed"
    again = simulate(flow, takes=1, workers=100)
    assert again[total].result == 4 * sum(range(300))
    assert again.seconds == 1 + 3 + 3 + 1


def test_an_exception_that_is_raised_again_has_no_memory() -> None:
    error = ValueError("shared")
    with Flow("shared") as flow:
        made = double.map([1, 2])

    run = simulate(flow, outcomes={made: error})

    texts = [str(child.traceback) for child in run[made].map_states]
    assert texts[0] == texts[1]
    assert error.__context__ is None


def test_what_bodies_log_is_logged(lines: list[logging.LogRecord]) -> None:
    @task
    def talks() -> None:
        context.logger.info("heard")

    with Flow("talk") as flow:
        talks()
    simulate(flow)

    assert [line.getMessage() for line in lines if line.name == "prefectlite.talks"] == ["heard"]


def test_it_prints_as_a_timeline() -> None:
    flow, *_ = daily()
    run = simulate(flow, outcomes={load: [OSError("down"), returns([])]})

    lines = str(run).splitlines()
    assert lines[0] == repr(run.state)
    assert "     600.0 s  load-1                   attempt 2   Running" in str(run)
    assert repr(run) == "<Simulation of 'daily': Success after 600 s>"
    assert [moment.at for moment in run.timeline] == sorted(moment.at for moment in run.timeline)
    assert run.timeline[0].run == run.timeline[-1].run == ""
    assert {one.run for one in run.attempts()} == {"load-1", "add_up-1"}


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"outcomes": {"lod": OSError()}}, DefinitionError, "has no task 'lod'; its tasks are .*load-1"),
        ({"outcomes": {5: OSError()}}, DefinitionError, "has no task 5"),
        ({"outcomes": {clean_up: OSError()}}, DefinitionError, "has no task <FunctionTask: clean_up>"),
        ({"outcomes": {"load": 5}}, DefinitionTypeError, r"which is no outcome; write returns\(5\)"),
        ({"outcomes": {"load": []}}, DefinitionTypeError, "is an empty list"),
        ({"outcomes": {"load": OSError(), "load-1": OSError()}}, DefinitionError, "name each task once"),
        ({"outcomes": 3}, DefinitionTypeError, "outcomes=3 names no tasks"),
        ({"parameters": 3}, ParameterError, "parameters=3, which have no names"),
        ({"context": 3}, ContextError, "context=3, which has no names"),
        ({"flow": "daily"}, DefinitionTypeError, "given 'daily', which is no flow"),
        ({"default": 3}, DefinitionTypeError, r"default has 3, which is no outcome"),
        ({"takes": -1}, DefinitionError, "takes=-1 is no duration"),
        ({"until": "soon"}, DefinitionError, "until='soon' is no duration"),
        ({"workers": 0}, DefinitionError, "workers=0 cannot work"),
        ({"clock": datetime(2030, 1, 1)}, DefinitionError, "does not say in which zone"),  # noqa: DTZ001
        ({"clock": "noon"}, DefinitionTypeError, "has clock='noon'; give a datetime"),
    ],
)
def test_what_cannot_be_simulated_is_refused(options: Any, kind: Any, text: str) -> None:
    flow, *_ = daily()

    with pytest.raises(kind, match=text):
        simulate(**{"flow": flow, **options})


def test_outcomes_that_are_none_are_refused_when_made() -> None:
    with pytest.raises(DefinitionTypeError, match=r"raises\(\) takes an exception"):
        raises("text")
    with pytest.raises(DefinitionError, match="takes=True is no duration"):
        returns(1, takes=True)


def test_a_name_of_several_tasks_gives_all_attempts_and_no_single_state() -> None:
    with Flow("twice") as flow:
        double(double(1))
    run = simulate(flow)

    assert [one.run for one in run.attempts(double)] == ["double-1", "double-2"]
    with pytest.raises(DefinitionError, match="is the name of several tasks: double-1, double-2"):
        run["double"]


def test_results_stay_readable_after_the_run() -> None:
    with Flow("keeps") as flow:
        made = double(b"x" * 100_000)

    assert len(simulate(flow)[made].result) == 200_000
    assert not isinstance(simulate(flow, outcomes={made: OSError()})[made].result, TaskError)
