"""Control flow, a row per rule of section 16 of the reference."""

from __future__ import annotations

from typing import Any

import pytest

from prefectlite import (
    FilterTask,
    Flow,
    Parameter,
    apply_map,
    case,
    flatten,
    ifelse,
    merge,
    signals,
    switch,
    task,
    triggers,
    unmapped,
)
from prefectlite.core.base import Task
from prefectlite.tasks.control_flow.conditional import Merge
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
def add(x: Any, y: Any) -> Any:
    return x + y


@task
def is_odd(x: int) -> bool:
    return x % 2 == 1


@task
def fails(x: Any = None) -> None:
    raise ValueError(x)


@task
def skips(x: Any = None) -> None:
    raise signals.SKIP("of itself")


@task
def nothing(x: Any = None) -> None:
    return None


# case


@row("16", "case runs its tasks when the value is the expected one and skips them when it is not")
def _() -> Row:
    with Flow("case") as flow:
        value = same("a")
        with case(value, "a"):
            taken = inc(1)
        with case(value, "b"):
            left = inc(1)
    return flow, {taken: 2, left: "Skipped"}


@row("16", "case decides about tasks that wait for no other of the block; those after them follow")
def _() -> Row:
    with Flow("chain") as flow, case(same(1), 2):
        first = inc(1)
        second = inc(first)
        order = inc(5, upstream_tasks=[second])
    return flow, {first: "Skipped", second: "Skipped", order: "Skipped"}


@row("16", "case leaves alone what its tasks wait for outside, also if nobody else needs it")
def _() -> Row:
    with Flow("outside") as flow:
        before = inc(1)
        with case(same(1), 2):
            left = inc(before)
        after = same(left)
    return flow, {before: 2, left: "Skipped", after: "Skipped"}


@row("16", "case compares with a parameter's value")
def _() -> Row:
    with Flow("parameter") as flow:
        mode = Parameter("mode", default="fast")
        with case(mode, "fast"):
            fast = inc(1)
        with case(mode, "slow"):
            slow = inc(2)
    return flow, {fast: 2, slow: "Skipped", mode: "fast"}


@row("16", "case compares with a constant, and parameters and constants of its block run on")
def _() -> Row:
    with Flow("constant") as flow:
        with case("x", "x"):
            taken = inc(1)
        with case("x", "y"):
            left = inc(Parameter("p", default=4))
            whole = inc.map([1, 2])
    [given] = flow.parameters()
    return flow, {taken: 2, left: "Skipped", whole: "Skipped", given: 4}


@row("16", "case compares with a list of tasks")
def _() -> Row:
    with Flow("list") as flow:
        with case([inc(0), 2], [1, 2]):
            taken = inc(1)
        with case([inc(0), 2], [2, 2]):
            left = inc(1)
    return flow, {taken: 2, left: "Skipped"}


@row("16", "case compares by !=, so that 1 is True")
def _() -> Row:
    class Loud:
        def __ne__(self, other: object) -> bool:
            raise ValueError("not to be compared")

    with Flow("equal") as flow:
        with case(same(1), True):
            one = inc(1)
        with case(same(Loud()), 1):
            loud = inc(1)
    return flow, {one: 2, loud: "TriggerFailed(TaskError)"}, "Failed"


@row("16", "case is nested by making the inner comparison conditional")
def _() -> Row:
    outcomes: dict[Any, Any] = {}
    with Flow("nested") as flow:
        for outer in ("a", "b"):
            for inner in (1, 2):
                with case(same("a"), outer):
                    above = same(outer)
                    with case(same(1), inner):
                        below = add(above, "!")
                outcomes[above] = outer if outer == "a" else "Skipped"
                outcomes[below] = "a!" if (outer, inner) == ("a", 1) else "Skipped"
    return flow, outcomes


@row("16", "case fails its tasks when the value could not be made, and skips them when it was skipped")
def _() -> Row:
    with Flow("condition") as flow:
        with case(fails(), 1):
            failed = inc(1)
        with case(skips(), 1):
            skipped = inc(1)
    return flow, {failed: "TriggerFailed(TaskError)", skipped: "Skipped"}, "Failed"


@row("16", "case is no obstacle to a task with skip_on_upstream_skip=False")
def _() -> Row:
    @task(skip_on_upstream_skip=False)
    def regardless() -> int:
        return 1

    @task(skip_on_upstream_skip=False, trigger=triggers.not_all_skipped)
    def looks() -> int:
        return 1

    with Flow("regardless") as flow, case(same(1), 2):
        ran, asked = regardless(), looks()
    return flow, {ran: 1, asked: "Skipped"}


