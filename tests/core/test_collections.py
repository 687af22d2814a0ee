"""Lists, tuples, sets, dicts and dataclasses of tasks, and the constants that hold none."""

from __future__ import annotations

import pickle
from dataclasses import InitVar, dataclass, field
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefectlite.core.annotations import EdgeAnnotation, flatten, mapped, unmapped
from prefectlite.core.assembly import Assembly
from prefectlite.core.constants import AutoList, Collection, Constant, Dict, List, Record, Set, Tuple
from prefectlite.core.graph import FlowGraph
from prefectlite.core.task import Task, task
from prefectlite.errors import DefinitionError, DefinitionTypeError


@task
def take(x: Any) -> Any:
    return x


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclass(frozen=True)
class Config:
    data: Any
    count: int = 3


@dataclass
class Derived:
    data: Any
    twice: Any = field(init=False)

    def __post_init__(self) -> None:
        self.twice = [self.data, self.data]


@dataclass
class Late:
    data: Any = None
    other: Any = field(init=False, default=None)


@dataclass
class Initial:
    data: Any
    seed: InitVar[int]


def evaluate(flow: FlowGraph, one: Task, values: dict[Task, Any]) -> Any:
    """Return what a task's argument would be, the naive way."""
    if isinstance(one, Collection):
        assembly = one.assembly(flow.constants[one])
        return assembly.build([evaluate(flow, edge.upstream, values) for edge in flow.edges_to(one)])
    return values[one]


def taken(argument: Any, *made: Any) -> tuple[FlowGraph, Task]:
    """Return the flow of ``take(argument)``, and what stands for the argument."""
    with FlowGraph("f") as flow:
        for one in made:
            flow.add_task(one)
        called: Any = take(argument)
    (edge,) = flow.edges_to(called)
    assert edge.key == "x"
    return flow, edge.upstream


A, B = Task(name="a"), Task(name="b")
VALUES = {A: 10, B: 20}


@pytest.mark.parametrize(
    ("argument", "kind", "expected"),
    [
        ([A, 1, B, None], List, [10, 1, 20, None]),
        ([1, [2, [A]], [3]], List, [1, [2, [10]], [3]]),
        ((A, "s"), Tuple, (10, "s")),
        (Pair(A, 2), Tuple, Pair(10, 2)),
        ({A, B, 1}, Set, {10, 20, 1}),
        (frozenset({A, (B, 1)}), Set, frozenset({10, (20, 1)})),
        ({"p": A, "q": 1, 3: {"r": B}}, Dict, {"p": 10, "q": 1, 3: {"r": 20}}),
        (Config(A), Record, Config(10)),
        (Config([A, B], 7), Record, Config([10, 20], 7)),
        (Derived(A), Record, Derived(10)),
        ([Config({"deep": (A,)})], List, [Config({"deep": (10,)})]),
        ([A, A], List, [10, 10]),
    ],
    ids=str,
)
def test_a_collection_is_put_together_from_its_members(
    argument: Any, kind: type[Task], expected: Any
) -> None:
    flow, upstream = taken(argument, A, B)
    assert isinstance(upstream, kind)
    assert isinstance(upstream, Collection)
    assert type(upstream).__name__ == kind.__name__
    assert type(pickle.loads(pickle.dumps(upstream))) is type(upstream)
    assert upstream.is_collection
    assert upstream.auto_generated
    built = evaluate(flow, upstream, VALUES)
    assert built == expected
    assert type(built) is type(expected)
    assembly = upstream.assembly(flow.constants[upstream])
    assert pickle.loads(pickle.dumps(assembly)) == assembly


def test_collections_are_counted_before_those_that_they_hold() -> None:
    flow, outer = taken([A, {"a": [B], "b": {"c": B}}, [B]], A, B)
    member = {edge.key: edge.upstream for edge in flow.edges_to(outer)}
    values, last = *flow.upstream_tasks(member["arg_2"]), member["arg_3"]
    within = {edge.key: edge.upstream for edge in flow.edges_to(values)}
    (deepest,) = flow.upstream_tasks(within["arg_2"])
    assert [flow.slugs[one] for one in (outer, values, within["arg_1"], deepest, last)] == [
        f"List-{number}" for number in range(1, 6)
    ]
    assert [flow.slugs[one] for one in (member["arg_2"], within["arg_2"])] == ["Dict-1", "Dict-2"]
    assert flow.sorted_tasks() == tuple(flow.tasks)


