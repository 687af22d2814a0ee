"""Tasks: how they are made, copied, called, and what they refuse."""

from __future__ import annotations

import copy
import functools
import inspect
import logging
import pickle
import warnings
from datetime import timedelta
from typing import Any, get_type_hints

import cloudpickle
import pytest

from prefectlite.core.annotations import flatten, mapped, unmapped
from prefectlite.core.collecting import as_task
from prefectlite.core.constants import Constant
from prefectlite.core.context import context, tags
from prefectlite.core.graph import FlowGraph
from prefectlite.core.loggers import get_logger
from prefectlite.core.task import FunctionTask, Task, task
from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.results import LocalResult
from prefectlite.rules.caching import all_inputs, duration_only
from prefectlite.rules.triggers import all_finished, all_successful
from prefectlite.states.signals import FAIL


@task
def inc(x: int, by: int = 1) -> int:
    """Add to a number."""
    return x + by


class Add(Task):
    """Add two numbers."""

    def __init__(self, scale: int = 1, **options: Any) -> None:
        self.scale = scale
        super().__init__(**options)

    def run(self, x: int, y: int = 1) -> int:
        return self.scale * (x + y)


def test_a_function_task_runs_its_function_directly() -> None:
    assert inc.run(4) == 5
    assert inc.run.__module__ == __name__


def test_a_function_task_carries_the_functions_metadata() -> None:
    assert inc.__doc__ == "Add to a number."
    assert inc.__name__ == "inc"
    assert inc.__module__ == inc.copy().__module__ == __name__
    assert task(functools.partial(inc.run, by=2), name="by_two").__module__ == "functools"
    assert FunctionTask.__module__ == "prefectlite.core.task"
    assert inc.__wrapped__ is inc.run
    assert repr(inc) == "<FunctionTask: inc>"
    assert (FunctionTask.__doc__ or "").startswith("A task made from a function.")
    assert FunctionTask.__name__ == "FunctionTask"
    assert (inc.__qualname__, inc.copy(name="other").__qualname__) == ("inc", "inc")
    assert inc.copy().__annotations__ is inc.run.__annotations__
    assert get_type_hints(inc) == get_type_hints(inc.run)
    assert FunctionTask.__annotations__ == {}


def test_a_function_task_has_what_was_set_on_its_function() -> None:
    def load(day: int = 1) -> int:
        return day

    vars(load).update(version=2, max_retries=7, name="other")
    made: Any = task(load)
    with FlowGraph("attributes"):
        called: Any = made()
    for one in (made, called, made.copy(), copy.copy(made), cloudpickle.loads(cloudpickle.dumps(made))):
        assert (one.version, one.max_retries, one.name) == (2, 0, "load")
    made.version = 3
    assert (made.version, called.version, vars(load)["version"]) == (3, 2, 2)
    assert not hasattr(made, "author")
    with pytest.raises(AttributeError, match=r"'FunctionTask' object has no attribute 'author'"):
        made.author  # noqa: B018
    assert not hasattr(FunctionTask, "__wrapped__")


def test_the_signature_of_a_task_is_its_runs_and_the_extras_of_a_call() -> None:
    expected = (
        "(x: 'int', by: 'int' = 1, *, mapped=False, task_args=None, upstream_tasks=None, flow=None) -> 'Task'"
    )
    assert str(inspect.signature(inc)) == expected
    assert list(inspect.signature(Add()).parameters)[:3] == ["x", "y", "mapped"]

    @task
    def anything(**kwargs: int) -> None: ...

    assert [*inspect.signature(anything).parameters][-1] == "kwargs"
    assert list(inspect.signature(FunctionTask).parameters) == ["fn", "name", "options"]


def test_a_task_without_a_name_is_called_what_its_function_or_class_is_called() -> None:
    assert inc.name == "inc"
    assert Add().name == "Add"
    assert Task().name == "Task"
    assert task(functools.partial(inc.run, by=2)).name == "FunctionTask"
    assert task(lambda x: x, name="same").name == "same"
    assert Add(name="plus").name == "plus"


def test_the_base_tasks_run_does_nothing() -> None:
    assert Task(name="marker").run() is None