@row("16", "case holds a map as one, and a list of tasks through its consumer")
def _() -> Row:
    with Flow("map") as flow:
        a, b = inc(1), inc(2)
        with case(same(1), 2):
            mapped = inc.map([1, 2])
            summed = same([a, b])
        with case(same(1), 1):
            children = inc.map([1, 2])
            listed = same([a, inc(7)])
    return flow, {mapped: "Skipped", summed: "Skipped", children: [2, 3], listed: [2, 8], a: 2}


# switch


@row("16", "switch runs the one branch that belongs to the value and skips the others")
def _() -> Row:
    with Flow("switch") as flow:
        a, b, c = inc(1), inc(2), inc(3)
        switch(same("b"), {"a": a, "b": b, 3: c})
        after = same(c)
    return flow, {a: "Skipped", b: 3, c: "Skipped", after: "Skipped"}


@row("16", "switch takes a parameter or a constant, and no branch if none belongs to the value")
def _() -> Row:
    with Flow("switch-constant") as flow:
        a, b = inc(1), inc(2)
        switch(Parameter("which", default="a"), {"a": a})
        switch("z", {"b": b})
    return flow, {a: 2, b: "Skipped"}


@row("16", "switch leaves what a branch waits for running")
def _() -> Row:
    with Flow("switch-upstream") as flow:
        before = inc(1)
        branch = inc(before)
        switch(same("x"), {"y": branch})
    return flow, {before: 2, branch: "Skipped"}


@row("16", "switch mapped decides child by child")
def _() -> Row:
    with Flow("switch-map") as flow:
        a, b = inc.map([1, 2, 3]), inc.map([10, 20, 30])
        switch(same.map(["a", "b", "c"]), {"a": a, "b": b}, mapped=True)
    return flow, {a: [2, "Skipped", "Skipped"], b: ["Skipped", 21, "Skipped"]}


@row("16", "switch unmapped takes a mapped branch whole")
def _() -> Row:
    with Flow("switch-whole") as flow:
        a, b = inc.map([1, 2]), inc.map([3, 4])
        switch(same("a"), {"a": a, "b": b})
    return flow, {a: [2, 3], b: "Skipped"}


# ifelse


@row("16", "ifelse asks for the truth of the value")
def _() -> Row:
    outcomes: dict[Any, Any] = {}
    with Flow("ifelse") as flow:
        for value in (True, 7, "no", [1], False, 0, "", [], None):
            yes, no = inc(1), inc(2)
            ifelse(same(value), yes, no)
            outcomes |= {yes: 2 if value else "Skipped", no: "Skipped" if value else 3}
    return flow, outcomes


@row("16", "ifelse leaves out a branch that is None")
def _() -> Row:
    with Flow("ifelse-none") as flow:
        yes, no = inc(1), inc(2)
        ifelse(same(0), yes, None)
        ifelse(same(0), None, no)
        ifelse(same(0), None, None)
    return flow, {yes: "Skipped", no: 3}


@row("16", "ifelse mapped decides child by child")
def _() -> Row:
    with Flow("ifelse-map") as flow:
        yes, no = inc.map([1, 2]), inc.map([3, 4])
        ifelse(same.map([5, 0]), yes, no, mapped=True)
    return flow, {yes: [2, "Skipped"], no: ["Skipped", 5]}


# merge


@row("16", "merge gives the value of the branch that was taken")
def _() -> Row:
    with Flow("merge") as flow:
        which = same("b")
        with case(which, "a"):
            a = inc(1)
        with case(which, "b"):
            b = inc(2)
        merged = merge(a, b)
        after = inc(merged)
    return flow, {merged: 3, after: 4}


@row("16", "merge takes the first in argument order that is not None (SEMANTICS 5), also past the ninth")
def _() -> Row:
    with Flow("merge-order") as flow:
        several = merge(nothing(), skips(), same(0), same("later"))
        twelve = merge(*[nothing() for _ in range(8)], same("ninth"), same("tenth"), same("eleventh"))
        second = merge(nothing(), same("second"), *[same(n) for n in range(10)])
    return flow, {several: 0, twelve: "ninth", second: "second"}


