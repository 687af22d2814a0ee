"""Tasks and how they are put together: a row per rule of sections 1 to 3 of the reference. Nothing runs.

Where we differ from Prefect 1, the row says so and names the section of SEMANTICS.md (``S2`` and so on).
"""

from __future__ import annotations

import inspect
import typing
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from prefectlite import (
    Edge,
    Flow,
    LocalExecutor,
    Parameter,
    Task,
    as_task,
    defaults_from_attrs,
    flatten,
    mapped,
    merge,
    signals,
    tags,
    task,
    triggers,
    unmapped,
)
from prefectlite.core.constants import Constant, Dict, List, Set, Tuple
from prefectlite.core.operators import And, GetAttr, GetItem, Or
from prefectlite.core.task import FunctionTask
from tests.contract.rows import Rows

row = Rows()


@task
def inc(x: int) -> int:
    """Add one."""
    return x + 1


@task
def add(x: Any, y: Any = 0) -> Any:
    return x + y


class Scale(Task):
    def __init__(self, factor: float = 2, **options: Any) -> None:
        self.factor = factor
        super().__init__(**options)

    def run(self, x: float) -> float:
        return self.factor * x


class Mark(Task):
    def run(self) -> None: ...


def refused(error: type[Exception], text: str) -> Any:
    return pytest.raises(error, match=text)


# 1.1 Constructor options


@row("1.1", "a task is called what its class or function is called; names need not be unique")
def _() -> None:
    assert (inc.name, Scale().name, Scale(name="s").name) == ("inc", "Scale", "s")
    with Flow("f") as flow:
        inc(1), inc(1)
    assert [one.name for one in flow.tasks] == ["inc", "inc"]


@row("1.1", "a slug is made by the flow unless it is given; the same one twice is a ValueError")
def _() -> None:
    with Flow("f") as flow:
        one, two = inc(1), inc(1, task_args={"slug": "mine"})
        with refused(ValueError, "slug 'mine' already"):
            inc(1, task_args={"slug": "mine"})
    assert [flow.slugs[one], flow.slugs[two]] == ["inc-1", "mine"]
    assert (inc.slug, two.slug) == (None, "mine")


@row("1.1", "tags are a set of texts; a bare text is a TypeError")
def _() -> None:
    assert Scale(tags=["a", "b", "a"]).tags == {"a", "b"}
    assert Scale().tags == set()
    with refused(TypeError, "tags='nightly'"):
        Scale(tags="nightly")


@row("1.1", "tags of an open tags(...) are added when a task is constructed, copied and bound")
def _() -> None:
    original = Scale(tags=["own"])
    with Flow("f"), tags("open"):
        assert Scale(tags=["own"]).bind(1).tags == original.copy().bind(1).tags == {"own", "open"}
        assert original.bind(1).tags == {"own", "open"}


@row("1.1", "max_retries defaults to 0, and needs no retry_delay (S2; 1.x refused that)")
def _() -> None:
    assert (inc.max_retries, Scale(max_retries=2).max_retries) == (0, 2)


@row("1.1", "retry_delay without retries is a ValueError")
def _() -> None:
    for retries in (0, None):
        with refused(ValueError, "retry_delay=5, but no retries"):
            Scale(max_retries=retries, retry_delay=5)
    for none_at_all in (0, timedelta(0)):
        with refused(ValueError, "retry_delay=.*, but no retries"):
            Scale(retry_delay=none_at_all)


@row("1.1", "retry_on is one exception type or several, needs retries, and takes no others")
def _() -> None:
    assert Scale(max_retries=1, retry_on=OSError).retry_on == {OSError}
    assert Scale(max_retries=1, retry_on=[OSError, KeyError]).retry_on == {OSError, KeyError}
    with refused(ValueError, "retry_on=.*but no retries"):
        Scale(retry_on=OSError)
    for wrong in ("OSError", 3, BaseException, [OSError, 3]):
        with refused(TypeError, "give exception types"):
            Scale(max_retries=1, retry_on=wrong)


@row("1.1", "retry_on may be FAIL, or a function of the exception (S2; new)")
def _() -> None:
    assert Scale(max_retries=1, retry_on=signals.FAIL).retry_on == {signals.FAIL}
    assert Scale(max_retries=1, retry_on=callable).retry_on is callable