def test_options_are_read_as_attributes() -> None:
    def handler(*_: Any) -> None: ...

    made = task(
        inc.run,
        name="load",
        slug="load",
        tags=["a", "b"],
        max_retries=2,
        retry_delay=timedelta(seconds=90),
        retry_jitter=0.5,
        retry_on=OSError,
        max_crashes=5,
        trigger=all_finished,
        skip_on_upstream_skip=False,
        state_handlers=[handler],
        on_failure=handler,
        log_stdout=True,
        task_run_name="load {x}",
        keep_result=True,
        map_lengths="shortest",
        associative=True,
        bundle_size=7,
        max_concurrency=4,
        nout=2,
        resources={"GPU": 1},
        priority=-3,
        workers="alice",
    )
    assert (made.name, made.slug, made.tags) == ("load", "load", {"a", "b"})
    assert (made.max_retries, made.retry_delay, made.retry_jitter) == (2, timedelta(seconds=90), 0.5)
    assert (made.retry_on, made.max_crashes, made.trigger) == ({OSError}, 5, all_finished)
    assert (made.skip_on_upstream_skip, made.state_handlers, made.on_failure) == (False, [handler], handler)
    assert (made.log_stdout, made.keep_result, made.map_lengths, made.nout) == (True, True, "shortest", 2)
    assert made.task_run_name == "load {x}"
    assert (made.associative, made.bundle_size, made.max_concurrency) == (True, 7, 4)
    assert (made.resources, made.priority, made.workers) == ({"GPU": 1}, -3, ("alice",))
    assert made.frozen_options.retry.delays == (90.0,)
    assert made.frozen_options.retry.jitter == 0.5


def test_an_option_may_be_set_later_and_is_checked_then() -> None:
    made, other = inc.copy(), inc.copy()

    made.retry_delay = 5
    made.max_retries = 3
    made.tags = ["own"]
    made.resources = {"GPU": 1}

    assert (made.max_retries, made.max_crashes, made.frozen_options.retry.delays) == (3, 3, (5.0,))
    assert (made.tags, made.resources) == ({"own"}, {"GPU": 1})
    assert (other.max_retries, other.tags, inc.max_retries) == (0, set(), 0)
    with pytest.raises(DefinitionError, match="Task 'inc' has max_retries=-1; give 0 or more"):
        made.max_retries = -1
    with pytest.raises(DefinitionTypeError, match="Task 'inc' has tags='own'"):
        made.tags = "own"
    assert made.max_retries == 3
    assert Task.max_retries.__doc__ == "How many attempts may follow a failed first one."


@pytest.mark.parametrize("option", ["log_stdout", "skip_on_upstream_skip", "checkpoint", "isolate"])
@pytest.mark.parametrize(("given", "kept"), [(0, False), (1, True), (False, False)])
def test_a_number_stands_for_a_truth_value(option: str, given: Any, kept: bool) -> None:
    assert getattr(task(inc.run, **{option: given}), option) is kept
    one = Task()
    setattr(one, option, given)
    assert getattr(one, option) is kept


def test_what_is_none_is_no_truth() -> None:
    made = Task(log_stdout=None, skip_on_upstream_skip=None)  # type: ignore[arg-type]
    assert (made.log_stdout, made.skip_on_upstream_skip) == (False, False)


def test_a_cache_may_be_set_up_in_any_order() -> None:
    made, other = inc.copy(), inc.copy()

    made.cache_validator = duration_only
    made.cache_for = 60
    other.cache_for = 60

    assert (made.cache_validator, other.cache_validator) == (duration_only, all_inputs)


def test_an_option_that_is_set_before_the_task_has_any_is_refused() -> None:
    class Early(Task):
        def __init__(self) -> None:
            self.timeout = 3
            super().__init__()

    with pytest.raises(AttributeError, match=r"'Early' sets timeout=3 before super\(\).__init__\(\)"):
        Early()


def test_tags_of_a_block_reach_tasks_made_copied_and_called_there() -> None:
    with tags("outer"), tags("inner"):
        made = task(inc.run, tags=["own"])
        copied = inc.copy()
        with FlowGraph("f") as flow:
            called = inc(1)
            bound = Add().bind(1)
    assert made.tags == {"outer", "inner", "own"}
    assert copied.tags == called.tags == bound.tags == {"outer", "inner"}
    assert inc.tags == frozenset()
    assert flow.slugs[called] == "inc-inner-outer-1"


