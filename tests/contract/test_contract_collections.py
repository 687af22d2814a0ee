"""Lists, tuples, sets and dicts of tasks: those made by hand, a row per rule of section 6 of the reference."""

from __future__ import annotations

from typing import Any

import pytest

from prefectlite import (
    Flow,
    LocalExecutor,
    Parameter,
    apply_map,
    case,
    flatten,
    signals,
    switch,
    tags,
    task,
    triggers,
    unmapped,
)
from prefectlite import mapped as mapped_
from prefectlite.tasks.core.collections import Dict, List, Set, Tuple
from prefectlite.tasks.core.constants import Constant
from tests.contract.conftest import came_to
from tests.contract.rows import Rows

#: What a row builds: a flow, what some of its tasks come to, how the flow ends.
Row = tuple[Flow, dict[Any, Any]] | tuple[Flow, dict[Any, Any], str]

row = Rows()
building = Rows()


@task
def same(x: Any) -> Any:
    return x


@task
def inc(x: int) -> int:
    return x + 1


@task
def fails() -> None:
    raise ValueError("told")


@task
def skips() -> None:
    raise signals.SKIP("not today")


class Total(List):
    """A list of a user's own."""

    def run(self, **members: int) -> int:
        return sum(super().run(**members))


class Pair(Tuple):
    """A tuple of a user's own, whose members have names."""

    def run(self, arg_1: Any, arg_2: Any) -> tuple[Any, Any]:
        return arg_2, arg_1


# Made by hand, run


@row("6", "List, Tuple, Set and Dict made by hand are tasks that gather what they are bound to")
def _() -> Row:
    with Flow("gather") as flow:
        one = inc(1)
        made = {
            List().bind(one, 3, [4]): [2, 3, [4]],
            Tuple().bind(one, 3): (2, 3),
            Set().bind(one, 2, 3): {2, 3},
            Dict().bind(keys=["a", "b"], values=[one, 3]): {"a": 2, "b": 3},
            Dict().bind(same(["k"]), same(["v"])): {"k": "v"},
            List().bind(): [],
            List().bind(1, 2): [1, 2],
        }
    return flow, made


@row("6", "a collection made by hand has its members in the order of the call, more than nine too")
def _() -> Row:
    with Flow("order") as flow:
        listed = List().bind(*[inc(number) for number in range(12)])
        tupled = Tuple()(0, inc(0), *range(2, 12))
    return flow, {listed: list(range(1, 13)), tupled: tuple(range(12))}


@row("6", "a collection made by hand may stand in others, and hold some")
def _() -> Row:
    with Flow("nested") as flow:
        inner = List().bind(inc(1), 3)
        outer = same([inner, {"a": inner}])
        around = Tuple().bind([inc(2), 4], {"b": inner})
    return flow, {outer: [[2, 3], {"a": [2, 3]}], around: ([3, 4], {"b": [2, 3]})}


@row("6", "a called collection is a copy with options of its own")
def _() -> Row:
    with Flow("called") as flow:
        lists = List(name="mine", tags=["a"])
        first = lists(inc(1), 2)
        second = lists(fails(), 2, task_args={"trigger": triggers.any_failed, "name": "its"})
        told = same(second[1])
    return flow, {first: [2, 2], told: 2}


@row("6", "a collection made by hand has a trigger of its own, all_successful unless it says otherwise")
def _() -> Row:
    with Flow("trigger") as flow:
        failed = fails()
        strict = List().bind(failed, 2)
        lenient = List(trigger=triggers.all_finished).bind(failed, 2)
        length = same(lenient[1])
        flow.set_reference_tasks([length])
    return flow, {strict: "TriggerFailed(TaskError)", length: 2}


@row("6", "a collection made by hand is skipped with a member, unless it says otherwise")
def _() -> Row:
    with Flow("skip") as flow:
        skipped = skips()
        strict = List().bind(skipped, 2)
        lenient = List(skip_on_upstream_skip=False).bind(skipped, 2)
    return flow, {strict: "Skipped", lenient: [None, 2]}


@row("6", "a collection made by hand waits for upstream_tasks, which are no members")
def _() -> Row:
    with Flow("waits") as flow:
        listed = List().bind(inc(1), upstream_tasks=[skips()])
        called = Set()(inc(1), upstream_tasks=[inc(5)])
    return flow, {listed: "Skipped", called: {2}}


@row("6", "a collection made by hand may be mapped")
def _() -> Row:
    with Flow("mapped") as flow:
        xs, ys = same([1, 2]), same([3, 4])
        made = {
            List().bind(xs, ys, mapped=True): [[1, 3], [2, 4]],
            Tuple().map(xs, unmapped(ys)): [(1, [3, 4]), (2, [3, 4])],
            List()(mapped_(xs), 7): [[1, 7], [2, 7]],
            Set().map(flatten([[1], [2]]), inc.map(xs)): [{1, 2}, {2, 3}],
            Dict().bind(keys=unmapped(["a"]), values=same([[1], [2]]), mapped=True): [{"a": 1}, {"a": 2}],
        }
    return flow, made