@row("1.1", "the trigger is all_successful unless another callable is given")
def _() -> None:
    assert inc.trigger is triggers.all_successful
    assert Scale(trigger=print).trigger is print
    with refused(TypeError, "trigger='all_failed'"):
        Scale(trigger="all_failed")


@row("1.1", "skip_on_upstream_skip is True by default")
def _() -> None:
    assert inc.skip_on_upstream_skip
    assert not Scale(skip_on_upstream_skip=False).skip_on_upstream_skip


@row("1.1", "state_handlers are a sequence, empty by default; anything else is a TypeError")
def _() -> None:
    assert list(inc.state_handlers) == []
    assert list(Scale(state_handlers=[print]).state_handlers) == [print]
    for wrong in (print, {print}):
        with refused(TypeError, "give a list of functions"):
            Scale(state_handlers=wrong)


@row("1.1", "on_failure is a function or None")
def _() -> None:
    assert (inc.on_failure, Scale(on_failure=print).on_failure) == (None, print)


@row("1.1", "log_stdout is False by default")
def _() -> None:
    assert (inc.log_stdout, Scale(log_stdout=True).log_stdout) == (False, True)


def two_a() -> tuple[int, str]: ...
def two_b() -> typing.Tuple[int, str]: ...  # noqa: UP006
def any_number() -> tuple[int, ...]: ...
def plain_tuple() -> tuple: ...  # type: ignore[type-arg]
def two_text() -> "tuple[int, str]": ...  # noqa: UP037
def unreadable(x: Nowhere) -> Nowhere: ...  # type: ignore[name-defined]  # noqa: F821


class Two(Task):
    def run(self) -> tuple[int, str]: ...


@row("1.1", "nout is read from a fixed-length tuple annotation, else None")
def _() -> None:
    evaluated = eval("lambda: (1, 2, 3)")
    evaluated.__annotations__ = {"return": tuple[int, int, int]}
    assert [task(fn).nout for fn in (two_a, two_b, two_text, evaluated)] == [2, 2, 2, 3]
    assert [task(fn).nout for fn in (any_number, plain_tuple, inc.run)] == [None, None, None]
    assert (Two().nout, Two(nout=3).nout, task(two_a, nout=1).nout) == (2, 3, 1)


@row("1.1", "a task with nout is taken apart; nout=1 is a tuple of one; without nout it is a TypeError")
def _() -> None:
    with Flow("f") as flow:
        first, second = task(two_a)()
        (only,) = task(inc.run, nout=1)(1)
        with refused(TypeError, r"cannot be taken apart; give @task\(nout=2\)"):
            _a, _b = inc(1)
    assert [one.name for one in (first, second, only)] == ["two_a[0]", "two_a[1]", "inc[0]"]
    assert all(type(one) is GetItem and one in flow for one in (first, second, only))


# 1.1 Other construction rules


@row("1.1", "*args and reserved names are a ValueError, when the class is made or the function decorated")
def _() -> None:
    with refused(ValueError, r"takes \*args"):

        class Starred(Task):
            def run(self, *args: int) -> None: ...

    for name in ("upstream_tasks", "mapped", "task_args", "flow"):
        with refused(ValueError, f"an argument named '{name}'"):
            task(eval(f"lambda {name}: None"))


@row("1.1", "a function that does not tell its arguments is a ValueError, with advice")
def _() -> None:
    with refused(ValueError, "wrap it in a function of your own"):
        task(max)


@row("1.1", "positional-only arguments are a TypeError; **kwargs are allowed")
def _() -> None:
    with refused(TypeError, "by position only"):
        task(lambda x, /: x)
    with Flow("f") as flow:
        called = task(lambda **kwargs: kwargs)(a=1, b=2)
    assert flow.constants[called] == {"a": 1, "b": 2}


@row("1.1", "an attribute of a subclass that shadows an option warns")
def _() -> None:
    with pytest.warns(UserWarning, match="'max_retries', which is an option of tasks"):

        class Hasty(Task):
            max_retries = 3


@row("1.1", "a task as a constructor argument warns")
def _() -> None:
    with pytest.warns(UserWarning, match="pass it when the task is called"):
        Scale(inc)  # type: ignore[arg-type]