def test_calling_a_task_puts_a_copy_into_the_flow() -> None:
    with FlowGraph("f") as flow:
        called = inc(1)
    assert called is not inc
    assert inc not in flow
    assert list(flow.tasks) == [called]
    assert called.frozen_options is inc.frozen_options
    assert called.run is inc.run


def test_a_class_task_is_copied_with_its_attributes() -> None:
    original = Add(scale=3)
    with FlowGraph("f"):
        called = original(1)
    assert type(called) is Add
    assert called.scale == 3
    assert called.run(1, 2) == 9


def test_tasks_compare_by_identity() -> None:
    twin = inc.copy()
    assert inc == inc
    assert inc != twin
    assert len({inc, twin}) == 2


def test_task_args_change_the_copy_and_not_the_original() -> None:
    with FlowGraph("f"):
        called: Any = inc(1, task_args={"name": "plus", "max_retries": 1, "retry_delay": 0})
        scaled = Add()(1, task_args={"scale": 7})
    assert (called.name, called.max_retries) == ("plus", 1)
    assert (inc.name, inc.max_retries) == ("inc", 0)
    assert scaled.scale == 7


def test_a_copy_changes_options_attributes_and_nothing_else() -> None:
    original = Add(scale=2, tags=["a"], slug="add")
    new = original.copy(scale=5, tags=["b"], trigger=all_finished)
    assert (new.scale, new.tags, new.trigger, new.slug) == (5, {"a", "b"}, all_finished, "add-copy")
    assert original.copy(slug="other").slug == "other"
    assert original.copy(slug=None).slug == "add-copy"
    assert original.trigger is all_successful
    with pytest.raises(AttributeError, match="Task 'Add' has no option or attribute 'sclae'"):
        original.copy(sclae=1)


def test_a_flow_may_be_given_instead_of_being_open() -> None:
    flow = FlowGraph("f")
    first: Any = inc(1, flow=flow)
    second = Add().bind(first, flow=flow)
    third = Add()(second, flow=flow)
    assert list(flow.tasks) == [first, second, third]


@pytest.mark.parametrize(
    "use",
    [
        lambda: inc(1),
        lambda: inc.map([1]),
        lambda: Add().bind(1),
        lambda: Add().set_upstream(inc),
        lambda: Add().set_downstream(inc),
        lambda: Add().set_dependencies(upstream_tasks=[inc]),
    ],
)
def test_a_task_used_outside_a_flow_says_how_to_use_it(use: Any) -> None:
    with pytest.raises(
        DefinitionError, match=r"Task '\w+' was used outside a flow; call it inside `with Flow"
    ):
        use()


def test_a_task_called_in_a_body_is_told_so() -> None:
    with context(task_name="load"), pytest.raises(DefinitionError, match="in the body of task 'load'"):
        inc(1)


def test_a_calls_arguments_are_checked_when_the_flow_is_built() -> None:
    with FlowGraph("f"):
        with pytest.raises(
            DefinitionTypeError, match=r"Task 'inc' takes \(x, by=1\), but the argument 'x' got no"
        ):
            inc()
        with pytest.raises(
            DefinitionTypeError, match="its call gives 3 arguments by position; give at most 2"
        ):
            inc(1, 2, 3)
        with pytest.raises(DefinitionTypeError, match="'z' is no argument of it"):
            inc(1, z=3)
        with pytest.raises(DefinitionError, match="its argument 'x' twice, by position and by name"):
            inc(1, x=1)


def test_several_missing_arguments_are_all_named() -> None:
    @task
    def three(a: int, *, b: int, c: int = 0) -> None: ...

    with FlowGraph("f") as flow:
        with pytest.raises(
            DefinitionTypeError, match="the arguments 'a', 'b' got no value; pass them in the call"
        ):
            three()
        called: Any = three(1, b=2)
    assert flow.constants[called] == {"a": 1, "b": 2}


def test_a_run_with_keywords_takes_any_name() -> None:
    @task
    def anything(**values: int) -> None: ...

    with FlowGraph("f") as flow:
        called: Any = anything(a=1, b=2)
    assert flow.constants[called] == {"a": 1, "b": 2}


def starred(*args: int) -> None: ...


def positional(x: int, /) -> None: ...


def reserved(upstream_tasks: int) -> None: ...


async def generating(x: int) -> Any:
    yield x


