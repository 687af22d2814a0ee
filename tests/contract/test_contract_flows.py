"""Flows, parameters and what the framework makes by itself: a row per rule of sections 4 to 6 of the reference.

Where we differ from Prefect 1, the row says so and names the section of SEMANTICS.md (``S7`` and so on).
"""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from prefectlite import (
    DateTimeParameter,
    Edge,
    EnvVarSecret,
    Flow,
    LocalExecutor,
    Parameter,
    Task,
    as_task,
    context,
    flatten,
    mapped,
    signals,
    task,
    triggers,
)
from prefectlite.core.constants import Constant, List
from prefectlite.schedules import IntervalSchedule
from tests.contract.rows import Rows
from tests.contract.test_contract_tasks import OPERATORS, refused

row = Rows()


@task
def inc(x: Any) -> Any:
    return x + 1


@task
def add(x: Any, y: Any = 0) -> Any:
    return x + y


@task
def numbers(start: int = 0) -> list[int]:
    return [start + 1, start + 2, start + 3]


@task
def both(x: Any = None, y: Any = None) -> Any:
    return x, y


@task
def same(x: Any) -> Any:
    return x


class Mark(Task):
    def run(self) -> None: ...


class Join(Task):
    def run(self, **values: Any) -> Any:
        return values


def here(flow: Flow, **parameters: Any) -> Any:
    """Run a flow in this process; return its state."""
    return flow.run(parameters, executor=LocalExecutor())


# 4.1 Constructor


@row("4.1", "a flow needs a name, else a ValueError")
def _() -> None:
    for name in ("", None):
        with refused(ValueError, f"A flow has name={name!r}"):
            Flow(name)  # type: ignore[arg-type]
    assert Flow("etl").name == "etl"


@row("4.1", "executor, tasks, edges and reference_tasks may be given; validate is taken")
def _() -> None:
    one, two, three, local = Mark(), Mark(), Mark(), LocalExecutor()
    flow = Flow(
        "f", executor=local, tasks=[three], edges=[Edge(one, two)], reference_tasks=[one], validate=True
    )
    assert flow.tasks == {one, two, three}
    assert flow.edges == {Edge(one, two)}
    assert flow.reference_tasks() == {one}
    assert flow.executor is local


@row("4.1", "name, schedule and executor may be given by place, in this order")
def _() -> None:
    schedule, local = IntervalSchedule(interval=timedelta(hours=1)), LocalExecutor()
    flow = Flow("f", schedule, local)
    assert (flow.name, flow.schedule, flow.executor) == ("f", schedule, local)


@row("4.1", "run_config and storage, which a server needs, are taken with a warning, also later")
def _() -> None:
    unread = {
        "run_config": "'f' is given run_config, which nothing reads here: .* executor=DaskExecutor",
        "storage": "'f' is given storage, which nothing reads here: .* `prefectlite run FILE.py`",
    }
    for option, text in unread.items():
        with pytest.warns(UserWarning, match=text) as told:
            flow = Flow("f", **{option: "there"})  # type: ignore[arg-type]
        assert (len(told), told[0].filename) == (1, __file__)
        assert getattr(flow, option) == "there"
        assert here(flow).is_successful()
        later = Flow("f")
        assert getattr(later, option) is None
        with pytest.warns(UserWarning, match=text) as told:
            setattr(later, option, "there")
        assert (len(told), told[0].filename) == (1, __file__)
        setattr(later, option, None)
        assert here(later).is_successful()


@row("4.1", "an option that does not exist is refused by name")
def _() -> None:
    with refused(TypeError, "the option 'schedul', which does not exist; did you mean 'schedule'"):
        Flow("f", schedul=None)  # type: ignore[call-arg]


@row("4.1", "run_config and storage may be None: that asks for no server")
def _() -> None:
    assert here(Flow("f", storage=None, run_config=None)).is_successful()  # type: ignore[call-arg]


@row("4.1", "what a flow did with a server is missing, and says what there is instead (server)")
def _() -> None:
    flow = Flow("f")
    for name in ("register", "run_agent", "serialize", "serialized_hash"):
        assert not hasattr(flow, name)
        with refused(AttributeError, f"Flow 'f' has no {name}: .* server; .*(`prefectlite|flow.save)"):
            getattr(flow, name)
    with refused(AttributeError, "'Flow' object has no attribute 'regster'"):
        flow.regster  # type: ignore[attr-defined]  # noqa: B018


# 4.2 Building


@row("4.2", "`with Flow` puts the flow into the context; flows nest")
def _() -> None:
    with Flow("outer") as outer:
        with Flow("inner") as inner:
            assert context.flow is inner
        assert context.flow is outer
    assert "flow" not in context


@row("4.2", "flow.run inside the open flow is a RuntimeError")
def _() -> None:
    with Flow("f") as flow, refused(RuntimeError, "inside its own `with` block"):
        flow.run()


