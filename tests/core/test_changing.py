"""Flows whose tasks, edges, constants and slugs are changed by the sets and dicts that show them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from prefectlite.core.annotations import mapped
from prefectlite.core.constants import List
from prefectlite.core.edge import Edge
from prefectlite.core.graph import FlowGraph
from prefectlite.core.parameter import Parameter
from prefectlite.core.task import Task, task
from prefectlite.errors import DefinitionError, DefinitionTypeError


@task
def add(x: int, y: int = 1) -> int:
    return x + y


@task
def total(xs: Any) -> Any:
    return xs


class Mark(Task):
    """Do nothing, with any values."""

    def run(self, **values: Any) -> None:
        """Do nothing."""


def line(*names: str) -> tuple[FlowGraph, list[Task]]:
    """Return a flow of tasks that follow one another."""
    marks: list[Task] = [Mark(name=name) for name in names]
    flow = FlowGraph("f", tasks=marks)
    flow.chain(*marks)
    return flow, marks


# Tasks


def test_a_task_that_is_added_to_the_set_is_in_the_flow() -> None:
    flow, one = FlowGraph("f"), Mark(name="one")

    flow.tasks.add(one)
    flow.tasks |= {one, Mark(name="two")}
    flow.tasks.update([Mark(name="one")])

    assert [*flow.slugs.values()] == ["one-1", "two-1", "one-2"]
    assert one in flow.tasks
    assert Mark() not in flow.tasks


def test_a_task_that_is_removed_takes_edges_constants_slug_and_part_in_the_outcome_along() -> None:
    flow, [a, b, c] = line("a", "b", "c")
    flow.constants[b]["x"] = 1
    flow.set_reference_tasks([b, c])
    held = flow.edges

    flow.tasks.remove(b)

    assert (flow.tasks, flow.edges, flow.constants) == ({a, c}, set(), {})
    assert held == set()
    assert flow.root_tasks() == flow.terminal_tasks() == {a, c}
    assert flow.reference_tasks() == {c}
    assert flow.get_tasks(slug="b-1") == []
    assert flow.upstream_tasks(c) == set()
    with pytest.raises(DefinitionError, match="is not in flow 'f'"):
        flow.edges_to(b)
    with pytest.raises(KeyError):
        flow.tasks.remove(b)
    flow.tasks.discard(b)
    flow.tasks.discard("b")
    flow.tasks.remove(c)
    assert flow.reference_tasks() == {a}


def test_a_slug_that_was_made_is_not_made_again_and_one_that_was_given_is_free() -> None:
    made, given = Mark(name="a"), Mark(slug="mine")
    flow = FlowGraph("f", tasks=[made, given])

    flow.tasks.clear()
    flow.tasks.update([made, Mark(slug="mine")])

    assert [*flow.slugs.values()] == ["a-2", "mine"]


def test_a_parameter_that_is_removed_makes_room_for_another_of_its_name() -> None:
    one, two = Parameter("n"), Parameter("n", default=2)
    flow = FlowGraph("f", tasks=[one])

    flow.tasks.remove(one)
    flow.tasks.add(two)

    assert flow.parameters() == {two}
    assert flow.check_parameters({}) == {"n": 2}


def test_tasks_keep_the_order_of_coming_whatever_goes() -> None:
    flow, [a, b, c, d] = line("a", "b", "c", "d")
    new = Mark(name="new")

    flow.tasks.add(new)
    flow.edges.difference_update([Edge(b, c), Edge(a, b)])
    flow.add_edge(d, new)

    assert [*flow.root_tasks()] == [a, b, c]
    assert [*flow.terminal_tasks()] == [a, b, new]
    assert [flow.number(one) for one in flow.tasks] == [0, 1, 2, 3, 4]
    flow.tasks.remove(b)
    late = Mark(name="late")
    flow.add_edge(late, a)
    assert [*flow.copy().root_tasks()] == [*flow.root_tasks()] == [c, late]
    assert flow.sorted_tasks() == (c, d, new, late, a)


def test_tasks_may_be_set_as_a_whole() -> None:
    flow, [a, b, c] = line("a", "b", "c")
    held, new = flow.tasks, Mark(name="new")

    flow.tasks = {a, b, new}

    assert held is not flow.tasks
    assert held == flow.tasks == {a, b, new}
    assert flow.edges == {Edge(a, b)}
    with pytest.raises(DefinitionError, match="has a task with slug 'new-1' already"):
        flow.tasks = [new, Mark(slug="new-1"), c]
    assert flow.tasks == {a, b, new}


def test_the_tasks_of_a_copy_are_its_own() -> None:
    flow, [a, b] = line("a", "b")
    twin = flow.copy()

    twin.tasks.remove(a)
    flow.tasks.remove(b)

    assert (twin.tasks, flow.tasks) == ({b}, {a})
    assert twin.edges == flow.edges == set()


# Edges


def test_an_edge_that_is_added_to_the_set_is_drawn_as_add_edge_does() -> None:
    flow, a, b = FlowGraph("f"), Mark(name="a"), Mark(name="b")

    flow.edges.add(Edge(a, b, "x"))
    flow.edges.add(Edge(a, b, "x"))
    flow.edges |= {Edge(a, b), Edge(3, b, "y")}

    assert flow.tasks == {a, b}
    assert [*flow.edges] == [Edge(a, b, "x"), Edge(a, b)]
    assert len(flow.edges) == 2
    assert flow.constants == {b: {"y": 3}}
    assert Edge(b, a) not in flow.edges
    assert Edge(a, Mark()) not in flow.edges
    assert a not in flow.edges


@pytest.mark.parametrize(
    ("edges", "error", "text"),
    [
        (lambda a, b: [Edge(b, a)], DefinitionError, "would close a cycle"),
        (
            lambda a, b: [Edge(Mark(), b, "x"), Edge(Mark(), b, "x")],
            DefinitionError,
            "for its argument 'x' already",
        ),
        (lambda a, b: [Edge(a, Parameter("n"))], DefinitionError, "cannot wait for"),
        (lambda a, b: [Edge(a, add, "z")], DefinitionTypeError, "'z' is no argument of it"),
        (lambda a, b: [(a, b)], DefinitionTypeError, "among its edges, which is no edge"),
    ],
)
def test_an_edge_that_cannot_be_is_refused_by_the_set_too(
    edges: Callable[[Task, Task], Any], error: type[Exception], text: str
) -> None:
    flow, [a, b] = line("a", "b")
    given = edges(a, b)

    with pytest.raises(error, match=text):
        flow.edges.update(given)
    before = flow.copy()
    with pytest.raises(error, match=text):
        flow.edges = [Edge(a, b), *given]

    assert flow == before


def test_what_is_no_task_is_refused_by_the_set_too() -> None:
    flow, [a, b] = line("a", "b")

    for act in (lambda: flow.tasks.add(3), lambda: setattr(flow, "tasks", [a, []])):
        with pytest.raises(DefinitionTypeError, match=r"(3|\[\]) is no task"):
            act()
    with pytest.raises(DefinitionTypeError, match=r"has edges=.*, which is no list"):
        flow.edges = a  # type: ignore[assignment]

    assert flow.tasks == {a, b}


def test_an_edge_that_is_removed_is_missed_by_the_argument_that_took_its_value() -> None:
    with FlowGraph("f") as flow:
        a: Any = add(1)
        b: Any = add(a)
    flow.validate()

    flow.edges.remove(Edge(a, b, "x"))

    with pytest.raises(KeyError):
        flow.edges.remove(Edge(a, b, "x"))
    with pytest.raises(DefinitionTypeError, match=r"'x' got no value.*or what gave the value was taken out"):
        flow.validate()
    flow.edges.add(Edge(a, b, "x"))
    flow.validate()


def test_a_task_whose_only_mapped_edge_goes_is_no_map_any_more() -> None:
    with FlowGraph("f") as flow:
        a: Any = add(1)
        b: Any = add(mapped(a))
    edge = Edge(a, b, "x", mapped=True)

    flow.edges.discard(edge)

    assert not flow.is_mapped(b)
    flow.edges.add(edge)
    assert flow.is_mapped(b)


def test_edges_go_from_a_task_that_has_many() -> None:
    hub, marks = Mark(name="hub"), [Mark() for _ in range(40)]
    flow = FlowGraph("f", edges=[Edge(mark, hub, f"x{number}") for number, mark in enumerate(marks)])
    flow.edges |= {Edge(mark, hub) for mark in marks}

    flow.edges -= {edge for edge in flow.edges if edge.key is None}
    flow.edges.remove(Edge(marks[3], hub, "x3"))
    flow.tasks.remove(marks[5])

    assert len(flow.edges) == 38
    assert Edge(marks[3], hub, "x3") not in flow.edges
    assert Edge(marks[4], hub, "x4") in flow.edges
    flow.edges.add(Edge(marks[4], hub, "x3"))
    with pytest.raises(DefinitionError, match="for its argument 'x4' already"):
        flow.edges.add(Edge(marks[3], hub, "x4"))


def test_edges_may_be_set_as_a_whole() -> None:
    flow, [a, b, c] = line("a", "b", "c")
    new = Mark(name="new")

    flow.edges = {Edge(c, a), Edge(b, c), Edge(a, new)}

    assert flow.tasks == {a, b, c, new}
    assert flow.sorted_tasks() == (b, c, a, new)
    assert flow.edges == {Edge(b, c), Edge(c, a), Edge(a, new)}


def test_an_order_may_be_drawn_twice_by_bind_and_is_one_edge() -> None:
    flow, [a, b] = line("a", "b")

    b.bind(upstream_tasks=[a], flow=flow)

    assert len(flow.edges) == 1


def test_a_member_of_a_list_may_give_way_to_another() -> None:
    with FlowGraph("f") as flow:
        a, b, c, d = (add(number) for number in range(4))
        result: Any = total([a, b, 10, c])
    [joined] = flow.upstream_tasks(result)

    flow.tasks.remove(a)

    with pytest.raises(DefinitionTypeError, match=r"Task 'List' takes .*'arg_1' got no value"):
        flow.validate()
    flow.edges.add(Edge(d, joined, "arg_1"))
    flow.validate()
    assert [edge.upstream for edge in flow.edges_to(joined)] == [d, b, c]
    with pytest.raises(DefinitionTypeError, match="'arg_5' is no argument"):
        flow.edges.add(Edge(a, joined, "arg_5"))
    for taken in ("arg_2", "arg_3"):
        with pytest.raises(DefinitionError, match=f"for its argument '{taken}' already"):
            flow.edges.add(Edge(a, joined, taken))


def test_the_members_of_a_list_that_are_no_tasks_are_constants_and_may_change() -> None:
    with FlowGraph("f") as flow:
        a, b = add(1), add(2)
        total([a, 5, [6, b]])
    inner, outer = flow.get_tasks(task_type=List)
    assert (flow.constants[inner], flow.constants[outer]) == ({"arg_1": 6}, {"arg_2": 5})

    flow.edges.remove(Edge(a, outer, "arg_1"))
    flow.constants[outer]["arg_1"] = 4
    del flow.constants[outer]["arg_2"]
    with pytest.raises(DefinitionTypeError, match=r"Task 'List' takes .*'arg_2' got no value"):
        flow.validate()
    flow.edges.add(Edge(a, outer, "arg_2"))
    flow.validate()

    assert outer.assembly(flow.constants[outer]).build(["a", "inner"]) == [4, "a", "inner"]


def test_a_list_that_is_replaced_hands_its_members_over() -> None:
    with FlowGraph("f") as flow:
        total([add(1), 5])
    [made] = flow.get_tasks(task_type=List)
    by_hand = List()

    flow.replace(made, by_hand)

    assert [edge.key for edge in flow.edges_to(by_hand)] == ["arg_1"]
    assert flow.constants[by_hand] == {"arg_2": 5}


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_of_the_sets_hold_the_members_alone(again: Callable[[Any], Any]) -> None:
    flow, _ = line("a", "b")
    tasks, edges = again(flow.tasks), again(flow.edges)

    tasks.clear()
    edges.clear()

    assert (len(flow.tasks), len(flow.edges)) == (2, 1)


# Constants


def test_constants_may_be_given_changed_and_taken_by_their_dict() -> None:
    flow = FlowGraph("f", tasks=[add])
    other = Mark()
    flow.tasks.add(other)
    held = flow.constants[add]

    held["x"] = 3
    held.update(x=4, y=5)
    flow.constants[other] = {"z": 1}

    assert (held, len(held), held.copy()) == ({"x": 4, "y": 5}, 2, {"x": 4, "y": 5})
    assert flow.constants == {add: {"x": 4, "y": 5}, other: {"z": 1}}
    assert repr(flow.constants) == repr({add: {"x": 4, "y": 5}, other: {"z": 1}})
    assert repr(held) == "{'x': 4, 'y': 5}"
    flow.validate()
    flow.constants[other] = {"w": 2}
    assert held.pop("x") == 4
    assert (flow.constants[other], flow.constants[add]) == ({"w": 2}, {"y": 5})
    with pytest.raises(DefinitionTypeError, match="'x' got no value"):
        flow.validate()
    for act in (lambda: held.pop("x"), lambda: flow.constants[Mark()], lambda: flow.constants[other]["v"]):
        with pytest.raises(KeyError):
            act()
    del flow.constants[add]
    assert (len(flow.constants), held) == (1, {})
    with pytest.raises(KeyError):
        del held["y"]


def test_constants_may_be_set_as_a_whole() -> None:
    flow = FlowGraph("f", tasks=[add, other := Mark()])
    flow.constants[other] = {"z": 1}

    flow.constants = {add: {"x": 2}}

    assert flow.constants == {add: {"x": 2}}
    with pytest.raises(DefinitionTypeError, match="Flow 'f' has constants=3; give constants by task"):
        flow.constants = 3  # type: ignore[assignment]
    with pytest.raises(DefinitionTypeError, match="'no' is no argument"):
        flow.constants = {add: {"x": 1, "no": 2}}
    assert flow.constants == {add: {"x": 2}}


def test_a_constant_that_cannot_be_is_refused_by_the_dict_too() -> None:
    with FlowGraph("f") as flow:
        a: Any = add(Parameter("n"))
    [n] = flow.parameters()

    for task_, key, error, text in (
        (a, "x", DefinitionError, "for its argument 'x' already"),
        (a, "z", DefinitionTypeError, "'z' is no argument"),
        (n, "x", DefinitionError, "cannot wait for"),
    ):
        with pytest.raises(error, match=text):
            flow.constants[task_][key] = 1

    assert flow.constants == {}


# Slugs


def test_a_task_may_be_given_another_slug() -> None:
    flow, [a, b] = line("a", "b")

    flow.slugs[a] = "first"
    flow.slugs = {a: "b-1", b: "first"}

    assert flow.slugs == {a: "b-1", b: "first"}
    assert repr(flow.slugs) == repr({a: "b-1", b: "first"})
    assert flow.get_tasks(slug="first") == [b]
    assert flow.get_tasks(slug="a-1") == []
    flow.slugs.update({a: "b-1"})
    assert flow.slugs[flow.add_task(Mark(name="b"))] == "b-2"


def test_a_slug_that_cannot_be_is_refused_by_the_dict_too() -> None:
    flow, [a, b] = line("a", "b")
    n = flow.add_task(Parameter("n"))

    for given, text in (
        ({a: "b-1"}, "has a task with slug 'b-1' already; give 'a' another one"),
        ({a: "x", b: "x"}, "has a task with slug 'x' already"),
        ({a: "x[1]"}, "Task 'a' has slug='x\\[1\\]'"),
        ({n: "m"}, "Parameter 'n' in flow 'f' was to have slug='m', but its slug is its name"),
        ({Mark(): "x"}, "is not in flow 'f'"),
    ):
        with pytest.raises(DefinitionError, match=text):
            flow.slugs.update(given)
    with pytest.raises(DefinitionTypeError, match="Flow 'f' has slugs=3; give slugs by task"):
        flow.slugs = 3  # type: ignore[assignment]

    assert [*flow.slugs.values()] == ["a-1", "b-1", "n"]