@pytest.mark.parametrize(
    ("fn", "error", "text"),
    [
        (starred, DefinitionError, r"takes \*args, but a task's arguments need names"),
        (reserved, DefinitionError, "an argument named 'upstream_tasks', which every call of a task takes"),
        (positional, DefinitionTypeError, "takes 'x' by position only"),
        (generating, DefinitionTypeError, "is an async generator, .*; return a list"),
        (max, DefinitionError, "does not tell what arguments it takes"),
        ("load", DefinitionTypeError, r"made from a function, not from 'load'; .*@task\(name='load'\)"),
        (inc, DefinitionTypeError, "made from a function, not from <FunctionTask: inc>"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*was passed to the constructor")
def test_a_function_that_cannot_be_a_task_is_refused(fn: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        task(fn)


def test_the_run_of_a_class_is_checked_when_the_class_is_made() -> None:
    with pytest.raises(ValueError, match=r"Task 'Bad' takes \*args"):

        class Bad(Task):
            def run(self, *args: int) -> None: ...


def test_a_static_or_class_run_works_too() -> None:
    class Static(Task):
        @staticmethod
        def run(x: int) -> int:
            return x

    class Classy(Task):
        @classmethod
        def run(cls, x: int) -> int:
            return x

    with FlowGraph("f") as flow:
        assert flow.constants[Static()(1)] == flow.constants[Classy()(1)] == {"x": 1}


def test_a_class_attribute_that_hides_an_option_is_ignored_with_a_warning() -> None:
    with pytest.warns(
        UserWarning, match="'Hasty' has an attribute 'max_retries', which is an option of tasks"
    ):

        class Hasty(Task):
            max_retries = 3

    assert Hasty().max_retries == 0


def test_a_task_passed_to_a_constructor_is_warned_of_once() -> None:
    class Child(Add):
        def __init__(self, scale: Any, **options: Any) -> None:
            super().__init__(scale, **options)

    with pytest.warns(
        UserWarning, match=r"<FunctionTask: inc> was passed to the constructor of Child"
    ) as caught:
        Child(inc)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Child(3)


def test_a_task_made_in_an_open_flow_and_not_used_is_warned_of() -> None:
    text = "'inc' was made while flow 'f' was open, but was not put into it"
    with pytest.warns(UserWarning, match=text), FlowGraph("f"):
        task(inc.run)


def test_tasks_that_find_their_way_into_the_flow_are_not_warned_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with FlowGraph("f") as flow:
            template = task(inc.run)
            template(1)
            flow.add_task(Add().copy())
            Add()(x=inc.copy()(2))
            inc.map([1, 2])
        with pytest.raises(RuntimeError), FlowGraph("g"):
            task(inc.run)
            raise RuntimeError("not also warned of")


def test_copying_a_task_that_has_edges_is_warned_of() -> None:
    with FlowGraph("f"):
        called = Add()(inc(1))
        with pytest.warns(UserWarning, match="'Add' has edges in flow 'f', which its copy does not get"):
            called(2)


def test_options_that_only_the_driver_reads_do_not_travel() -> None:
    made = task(
        inc.run, max_retries=1, retry_delay=lambda _: 1, retry_on=OSError, on_failure=print, log_stdout=True
    )
    bare = made.for_worker()
    assert (bare.on_failure, bare.retry_delay, bare.trigger) == (None, None, all_successful)
    assert (bare.retry_on, bare.log_stdout, bare.name) == ({OSError}, True, "inc")
    waits = task(inc.run, max_retries=1, retry_delay=5)
    assert waits.for_worker().retry_delay == timedelta(seconds=5)
    assert made.on_failure is print


@pytest.mark.parametrize("made", [inc, Add(scale=4), Constant([1])])
def test_a_task_can_be_pickled_and_copied(made: Task) -> None:
    for twin in (pickle.loads(cloudpickle.dumps(made)), copy.copy(made)):
        assert (twin.name, twin.slug, twin.tags) == (made.name, made.slug, made.tags)
        assert twin.takes.names == made.takes.names
        assert twin.max_retries == made.max_retries


def test_a_subclass_of_function_task_keeps_its_attributes() -> None:
    class Noted(FunctionTask[Any, Any]):
        def __init__(self, fn: Any, note: str) -> None:
            super().__init__(fn)
            self.note = note

    with FlowGraph("f"):
        called: Any = Noted(inc.run, "hello")(3)
    assert called.note == "hello"
    assert pickle.loads(cloudpickle.dumps(called)).note == "hello"


def test_resources_come_from_the_option_and_from_tags() -> None:
    made = task(inc.run, resources={"GPU": 1}, tags=["dask-resource:MEM=2e9", "nightly"])
    assert made.resources == {"GPU": 1, "MEM": 2e9}
    with pytest.raises(DefinitionError, match="'dask-resource:GPU', which asks for no amount"):
        _ = task(inc.run, tags=["dask-resource:GPU"]).resources


def test_a_task_has_a_logger_of_its_own() -> None:
    assert inc.logger is get_logger("inc") is logging.getLogger("prefectlite.inc")
    assert FlowGraph("etl").logger is get_logger("etl")
    assert get_logger() is get_logger("prefectlite") is logging.getLogger("prefectlite")


def test_map_refuses_what_cannot_be_taken_item_by_item() -> None:
    with FlowGraph("f"):
        with pytest.raises(
            DefinitionTypeError, match=r"'inc' is mapped, but its input 'x' is of type set.*unmapped"
        ):
            inc.map({1, 2})
        with pytest.raises(DefinitionTypeError, match="its input number 3 is of type int"):
            inc.map([1], [2], 3)
        with pytest.raises(DefinitionTypeError, match="of type generator"):
            inc.map(n for n in range(3))
        inc.map(mapped({1, 2}))
        inc.map([1], unmapped(3))
        inc.map(flatten([[1]]))
        inc.map(x={1, 2})


def test_map_forgets_nout_unless_it_is_given_again() -> None:
    pair = task(inc.run, nout=2)
    with FlowGraph("f"):
        forgotten: Any = pair.map([1])
        kept: Any = pair.map([1], task_args={"nout": 3})
        plain: Any = pair(1)
    assert (forgotten.nout, kept.nout, plain.nout) == (None, 3, 2)


BAD_OPTIONS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"max_retries": -1}, DefinitionError, "max_retries=-1; give 0 or more"),
    ({"max_retries": 1.5}, DefinitionTypeError, "max_retries=1.5; give a whole number"),
    ({"max_retries": True}, DefinitionTypeError, "max_retries=True; give a whole number"),
    ({"max_crashes": -1}, DefinitionError, "max_crashes=-1; give 0 or more"),
    ({"retry_delay": 5}, DefinitionError, "retry_delay=5, but no retries.*give max_retries=3"),
    ({"retry_on": OSError}, DefinitionError, "retry_on=.*, but no retries"),
    ({"retry_jitter": 0.5}, DefinitionError, "retry_jitter=0.5, but no retries"),
    ({"max_retries": 1, "retry_delay": -1}, DefinitionError, "retry_delay=-1; give seconds"),
    ({"max_retries": 1, "retry_delay": float("nan")}, DefinitionError, "retry_delay=nan"),
    ({"max_retries": 1, "retry_delay": timedelta(seconds=-1)}, DefinitionError, "retry_delay="),
    ({"max_retries": 1, "retry_delay": "5"}, DefinitionTypeError, "retry_delay='5'; give seconds"),
    ({"max_retries": 1, "retry_delay": [1, "5"]}, DefinitionTypeError, "retry_delay='5'"),
    ({"max_retries": 1, "retry_delay": []}, DefinitionError, "at least one delay"),
    ({"max_retries": 1, "retry_jitter": -0.1}, DefinitionError, "retry_jitter=-0.1; give a fraction"),
    ({"max_retries": 1, "retry_on": "OSError"}, DefinitionTypeError, "give exception types"),
    ({"max_retries": 1, "retry_on": BaseException}, DefinitionTypeError, "give exception types"),
    ({"max_retries": 1, "retry_on": 3}, DefinitionTypeError, "give exception types"),
    ({"max_retries": 1, "retry_on": []}, DefinitionTypeError, "give exception types"),
    ({"trigger": "all_failed"}, DefinitionTypeError, "trigger='all_failed'; give a function"),
    ({"skip_on_upstream_skip": 2}, DefinitionTypeError, "give True or False"),
    ({"state_handlers": print}, DefinitionTypeError, "give a list of functions"),
    ({"state_handlers": "no"}, DefinitionTypeError, "give a list of functions"),
    ({"state_handlers": [3]}, DefinitionTypeError, "give a list of functions"),
    (
        {"on_failure": 3},
        DefinitionTypeError,
        "on_failure=3; give a function that takes the task and its state",
    ),
    ({"log_stdout": "yes"}, DefinitionTypeError, "give True or False"),
    ({"map_lengths": "longest"}, DefinitionError, "give 'equal' or 'shortest'"),
    ({"associative": "yes"}, DefinitionTypeError, "associative='yes'; give True or False"),
    ({"bundle_size": True}, DefinitionTypeError, "bundle_size=True; give a whole number from 1 on"),
    ({"bundle_size": 1.5}, DefinitionTypeError, "bundle_size=1.5; give a whole number from 1 on"),
    ({"bundle_size": "many"}, DefinitionTypeError, "bundle_size='many'; .*'auto', or None for runs that"),
    ({"bundle_size": 0}, DefinitionError, "bundle_size=0; give a whole number from 1 on"),
    ({"bundle_size": -1}, DefinitionError, "bundle_size=-1; give a whole number from 1 on"),
    ({"max_concurrency": True}, DefinitionTypeError, "max_concurrency=True; give a whole number from 1 on"),
    ({"max_concurrency": "2"}, DefinitionTypeError, "max_concurrency='2'; .*, or None for no limit"),
    ({"max_concurrency": 0}, DefinitionError, "max_concurrency=0; give a whole number from 1 on"),
    ({"nout": -1}, DefinitionError, "nout=-1"),
    ({"resources": ["GPU"]}, DefinitionTypeError, r"as in resources=\{'GPU': 1\}"),
    ({"resources": {1: 1}}, DefinitionTypeError, "give names and amounts"),
    ({"resources": {"GPU": -1}}, DefinitionError, r"resources\['GPU'\]=-1; give names and amounts"),
    ({"priority": 1.5}, DefinitionTypeError, "give a whole number"),
    ({"workers": [1]}, DefinitionTypeError, "a worker's address or name"),
    ({"workers": 1}, DefinitionTypeError, "a worker's address or name"),
    ({"tags": "nightly"}, DefinitionTypeError, r"tags='nightly', but tags are a list of texts"),
    ({"tags": [1]}, DefinitionTypeError, "tags are a list of texts"),
    ({"tags": 1}, DefinitionTypeError, "tags are a list of texts"),
    ({"slug": "load[3]"}, DefinitionError, r"slug='load\[3\]'.*children of a map"),
    ({"slug": "load@2"}, DefinitionError, "iterations of a loop"),
    ({"slug": ""}, DefinitionError, "a text that is not empty"),
    ({"slug": 3}, DefinitionTypeError, "a text that is not empty"),
    ({"name": 3}, DefinitionTypeError, "name=3; give a text"),
    ({"timeout": "3"}, DefinitionTypeError, "timeout='3'; give seconds"),
    ({"timeout": True}, DefinitionTypeError, "timeout=True; give seconds"),
    ({"timeout": 0}, DefinitionError, r"timeout=0; give seconds \(more than 0\) or a timedelta, or None"),
    ({"timeout": -1.5}, DefinitionError, "timeout=-1.5; give seconds"),
    ({"timeout": float("inf")}, DefinitionError, "timeout=inf; give seconds"),
    ({"timeout": timedelta(0)}, DefinitionError, "or None for no limit"),
    ({"isolate": 1.0}, DefinitionTypeError, "isolate=1.0; give True or False"),
    ({"cache_for": 0}, DefinitionError, "cache_for=0; give seconds"),
    ({"cache_for": "day"}, DefinitionTypeError, "or None to keep nothing"),
    ({"cache_validator": "all"}, DefinitionTypeError, "give one of prefectlite.cache_validators"),
    ({"cache_key": ""}, DefinitionTypeError, "cache_key=''; give a text that is not empty"),
    ({"target": 3}, DefinitionTypeError, "target=3; give a template"),
    ({"result": "results"}, DefinitionTypeError, "result='results'; give a Result"),
    ({"checkpoint": "x"}, DefinitionTypeError, "checkpoint='x'; give True or False"),
    ({"task_run_name": 3}, DefinitionTypeError, "task_run_name=3; give a template such as 'load {x}'"),
    ({"max_retry": 3}, DefinitionTypeError, "'max_retry', which does not exist; did you mean 'max_retries'"),
]


@pytest.mark.parametrize(("options", "error", "text"), BAD_OPTIONS, ids=lambda one: str(one)[:50])
def test_a_bad_option_is_refused_with_task_option_value_and_mend(
    options: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text) as caught:
        task(inc.run, **options)
    if "name" not in options:
        assert "'inc'" in str(caught.value)
    assert type(caught.value) is error


def test_options_may_be_given_before_the_function() -> None:
    @task(name="load", max_retries=1)
    def fetch() -> int:
        return 3

    assert (fetch.name, fetch.max_retries, fetch.run()) == ("load", 1, 3)
    with pytest.raises(DefinitionTypeError, match="Task 'fetch' has max_retries='x'"):
        task(fetch.run, max_retries="x")


def test_no_bundles_is_an_option_like_another() -> None:
    alone = task(inc.run, bundle_size=None)
    with FlowGraph("f"):
        called: Any = alone(1, task_args={"bundle_size": "auto"})
        kept: Any = alone(1, task_args={"priority": 1})
    copied = inc.copy(bundle_size=None)
    assert [one.bundle_size for one in (inc, alone, called, kept, copied)] == [
        "auto",
        None,
        "auto",
        None,
        None,
    ]


def test_copies_share_a_limit_that_they_are_not_given_anew() -> None:
    limited = task(inc.run, max_concurrency=2, nout=3)
    with FlowGraph("f"):
        called: Any = limited(1)
        changed: Any = limited(1, task_args={"priority": 1})
        mapped_: Any = limited.map([1])
        own: Any = limited(1, task_args={"max_concurrency": 2})
        free: Any = limited(1, task_args={"max_concurrency": None})
    limit = limited.frozen_options.limit
    assert limit is not None
    assert (limit.name, limit.most) == ("task 'inc'", 2)
    assert all(one.frozen_options.limit is limit for one in (called, changed, mapped_))
    assert own.frozen_options.limit is not limit
    assert own.max_concurrency == 2
    assert (free.frozen_options.limit, free.max_concurrency) == (None, None)


def test_options_that_mean_nothing_are_taken_as_not_given() -> None:
    made = task(
        inc.run,
        max_retries=None,
        retry_delay=None,
        retry_on=None,
        max_crashes=None,
        trigger=None,
        state_handlers=None,
        on_failure=None,
        max_concurrency=None,
        nout=None,
        resources=None,
        workers=None,
        tags=None,
        slug=None,
        name=None,
    )
    assert (made.max_retries, made.max_crashes, made.trigger, made.workers) == (0, 0, all_successful, None)
    assert (made.name, made.slug, made.resources) == ("inc", None, {})


def test_retries_without_a_delay_are_allowed() -> None:
    made = task(inc.run, max_retries=3)
    assert made.frozen_options.retry.max_retries == 3
    assert made.frozen_options.retry.delays == ()
    assert made.max_crashes == 3


@pytest.mark.parametrize(
    ("delay", "seconds", "asks"),
    [
        (2, (2.0,), False),
        (timedelta(minutes=1), (60.0,), False),
        ([1, timedelta(seconds=5)], (1.0, 5.0), False),
        (lambda attempt: attempt * 2.0, (), True),
    ],
)
def test_a_delay_is_seconds_a_timedelta_a_sequence_or_a_function(
    delay: Any, seconds: tuple[float, ...], asks: bool
) -> None:
    policy = task(inc.run, max_retries=1, retry_delay=delay).frozen_options.retry
    assert (policy.delays, policy.asks_delay) == (seconds, asks)


def test_retry_on_takes_types_a_signal_and_a_function() -> None:
    def transient(error: BaseException) -> bool:
        return "busy" in str(error)

    assert task(inc.run, max_retries=1, retry_on=[OSError, FAIL, OSError]).retry_on == {OSError, FAIL}
    assert task(inc.run, max_retries=1, retry_on=transient).retry_on is transient


def test_max_crashes_follows_max_retries_unless_it_was_given() -> None:
    assert task(inc.run, max_retries=3).copy(max_retries=5).max_crashes == 5
    assert task(inc.run, max_retries=3, max_crashes=1).copy(max_retries=5).max_crashes == 1
    assert task(inc.run, max_crashes=2).max_crashes == 2


def test_a_call_may_switch_off_the_retries_of_its_task() -> None:
    patient = task(inc.run, max_retries=3, retry_delay=10, retry_on=OSError)
    assert patient.copy(max_retries=0).frozen_options.retry.max_retries == 0


def test_workers_and_resources_may_be_sequences_and_empty() -> None:
    assert task(inc.run, workers=["a", "b"]).workers == ("a", "b")
    assert task(inc.run, workers=[], resources={}).frozen_options.workers is None


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(None, None), (2, 2.0), (0.25, 0.25), (timedelta(milliseconds=1500), 1.5), (timedelta(days=1), 86400.0)],
)
def test_a_timeout_is_kept_in_seconds(given: Any, seconds: float | None) -> None:
    made = task(inc.run, timeout=given)
    assert made.timeout == seconds
    assert made.frozen_options.runs_apart is (seconds is not None)