@row("1.1", "auto_generated is False but for tasks that the framework made")
def _() -> None:
    with Flow("f") as flow:
        inc([inc(1), 2]), inc.map([1]), inc(1) + 1, merge(inc(1)), inc(1)[0]
    made = {type(one).__name__ for one in flow.tasks if one.auto_generated}
    assert made == {"List", "Constant"}
    assert not inc.auto_generated


@row("1.1", "tasks hash and compare by identity")
def _() -> None:
    twin = inc.copy()
    assert inc == inc
    assert inc != twin
    assert len({inc, twin, inc}) == 2


@row("1.1", "task.run calls the function, outside any flow")
def _() -> None:
    assert (inc.run(1), Scale(3).run(2)) == (2, 6)


@row("1.1", "a function's task carries its metadata; its signature has the extras of a call")
def _() -> None:
    assert (inc.__name__, inc.__doc__) == ("inc", "Add one.")
    signature = inspect.signature(inc)
    assert list(signature.parameters) == ["x", "mapped", "task_args", "upstream_tasks", "flow"]
    assert signature.return_annotation == "Task"
    assert signature.parameters["flow"].kind is inspect.Parameter.KEYWORD_ONLY


@row("1.1", "a task that is constructed or copied in an open flow and never added warns once at its end")
def _() -> None:
    for make in (Scale, inc.copy):
        with (
            pytest.warns(UserWarning, match="was made while flow 'f' was open, but was not put") as said,
            Flow("f"),
        ):
            make()
        assert len(said) == 1


@row("1.1", "constants, and originals of a copy, are exempt from that")
def _() -> None:
    with warnings.catch_warnings(), Flow("f"):
        warnings.simplefilter("error")
        Constant(3)
        Scale().copy().bind(1)
        Scale()(1)


@row("1.1", "task.inputs() and task.outputs() tell the annotations")
def _() -> None:
    assert inc.inputs() == {"x": {"type": int, "required": True, "default": None}}
    assert add.inputs()["y"] == {"type": Any, "required": False, "default": 0}
    assert (inc.outputs(), task(lambda: 1).outputs()) == (int, Any)
    assert task(two_text).outputs() == tuple[int, str]
    assert task(lambda **kwargs: 1).inputs() == {}
    assert task(unreadable).inputs()["x"]["type"] == "Nowhere"
    assert task(unreadable).outputs() == "Nowhere"


@row("1.1", "options are read as they were kept: a timedelta, whole seconds, a set, a list")
def _() -> None:
    made = Scale(
        max_retries=1, retry_delay=5, retry_on=OSError, timeout=timedelta(minutes=1), cache_for=60, tags=["a"]
    )
    assert (made.retry_delay, made.cache_for) == (timedelta(seconds=5), timedelta(minutes=1))
    assert (made.timeout, made.retry_on, made.tags, made.state_handlers) == (60, {OSError}, {"a"}, [])


@row("1.1", "tags, state handlers and exception types may be changed in place; a copy has its own")
def _() -> None:
    heard = []

    @task(max_retries=1, retry_on=OSError)
    def fails() -> None:
        raise KeyError

    with Flow("f") as flow:
        made = fails()
    made.tags.add("late")
    made.state_handlers.append(lambda one, old, new: heard.append(type(new).__name__))
    made.retry_on.add(KeyError)
    twin = made.copy()
    twin.tags.clear()
    twin.state_handlers.clear()
    assert flow.slugs[made] == "fails-1"
    assert flow.get_tasks(tags=["late"]) == [made]
    flow.run(executor=LocalExecutor())
    assert heard == ["Running", "Failed", "Retrying", "Running", "Failed"]
    assert (fails.tags, fails.state_handlers, fails.retry_on) == (set(), [], {OSError})
    for change in (lambda: made.tags.add(1), lambda: made.state_handlers.append("log")):
        with refused(TypeError, "Task 'fails' has"):
            change()


@row("1.1", "a task takes other attributes, which its copies have too")
def _() -> None:
    marked = inc.copy()
    marked.owner = "me"
    with Flow("f"):
        assert marked(1).owner == "me"
    assert not hasattr(inc, "owner")