@row("4.2", "add_task: no task is a TypeError, the same one twice does nothing")
def _() -> None:
    flow, mark = Flow("f"), Mark()
    assert flow.add_task(mark) is flow.add_task(mark) is mark
    with refused(TypeError, "is no task, so flow 'f' cannot hold it"):
        flow.add_task(print)
    assert list(flow.tasks) == [mark]


@row("4.2", "add_task: a slug that was given twice is a ValueError")
def _() -> None:
    flow = Flow("f", tasks=[Mark(slug="s")])
    with refused(ValueError, "slug 's' already"):
        flow.add_task(Mark(slug="s"))


@row("4.2", "slugs are name-tags-count, counted per prefix, and the same when the script runs again")
def _() -> None:
    def build() -> list[str]:
        with Flow("f") as flow:
            inc(inc(1)), inc(1, task_args={"tags": ["b", "a"]}), inc(inc(1) + 1)
        return list(flow.slugs.values())

    assert build() == build() == ["inc-1", "inc-2", "inc-a-b-1", "inc-3", "Add-1", "inc-4"]


@row("4.2", "add_edge takes both ends in and returns the edge; the words are upstream_task, downstream_task")
def _() -> None:
    flow, one, two = Flow("f"), Mark(), inc.copy()
    made = flow.add_edge(
        upstream_task=one, downstream_task=two, key="x", mapped=True, flattened=True, validate=True
    )
    assert made == Edge(one, two, "x", mapped=True, flattened=True)
    assert flow.edges == {made}
    assert flow.tasks == {one, two}


@row("4.2", "a downstream that is no task is a TypeError")
def _() -> None:
    with refused(TypeError, "3 is no task, so flow 'f' cannot hold it"):
        Flow("f").add_edge(Mark(), 3)


@row("4.2", "a parameter as downstream is a ValueError")
def _() -> None:
    with refused(ValueError, "<Parameter: p> cannot wait for <Mark: Mark>"):
        Flow("f").add_edge(Mark(), Parameter("p"))


@row("4.2", "a constant with a key is no task: it stands in flow.constants")
def _() -> None:
    flow = Flow("f")
    flow.add_edge(5, inc, key="x")
    assert (list(flow.tasks), dict(flow.constants)) == ([inc], {inc: {"x": 5}})


@row("4.2", "constants that are mapped, flattened or have no key stay tasks")
def _() -> None:
    flow, join = Flow("f"), Join()
    flow.add_edge([1], join, key="a", mapped=True)
    flow.add_edge([[1]], join, key="b", flattened=True)
    flow.add_edge(1, join)
    assert [type(one) for one in flow.upstream_tasks(join)] == [Constant] * 3


@row("4.2", "one argument bound twice is a ValueError when built, always (S2; 1.x let chance decide)")
def _() -> None:
    flow, mark = Flow("f"), Mark()
    for first, second in ((mark, mark), (mark, 1), (1, mark), (1, 1)):
        one = inc.copy()
        flow.add_edge(first, one, key="x")
        for bind in (
            lambda one=one, second=second: flow.add_edge(second, one, key="x"),
            lambda one=one: one.bind(1, flow=flow),
        ):
            with refused(ValueError, "has a value for its argument 'x' already"):
                bind()


@row("4.2", "an argument that run does not take is a TypeError when built, and leaves no trace")
def _() -> None:
    flow = Flow("f")
    with refused(TypeError, "'nope' is no argument of it"):
        flow.add_edge(Mark(), inc, key="nope")
    assert list(flow.tasks) == []


@row("4.2", "a cycle is a ValueError when built (S7; 1.x found it when the flow ran)")
def _() -> None:
    flow = Flow("f")
    one, two, three = Mark(name="1"), Mark(name="2"), Mark(name="3")
    flow.chain(one, two, three)
    with refused(ValueError, "would close a cycle"):
        flow.add_edge(three, one)
    assert len(flow.edges) == 2


@row("4.2", "flow.validate finds missing arguments before anything runs (S7)")
def _() -> None:
    flow = Flow("f", tasks=[inc])
    with refused(TypeError, "'x' got no value"):
        flow.validate()


@row("4.2", "chain draws an edge between neighbours and returns them")
def _() -> None:
    flow = Flow("f")
    one, two, three = Mark(), Mark(), Mark()
    assert flow.chain(one, two, three, validate=False) == [Edge(one, two), Edge(two, three)]
    assert flow.chain() == flow.chain(one) == []
    alone, later = Mark(), Mark()
    flow.chain(alone)
    assert alone in flow
    [edge] = flow.chain("a value", later)
    assert type(edge.upstream) is Constant