def test_a_dict_has_its_keys_and_the_list_of_its_values_as_arguments() -> None:
    flow, made = taken({"a": A, "b": 1}, A)
    (edge,) = flow.edges_to(made)
    assert (edge.key, type(edge.upstream)) == ("values", AutoList)
    assert flow.constants[made] == {"keys": ["a", "b"]}
    flow.constants[made]["keys"] = ("c", "d")
    assert evaluate(flow, made, VALUES) == {"c": 10, "d": 1}
    del flow.constants[made]["keys"]
    flow.add_edge(B, made, key="keys")
    assert evaluate(flow, made, {A: 10, B: "xy"}) == {"x": 10, "y": 1}
    with pytest.raises(DefinitionTypeError, match="'arg_3' is no argument of it"):
        flow.add_edge(B, made, key="arg_3")


def test_a_record_is_called_what_its_class_is_called() -> None:
    flow, upstream = taken(Config(A))
    assert flow.slugs[upstream] == "Config-1"


@pytest.mark.parametrize(
    "argument",
    [
        1,
        "s",
        None,
        [],
        [1, [2, {3}]],
        {"a": {"b": [1]}},
        Config(1),
        Config,
        Pair(1, 2),
        object(),
        range(3),
        {1: [None]},
    ],
    ids=str,
)
def test_what_holds_no_task_is_a_constant_and_the_very_same_object(argument: Any) -> None:
    with FlowGraph("f") as flow:
        called: Any = take(argument)
    assert flow.constants[called]["x"] is argument
    assert flow.tasks == {called}


def test_a_constant_may_hold_itself_and_be_deeply_nested() -> None:
    loop: list[Any] = [[]]
    loop[0].append(loop)
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep, object()]
    with FlowGraph("f") as flow:
        assert flow.constants[take(loop)]["x"] is loop
        assert flow.constants[take(deep)]["x"] is deep


def test_a_collection_of_tasks_that_holds_itself_is_refused() -> None:
    loop: list[Any] = [A]
    loop.append(loop)
    with FlowGraph("f"), pytest.raises(DefinitionError, match="A list that holds tasks also holds itself"):
        take(loop)


def test_a_constant_among_the_members_is_its_value_and_no_task() -> None:
    flow, upstream = taken([Constant(3), A])
    assert flow.constants[upstream] == {"arg_1": 3}
    assert not flow.get_tasks(task_type=Constant)


def test_a_container_that_stands_in_two_places_is_one_task() -> None:
    shared = [A]
    flow, upstream = taken([shared, shared])
    assert len(flow.get_tasks(task_type=List)) == 2
    assert evaluate(flow, upstream, VALUES) == [[10], [10]]


def test_members_of_a_set_stand_in_the_order_in_which_they_came_into_the_flow() -> None:
    tasks = [Task(name=f"t{number}") for number in range(30)]
    flow, upstream = taken({*tasks, (Task(name="new"),)}, *tasks)
    assert list(flow.upstream_tasks(upstream))[:30] == tasks


def test_arguments_of_a_collection_are_numbered_by_place() -> None:
    flow, upstream = taken([1, A, *[A] * 300])
    keys = [edge.key for edge in flow.edges_to(upstream)]
    assert keys[0] == "arg_2"
    assert keys[-1] == "arg_302"


def test_a_task_as_the_key_of_a_dict_is_refused() -> None:
    with FlowGraph("f"), pytest.raises(DefinitionError, match="Task 'a' is the key of a dict"):
        take({(1, 2): 3, A: 1})


@pytest.mark.parametrize("argument", [[unmapped(A)], {"x": [mapped([1])]}, [A, flatten(A)]], ids=str)
def test_an_annotation_inside_a_collection_is_refused(argument: Any) -> None:
    with FlowGraph("f"), pytest.raises(DefinitionError, match="inside a collection, where it says nothing"):
        take(argument)