@row("1.1", "options may be set later, one by one; each is checked, and a run goes by what was set before it")
def _() -> None:
    attempts = []

    @task
    def fails() -> None:
        attempts.append(1)
        raise ValueError

    with Flow("f") as flow:
        failing, last = fails(), add(1, 2)
        last.set_upstream(failing)
    failing.retry_delay, failing.max_retries = 0, 2
    last.trigger = triggers.any_failed
    last.tags |= {"late"}
    state = flow.run(executor=LocalExecutor())
    assert (len(attempts), state.result[last].result, last.tags) == (3, 3, {"late"})
    assert (fails.max_retries, add.tags) == (0, set())
    with refused(ValueError, "Task 'fails' has max_retries=-1"):
        failing.max_retries = -1


# 1.2 copy


@row("1.2", "a copy is shallow, with attributes replaced; an unknown one is an AttributeError")
def _() -> None:
    factors: Any = [1, 2]
    original = Scale(factors, max_retries=1)
    new = original.copy(max_retries=2, name="other")
    assert (new.max_retries, new.name, original.max_retries) == (2, "other", 1)
    assert new.factor is factors
    assert original.copy(factor=5).factor == 5
    with refused(AttributeError, "no option or attribute 'fctor'"):
        original.copy(fctor=3)


@row("1.2", "a copy's slug is <slug>-copy unless another is given; tags are united")
def _() -> None:
    original = Scale(slug="s", tags=["a"])
    with tags("c"):
        assert original.copy(tags=["b"]).tags == {"a", "b", "c"}
    assert (original.copy().slug, original.copy(slug="t").slug, inc.copy().slug) == ("s-copy", "t", None)


@row("1.2", "a copy of a task that has edges in the open flow warns: they are not copied")
def _() -> None:
    with Flow("f") as flow:
        called: Any = inc(inc(1))
        with pytest.warns(UserWarning, match="has edges in flow 'f', which its copy does not get"):
            again = called(1)
    assert flow.edges_to(again) == set()


# 2 Functional and imperative API


@row("2", "@task and @task(...) make a FunctionTask; what is not callable is a TypeError")
def _() -> None:
    made: Any = task(name="other", max_retries=1)(inc.run)
    assert [type(one) for one in (inc, made)] == [FunctionTask, FunctionTask]
    assert (made.name, made.max_retries, FunctionTask(inc.run, name="n").name) == ("other", 1, "n")
    assert [type(task(fn=inc.run, name="n")), as_task(x=inc)] == [FunctionTask, inc]
    with refused(TypeError, "made from a function, not from 3"):
        FunctionTask(3)  # type: ignore[arg-type]


@row("2", "a call makes a copy, binds it and returns it")
def _() -> None:
    with Flow("f") as flow:
        called: Any = inc(1, task_args={"name": "other"})
    assert called is not inc
    assert (called.name, list(flow.tasks), flow.constants[called]) == ("other", [called], {"x": 1})


@row("2", "bind binds the task itself and returns it")
def _() -> None:
    original = inc.copy()
    flow = Flow("f")
    assert original.bind(1, flow=flow) is original
    assert list(flow.tasks) == [original]


@row("2", "a missing argument is a TypeError when the flow is built")
def _() -> None:
    with Flow("f"):
        for use in (inc, inc.bind, inc.map):
            with refused(TypeError, "'x' got no value"):
                use()


@row("2", "without a flow, given or open, a call is a ValueError")
def _() -> None:
    for use in (inc, inc.bind, inc.map):
        with refused(ValueError, "used outside a flow"):
            use([1])


@row("2", "map makes a mapped copy; a positional argument that has no items is a TypeError")
def _() -> None:
    with Flow("f") as flow:
        called: Any = inc.map([1, 2])
        for wrong in (3, {1, 2}, iter([1])):
            with refused(TypeError, "cannot be taken item by item"):
                inc.map(wrong)
        inc.map(unmapped(3))
    assert flow.is_mapped(called)
    assert called is not inc


@row("2", "an argument of map by name is not looked at when the flow is built")
def _() -> None:
    with Flow("f"):
        inc.map(x={1, 2})


@row("2", "map forgets nout unless task_args gives it")
def _() -> None:
    pair = task(two_a)
    with Flow("f"):
        assert [pair.map().nout, pair.map(task_args={"nout": 3}).nout] == [None, 3]