@row("4.2", "flow.set_dependencies says what is before, after, and in the arguments")
def _() -> None:
    flow = Flow("f")
    up, down, middle = Mark(), Mark(), inc.copy()
    flow.set_dependencies(
        middle, upstream_tasks=[up], downstream_tasks=[down], keyword_tasks={"x": 1}, validate=True
    )
    assert flow.edges == {Edge(up, middle), Edge(middle, down)}
    assert flow.constants == {middle: {"x": 1}}


def etl(name: str = "etl") -> tuple[Flow, Any, Any]:
    with Flow(name) as flow:
        first: Any = add(Parameter("n", default=1), 10)
        second: Any = inc(first)
    return flow, first, second


@row("4.2", "update unites tasks, edges and constants; slugs are made anew")
def _() -> None:
    mine, one, _two = etl("mine")
    theirs = Flow("theirs")
    other = inc.copy()
    with theirs:
        theirs.add_edge(one, other, key="x")
        add.bind(other, 5)
    mine.update(theirs, validate=True)
    assert mine.slugs[other] == "inc-2"
    assert {Edge(one, other, "x"), Edge(other, add, "x")} <= set(mine.edges)
    assert mine.constants[add] == {"y": 5}
    before = mine.copy()
    mine.update(theirs), mine.update(mine)
    assert mine == before
    assert list(theirs.tasks) == [one, other, add]


@row("4.2", "update refuses parameters of one name, slugs that are taken and arguments bound twice")
def _() -> None:
    mine, one, _ = etl()
    before = mine.copy()
    with refused(ValueError, "has a parameter 'n' already"):
        mine.update(etl()[0])
    with refused(ValueError, "slug 'inc-1' already"):
        mine.update(Flow("f", tasks=[Mark(), Mark(slug="inc-1")]))
    assert mine == before
    for other in (Flow("f", edges=[Edge(Mark(), one, "y")]), Flow("f", tasks=[one])):
        if not other.edges:
            other.add_edge(3, one, key="y")
        with refused(ValueError, "'y' already"):
            mine.update(other)


@row("4.2", "update makes no slug that the other flow's user gave")
def _() -> None:
    given = Mark(slug="Mark-2")
    mine = Flow("mine", tasks=[Mark()])
    mine.update(Flow("theirs", tasks=[Mark(), given]))
    assert list(mine.slugs.values()) == ["Mark-1", "Mark-3", "Mark-2"]


@row("4.2", "update(merge_parameters=True) puts the other's parameters in the places of this flow's")
def _() -> None:
    mine, one, two = etl("mine")
    theirs, _, _ = etl("theirs")
    mine.update(theirs, merge_parameters=True)
    assert mine.parameters() == theirs.parameters()
    assert mine.upstream_tasks(one) == theirs.parameters()
    assert mine.slugs[two] == "inc-1"
    assert here(mine, n=2).result[two].result == 13
    assert len(mine.tasks) == 5


@row("4.2", "update(merge_reference_tasks=True) unites the reference tasks")
def _() -> None:
    mine, one, _ = etl("mine")
    mine.set_reference_tasks([one])
    theirs = Flow("theirs", tasks=[Mark()])
    alone = mine.copy()
    alone.update(theirs)
    assert alone.reference_tasks() == {one}
    mine.update(theirs, merge_reference_tasks=True)
    assert mine.reference_tasks() == {one, *theirs.tasks}


@row("4.2", "replace rewires edges and reference tasks, and moves constants (S7; 1.x lost them)")
def _() -> None:
    flow, first, second = etl()
    flow.set_reference_tasks([first])
    tasks, slugs = flow.tasks, flow.slugs
    new = add.copy(name="new")
    flow.replace(first, new, validate=True)
    assert [one.name for one in flow.tasks] == [one.name for one in tasks] == ["n", "new", "inc"]
    assert set(flow.edges) == {Edge(flow.get_tasks("n")[0], new, "x"), Edge(new, second, "x")}
    assert flow.constants == {new: {"y": 10}}
    assert flow.reference_tasks() == {new}
    assert list(slugs.values()) == ["n", "new-1", "inc-1"]
    assert here(flow).result[second].result == 12


@row("4.2", "replace: a task that is not in the flow is a ValueError; nothing has changed then")
def _() -> None:
    flow, first, second = etl()
    before = flow.copy()
    with refused(ValueError, "is not in flow 'etl'"):
        flow.replace(inc, Mark())
    with refused(TypeError, "'x' is no argument"):
        flow.replace(first, Mark())
    with refused(ValueError, "cannot wait for"):
        flow.replace(first, Parameter("p"))
    last = Join()
    flow.add_edge(second, last), before.add_edge(second, last)
    (n,) = flow.parameters()
    with refused(ValueError, "would close a cycle"):
        flow.replace(n, last)
    with refused(ValueError, "would wait for itself"):
        flow.replace(second, last)
    assert flow == before
    assert dict(flow.slugs) == dict(before.slugs)
    assert flow.constants == {first: {"y": 10}}