@row("6", "a map may go over a collection made by hand, and an index take a member")
def _() -> Row:
    with Flow("over") as flow:
        listed = List().bind(inc(1), 7)
        over = inc.map(listed)
        taken = inc(listed[0])
    return flow, {over: [3, 8], taken: 3}


@row("6", "Dict made by hand fails if keys and values differ in number")
def _() -> Row:
    with Flow("differ") as flow:
        fewer = Dict().bind(keys=["a"], values=[inc(1), 2])
        more = Dict().bind(same(["a", "b"]), same([1]))
    return flow, {fewer: "Failed(ValueError)", more: "Failed(ValueError)"}, "Failed"


@row("6", "members of a collection made by hand may be given by edges, and go by the numbers of their names")
def _() -> Row:
    with Flow("edges") as flow:
        listed = List()
        listed.set_dependencies(keyword_tasks={"arg_10": inc(9), "arg_2": inc(1), "arg_3": 3})
        flow.add_edge(inc(0), listed, key="arg_1")
        other = Tuple()
        other.set_upstream(inc(1), key="second_2")
        other.set_upstream(same(1), key="first_1")
        alone = List()
        inc(1).set_downstream(alone)
    return flow, {listed: [1, 2, 3, 10], other: (1, 2), alone: []}


@row("6", "a member without a number fails a List and a Tuple, and is one of a Set")
def _() -> Row:
    with Flow("names") as flow:
        made = [List(), Tuple(), Set()]
        for one in made:
            one.set_dependencies(keyword_tasks={"some": inc(1), "other_2": 5})
    return flow, dict(zip(made, ["Failed(ValueError)", "Failed(ValueError)", {2, 5}], strict=True)), "Failed"


@row("6", "a collection made by hand is put into a flow outside of its block")
def _() -> Row:
    flow = Flow("outside")
    parameter = Parameter("p", default=4)
    listed = List().bind(parameter, 2, flow=flow)
    named = Dict()(["a"], [listed], flow=flow)
    alone = flow.add_task(Tuple())
    return flow, {listed: [4, 2], named: {"a": [4, 2]}, alone: ()}


@row("6", "a collection made by hand in a case is held back with it, and may be a branch of a switch")
def _() -> Row:
    with Flow("blocks") as flow:
        with case(inc(1), 3):
            listed = List().bind(inc(1))
            constant = Tuple().bind(1)
        left, taken = List().bind(inc(1)), List().bind(inc(2))
        switch(inc(1), {1: left, 2: taken})
    return flow, {listed: "Skipped", constant: "Skipped", left: "Skipped", taken: [3]}


@row("6", "a collection made by hand inside an apply_map is mapped as all else is")
def _() -> Row:
    with Flow("apply") as flow:
        lists = apply_map(lambda x, y: List()(inc(x), y, 0), [1, 2], unmapped(same("y")))
    return flow, {lists: [[2, "y", 0], [3, "y", 0]]}


@row("6", "subclasses of List and the like run as they say, and take members by position too")
def _() -> Row:
    with Flow("own") as flow:
        total = Total().bind(inc(1), 7)
        called = Total(name="sum")(inc(1), inc(2), inc(3))
        pair = Pair()(inc(1), "b")
    return flow, {total: 9, called: 9, pair: ("b", 2)}


@row("6", "a Constant in a list is the value, and no task of the flow")
def _() -> Row:
    with Flow("constants") as flow:
        listed = same([Constant(3), inc(1)])
        alone = same({"a": [Constant(3)]})
        over = inc.map([Constant(3), Constant(4)])
    assert not flow.get_tasks(task_type=Constant)
    assert [flow.constants[one] for one in flow.upstream_tasks(listed)] == [{"arg_1": 3}]
    return flow, {listed: [3, 2], alone: {"a": [3]}, over: [4, 5]}


@pytest.mark.parametrize("rule", row)
def test_row(world: Any, rule: str) -> None:
    flow, expected, *ends = row[rule]()

    state = world.run(flow)

    assert {flow.slugs[one]: came_to(state.result[one]) for one in expected} == {
        flow.slugs[one]: outcome for one, outcome in expected.items()
    }
    assert type(state).__name__ == (ends[0] if ends else "Success")


def test_a_collection_made_by_hand_is_tried_again_and_tells_its_handlers(world: Any) -> None:
    heard: list[str] = []

    def hear(task: Any, old: Any, new: Any) -> None:
        heard.append(type(new).__name__)

    with Flow("again") as flow:
        made = Dict(max_retries=1, state_handlers=[hear]).bind(keys=same(["a", "b"]), values=[inc(1)])

    state = world.run(flow).result[made]

    assert came_to(state) == "Failed(ValueError)"
    assert heard == ["Running", "Failed", "Retrying", "Running", "Failed"]