@row("16", "merge takes no signal for a value (SEMANTICS 5) and is None if all that ran gave None")
def _() -> Row:
    with Flow("merge-skip") as flow:
        skipped = merge(skips(), same("value"))
        none = merge(skips(), nothing())
    return flow, {skipped: "value", none: None}


@row("16", "merge is skipped if all branches were, and refused if one failed")
def _() -> Row:
    with Flow("merge-ends") as flow:
        skipped = merge(skips(), skips())
        failed = merge(same(1), fails())
        empty = merge()
    return flow, {skipped: "Skipped", failed: "TriggerFailed(TaskError)", empty: "Skipped"}, "Failed"


@row("16", "merge takes constants and parameters, which are never skipped")
def _() -> Row:
    with Flow("merge-constant") as flow:
        constant = merge(skips(), "constant")
        first = merge("constant", same("task"))
        parameter = merge(skips(), Parameter("p", default=5))
        listed = merge(skips(), [inc(1), 3])
    return flow, {constant: "constant", first: "constant", parameter: 5, listed: [2, 3]}


@row("16", "merge takes the values of a map as one, and mapped it merges child by child")
def _() -> Row:
    with Flow("merge-map") as flow:
        which = same("a")
        with case(which, "a"):
            a = inc.map([1, 2])
        with case(which, "b"):
            b = inc.map([3, 4])
        whole = merge(b, a)
        yes, no = inc.map([10, 20]), inc.map([30, 40])
        ifelse(same.map([True, False]), yes, no, mapped=True)
        paired = merge(yes, no, mapped=True)
    return flow, {whole: [2, 3], paired: [11, 41]}


@row("16", "merge in a case whose branches stand outside runs, since it leaves the skip to its trigger")
def _() -> Row:
    with Flow("merge-case") as flow:
        one = inc(1)
        with case(same(1), 2):
            outside = merge(one)
            inside = merge(inc(2), inc(3))
    return flow, {outside: 2, inside: "Skipped"}


# FilterTask


@row("16", "FilterTask runs however its upstreams ended and drops None, exceptions and signals")
def _() -> Row:
    @task
    def any_end(how: Any) -> Any:
        if how == "f":
            raise ValueError
        if how == "k":
            raise signals.SKIP
        if how == "F":
            raise signals.FAIL("signal")
        return how

    with Flow("filter") as flow:
        kept = FilterTask()(any_end.map([1, "f", None, "k", 0, "F", ""]))
        after = same(kept)
    return flow, {kept: [1, 0, ""], after: [1, 0, ""]}


@row("16", "FilterTask keeps what its function approves of")
def _() -> Row:
    even = FilterTask(filter_func=lambda x: x % 2 == 0, name="even")
    with Flow("filter-func") as flow:
        kept = even(inc.map([1, 2, 3]))
        mapped = inc.map(kept)
    return flow, {kept: [2, 4], mapped: [3, 5]}


@row("16", "FilterTask may be given another trigger")
def _() -> Row:
    strict = FilterTask(trigger=triggers.all_successful, skip_on_upstream_skip=True)
    with Flow("filter-strict") as flow:
        refused = strict([inc(1), fails()])
        skipped = strict([inc(1), skips()])
    return flow, {refused: "TriggerFailed(TaskError)", skipped: "Skipped"}, "Failed"


# apply_map


@row("16", "apply_map maps all that its function makes over all arguments")
def _() -> Row:
    def both(x: Any, y: Any) -> Any:
        return add(inc(x), inc(y))

    with Flow("apply") as flow:
        constants = apply_map(both, [1, 2], [10, 20])
        tasks = apply_map(both, same([1, 2]), y=inc.map([9, 19]))
        collections = apply_map(both, [inc(0), 2], (10, 20))
    return flow, {constants: [13, 24], tasks: [13, 24], collections: [13, 24]}


@row("16", "apply_map hands unmapped arguments over whole and unnests flattened ones")
def _() -> Row:
    def each(x: Any, whole: Any) -> Any:
        return add(x, whole)

    with Flow("apply-annotated") as flow:
        constant = apply_map(each, [1, 2], unmapped(10))
        made = apply_map(each, [[1], [2]], unmapped(same([0])))
        twice = apply_map(each, [[1], [2]], unmapped([[1], [2]]))
        flat = apply_map(each, flatten(same([[1, 2], [3]])), unmapped(1))
        flat_map = apply_map(each, flatten(same.map([[1, 2], [3]])), unmapped(1))
        listed = apply_map(each, [[1], [2]], unmapped([inc(1), 5]))
        flat_whole = apply_map(each, [[1], [2]], unmapped(flatten([[7], [8]])))
    return flow, {
        constant: [11, 12],
        made: [[1, 0], [2, 0]],
        twice: [[1, [1], [2]], [2, [1], [2]]],
        flat: [2, 3, 4],
        flat_map: [2, 3, 4],
        listed: [[1, 2, 5], [2, 2, 5]],
        flat_whole: [[1, 7, 8], [2, 7, 8]],
    }