@row("4.2", "replace takes a task that is in the flow already, a value, and a parameter for a parameter")
def _() -> None:
    flow, first, second = etl()
    third: Any = inc(1, flow=flow)
    last = inc(second, flow=flow)
    flow.replace(second, second)
    flow.replace(Flow.get_tasks(flow, slug="n")[0], 5)
    assert flow.parameters() == set()
    with refused(ValueError, "has a value for its argument 'x' already"):
        flow.replace(second, third)
    assert [one.name for one in flow.tasks if one.auto_generated] == ["5"]
    assert here(flow).result[last].result == 17
    beside = flow.add_task(Join())
    flow.replace(second, beside)
    assert flow.edges_to(beside) == {Edge(first, beside, "x")}
    # What has its value without that takes neither edges nor constants over.
    flow.replace(first, 5)
    assert (flow.edges_to(beside), flow.constants[beside]) == (set(), {"x": 5})
    for new in (Parameter("p"), [third]):
        mine, one, two = etl()
        if isinstance(new, Parameter):
            mine.edges.difference_update(mine.edges_to(one))
        mine.replace(one, new)
        (edge,) = mine.edges_to(two)
        assert (edge.key, edge.upstream_task.name) == ("x", getattr(new, "name", "List"))
        assert one not in mine.tasks
    other = Parameter("n", default=9)
    mine, one, _ = etl()
    mine.replace(next(iter(mine.parameters())), other)
    assert (mine.parameters(), mine.slugs[other]) == ({other}, "n")
    assert here(mine).result[one].result == 19
    assert here(mine, n=1).result[one].result == 11


@row("4.2", "replace: a slug that was given may be given to the new task")
def _() -> None:
    old, new = Mark(slug="s"), Mark(slug="s")
    flow = Flow("f", tasks=[old])
    flow.replace(old, new)
    assert flow.get_tasks(slug="s") == [new]
    flow.add_edge(new, inc)
    with refused(TypeError, "'x' got no value"):
        flow.validate()


@row("4.2", "copy shares nothing that changes (S7; in 1.x constants and slug counters were shared)")
def _() -> None:
    flow, first, second = etl()
    for twin in (flow.copy(), copy.copy(flow)):
        assert twin == flow
        assert twin is not flow
        assert dict(twin.slugs) == dict(flow.slugs)
        extra = add.copy()
        with twin:
            extra.bind(second, 1)
            first.set_upstream(Mark())
        twin.set_reference_tasks([first])
    assert len(flow.tasks) == 3
    assert extra not in flow
    assert flow.terminal_tasks() == flow.reference_tasks() == {second}
    assert flow.slugs[inc(1, flow=flow)] == "inc-2"
    with flow:
        unbound = add.copy()
        flow.add_edge(1, unbound, key="x")
        twin = flow.copy()
        twin.add_edge(1, unbound, key="y")
    assert flow.constants[unbound] == {"x": 1}


@row("4.2", "queries: roots, terminals, upstreams, downstreams, edges both ways, of one task and of all")
def _() -> None:
    flow, first, second = etl()
    (n,) = flow.parameters()
    assert (flow.root_tasks(), flow.terminal_tasks()) == ({n}, {second})
    assert (flow.upstream_tasks(second), flow.downstream_tasks(n)) == ({first}, {first})
    into, out = {Edge(n, first, "x")}, {Edge(first, second, "x")}
    assert (flow.edges_to(first), flow.edges_from(first)) == (into, out)
    assert flow.all_upstream_edges() == {n: set(), first: into, second: out}
    assert flow.all_downstream_edges() == {n: into, first: out, second: set()}
    assert flow.edges == into | out


@row("4.2", "flow.tasks and flow.edges are what the flow consists of: what is put in and taken out counts")
def _() -> None:
    flow, first, second = etl()
    (n,) = flow.parameters()
    third = second.copy()
    flow.tasks.add(third)
    flow.edges.add(Edge(first, third, "x"))
    flow.tasks.remove(second)
    assert flow.edges == {Edge(n, first, "x"), Edge(first, third, "x")}
    state = here(flow, n=1)
    assert state.result.keys() == {n, first, third}
    flow.edges.remove(Edge(first, third, "x"))
    flow.edges |= {Edge(n, third, "x")}
    assert (state.result[third].result, here(flow, n=1).result[third].result) == (12, 2)
    with refused(ValueError, "for its argument 'x' already"):
        flow.edges.add(Edge(first, third, "x"))