def test_a_collection_made_by_hand_hands_over_what_a_failed_member_raised(world: Any) -> None:
    @task
    def tell(x: list[Any]) -> list[str]:
        return [repr(one) for one in x]

    with Flow("failed") as flow:
        told = tell(List(trigger=triggers.all_finished).bind(fails(), 2))

    assert world.run(flow).result[told].result == ["ValueError('told')", "2"]


# Made by hand, built


@building("6", "bind puts the collection itself into the flow, a call a copy")
def _() -> None:
    with Flow("f") as flow:
        bound, called = List(), List()
        assert bound.bind(inc(1), 5) is bound
        copied = called(inc(1))
        assert copied is not called
        assert type(copied) is List
    assert bound in flow
    assert called not in flow
    assert [edge.key for edge in flow.edges_to(bound)] == ["arg_1"]
    assert flow.constants[bound] == {"arg_2": 5}


@building("6", "members are given by position; a name is a TypeError")
def _() -> None:
    flow = Flow("f")
    for made in (List(), Tuple(), Set()):
        for give in (made.bind, made, made.map):
            with pytest.raises(TypeError, match="gives 'arg_1' by name; give it by position"):
                give(arg_1=[1], flow=flow)


@building("6", "Dict takes keys and values, and misses what is not given")
def _() -> None:
    with pytest.raises(TypeError, match="the argument 'values' got no value"):
        Dict().bind(keys=["a"], flow=Flow("f"))


@building(
    "6", "outside of a flow a collection made by hand is refused, and bound twice, too (S2; 1.x took one)"
)
def _() -> None:
    with pytest.raises(ValueError, match="was used outside a flow"):
        List().bind(1)
    with Flow("f"):
        listed = List().bind(inc(1))
        with pytest.raises(ValueError, match="has a value for its argument 'arg_1' already"):
            listed.bind(2)


@building("6", "one that is made and forgotten is warned of")
def _() -> None:
    with pytest.warns(UserWarning, match="Task 'List' was made while flow 'f' was open"), Flow("f"):
        List()


@building("6", "collections made by hand have names, slugs and tags as tasks have, and count with the others")
def _() -> None:
    with tags("q"), Flow("f") as flow:
        List(name="mine").bind(1)
        List(slug="own", tags=["r"]).bind(1)
        Tuple()(1)
        same([inc(1)])
        List().bind(2)
    assert [flow.slugs[one] for one in flow.tasks if isinstance(one, List | Tuple)] == [
        "mine-q-1",
        "own",
        "Tuple-q-1",
        "List-q-1",
        "List-q-2",
    ]
    assert {one.name: set(one.tags) for one in flow.get_tasks(task_type=List) if one.slug == "own"} == {
        "List": {"q", "r"}
    }


@building(
    "6", "by its type one finds those made by hand and those of arguments, which alone are auto_generated"
)
def _() -> None:
    with Flow("f") as flow:
        for made, value in ((List(), [inc(1)]), (Tuple(), (inc(1),)), (Set(), {inc(1)})):
            made.bind(1)
            same(value)
        Dict().bind(["a"], [1])
        same({"a": inc(1)})
    for kind in (List, Tuple, Set, Dict):
        found = flow.get_tasks(task_type=kind)
        # The values of a dict are a list, as in Prefect 1.
        assert [one.auto_generated for one in found] == [False, True] + [True] * (kind is List)
        assert {(one.name, repr(one)) for one in found} == {
            (kind.__name__, f"<{kind.__name__}: {kind.__name__}>")
        }


@building(
    "6", "what a list of tasks holds beside tasks is among the flow's constants, and may be changed there"
)
def _() -> None:
    with Flow("f") as flow:
        got = same([inc(1), 2, [3]])
    (made,) = flow.get_tasks(task_type=List)
    assert flow.constants[made] == {"arg_2": 2, "arg_3": [3]}

    flow.constants[made]["arg_2"] = 5

    assert flow.run(executor=LocalExecutor()).result[got].result == [2, 5, [3]]


@building("6", "run of List and the like may be called by itself")
def _() -> None:
    assert List().run(arg_1=1, arg_10=10, arg_2=2) == [1, 2, 10]
    assert Tuple().run() == ()
    assert Set().run(any=1) == {1}
    assert Dict().run("ab", values=(1, 2)) == {"a": 1, "b": 2}
    with pytest.raises(ValueError, match="there are 1 keys and 2 values"):
        Dict().run(["a"], [1, 2])


@pytest.mark.parametrize("rule", building)
def test_the_rules_of_building_hold(rule: str) -> None:
    building[rule]()