def test_an_isolated_task_runs_apart_without_a_limit() -> None:
    made = task(inc.run, isolate=True)
    assert (made.isolate, made.timeout, inc.isolate) == (True, None, False)
    assert made.frozen_options.runs_apart


def test_options_by_position_are_in_the_order_of_prefect_1() -> None:
    class Old(Task):
        def __init__(self, name: str, slug: str, tags: list[str]) -> None:
            super().__init__(name, slug, tags)

    old = Old("load", "the-load", ["db"])
    assert (old.name, old.slug, set(old.tags)) == ("load", "the-load", {"db"})

    hour, result = timedelta(hours=1), LocalResult("results")
    by_place: list[Any] = [
        "the-load",
        {"db"},
        2,
        hour,
        ValueError,
        60,
        all_finished,
        False,
        hour,
        duration_only,
    ]
    by_place += ["key", False, [print], print, True, result, "{x}", "load {x}", 3]
    whole = Task("load", *by_place)
    names = (
        "max_retries retry_delay timeout trigger skip_on_upstream_skip cache_for cache_validator cache_key"
    )
    names += " checkpoint state_handlers on_failure log_stdout task_run_name target nout"
    assert {name: getattr(whole, name) for name in names.split()} == {
        "max_retries": 2,
        "retry_delay": hour,
        "timeout": 60,
        "trigger": all_finished,
        "skip_on_upstream_skip": False,
        "cache_for": hour,
        "cache_validator": duration_only,
        "cache_key": "key",
        "checkpoint": False,
        "state_handlers": [print],
        "on_failure": print,
        "log_stdout": True,
        "target": "{x}",
        "task_run_name": "load {x}",
        "nout": 3,
    }
    assert (whole.retry_on, type(whole.result)) == ({ValueError}, LocalResult)
    plain = Task("load", *[None] * 7, True, *[None] * 6, False, *[None] * 4)
    assert (plain.slug, plain.max_retries, plain.trigger) == (None, 0, all_successful)