@row("4.2", "what a flow and its tasks show are sets, lists and dicts to isinstance")
def _() -> None:
    flow, first, _ = etl()
    first.tags.add("etl")
    edge = next(iter(flow.edges))
    for shown in (flow.tasks, flow.edges, flow.root_tasks(), flow.edges_to(first), edge.tasks, first.tags):
        assert isinstance(shown, set)
        assert set(shown) == shown == {*shown}
        assert shown
    for shown in (flow.state_handlers, first.state_handlers):
        assert isinstance(shown, list)
        assert list(shown) == shown
    for shown in (flow.slugs, flow.constants, flow.constants[first]):
        assert isinstance(shown, dict)
        assert {**shown} == dict(shown) == shown
    assert pickle.loads(pickle.dumps(first.tags)) == copy.copy(first.tags) == first.tags


@row("4.2", "an edge of a flow that is changed is what runs: its key, mapped, flattened, either end")
def _() -> None:
    with Flow("changed") as flow:
        a, b = numbers(), numbers(start=10)
        c = both(x=a)
    [edge] = flow.edges
    assert here(flow).result[c].result == ([1, 2, 3], None)
    edge.key = "y"
    assert here(flow).result[c].result == (None, [1, 2, 3])
    edge.mapped = True
    assert here(flow).result[c].result == [(None, 1), (None, 2), (None, 3)]
    edge.upstream_task = b
    assert here(flow).result[c].result == [(None, 11), (None, 12), (None, 13)]
    d = both(flow=flow)
    edge.downstream_task = d
    state = here(flow)
    assert state.result[c].result == (None, None)
    assert state.result[d].result == [(None, 11), (None, 12), (None, 13)]
    with refused(TypeError, "so 'z' is no argument of it"):
        edge.key = "z"
    with refused(ValueError, "would wait for itself"):
        edge.upstream_task = d


@row("4.2", "an edge that was changed is in flow.edges still, and may be taken out (1.x lost it in its set)")
def _() -> None:
    with Flow("changed") as flow:
        a = numbers()
        c = both(x=a)
    [edge] = flow.edges
    edge.key = "y"
    assert edge in flow.edges
    assert flow.edges_to(c) == flow.edges_from(a) == {Edge(a, c, "y")}
    flow.replace(c, both.copy())
    assert [one.key for one in flow.edges] == ["y"]
    flow.edges.discard(*flow.edges)
    assert flow.edges == set()


@row("4.2", "flow.tasks and flow.edges may be set, in either order, and flow.constants and flow.slugs too")
def _() -> None:
    flow, first, second = etl()
    (n,) = flow.parameters()
    flow.tasks = {n, first}
    assert flow.edges == {Edge(n, first, "x")}
    flow.edges = {Edge(n, first, "x"), Edge(n, second, "x")}
    assert flow.tasks == {n, first, second}
    flow.constants[first]["y"] = 5
    flow.slugs[first] = "five more"
    state = here(flow, n=1)
    assert (state.result[first].result, state.result[second].result) == (6, 2)
    assert flow.get_tasks(slug="five more") == [first]


@row("4.2", "a task that is removed takes its edges along (1.x kept them, and then refused to run)")
def _() -> None:
    flow, first, second = etl()
    flow.set_reference_tasks([first, second])
    flow.tasks.discard(first)
    assert flow.edges == set()
    assert flow.reference_tasks() == {second}
    with refused(TypeError, "'x' got no value.*what gave the value was taken out"):
        here(flow, n=1)


@row("4.2", "tasks and edges come as sets, in the order in which the flow was built")
def _() -> None:
    flow, first, second = etl()
    (n,) = flow.parameters()
    assert [*flow.tasks] == [n, first, second]
    assert flow.tasks.difference(flow.root_tasks(), flow.terminal_tasks()) == {first}
    assert flow.upstream_tasks(second) | {n} == flow.tasks - {second}
    assert flow.edges_to(first).union(flow.edges_to(second)) == flow.edges
    assert flow.edges_to(second).pop() == Edge(first, second, "x")
    assert flow.downstream_tasks(n).pop() is first
    assert len(flow.edges_to(second)) == 1


@row("4.2", "a query about an unknown task is a ValueError")
def _() -> None:
    for query in ("edges_to", "edges_from", "upstream_tasks", "downstream_tasks"):
        with refused(ValueError, "is not in flow 'etl'"):
            getattr(etl()[0], query)(inc)


@row(
    "4.2",
    "sorted_tasks and iteration: each after what it waits for; from roots, they and what waits for them",
)
def _() -> None:
    flow = Flow("f")
    one, two, three, other = (Mark(name=name) for name in "123o")
    flow.chain(three, other), flow.chain(two, three), flow.chain(one, two)
    assert flow.sorted_tasks() == tuple(flow) == (one, two, three, other)
    assert flow.sorted_tasks(root_tasks=[two]) == (two, three, other)
    assert flow.sorted_tasks(root_tasks=[]) == ()
    with refused(ValueError, "not in flow"):
        flow.sorted_tasks(root_tasks=[inc])