@row("2", "set_upstream and set_downstream draw one edge, with key and mapped, and return the task")
def _() -> None:
    flow = Flow("f")
    one, two, three = Mark(), inc.copy(), Mark()
    assert two.set_upstream(one, flow=flow, key="x", mapped=True) is two
    assert two.set_downstream(three, flow=flow) is two
    assert set(flow.edges) == {Edge(one, two, "x", mapped=True), Edge(two, three)}
    with flow:
        three.set_upstream([one, 1])
    assert [type(up).__name__ for up in flow.upstream_tasks(three)] == ["FunctionTask", "List"]


@row("2", "set_dependencies: mapped is for upstreams and keywords, not for downstreams")
def _() -> None:
    flow = Flow("f")
    up, key, middle, down = add.copy(), add.copy(), add.copy(), Mark()
    flow.add_edge([1], up, key="x", mapped=True)
    middle.set_dependencies(flow, [up], [down], {"x": key}, mapped=True, validate=True)
    assert flow.edges_to(middle) == {Edge(key, middle, "x", mapped=True), Edge(up, middle, mapped=True)}
    assert flow.edges_to(down) == {Edge(middle, down)}


@row("2", "set_dependencies of a mapped task pairs it only with upstreams that are mapped (S6)")
def _() -> None:
    flow = Flow("f")
    plain, other, middle = Mark(), Mark(), Mark()
    middle.set_dependencies(flow, [plain, mapped(other)], mapped=True)
    assert flow.edges_to(middle) == {Edge(plain, middle), Edge(other, middle, mapped=True)}


@row("2", "a | b lets b wait for a and returns b; the left may be a list of tasks or a value")
def _() -> None:
    with Flow("f") as flow:
        one, two, three = Mark(), Mark(), Mark()
        assert (one | two | three) is three
        assert ([one, two] | Mark()).name == "Mark"
        assert (5 | Mark()).name == "Mark"
    assert flow.edges >= {Edge(one, two), Edge(two, three)}
    assert [type(one).__name__ for one in flow.get_tasks() if one.auto_generated] == ["List", "Constant"]
    with refused(ValueError, "used outside a flow"):
        one | two


@row("2", "pipe calls the next task, or an annotation, with this one first; 'self' is a ValueError")
def _() -> None:
    with Flow("f") as flow:
        one: Any = inc(1)
        two = one.pipe(add, y=5).pipe(mapped).pipe(inc)
        assert one.pipe(unmapped).value is one
        with refused(ValueError, "an argument named 'self'"):
            one.pipe(add, self=1)
    assert flow.is_mapped(two)
    assert len(flow.tasks) == 3


@row("2", "defaults_from_attrs takes a missing keyword from the attribute; an explicit None stays")
def _() -> None:
    class Greet(Task):
        def __init__(self, greeting: str, **options: Any) -> None:
            self.greeting = greeting
            super().__init__(**options)

        @defaults_from_attrs("greeting")
        def run(self, name: str, greeting: Any = None) -> str:
            return f"{greeting} {name}"

    hello = Greet("hello")
    assert [hello.run("a"), hello.run("a", greeting=None), hello.run("a", "bye")] == [
        "hello a",
        "None a",
        "bye a",
    ]
    with Flow("f") as flow:
        assert flow.constants[hello("a")] == {"name": "a"}
    with refused(TypeError, "names 'nmae', but .* has no such argument"):
        defaults_from_attrs("nmae")(Greet.run)


@row("2", "tags(...) nests, and unites")
def _() -> None:
    with Flow("f") as flow, tags("a"):
        with tags("b", "c"):
            inner: Any = inc(1)
        outer: Any = inc(1)
    assert (inner.tags, outer.tags) == ({"a", "b", "c"}, {"a"})
    assert list(flow.slugs.values()) == ["inc-a-b-c-1", "inc-a-1"]


OPERATORS: list[tuple[str, str]] = [
    ("Add", "a + b"),
    ("Sub", "a - b"),
    ("Mul", "a * b"),
    ("Div", "a / b"),
    ("FloorDiv", "a // b"),
    ("Mod", "a % b"),
    ("Pow", "a ** b"),
    ("And", "a & b"),
    ("GreaterThan", "a > b"),
    ("GreaterThanOrEqual", "a >= b"),
    ("LessThan", "a < b"),
    ("LessThanOrEqual", "a <= b"),
]