def test_options_by_position_are_refused_where_they_are_too_many_or_given_twice() -> None:
    with pytest.raises(
        DefinitionTypeError, match="20 options by position, but only 19 have one; give them by"
    ):
        Task("load", *[None] * 20)
    with pytest.raises(DefinitionTypeError, match="'slug' both by position and by name; leave out one"):
        Task("load", "one", slug="two")


def test_only_constants_that_stand_for_arguments_are_auto_generated() -> None:
    made = Constant(5)
    with FlowGraph("f") as flow:
        inc.map(made)
        inc.map([1, 2])
    assert {one.name: one.auto_generated for one in flow.get_tasks(task_type=Constant)} == {
        "5": False,
        "[1, 2]": True,
    }
    assert as_task(7).auto_generated
    assert not pickle.loads(pickle.dumps(made)).auto_generated


@pytest.mark.parametrize(
    "decide", [lambda x: x > 5, lambda x: x[0], lambda x: x.not_(), lambda x: 1 < x < 3, lambda x: max(x, 2)]
)
def test_what_an_operator_makes_is_neither_true_nor_false_before_it_runs(decide):
    with FlowGraph("decides") as flow:
        x = task(lambda: 0, name="count")()
        with pytest.raises(
            DefinitionTypeError, match=r"known when the flow runs.*with case\(condition, True\)"
        ):
            bool(decide(x))
    assert x in flow.tasks


def test_a_method_that_lacks_its_object_is_told_how_to_bring_it():
    class Model:
        @task
        def fit(self, x):
            return x

    with FlowGraph("model"), pytest.raises(DefinitionTypeError, match=r"write task\(thing\.method\)"):
        Model.fit(1)