@row("16", "apply_map lets tasks without an argument wait for all arguments, so all maps are of one length")
def _() -> Row:
    def rootless(x: Any, y: Any) -> Any:
        return nothing(), inc(x), same(3)

    with Flow("apply-roots") as flow:
        x, y = same([1, 2]), same([3, 4])
        alone, read, three = apply_map(rootless, x, y)
        short = apply_map(lambda x, y: inc(x), [1, 2, 3], [1, 2])
        failed = apply_map(lambda x, y: inc(x), [1, 2], unmapped(fails()))
    return (
        flow,
        {
            alone: [None, None],
            read: [2, 3],
            three: [3, 3],
            short: "Failed(DefinitionError)",
            failed: ["TriggerFailed(TaskError)"] * 2,
        },
        "Failed",
    )


@row("16", "apply_map works with case, merge and switch inside, child by child")
def _() -> Row:
    def branches(x: Any) -> Any:
        odd = is_odd(x)
        with case(odd, True):
            up = inc(x)
        with case(odd, False), case(x, 2):
            two = same("two")
        a, b = same("odd"), same("even")
        switch(odd, {True: a, False: b})
        return merge(up, two, same("other")), merge(a, b)

    with Flow("apply-case") as flow:
        one, two = apply_map(branches, same([1, 2, 3, 4]))
    return flow, {one: [2, "two", 4, "other"], two: ["odd", "even", "odd", "even"]}


@row("16", "apply_map in a case is held back with it")
def _() -> Row:
    with Flow("apply-in-case") as flow:
        with case(same(1), 2):
            left = apply_map(lambda x: inc(inc(x)), [1, 2])
        with case(same(1), 1):
            taken = apply_map(lambda x: inc(inc(x)), [1, 2])
    return flow, {left: "Skipped", taken: [3, 4]}


@row("16", "apply_map gives each child its own failures and skips")
def _() -> Row:
    @task
    def odd_only(x: int) -> int:
        if x == 2:
            raise signals.SKIP
        if x == 4:
            raise ValueError
        return x

    with Flow("apply-ends") as flow:
        last = apply_map(lambda x: inc(odd_only(x)), [1, 2, 3, 4])
    return flow, {last: [2, "Skipped", 4, "TriggerFailed(TaskError)"]}, "Failed"


@row("16", "apply_map after apply_map goes child by child, and of an empty list is empty")
def _() -> Row:
    def twice(x: Any) -> Any:
        return inc(inc(x))

    with Flow("apply-again") as flow:
        again = apply_map(twice, apply_map(twice, [1, 2]))
        total = same(again)
        empty = apply_map(twice, [])
    return flow, {again: [5, 6], total: [5, 6], empty: []}


@row("16", "apply_map hands what its function takes from outside over whole")
def _() -> Row:
    with Flow("apply-closure") as flow:
        outside = same([0])
        with_outside = apply_map(lambda x: add(x, outside), [[1], [2]])
        itself = same([1, 2])
        lengths = apply_map(lambda x: add([x], itself), itself)
    return flow, {with_outside: [[1, 0], [2, 0]], lengths: [[1, 1, 2], [2, 1, 2]], outside: [0]}


@row("16", "apply_map takes lists and dicts of tasks inside")
def _() -> Row:
    def collects(x: Any, whole: Any) -> Any:
        pair = same([x, inc(x), 0, [whole, inc(7)]])
        named = same({"x": x, "fixed": (whole, 1)})
        return pair, named

    with Flow("apply-lists") as flow:
        pair, named = apply_map(collects, same([1, 2]), unmapped(same("w")))
    return flow, {
        pair: [[1, 2, 0, ["w", 8]], [2, 3, 0, ["w", 8]]],
        named: [{"x": 1, "fixed": ("w", 1)}, {"x": 2, "fixed": ("w", 1)}],
    }