@row("2", "each operator makes a task of its own kind, with task or value on either side")
def _() -> None:
    mirrored = {"GreaterThan": "LessThan", "LessThan": "GreaterThan"}
    mirrored |= {"GreaterThanOrEqual": "LessThanOrEqual", "LessThanOrEqual": "GreaterThanOrEqual"}
    for kind, text in OPERATORS:
        with Flow("f") as flow:
            a, b = Mark().bind(), Mark().bind()
            both = eval(text, {"a": a, "b": b})
            right = eval(text, {"a": a, "b": 7})
            left = eval(text, {"a": 7, "b": b})
        assert [type(one).__name__ for one in (both, right, left)] == [kind, kind, mirrored.get(kind, kind)]
        assert flow.edges_to(both) == {Edge(a, both, "x"), Edge(b, both, "y")}
        assert flow.constants[right] == {"y": 7}
        assert flow.constants[left] == {"y" if kind in mirrored else "x": 7}


@row("2", "t[key] makes a GetItem named t[key]")
def _() -> None:
    with Flow("f") as flow:
        parent: Any = inc(1)
        items = [
            parent["a"],
            parent[1:2],
            parent[parent],
            parent["x" * 50],
            parent["x" * 500],
            parent[inc.run],
        ]
        with refused(ValueError, "let a task of your own take both"):
            parent[parent:]
    assert [one.name for one in items] == [
        "inc['a']",
        "inc[slice(1, 2, None)]",
        "inc[inc]",
        f"inc['{'x' * 50}']",
        "inc[str]",
        "inc[function]",
    ]
    assert {type(one) for one in items} == {GetItem}
    assert flow.edges_to(items[0]) == {Edge(parent, items[0], "task_result")}
    assert flow.constants[items[0]] == {"key": "a"}


@row("2", "is_equal, is_not_equal, not_ and or_ make tasks, and == does not")
def _() -> None:
    with Flow("f") as flow:
        a: Any = inc(1)
        made = [a.is_equal(2), a.is_not_equal(a), a.not_(), a.or_(3)]
        assert (a == 2) is False
        assert (a != 2) is True
    assert [type(one).__name__ for one in made] == ["Equal", "NotEqual", "Not", "Or"]
    assert flow.constants[made[3]] == {"y": 3}


@row("2", "an array on the left, and `in`, do not go through a task's items (new)")
def _() -> None:
    numpy = pytest.importorskip("numpy")
    with Flow("f") as flow:
        pair: Any = task(two_a)()
        assert type(numpy.arange(3) + pair).__name__ == "Add"
        assert type(numpy.float64(3) * pair).__name__ == "Mul"
        with pytest.raises(TypeError):
            _ = 1 in pair
    assert len(flow.tasks) == 3


@row("2", "GetAttr follows a dotted path, and may have a default")
def _() -> None:
    assert GetAttr().run(inc, "frozen_options.retry.max_retries") == 0
    assert GetAttr(default=None).run(inc, "options.nothing.more") is None
    assert GetAttr().run(inc, "nothing", default=3) == 3
    with pytest.raises(AttributeError):
        GetAttr().run(inc, "nothing")


@row("2", "GetItem(default=) is for missing keys, and for missing indexes too (mended: 1.x failed there)")
def _() -> None:
    assert [GetItem(default=0).run({}, "a"), GetItem(default=0).run([], 3), GetItem().run([4], 0)] == [
        0,
        0,
        4,
    ]
    for holder, key in (({}, "a"), ([], 3)):
        with pytest.raises(LookupError):
            GetItem().run(holder, key)
        assert GetItem(default=1).run(holder, key, None) is None


@row("2", "And and Or return Python's `x and y` and `x or y`")
def _() -> None:
    values = ("", 0, "a", 2)
    for x in values:
        for y in values:
            assert And().run(x, y) is (x and y)
            assert Or().run(x, y) is (x or y)


# 3 Edges and annotations


@row("3", "an edge from a task to itself is a ValueError")
def _() -> None:
    with refused(ValueError, "would wait for itself"):
        Edge(inc, inc)


@row("3", "an edge's key is a name and no keyword, else a ValueError")
def _() -> None:
    for key in ("a b", "class", "1", ""):
        with refused(ValueError, "cannot be an argument's name"):
            Edge(inc, add, key)