@row("4.2", "get_tasks: all conditions must hold; tags may be among others")
def _() -> None:
    one, two, three = Mark(name="a", tags=["x", "y"]), Mark(name="a"), inc.copy(name="a", slug="s")
    flow = Flow("f", tasks=[one, two, three])
    assert flow.get_tasks(name="a") == [one, two, three]
    assert flow.get_tasks(name="a", task_type=Mark) == [one, two]
    assert flow.get_tasks(tags=["x"]) == flow.get_tasks(slug="a-x-y-1") == [one]
    assert flow.get_tasks(slug="s", name="b") == flow.get_tasks(slug="none") == []


@row("4.2", "flows are equal by class, name, tasks, edges and reference tasks")
def _() -> None:
    class Own(Flow):
        pass

    flow, first, second = etl()
    tasks, edges = list(flow.tasks), list(flow.edges)
    assert flow == Flow("etl", tasks=reversed(tasks), edges=reversed(edges), reference_tasks=[second])
    assert hash(flow) == hash(flow.copy())
    assert flow != "etl"
    for other in (
        Flow("x", tasks=tasks, edges=edges),
        Own("etl", tasks=tasks, edges=edges),
        Flow("etl", tasks=[*tasks, Mark()], edges=edges),
        Flow("etl", tasks=tasks, edges=edges[1:]),
        Flow("etl", tasks=tasks, edges=edges, reference_tasks=[first]),
    ):
        assert flow != other


@row("4.2", "reference tasks are the terminal ones unless they are set, from the flow only")
def _() -> None:
    flow, first, second = etl()
    assert flow.reference_tasks() == {second}
    flow.set_reference_tasks([first])
    assert flow.reference_tasks() == {first}
    with refused(ValueError, "is not in flow"):
        flow.set_reference_tasks([inc])


@row("4.2", "save and load: a flow goes through a file")
def _() -> None:
    with TemporaryDirectory() as folder:
        flow, _, second = etl()
        path = flow.save(Path(folder) / "etl.flow")
        twin: Any = Flow.load(path)
    assert (type(twin), twin.name, list(twin.slugs.values())) == (Flow, "etl", list(flow.slugs.values()))
    (last,) = twin.get_tasks(slug=flow.slugs[second])
    assert here(twin, n=4).result[last].result == 15


@row("4.2", "diagnostics tell versions and counts, and no names or values")
def _() -> None:
    told = json.loads(etl("very secret")[0].diagnostics())
    assert told["flow"]["tasks"] == {"Parameter": 1, "FunctionTask": 2}
    assert told["versions"]["prefectlite"]
    assert "secret" not in json.dumps(told)
    flow = Flow("f", tasks=[EnvVarSecret("PASSWORD")])
    assert "PASSWORD" not in flow.diagnostics()
    assert json.loads(flow.diagnostics(include_secret_names=True))["secrets"] == ["PASSWORD"]


# 5 Parameters


@row("5", "a parameter's slug is its name: one per name and flow")
def _() -> None:
    flow = Flow("f", tasks=[Parameter("x", tags=["t"])])
    assert list(flow.slugs.values()) == ["x"]
    with refused(ValueError, "a parameter 'x' already"):
        flow.add_task(Parameter("x"))


@row("5", "it is required when no default is given; required=True ignores the default; None is a default")
def _() -> None:
    assert Parameter("x").required
    assert not Parameter("x", None).required
    assert not Parameter("x", 1, False, ["tag"]).required
    assert (Parameter("x").default, Parameter("x", 5).default) == (None, 5)
    ignoring = Parameter("x", 5, required=True)
    assert (ignoring.required, ignoring.default) == (True, 5)
    with refused(ValueError, "'x' has no value"):
        here(Flow("f", tasks=[ignoring]))


@row("5", "it is a root task, never has upstreams; a call adds it and returns itself")
def _() -> None:
    x, mark = Parameter("x"), Mark()
    with Flow("f") as flow:
        assert x() is x
        for use in (lambda: x.set_upstream(mark), lambda: x.bind(1), lambda: mark | x):
            with refused((TypeError, ValueError), "cannot wait for|takes no input"):
                use()
    assert flow.root_tasks() == {x}


@row("5", "a copy needs a new name")
def _() -> None:
    with refused(TypeError, "needs a name of its own"):
        Parameter("x").copy()
    assert Parameter("x", 3).copy("y").slug == "y"


@row("5", "its value is the context's, else the default; required and absent is FAIL")
def _() -> None:
    assert Parameter("x", 3).run() == 3
    with context(parameters={"x": 4}):
        assert Parameter("x", 3).run() == 4
    with pytest.raises(signals.FAIL, match="Parameter 'x' has no value"):
        Parameter("x").run()


