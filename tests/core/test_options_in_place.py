"""How a task's options are read, and what of them can be changed in place, as in Prefect 1."""

from __future__ import annotations

import copy
import operator
import pickle
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from prefectlite.core.graph import FlowGraph
from prefectlite.core.parameter import Parameter
from prefectlite.core.task import Task, task
from prefectlite.errors import DefinitionTypeError
from prefectlite.results.result import LocalResult
from prefectlite.rules.caching import all_inputs, duration_only, never_use
from prefectlite.rules.triggers import all_finished, all_successful
from prefectlite.states.signals import FAIL


@task
def inc(x: int) -> int:
    return x + 1


def first(*words: Any) -> None:
    """Stand for a function of the user's."""


def second(*words: Any) -> None:
    """Stand for another one."""


STORE = LocalResult(dir="there")
RETRIED = {"max_retries": 1}
#: What is given, and what is read; the rest is read as it is given.
READ: list[tuple[str, Any, Any]] = [
    ("name", "other", "other"),
    ("slug", "mine", "mine"),
    ("tags", None, set()),
    ("tags", ["b", "a", "b"], {"a", "b"}),
    ("max_retries", 3, 3),
    ("max_retries", None, 0),
    ("retry_delay", None, None),
    ("retry_delay", 90, timedelta(seconds=90)),
    ("retry_delay", 0.5, timedelta(milliseconds=500)),
    ("retry_delay", timedelta(minutes=1), timedelta(minutes=1)),
    ("retry_delay", [1, timedelta(minutes=1)], [timedelta(seconds=1), timedelta(minutes=1)]),
    ("retry_delay", 1e20, timedelta.max),
    ("retry_delay", first, first),
    ("retry_on", None, None),
    ("retry_on", OSError, {OSError}),
    ("retry_on", [OSError, KeyError, OSError], {OSError, KeyError}),
    ("retry_on", FAIL, {FAIL}),
    ("retry_on", first, first),
    ("timeout", None, None),
    ("timeout", 3, 3),
    ("timeout", timedelta(minutes=1), 60),
    ("timeout", 1.5, 1.5),
    ("trigger", None, all_successful),
    ("trigger", all_finished, all_finished),
    ("skip_on_upstream_skip", False, False),
    ("cache_for", None, None),
    ("cache_for", 60, timedelta(minutes=1)),
    ("cache_for", timedelta(days=1), timedelta(days=1)),
    ("cache_for", 1e20, timedelta.max),
    ("cache_key", "shared", "shared"),
    ("checkpoint", None, None),
    ("checkpoint", False, False),
    ("result", None, None),
    ("result", STORE, STORE),
    ("target", None, None),
    ("target", "{x}.pkl", "{x}.pkl"),
    ("target", first, first),
    ("state_handlers", None, []),
    ("state_handlers", (first, second), [first, second]),
    ("log_stdout", True, True),
    ("task_run_name", "inc {x}", "inc {x}"),
    ("nout", None, None),
    ("nout", 2, 2),
]


@pytest.mark.parametrize(("option", "given", "read"), READ)
def test_each_option_of_prefect_1_is_read_as_it_was_kept_there(option: str, given: Any, read: Any) -> None:
    needed = RETRIED if option.startswith("retry_") else {}
    later = inc.copy(**needed)
    setattr(later, option, given)

    for made in (task(inc.run, **needed, **{option: given}), inc.copy(**needed, **{option: given}), later):
        found = getattr(made, option)
        assert found == read
        assert type(found) is type(read) or isinstance(read, list | set)
        # What is read can be given again.
        setattr(made, option, found)
        assert getattr(made, option) == read


def test_the_validator_of_a_cache_is_never_to_use_it_where_there_is_none() -> None:
    assert inc.cache_validator is never_use
    assert inc.copy(cache_for=60).cache_validator is all_inputs  # S2: the key includes the inputs
    assert inc.copy(cache_for=60, cache_validator=duration_only).cache_validator is duration_only


def test_a_result_beside_a_target_is_read_with_the_targets_location() -> None:
    made = inc.copy(result=STORE, target="{x}.pkl")

    assert made.result is not None
    assert (made.result.location, STORE.location) == ("{x}.pkl", None)
    assert inc.copy(target="{x}.pkl").result is None