@row("16", "apply_map gives a list inside the exception of a failed member and None for a skipped one")
def _() -> Row:
    @task
    def ends(x: int) -> int:
        if x == 1:
            raise ValueError("one")
        if x == 2:
            raise signals.SKIP
        return x

    @task(trigger=triggers.all_finished, skip_on_upstream_skip=False)
    def kinds(values: list[Any]) -> list[str]:
        return [type(value).__name__ for value in values]

    with Flow("apply-lenient") as flow:
        told, strict = apply_map(lambda x: (kinds([ends(x), x]), same([ends(x), x])), [1, 2, 3])
    return (
        flow,
        {
            told: [["ValueError", "int"], ["NoneType", "int"], ["int", "int"]],
            strict: ["TriggerFailed(TaskError)", "Skipped", [3, 3]],
        },
        "Failed",
    )


# What holds when the flow is built


@building("16", "case: a value that is a task is a TypeError")
def _() -> None:
    with pytest.raises(TypeError, match="would compare with a task"):
        case(1, Parameter("p"))


@building("16", "case: tasks of two flows in one block are a ValueError")
def _() -> None:
    with Flow("one"), case(inc(1), 1):
        inc(1)
        with pytest.raises(ValueError, match="holds tasks of flow 'one'"):
            inc(1, flow=Flow("two"))


@building("16", "switch: a branch that cannot be skipped is a TypeError (1.x let it run)")
def _() -> None:
    with Flow("switch"), pytest.raises(TypeError, match="which no switch can skip"):
        switch(inc(1), {"a": [inc(2)]})


@building("16", "merge: skip_on_upstream_skip=True is a ValueError")
def _() -> None:
    with pytest.raises(ValueError, match="leave the option away"):
        Merge(skip_on_upstream_skip=True)


@building("16", "merge: trigger not_all_skipped, skip_on_upstream_skip False")
def _() -> None:
    with Flow("merge"):
        merged = merge(inc(1), inc(2))
    assert merged.trigger is triggers.not_all_skipped
    assert merged.skip_on_upstream_skip is False


@building("16", "switch: its comparisons are tagged 'switch' and called by their values")
def _() -> None:
    with Flow("tagged") as flow:
        switch(inc(1), {"a": inc(2), 3: inc(3)})
        ifelse(inc(1), inc(2), None)
    assert {flow.slugs[one] for one in flow.get_tasks(tags=["switch"])} == {
        'CompareValue: "a"-switch-1',
        'CompareValue: "3"-switch-1',
        'CompareValue: "True"-switch-1',
    }


@building("16", "FilterTask: trigger all_finished, skip_on_upstream_skip False")
def _() -> None:
    assert FilterTask().trigger is triggers.all_finished
    assert FilterTask().skip_on_upstream_skip is False


@building("16", "apply_map: an argument without items is a TypeError, a map inside a ValueError")
def _() -> None:
    with Flow("apply"):
        with pytest.raises(TypeError, match="cannot be taken item by item"):
            apply_map(inc, 5)
        with pytest.raises(ValueError, match="maps cannot be nested"):
            apply_map(lambda x: inc.map(x), [[1]])


@pytest.mark.parametrize("rule", building)
def test_the_rules_of_building_hold(rule: str) -> None:
    building[rule]()


@pytest.mark.parametrize("rule", row)
def test_row(world: Any, rule: str) -> None:
    flow, expected, *ends = row[rule]()

    state = world.run(flow)

    outcomes = {one: came_to(state.result[one]) for one in expected}
    assert {_name(flow, one): outcome for one, outcome in outcomes.items()} == {
        _name(flow, one): outcome for one, outcome in expected.items()
    }
    assert type(state).__name__ == (ends[0] if ends else "Success")


def _name(flow: Flow, one: Task) -> str:
    return flow.slugs[one]


def test_the_lists_inside_an_apply_map_have_values_in_the_flows_state(world: Any) -> None:
    def pairs(x: Any, y: Any, whole: Any) -> Any:
        return same([inc(x), x, y, whole, "fixed"])

    with Flow("inside") as flow:
        kept = inc.copy(keep_result=True)
        apply_map(pairs, kept.map([0, 1]), flatten([[5], [6]]), unmapped(kept(8)))
    [listed] = flow.get_tasks(name="List")

    state = world.run(flow).result[listed]

    assert [child.result[1:] for child in state.map_states] == [[1, 5, 9, "fixed"], [2, 6, 9, "fixed"]]