@row("5", "any value will do, JSON or not (mended: 1.x failed with checkpointing on)")
def _() -> None:
    x, value = Parameter("x"), {1j, MOMENT}
    with Flow("f") as flow:
        got: Any = same(x)
    assert here(flow, x=value).result[got].result == value


@row(
    "5",
    "flow.run: unknown and missing parameters are a ValueError before anything runs, unknown keywords a TypeError",
)
def _() -> None:
    ran: list[None] = []
    with Flow("f") as flow:
        Parameter("x")(), task(lambda: ran.append(None), name="runs")()
    with refused(TypeError, "has no parameter 'y'"):
        here(flow, x=1, y=2)
    with refused(ValueError, "has no parameter 'y'"):
        flow.run({"x": 1, "y": 2}, executor=LocalExecutor())
    with refused(TypeError, "have no names"):
        flow.run(["x"], executor=LocalExecutor())  # type: ignore[arg-type]
    with refused(ValueError, "Parameter 'x' has no value"):
        here(flow)
    assert ran == []


@row("5", "parameters come from parameters={} or from keywords")
def _() -> None:
    x = Parameter("x")
    flow = Flow("f", tasks=[x], executor=LocalExecutor())
    assert [flow.run(parameters={"x": 1}).result[x].result, flow.run(x=2).result[x].result] == [1, 2]
    assert flow.run(parameters={"x": 1}, x=2).result[x].result == 2


@row("5", "defaults and given values stand in context.parameters")
def _() -> None:
    @task
    def look() -> Any:
        return dict(context.parameters)

    with Flow("f") as flow:
        Parameter("x", 1)(), Parameter("y", 2)()
        looked: Any = look()
    assert here(flow, y=3).result[looked].result == {"x": 1, "y": 3}


@row("5", "types are checked before anything runs; the error names parameter, value and type (S7; new)")
def _() -> None:
    flow = Flow("f", tasks=[Parameter("x", type=int)])
    with refused(ValueError, r"Parameter 'x' has the value 'a' \(str\), but must be int"):
        here(flow, x="a")
    assert next(iter(here(flow, x="3").result.values())).result == 3


MOMENT = datetime(2026, 1, 31, 6, tzinfo=UTC)


@row("5", "a DateTimeParameter makes datetimes of texts, gives them a zone, and leaves None alone")
def _() -> None:
    when = DateTimeParameter("when")
    flow = Flow("f", tasks=[when])
    east = timezone(timedelta(hours=2))
    for given, expected in (
        ("2026-01-31T06:00", MOMENT),
        ("2026-01-31T08:00+02:00", MOMENT),
        ("2026-01-31", MOMENT.replace(hour=0)),
        (MOMENT.replace(tzinfo=None), MOMENT),
        (MOMENT.astimezone(east), MOMENT),
        (None, None),
    ):
        got = here(flow, when=given).result[when].result
        assert got == expected
        assert got is None or got.tzinfo is not None
        with context(parameters={"when": given}):
            assert when.run() == expected
    assert when.parse("2026-01-31T06:00") == MOMENT
    with refused(ValueError, "Parameter 'when' has the value 'soon'"):
        here(flow, when="soon")


@row("5", "a DateTimeParameter with a default is not required (mended: 1.x required it all the same)")
def _() -> None:
    when = DateTimeParameter("when", "2026-01-31T06:00")
    assert (when.required, when.default) == (False, MOMENT)
    assert DateTimeParameter("when").required
    assert DateTimeParameter("when", None, tags=["t"]).default is None
    assert here(Flow("f", tasks=[when])).result[when].result == MOMENT


@row("5", "parameters without a downstream run")
def _() -> None:
    x = Parameter("x", 3)
    assert here(Flow("f", tasks=[x])).result[x].result == 3


@row("5", "parameter_schema is a JSON schema of all parameters (S7; new)")
def _() -> None:
    flow = Flow(
        "f", tasks=[Parameter("x", type=int), Parameter("y", default=[1]), DateTimeParameter("z", None)]
    )
    schema = flow.parameter_schema()
    assert (schema["title"], schema["required"], schema["additionalProperties"]) == ("f", ["x"], False)
    assert schema["properties"]["x"] == {"type": "integer"}
    assert schema["properties"]["y"] == {"default": [1]}
    assert {"type": "string", "format": "date-time"} in schema["properties"]["z"]["anyOf"]
    json.dumps(schema)


# 6 Auto-generated tasks


@row("6", "a constant is named by its text up to 8 characters, else by its type")
def _() -> None:
    names = {1: "1", "abcdef": "'abcdef'", "abcdefg": "Constant[str]", (1, 2): "(1, 2)"}
    assert {value: Constant(value).name for value in names} == names