def test_a_dataclass_that_cannot_be_made_again_is_refused() -> None:
    late = Late()
    late.other = A
    with FlowGraph("f"):
        with pytest.raises(
            DefinitionError, match="'Late' holds a task in a field that its constructor does not take"
        ):
            take(late)
        with pytest.raises(DefinitionError, match=r"its constructor and its fields differ in 'seed'"):
            take(Initial(A, 3))


def test_a_collection_may_be_mapped_over() -> None:
    with FlowGraph("f") as flow:
        called: Any = take.map([A, B, 3])
    (edge,) = flow.edges_to(called)
    assert isinstance(edge.upstream, List)
    assert edge.mapped


@given(
    st.recursive(
        st.one_of(st.integers(), st.just(A), st.just(B), st.text(max_size=3)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.tuples(inner, inner),
            st.dictionaries(st.text(max_size=2), inner, max_size=3),
            st.builds(Config, inner),
        ),
        max_leaves=20,
    )
)
def test_any_nesting_comes_out_as_if_tasks_were_replaced_by_their_values(argument: Any) -> None:
    def replaced(value: Any) -> Any:
        match value:
            case Task():
                return VALUES[value]
            case list():
                return [replaced(one) for one in value]
            case tuple():
                return tuple(replaced(one) for one in value)
            case dict():
                return {key: replaced(one) for key, one in value.items()}
            case Config():
                return Config(replaced(value.data))
        return value

    with FlowGraph("f") as flow:
        called: Any = take(argument)
    flow.validate()
    constants = flow.constants[called]
    got = constants["x"] if constants else evaluate(flow, next(iter(flow.edges_to(called))).upstream, VALUES)
    assert got == replaced(argument)


# Constants as tasks


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (5, "5"),
        ("abc", "'abc'"),
        ("abcdefg", "Constant[str]"),
        ("x" * 10**6, "Constant[str]"),
        (None, "None"),
        ([1, 2], "[1, 2]"),
        ([1, 2, 3], "Constant[list]"),
        ({1: 2}, "{1: 2}"),
        ({1: 2, 3: 4, 5: 6}, "Constant[dict]"),
        (10**5000, "Constant[int]"),
        (Config(1), "Constant[Config]"),
        ([[1]], "[[1]]"),
        ([[1, [2, {3}]]], "Constant[list]"),
    ],
    ids=lambda one: repr(one)[:20] if not isinstance(one, int) or one < 9 else "huge",
)
def test_a_constant_is_called_by_its_text_if_that_is_short(value: Any, name: str) -> None:
    assert Constant(value).name == name
    assert Constant(value, name="given").name == "given"
    assert Constant(value).run() is value


# Annotations


def test_annotations_say_what_they_say_of_a_value() -> None:
    assert (mapped(1).annotations, unmapped(1).annotations) == ({"mapped": True}, {"mapped": False})
    assert flatten(1).annotations == {"flattened": True}
    assert mapped(flatten(1)).annotations == {"mapped": True, "flattened": True}


def test_annotations_wrap_each_other_and_the_outer_one_counts() -> None:
    one = mapped(flatten(unmapped([1])))
    assert (one.value, one.mapped, one.flattened) == ([1], True, True)
    assert (unmapped(one).mapped, flatten(one).mapped, flatten([1]).mapped) == (False, True, None)
    assert repr(unmapped(3)) == "unmapped(3)"


def test_the_bare_annotation_is_refused() -> None:
    with pytest.raises(DefinitionTypeError, match="says nothing by itself"):
        EdgeAnnotation(3)


def test_an_assembly_fills_known_members_in_between() -> None:
    assembly = Assembly("list", 5, fixed=((0, "a"), (3, "d")))
    assert assembly.build(["b", "c", "e"]) == ["a", "b", "c", "d", "e"]
    assert Assembly("tuple", 2).build([1, 2]) == (1, 2)


def test_a_constant_has_the_options_of_tasks() -> None:
    made = Constant(3, tags=["x"], slug="three")
    with FlowGraph("f") as flow:
        flow.add_task(made)
    assert (made.name, set(made.tags), flow.slugs[made]) == ("3", {"x"}, "three")
