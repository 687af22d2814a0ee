"""apply_map: what its function makes becomes mapped, what it must not do is refused, and errors leave no trace."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from prefectlite import (
    Flow,
    LocalExecutor,
    Parameter,
    apply_map,
    case,
    context,
    flatten,
    mapped,
    merge,
    tags,
    task,
    unmapped,
)
from prefectlite.errors import DefinitionError, DefinitionTypeError


@task
def inc(x: Any = 0) -> Any:
    return x + 1


@task
def add(x: Any, y: Any) -> Any:
    return x + y


@task
def echo(x: Any) -> Any:
    return x


def edges(flow: Flow, one: Any) -> list[tuple[str, str | None, bool, bool]]:
    return [(edge.upstream.name, edge.key, edge.mapped, edge.flattened) for edge in flow.edges_to(one)]


def test_edges_inside_are_mapped_and_roots_wait_for_every_argument() -> None:
    with Flow("edges") as flow:
        xs, whole = inc([1]), inc(2)

        def func(x: Any, y: Any, z: Any, k: Any) -> Any:
            root = add(x, k)
            return root, add(root, y), inc()

        root, child, free = apply_map(func, xs, unmapped(whole), flatten([[5]]), k=unmapped(7))

    assert edges(flow, root) == [
        ("inc", "x", True, False),
        ("inc", None, False, False),
        ("[[5]]", None, True, True),
    ]
    assert flow.constants[root] == {"y": 7}
    assert edges(flow, child) == [("add", "x", True, False), ("inc", "y", False, False)]
    assert edges(flow, free) == [
        ("inc", None, True, False),
        ("inc", None, False, False),
        ("[[5]]", None, True, True),
    ]
    assert len(flow.get_tasks(name="[[5]]")) == 1
    assert [flow.slugs[one] for one in (root, child, free)] == ["add-1", "add-2", "inc-3"]


def test_the_function_is_called_once_and_its_return_value_comes_back() -> None:
    class Named(NamedTuple):
        made: Any

    calls: list[Any] = []

    def func(x: Any) -> Any:
        calls.append(x)
        made = inc(x)
        return {"made": [made], "same": (x,), "other": 5, "named": Named(made)}

    with Flow("returns") as flow:
        xs = inc([1, 2])
        found = apply_map(func, xs)
        constant = apply_map(lambda x: x, [1, 2])
        summed = add(constant, [3])

    assert len(calls) == 1
    assert found["same"] == (xs,)
    assert found["other"] == 5
    assert found["made"][0] in flow
    assert found["named"].made is found["made"][0]
    assert flow.run(executor=LocalExecutor()).result[summed].result == [1, 2, 3]


def test_it_may_be_given_a_flow_and_hands_one_on() -> None:
    flow = Flow("given")
    made = apply_map(lambda x, flow: inc(x, flow=flow), [1, 2], flow=flow)

    assert flow.run(executor=LocalExecutor()).result[made].result == [2, 3]


def test_tags_slugs_and_parameters_inside() -> None:
    def func(x: Any) -> Any:
        with tags("inside"):
            return add(x, Parameter("p", default=10), task_args={"slug": "named"})

    with Flow("tags") as flow:
        made = apply_map(func, [1, 2])

    assert made.tags == {"inside"}
    assert flow.slugs[made] == "named"
    assert flow.run(executor=LocalExecutor()).result[made].result == [11, 12]


def test_items_stand_in_lists() -> None:
    def func(x: Any) -> Any:
        return add([x], [inc(x)])

    with Flow("nout") as flow:
        made = apply_map(func, [1, 2])

    assert flow.run(executor=LocalExecutor()).result[made].result == [[1, 2], [2, 3]]


def test_a_task_outside_may_wait_for_all_that_is_inside() -> None:
    with Flow("outside") as flow:
        last = inc(5)

        def func(x: Any) -> None:
            inc(x).set_downstream(last)

        apply_map(func, [1, 2])

    assert [edge.mapped for edge in flow.edges_to(last)] == [False]
    assert flow.run(executor=LocalExecutor()).result[last].result == 6


def test_a_task_outside_is_given_a_list_for_each_item() -> None:
    with Flow("outside") as flow:
        last = echo.copy()
        flow.add_task(last)
        apply_map(lambda x: last.set_upstream([x, inc(x)], key="x"), [1, 2, 3])

    assert flow.run(executor=LocalExecutor()).result[last].result == [[1, 2], [2, 3], [3, 4]]


def test_what_is_outside_stays_unconditional_in_a_block_inside() -> None:
    with Flow("unconditional") as flow:
        outside = inc(1)

        def func(x: Any) -> Any:
            with case(x, 1):
                return add(x, outside)

        made = apply_map(func, [1, 2])
    state = flow.run(executor=LocalExecutor())

    assert flow.upstream_tasks(outside) == set()
    assert state.result[outside].result == 2
    assert [type(child).__name__ for child in state.result[made].map_states] == ["Success", "Skipped"]


def test_a_list_whose_members_are_all_whole_is_whole() -> None:
    with Flow("whole") as flow:
        outside = inc(1)
        made = apply_map(lambda x, w: add([x], [outside, w]), [1, 2], unmapped(inc(5)))

    assert flow.run(executor=LocalExecutor()).result[made].result == [[1, 2, 6], [2, 2, 6]]


@pytest.mark.parametrize(
    "func",
    [
        lambda x: inc.map(x),
        lambda x: inc(mapped(x)),
        lambda x: inc(x, mapped=True),
        lambda x: apply_map(inc, x),
        lambda x: inc(x).set_upstream(inc(), mapped=True),
    ],
)
def test_a_map_inside_is_refused_and_leaves_the_flow_as_it_was(func: Any) -> None:
    with Flow("nested") as flow:
        xs = inc([1])
        with pytest.raises(
            DefinitionError, match=r"Task 'inc' is mapped inside apply_map\(.*cannot be nested"
        ):
            apply_map(func, xs)

    assert flow.tasks == {xs}


def test_a_flattened_item_is_refused() -> None:
    with Flow("flat"), pytest.raises(DefinitionError, match=r"Task 'inc' flattens .* where it is one item"):
        apply_map(lambda x: inc(flatten(x)), [[1]])


def test_whole_values_may_be_flattened_inside() -> None:
    with Flow("flat-whole") as flow:
        made = apply_map(lambda x, w: add([x], flatten(w)), [1, 2], unmapped(inc.copy(name="w")([[0]])))
        made = apply_map(lambda x, w: add([x], flatten(w)), [1, 2], unmapped([[8], [9]]))

    assert flow.run(executor=LocalExecutor()).result[made].result == [[1, 8, 9], [2, 8, 9]]


@pytest.mark.parametrize("argument", [5, None, {1, 2}, {"a": 1}, iter([1]), mapped({1: 2}), flatten(3)])
def test_an_argument_that_has_no_items_is_refused(argument: Any) -> None:
    with Flow("bad") as flow:
        with pytest.raises(
            DefinitionTypeError, match=r"apply_map\(func, ...\) maps over its argument 2, .* pass a list"
        ):
            apply_map(func, [1], argument)
        with pytest.raises(DefinitionTypeError, match="its argument 'y'"):
            apply_map(func, [1], y=argument)

    assert not flow.tasks


def func(x: Any, y: Any) -> Any:
    return add(x, y)


def test_where_no_argument_is_mapped_the_function_is_called_once() -> None:
    with Flow("none") as flow:
        made = apply_map(func, unmapped(1), y=unmapped(2))
    again = Flow("given")
    other = apply_map(lambda x, flow: flow.add_task(inc.copy()).bind(x, flow=flow), unmapped(1), flow=again)

    assert flow.run(executor=LocalExecutor()).result[made].result == 3
    assert again.run(executor=LocalExecutor()).result[other].result == 2


def test_outside_a_flow_it_says_where_it_belongs() -> None:
    with pytest.raises(DefinitionError, match=r"apply_map\(func, ...\) was used outside a flow"):
        apply_map(func, [1], [2])


def test_an_error_of_the_function_leaves_flow_and_context_as_they_were() -> None:
    def breaks(x: Any) -> None:
        with case(x, 1):
            inc(x)
            raise RuntimeError("of the user")

    with Flow("error") as flow, case(inc(), 1):
        one = inc()
        with pytest.raises(RuntimeError, match="of the user"):
            apply_map(breaks, [1])
        assert context.flow is flow
        two = inc()

    assert [up.name for up in flow.upstream_tasks(two)] == ["case(1)"]
    assert [up.name for up in flow.upstream_tasks(one)] == ["case(1)"]
    assert len(flow.tasks) == 4


def test_a_stand_in_that_got_out_says_so() -> None:
    got_out: list[Any] = []
    with Flow("out") as flow:
        apply_map(got_out.append, [1])
        wrong = inc(got_out[0])
    state = flow.run(executor=LocalExecutor())

    assert state.result[wrong].is_failed()
    assert "stands for an argument inside" in str(state.result[got_out[0]].message)


def test_a_task_made_inside_and_never_used_is_named() -> None:
    def func(x: Any) -> Any:
        task(lambda: 1, name="forgotten")
        return inc(x)

    with Flow("forgotten"), pytest.warns(UserWarning, match="'forgotten' was made while"):
        apply_map(func, [1])


def test_expressions_of_items_are_mapped_too() -> None:
    @task(nout=2)
    def pair(x: Any) -> tuple[Any, Any]:
        return x, {"double": 2 * x}

    def func(x: Any) -> Any:
        first, second = pair(x)
        with case(x > 1, True):
            more = second["double"] + x
        return merge(more, first)

    with Flow("expressions") as flow:
        made = apply_map(func, [1, 2, 3])

    assert flow.run(executor=LocalExecutor()).result[made].result == [1, 6, 9]


def test_a_known_value_that_is_handed_over_whole_is_a_constant_of_the_lists_that_it_stands_in() -> None:
    with Flow("known") as flow:
        made = apply_map(lambda x, whole: add(x, [whole, x]), [1, 2], unmapped(5))
    [values] = flow.get_tasks(name="List")

    assert flow.constants[values] == {"arg_1": 5}
    assert flow.get_tasks(name="5") == []
    assert flow.slugs[made] == "add-1"