@row("6", "collections have arguments arg_1 ... in order, more than nine too")
def _() -> None:
    with Flow("f") as flow:
        got: Any = same([inc(number) for number in range(12)])
    (made,) = flow.get_tasks(task_type=List)
    assert [edge.key for edge in flow.edges_to(made)] == [f"arg_{number}" for number in range(1, 13)]
    assert here(flow).result[got].result == list(range(1, 13))


@row("6", "list, tuple, set and dict of tasks are tasks of the flow, and have their values (S5)")
def _() -> None:
    with Flow("f") as flow:
        one: Any = inc(1)
        got = [same(made) for made in ([one, 0], (one,), {one, 0}, {"a": one, "b": [one]})]
    state = here(flow)
    assert [state.result[each].result for each in got] == [[2, 0], (2,), {0, 2}, {"a": 2, "b": [2]}]
    kinds = [type(each).__name__ for each in flow.tasks if each.is_collection]
    # The values of a dict are a list, too.
    assert kinds == ["List", "Tuple", "Set", "List", "List", "Dict"]


@row("6", "what a list of tasks is to wait for, its readers wait for")
def _() -> None:
    @task
    def skips() -> None:
        raise signals.SKIP("none")

    with Flow("f") as flow:
        first, last = skips(), inc(1)
        inner = as_task([last])
        inner.set_upstream(first)
        inner.set_upstream(last)
        read, mapped_ = Join()(x=[inner, 2]), inc.map(inner)
        free = Join()(x=[last])
    state = here(flow)
    assert [type(state.result[one]).__name__ for one in (read, mapped_, free)] == [
        "Skipped",
        "Skipped",
        "Success",
    ]
    flow.edges.remove(Edge(first, inner))
    state = here(flow)
    assert (state.result[read].result, state.result[mapped_].result) == ({"x": [[2], 2]}, [3])


@row("6", "a consumer of a collection goes by its own rules, never a signal object (S5; 1.x gave those)")
def _() -> None:
    @task
    def fails() -> None:
        raise ValueError("told")

    @task
    def skips() -> None:
        raise signals.SKIP

    lenient = same.copy(trigger=triggers.all_finished, skip_on_upstream_skip=False)
    with Flow("f") as flow:
        failed, skipped = fails(), skips()
        of_failed: Any = lenient([failed, 1])
        of_skipped: Any = lenient([skipped, 1])
        strict: Any = same([failed, 1])
        skipping: Any = same([skipped, 1])
    state = here(flow)
    error, one = state.result[of_failed].result
    assert (str(error), one) == ("told", 1)
    assert state.result[of_skipped].result == [None, 1]
    assert type(state.result[strict]).__name__ == "TriggerFailed"
    assert state.result[skipping].is_skipped()


@row("6", "constants that are tasks end Success with their value")
def _() -> None:
    with Flow("f") as flow:
        got: Any = inc.map([1, 2], upstream_tasks=["first"])
    state = here(flow)
    constants = flow.get_tasks(task_type=Constant)
    assert [state.result[one].result for one in constants] == ["first", [1, 2]]
    assert state.result[got].result == [2, 3]


@row("6", "a map may go over a collection of tasks, and unnest one")
def _() -> None:
    with Flow("f") as flow:
        over: Any = inc.map([inc(1), 5])
        unnested: Any = inc.map(flatten([[1], [2, 3]]))
        one: Any = add(mapped([1, 2]), y=10)
    state = here(flow)
    assert [state.result[each].result for each in (over, unnested, one)] == [[3, 6], [2, 3, 4], [11, 12]]


@pytest.mark.parametrize("rule", row)
def test_the_rules_of_flows_hold(rule: str) -> None:
    row[rule]()


def test_operators_items_and_attributes_have_pythons_values_everywhere(world: Any) -> None:
    @task
    def give(x: Any) -> Any:
        return x

    a, b = 7, 3
    with Flow("operators") as flow:
        one, two = give(a), give(b)
        made = {text: eval(text, {"a": one, "b": two}) for _, text in OPERATORS}
        made |= {text.replace("b", "3"): eval(text.replace("b", "3"), {"a": one}) for _, text in OPERATORS}
        made |= {
            text.replace("a", "7"): eval(text.replace("a", "7"), {"b": two})
            for _, text in OPERATORS
            if "<" not in text
        }
        items: Any = give({"x": [1, 2]})
        others = [items["x"][0], one.is_equal(7), one.is_not_equal(7), one.not_(), one.or_(two)]
        first, second = task(lambda: (4, 5), name="pair", nout=2)()

    state = world.run(flow)

    pythons = {text: eval(text.replace("&", "and"), {"a": a, "b": b}) for text in made}
    assert {text: state.result[one].result for text, one in made.items()} == pythons
    assert [state.result[one].result for one in others] == [1, True, False, False, 7]
    assert [state.result[one].result for one in (first, second)] == [4, 5]