CHANGES: dict[str, tuple[str, Callable[[Any], object], Any]] = {
    "a handler more": ("state_handlers", lambda one: one.append(second), [first, second]),
    "several": ("state_handlers", lambda one: one.extend([second, second]), [first, second, second]),
    "one in front": ("state_handlers", lambda one: one.insert(0, second), [second, first]),
    "another one": ("state_handlers", lambda one: operator.setitem(one, 0, second), [second]),
    "a part": ("state_handlers", lambda one: operator.setitem(one, slice(0, 0), [second]), [second, first]),
    "a handler less": ("state_handlers", lambda one: one.remove(first), []),
    "the last": ("state_handlers", lambda one: one.pop(), []),
    "one by its place": ("state_handlers", lambda one: operator.delitem(one, 0), []),
    "no handlers": ("state_handlers", lambda one: one.clear(), []),
    "a tag more": ("tags", lambda one: one.add("b"), {"a", "b"}),
    "tags": ("tags", lambda one: one.update(["b"], {"c"}), {"a", "b", "c"}),
    "a tag less": ("tags", lambda one: one.discard("a"), set()),
    "a tag that was there": ("tags", lambda one: one.remove("a"), set()),
    "no tags": ("tags", lambda one: one.clear(), set()),
    "a failure more": ("retry_on", lambda one: one.add(KeyError), {OSError, KeyError}),
    "another failure": (
        "retry_on",
        lambda one: one.symmetric_difference_update([KeyError]),
        {OSError, KeyError},
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_changed_in_place_is_the_tasks_own(name: str) -> None:
    option, change, after = CHANGES[name]
    given: Any = {"state_handlers": [first], "tags": {"a"}, "retry_on": [OSError]}
    made = task(inc.run, max_retries=1, **given)
    held, twin = getattr(made, option), made.copy()
    before = copy.copy(held)

    change(held)

    assert getattr(made, option) == held == after
    assert getattr(twin, option) == before == type(before)(given[option])
    assert given == {"state_handlers": [first], "tags": {"a"}, "retry_on": [OSError]}
    change(getattr(twin, option))
    assert getattr(twin, option) == after


def test_signs_change_in_place_too() -> None:
    made = task(inc.run, tags=["a", "b"], state_handlers=[first])

    made.tags |= {"c"}
    made.tags -= {"a"}
    made.state_handlers += [second]

    assert (made.tags, made.state_handlers) == ({"b", "c"}, [first, second])


def test_a_list_of_handlers_reads_as_a_list() -> None:
    made = task(inc.run, state_handlers=[first, second])
    held = made.state_handlers

    assert (held[0], held[-1], held[:1], len(held), held.index(second)) == (first, second, [first], 2, 1)
    assert operator.add(held, [first]) == operator.add([first, second], [first])
    assert operator.add([first], held) == [first, *held]
    assert repr(held) == repr([first, second])
    assert held == made.copy().state_handlers
    assert held != (first, second)
    assert [*reversed(held)] == [second, first]
    for one, other in ((held, (first,)), ((first,), held)):
        with pytest.raises(TypeError):
            operator.add(one, other)
    with pytest.raises(TypeError, match="unhashable"):
        hash(held)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_and_pickles_are_lists_and_sets_of_ones_own(again: Callable[[Any], Any]) -> None:
    made = task(inc.run, state_handlers=[first], tags=["a"])
    handlers, tags = again(made.state_handlers), again(made.tags)

    handlers.append(second)
    tags.add("b")

    assert type(handlers) is list
    assert (made.state_handlers, made.tags) == ([first], {"a"})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda one: one.state_handlers.append("log"), "state_handlers=.*'log'.*; give a list of functions"),
        (lambda one: one.state_handlers.extend([first, 3]), "state_handlers=.*3.*; give a list of functions"),
        (lambda one: one.tags.add(3), r"tags=\['a', 3\], but tags are a list of texts"),
        (lambda one: one.tags.update("db"), r"updated with 'db', of which each letter .* update\(\['db'\]\)"),
        (lambda one: operator.ior(one.tags, "db"), r"'db' is no set, so it cannot stand behind \|="),
        (lambda one: one.retry_on.add("OSError"), "retry_on=.*'OSError'.*; give exception types"),
        (lambda one: one.retry_on.clear(), r"retry_on=\[\]; give exception types"),
    ],
)
def test_a_change_in_place_is_checked_and_changes_nothing_when_refused(
    change: Callable[[Any], object], text: str
) -> None:
    made = task(inc.run, max_retries=1, state_handlers=[first], tags=["a"], retry_on=OSError)

    with pytest.raises(DefinitionTypeError, match=text):
        change(made)

    assert (made.state_handlers, made.tags, made.retry_on) == ([first], {"a"}, {OSError})


def test_a_set_that_was_read_shows_nothing_once_the_option_is_none() -> None:
    made = task(inc.run, max_retries=1, retry_on=OSError)
    held: Any = made.retry_on

    made.retry_on = None

    assert not held
    held.add(KeyError)
    assert made.retry_on == {KeyError}


def test_what_a_task_asks_of_workers_is_no_dict_to_write_to() -> None:
    asked: Any = task(inc.run, resources={"GPU": 1}).resources

    with pytest.raises(TypeError):
        asked["GPU"] = 2


def test_a_slug_is_made_of_the_tags_at_the_time_when_the_task_is_added() -> None:
    with FlowGraph("f") as flow:
        called: Any = inc(1, task_args={"tags": ["a"]})
        called.tags.add("b")
        again = called.copy()(1)

    assert [flow.slugs[called], flow.slugs[again]] == ["inc-a-1", "inc-a-b-1"]
    assert flow.get_tasks(tags=["b"]) == [called, again]


def test_a_flow_that_is_copied_has_handlers_of_its_own() -> None:
    flow = FlowGraph("f", state_handlers=[first])
    twin = flow.copy()

    twin.state_handlers.append(second)
    flow.state_handlers += [first]

    assert (flow.state_handlers, twin.state_handlers) == ([first, first], [first, second])
    with pytest.raises(DefinitionTypeError, match=r"Flow 'f' has state_handlers=.*'log'"):
        flow.state_handlers.append("log")  # type: ignore[arg-type]


def test_users_may_write_on_tasks_what_they_like() -> None:
    class Query(Task):
        def __init__(self, options: dict[str, int], **others: Any) -> None:
            self.options = options
            super().__init__(**others)
            self.logger = self.name  # type: ignore[assignment]

        def run(self) -> int:
            return self.options["rows"]

    marked: Any = inc.copy()
    marked.description, marked.auto_generated = "adds one", True
    parameter: Any = Parameter("n")
    parameter.unit = "m"
    with FlowGraph("f"):
        called: Any = marked(1)
        query: Any = Query({"rows": 3})()

    assert (called.description, called.auto_generated, parameter.copy("m").unit) == ("adds one", True, "m")
    assert (query.run(), query.logger, query.max_retries) == (3, "Query", 0)
    called.description = "another"
    assert marked.description == "adds one"
    assert not hasattr(inc, "description")
    assert pickle.loads(pickle.dumps(query.options)) == {"rows": 3}