@row("3", "both ends of an edge become tasks; an annotation counts")
def _() -> None:
    edge = Edge(mapped(flatten([[1]])), add, key="x")
    assert (type(edge.upstream_task), edge.mapped, edge.flattened) == (Constant, True, True)
    flow = Flow("f")
    assert isinstance(Edge([inc, 1], add, flow=flow).upstream_task, List)
    assert type(Edge(inc, 3).downstream_task) is Constant
    assert flow.upstream_tasks(flow.get_tasks(task_type=List)[0]) == {inc}


@row("3", "edges are equal, and hash alike, by their five fields")
def _() -> None:
    keywords: Any = {
        "upstream_task": inc,
        "downstream_task": add,
        "key": "x",
        "mapped": False,
        "flattened": False,
    }
    assert Edge(**keywords) == Edge(inc, add, "x")
    assert hash(Edge(**keywords)) == hash(Edge(inc, add, "x"))
    for other in ({"key": "y"}, {"mapped": True}, {"flattened": True}, {"upstream_task": Mark()}):
        assert Edge(**{**keywords, **other}) != Edge(inc, add, "x")
    assert repr(Edge(inc, add, "x", True, True)) == "<Edge: inc to add, key='x', mapped, flattened>"


@row("3", "edge.tasks are both ends")
def _() -> None:
    assert Edge(inc, add).tasks == {inc, add}
    assert (Edge(inc, add).upstream_task, Edge(inc, add).downstream_task) == (inc, add)


@row("3", "annotations nest and merge, and beat the mapped= argument")
def _() -> None:
    flow = Flow("f")
    one, two = add.copy(), add.copy()
    one.set_upstream(flatten(mapped(inc)), flow=flow)
    two.bind(unmapped(inc), y=[1], mapped=True, flow=flow)
    assert flow.edges_to(one) == {Edge(inc, one, mapped=True, flattened=True)}
    assert {edge.key: edge.mapped for edge in flow.edges_to(two)} == {"x": False, "y": True}


@row("3", "annotations work in a call, in upstream_tasks and in map")
def _() -> None:
    with Flow("f") as flow:
        many: Any = inc(1)
        called: Any = add(x=mapped(many), y=5)
        behind: Any = inc(1, upstream_tasks=[mapped(called)])
        over: Any = add.map(flatten(many), unmapped(many))
    assert flow.edges_to(called) == {Edge(many, called, "x", mapped=True)}
    assert flow.edges_to(behind) == {Edge(called, behind, mapped=True)}
    assert flow.edges_to(over) == {Edge(many, over, "x", True, True), Edge(many, over, "y")}


@dataclass
class Pair:
    left: Any
    right: Any = None


def counting() -> Iterator[Any]:
    yield inc


@row("3", "as_task: tasks are themselves, annotations come off, values without tasks are one constant")
def _() -> None:
    assert as_task(inc) is inc
    assert as_task(unmapped(inc)) is inc
    for value in (1, "a", [1, [2]], {"a": (3,)}, None):
        constant = as_task(value)
        assert type(constant) is Constant
        assert constant.run() is value


@row("3", "as_task: a list, tuple, set or dict with tasks inside is a collection of the flow")
def _() -> None:
    with Flow("f") as flow:
        made = [as_task(one) for one in ([inc, 1], (inc,), {inc}, {"a": [inc]})]
        assert all(map(isinstance, made, (List, Tuple, Set, Dict)))
        assert all(one.auto_generated and one in flow for one in made)
    with refused(ValueError, "no flow is being built here"):
        as_task([inc])


@row("3", "a dict's keys stay constants: a task as a key is a ValueError (1.x kept the task itself)")
def _() -> None:
    with Flow("f"), refused(ValueError, "is the key of a dict"):
        as_task({inc: 1, 2: inc})


@row("3", "a dataclass of tasks is resolved (S5; 1.x took it as it is); generators and others are opaque")
def _() -> None:
    with Flow("f"):
        assert as_task(Pair(inc)).is_collection
        for value in (counting(), {1: 2}.items(), Parameter):
            assert type(as_task(value)) is Constant


@pytest.mark.parametrize("rule", row)
def test_the_rules_of_tasks_hold(rule: str) -> None:
    row[rule]()
