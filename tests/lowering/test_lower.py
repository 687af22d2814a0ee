"""From Submits to shipments: what rides along, what is shared, what is refused, and what a body may know."""

from __future__ import annotations

import enum
import os
import pickle
import threading
from typing import Any

import numpy as np
import pytest

from prefectlite.core.annotations import flatten, mapped, unmapped
from prefectlite.core.graph import FlowGraph
from prefectlite.core.parameter import Parameter
from prefectlite.core.task import Task, task
from prefectlite.engine.inputs import Argument, FromCollection, FromDriver, FromMany, FromRun
from prefectlite.engine.instructions import Submit
from prefectlite.errors import SerializationError, TaskError
from prefectlite.lowering.envelope import Envelope, FlowFacts
from prefectlite.lowering.lower import Lowering
from prefectlite.lowering.recipes import value_of
from prefectlite.lowering.spec import ASSEMBLE, MANY, NEED, NEEDS, PACKED, Spec, opened
from prefectlite.lowering.upstreams import fact_of
from prefectlite.rules.triggers import all_finished
from prefectlite.states.keys import RunKey
from prefectlite.states.state import Cancelled, Failed, Mapped, Running, Skipped, Success


@task
def inc(x: Any = 0) -> Any:
    return x + 1


@task
def collect(xs: Any, extra: Any = None) -> Any:
    return xs


@task
def each(x: Any, extra: Any = None, more: Any = None) -> Any:
    return x


class Adder(Task):
    def __init__(self, n: int, **options: Any) -> None:
        super().__init__(**options)
        self.n = n

    def run(self, x: int = 0) -> int:
        return x + self.n


LOCK = threading.Lock()


def test_ten_thousand_calls_share_one_pickled_task(bench: Any, spec_of: Any) -> None:
    with FlowGraph("f") as graph:
        for i in range(50):
            inc(i)
    lowered = bench(graph).start()
    assert len({id(s.task) for s in lowered.shipments}) == 1
    assert len({id(s.flow) for s in lowered.shipments}) == 1
    assert [spec_of(s).given for s in lowered.shipments] == [{"x": i} for i in range(50)]
    assert all(len(s.spec) < 80 for s in lowered.shipments)
    envelope = pickle.loads(lowered.shipments[0].task.payload)
    assert isinstance(envelope, Envelope)
    assert envelope.run(x=4) == 5
    facts = pickle.loads(lowered.shipments[0].flow.payload)
    assert isinstance(facts, FlowFacts)
    assert facts.flow_name == "f"


def test_copies_of_a_task_class_share_one_pickled_task_too(bench: Any) -> None:
    add_2, add_3 = Adder(2), Adder(3, state_handlers=[lambda task, old, new, lock=LOCK: new])
    with FlowGraph("f") as graph:
        shown = [add_2(1), add_2(2), add_3(1)]
    lowered = bench(graph).start()
    # The one with a state handler waits for its driver to be asked.
    assert len(lowered.shipments) == 2
    assert lowered.shipments[0].task is lowered.shipments[1].task
    assert pickle.loads(lowered.shipments[0].task.payload).run(x=5) == 7
    assert shown


def test_a_shipment_says_how_many_may_share_a_bundle_as_its_task_does(bench: Any) -> None:
    class Own(Task):
        def run(self, x: int) -> int:
            return x

    with FlowGraph("f") as graph:
        for size in ("auto", None, 7):
            inc(1, task_args={"bundle_size": size})
            Own(bundle_size=size)(1)
            each.copy(bundle_size=size).map([1, 2])
    said = {one.slug: one.most for one in bench(graph).start().shipments}
    for name in ("inc", "Own", "each"):
        assert [said[f"{name}-{number}"] for number in (1, 2, 3)] == [None, 1, 7]


def test_an_upstream_in_flight_is_read_under_its_key_and_waited_for(bench: Any, spec_of: Any) -> None:
    with FlowGraph("f") as graph:
        a = inc(1)
        b = each(a, extra=a)
    rig = bench(graph)
    first, second = rig.start().shipments
    assert first.needs == ()
    assert second.needs == ((first.run, 1, 1),)
    spec = spec_of(second)
    assert spec.recipes == (("x", (NEED, 0, None, False)), ("extra", (NEED, 0, None, False)))
    assert spec.upstreams == (("inc-1", "x", 0), ("inc-1", "extra", 0))
    assert (spec.slug, spec.map_index, spec.attempt) == ("each-1", None, 1)
    assert first.key[0].startswith("f.inc-0-")
    assert second.run == rig.number(b)


def test_an_edge_without_a_value_is_followed_where_nobody_reads_it(bench: Any, spec_of: Any) -> None:
    with FlowGraph("f") as graph:
        a = inc(1)
        inc(2, upstream_tasks=[a])
    first, second = bench(graph).start().shipments
    assert spec_of(first).drop_value
    assert second.needs == ((first.run, 1, 1),)
    assert spec_of(second).recipes == ()
    assert spec_of(second).upstreams == (("inc-1", None, 0),)


def test_a_state_only_upstream_that_is_final_is_told_without_a_key(bench: Any, spec_of: Any) -> None:
    with FlowGraph("f") as graph:
        a = inc(1, task_args={"keep_result": True})
        inc(2, upstream_tasks=[a], task_args={"trigger": all_finished})
    rig = bench(graph)
    rig.start()
    (second,) = rig.finish(rig.number(a), Failed("it broke", ValueError("x"))).shipments
    assert second.needs == ()
    ((slug, argument, fact),) = spec_of(second).upstreams
    assert (slug, argument, fact.message, fact.has_result) == ("inc-1", None, "it broke", False)


def test_a_failed_upstreams_value_is_its_exception_and_a_skipped_ones_is_none(
    bench: Any, spec_of: Any
) -> None:
    with FlowGraph("f") as graph:
        a, b = inc(1), inc(2)
        collect([a, b], task_args={"trigger": all_finished, "skip_on_upstream_skip": False})
    rig = bench(graph)
    rig.start()
    rig.finish(rig.number(a), Failed("no", ValueError("bad")))
    lowered = rig.finish(rig.number(b), Skipped("not today"))
    # The list itself is a task with the default rules, so its consumer reads what they make of it.
    (shipment,) = lowered.shipments
    spec = spec_of(shipment)
    made = [*spec.given, *(name for name, _ in spec.recipes)]
    assert made == ["xs"]


def test_what_the_driver_knows_is_sent_along(bench: Any, spec_of: Any) -> None:
    with FlowGraph("f") as graph:
        each(inc(1), task_args={"trigger": all_finished})
    rig = bench(graph)
    rig.start()
    (shipment,) = rig.finish(0, Failed("no", KeyError("k"))).shipments
    ((name, (op, payload, *_)),) = spec_of(shipment).recipes
    assert (name, op) == ("x", PACKED)
    error = pickle.loads(payload)
    assert isinstance(error, KeyError)
    assert error.args == ("k",)


def test_an_exception_that_cannot_be_pickled_is_replaced_for_its_reader(bench: Any, spec_of: Any) -> None:
    with FlowGraph("f") as graph:
        each(inc(1), task_args={"trigger": all_finished})
    rig = bench(graph)
    rig.start()
    (shipment,) = rig.finish(0, Failed("no", ValueError(LOCK))).shipments
    ((_, (_, payload, *_)),) = spec_of(shipment).recipes
    error = pickle.loads(payload)
    assert isinstance(error, TaskError)
    assert error.type_name == "ValueError"


def test_each_child_carries_its_own_element_only(bench: Any, spec_of: Any) -> None:
    with FlowGraph("f") as graph:
        each.map(list(range(100, 110)))
    lowered = bench(graph, singly=True).start()
    assert [spec_of(s).given["x"] for s in lowered.shipments] == list(range(100, 110))
    assert [s.key[1] for s in lowered.shipments] == list(range(10))
    assert lowered.literals == []
    assert max(len(s.spec) for s in lowered.shipments) < 120


def test_elements_are_taken_from_what_was_unnested_once(bench: Any, spec_of: Any) -> None:
    with FlowGraph("f") as graph:
        each.map(flatten([[1, 2], [3]]), extra=unmapped(flatten([[1], [2]])))
    lowered = bench(graph, singly=True).start()
    specs = [spec_of(s) for s in lowered.shipments]
    assert [s.given["x"] for s in specs] == [1, 2, 3]
    assert [pickle.loads(r[1]) for s in specs for _, r in s.recipes] == [[1, 2]] * 3


def test_what_all_children_read_travels_once(bench: Any, spec_of: Any) -> None:
    big = list(range(10_000, 12_000))
    with FlowGraph("f") as graph:
        each.map([1, 2, 3], extra=unmapped(big), more=unmapped("few"))
    lowered = bench(graph, singly=True).start()
    (literal,) = lowered.literals
    assert pickle.loads(literal.payload) == big
    assert literal.key[3:] == (0, 0)
    assert [s.needs for s in lowered.shipments] == [(literal.key,)] * 3
    assert max(len(s.spec) for s in lowered.shipments) < 200
    assert all(spec_of(s).given["more"] == "few" for s in lowered.shipments)


def test_a_large_constant_gets_a_key_and_a_small_one_rides_along(bench: Any, spec_of: Any) -> None:
    large, medium = np.zeros(20_000), list(range(1000))
    with FlowGraph("f") as graph:
        each(large, extra=medium)
        each(0, extra=medium)
        each(large)
    lowered = bench(graph).start()
    # The second reader of the same list shows that it is better off under a key.
    assert [len(literal.payload) > 64 * 1024 for literal in lowered.literals] == [True, False]
    a, b, c = lowered.shipments
    assert [op for _, (op, *_) in spec_of(a).recipes] == [NEED, PACKED]
    assert [op for _, (op, *_) in spec_of(b).recipes] == [NEED]
    assert c.needs == (lowered.literals[0].key,)


def test_a_large_element_or_result_of_the_driver_gets_a_key_of_its_own(bench: Any, spec_of: Any) -> None:
    with FlowGraph("f") as graph:
        each.map([np.zeros(20_000), 1])
    lowered = bench(graph).start()
    assert len(lowered.literals) == 1
    assert spec_of(lowered.shipments[0]).recipes == (("x", (NEED, 0, None, False)),)


def test_parameters_ride_with_the_flow_not_with_each_task(bench: Any) -> None:
    with FlowGraph("f") as graph:
        p = Parameter("p")
        for _ in range(5):
            each(1, extra=p)
    lowered = bench(graph, {"p": "x" * 1_200_000}).start()
    kinds = sorted(literal.kind for literal in lowered.literals)
    assert kinds == ["blob", "value"]
    assert all(len(s.spec) < 300 for s in lowered.shipments)
    assert lowered.shipments[0].flow.key in {literal.key for literal in lowered.literals}
    assert pickle.loads(lowered.shipments[0].flow.payload).parameters["p"][:2] == "xx"


def test_new_shared_data_waits_for_a_turn_that_sends_something(bench: Any) -> None:
    with FlowGraph("f") as graph:
        p = Parameter("p")
        each(1, extra=p)
    rig = bench(graph, {"p": "x" * 100_000})
    assert rig.lowering.lower([], rig.engine.state).literals == []
    assert len(rig.start().literals) == 2
    assert rig.lowering.lower([], rig.engine.state).literals == []


def test_a_reduce_names_its_children_as_a_range(bench: Any, spec_of: Any) -> None:
    with FlowGraph("f") as graph:
        collect(each.map([1, 2, 3]))
    shipments = bench(graph).start().shipments
    spec = spec_of(shipments[-1])
    assert spec.recipes == (("xs", (NEEDS, range(3), None, False)),)
    assert spec.upstreams == (("each-1", "xs", {"Success": 3}),)
    (block,) = shipments[:-1]
    assert shipments[-1].needs == ((block.runs.start, 1, 3),)


def test_a_reduce_over_children_that_failed_mixes_keys_and_exceptions(bench: Any, spec_of: Any) -> None:
    with FlowGraph("f") as graph:
        children = each.map([1, 2])
        collect(children, task_args={"trigger": all_finished})
    rig = bench(graph, singly=True)
    first = rig.start()
    runs = [s.run for s in first.shipments]
    rig.finish(runs[0])
    (shipment,) = rig.finish(runs[1], Failed("no", ValueError("v"))).shipments
    spec = spec_of(shipment)
    ((_, (op, members, _, _)),) = spec.recipes
    assert op == MANY
    assert [member[0] for member in members] == [NEED, PACKED]
    assert spec.upstreams[0][2] == {"Success": 1, "Failed": 1}


def test_a_collection_is_put_together_by_its_reader(bench: Any, spec_of: Any) -> None:
    with FlowGraph("f") as graph:
        a = inc(1)
        collect([a, {"b": [a, 2]}, "plain"])
    shipment = bench(graph).start().shipments[-1]
    ((_, (op, (assembly, members), _, _)),) = spec_of(shipment).recipes
    assert op == ASSEMBLE
    assert assembly.fixed == ()
    assert len(members) == 3
    assert len(shipment.needs) == 1


def test_what_is_told_stays_a_tuple_for_its_bundle_unless_something_of_the_users_may_be_in_it(
    bench: Any,
) -> None:
    with FlowGraph("f") as graph:
        a = inc(1)
        collect(a, extra=[3.0])
        collect([a, 2])
    shipments = bench(graph).start().shipments
    assert [type(one.told) for one in shipments] == [tuple, tuple, bytes]
    assert [opened(one.spec) == opened(one.told) for one in shipments] == [True] * 3
    assert Spec._make(opened(shipments[1].told)).upstreams == (("inc-1", "xs", 0),)


def test_what_only_calls_itself_a_number_is_no_plain_value(bench: Any) -> None:
    class Sly:
        __class__ = int  # type: ignore[assignment]

    with FlowGraph("f") as graph:
        inc(1)
        inc(Sly())
    lowered = bench(graph).start()
    assert [shipment.slug for shipment in lowered.shipments] == ["inc-1"]
    assert [submit.key.slug for submit, _ in lowered.refused] == ["inc-2"]


def test_a_large_known_member_of_a_collection_is_sent_once(bench: Any, spec_of: Any) -> None:
    big = "x" * 100_000
    with FlowGraph("f") as graph:
        a = inc(1)
        xs = [a, big, "y" * 300]
        each.map([1, 2], extra=unmapped(xs))
        each.map(x=mapped([1, 2]), extra=unmapped(xs))
    rig = bench(graph, singly=True)
    rig.start()
    lowered = rig.finish(0)
    assert len(lowered.shipments) == 4
    assert sum(len(s.spec) for s in lowered.shipments) < 6000
    assert len(lowered.literals) == 1
    ((_, (op, (assembly, members), _, _)),) = spec_of(lowered.shipments[0]).recipes
    assert (op, assembly.fixed, [member[0] for member in members]) == (ASSEMBLE, (), [NEED, NEED, PACKED])


def test_children_take_elements_of_an_upstreams_value_where_they_run(bench: Any, spec_of: Any) -> None:
    with FlowGraph("f") as graph:
        each.map(inc(1))
    rig = bench(graph, singly=True)
    (up,) = rig.start().shipments
    assert spec_of(up).measure == ("length",)
    children = rig.finish(0, length=2).shipments
    assert [spec_of(s).recipes for s in children] == [(("x", (NEED, 0, i, False)),) for i in range(2)]
    assert [s.needs for s in children] == [((up.run, 1, 1),)] * 2


def test_an_argument_that_cannot_be_pickled_refuses_its_run_and_no_other(bench: Any) -> None:
    with FlowGraph("f") as graph:
        bad = each(1, extra=LOCK)
        each(bad)
        each(2)
    rig = bench(graph)
    lowered = rig.start()
    ((submit, error),) = lowered.refused
    assert submit.run == rig.number(bad)
    assert isinstance(error, SerializationError)
    for word in ("each-1", "'extra'", "_thread.lock", "make it inside the task"):
        assert word in str(error)
    # What was to go ahead of the refused one is left out: its input will never be there.
    assert [s.slug for s in lowered.shipments] == ["each-3"]


def test_what_hangs_on_an_unsent_run_is_left_out_in_later_turns_too(bench: Any) -> None:
    with FlowGraph("f") as graph:
        each(each(each(1, extra=LOCK)))
    assert bench(graph).start().shipments == []


def test_an_element_that_cannot_be_pickled_or_read_refuses_its_child(bench: Any) -> None:
    class Odd(list):  # type: ignore[type-arg]
        def __getitem__(self, place: Any) -> Any:
            if place == 1:
                raise OSError("disk gone")
            return super().__getitem__(place)

    with FlowGraph("f") as graph:
        p = Parameter("p")
        each.map(p)
    lowered = bench(graph, {"p": Odd([1, 2, LOCK])}).start()
    assert [s.key[1] for s in lowered.shipments] == [0]
    texts = [str(error) for _, error in lowered.refused]
    assert "each-1[1]" in texts[0]
    assert "OSError: disk gone" in texts[0]
    assert "each-1[2]" in texts[1]


def test_a_parameter_that_cannot_be_pickled_is_missing_in_contexts_only(bench: Any) -> None:
    with FlowGraph("f") as graph:
        p, q = Parameter("p"), Parameter("q")
        each(p)
        each(q)
    lowered = bench(graph, {"p": LOCK, "q": 4}).start()
    assert [s.slug for s in lowered.shipments] == ["each-2"]
    assert pickle.loads(lowered.shipments[0].flow.payload).parameters == {"q": 4}


def test_a_function_that_cannot_be_pickled_refuses_each_of_its_runs_with_the_same_error(bench: Any) -> None:
    held = threading.Lock()

    @task
    def locked(x: int) -> Any:
        return held

    with FlowGraph("f") as graph:
        locked(1)
        locked(2)
        inc(1)
    lowered = bench(graph).start()
    errors = [error for _, error in lowered.refused]
    assert len(errors) == 2
    assert errors[0] is errors[1]
    assert "Task 'locked' cannot be sent" in str(errors[0])
    assert len(lowered.shipments) == 1


def test_a_state_that_cannot_be_copied_refuses_its_reader_alone(bench: Any) -> None:
    class Odd(Failed):
        __slots__ = ()

        def __init__(self) -> None:
            super().__init__("odd")

    with FlowGraph("f") as graph:
        inc(2, upstream_tasks=[inc(1)], task_args={"trigger": all_finished})
    rig = bench(graph)
    rig.start()
    submit = Submit(1, 1, 9, RunKey("inc-2"))
    ((_, error),) = rig.lowering.lower([submit], {0: Odd()}.__getitem__).refused
    assert isinstance(error, TypeError)


def test_in_this_process_nothing_is_pickled(bench: Any) -> None:
    held = threading.Lock()

    @task
    def locked(x: Any, y: Any) -> Any:
        return held

    with FlowGraph("f") as graph:
        a = inc(1)
        locked(held, [a, held])
        each.map([held], extra=unmapped([held] * 100))
    lowered = bench(graph, pickles=False).start()
    assert lowered.refused == []
    assert lowered.literals == []
    by_slug = {s.slug: s for s in lowered.shipments}
    assert by_slug["locked-1"].live.given == {"x": held}
    assert by_slug["locked-1"].task.content.run is locked.run
    assert by_slug["each-1"].live.given["x"] is held
    assert by_slug["each-1"].spec == by_slug["each-1"].task.payload == b""


def test_only_tasks_that_ask_for_something_are_annotated(bench: Any) -> None:
    asking = {"resources": {"GPU": 2}, "priority": 3, "workers": ["alice"], "tags": ["dask-resource:MEM=1"]}
    with FlowGraph("f") as graph:
        inc(1)
        inc(2, task_args=asking)
        inc(3, task_args={"tags": ["nightly"]})
    plain, asked, tagged = bench(graph).start().shipments
    assert plain.annotations is None
    assert tagged.annotations is None
    assert asked.annotations == {
        "resources": {"GPU": 2, "MEM": 1.0},
        "priority": 3,
        "workers": ["alice"],
        "allow_other_workers": False,
    }


def test_a_need_names_the_submission_whose_value_is_read(bench: Any) -> None:
    with FlowGraph("f") as graph:
        inc(1, task_args={"max_retries": 1})
        inc(2)
    rig = bench(graph)
    first, _ = rig.start().shipments
    again = Submit(0, 2, 2, RunKey("inc-1"))
    (second,) = rig.lowering.lower([again], rig.engine.state).shipments
    assert first.key[3:] == (1, 1)
    assert second.key[3:] == (2, 2)
    x, order = Argument("x", FromRun(0, 2)), FromRun(0, 1)
    (reader,) = rig.lowering.lower(
        [Submit(1, 1, 2, RunKey("inc-2"), (x,), (order,))], rig.engine.state
    ).shipments
    assert reader.needs == ((0, 2, 1), (0, 1, 1))


def test_handed_parts_may_be_unnested_elements(bench: Any, spec_of: Any) -> None:
    with FlowGraph("f") as graph:
        a = inc(1)
        collect([a, 5])
    rig = bench(graph)
    rig.start()
    states = {0: Success("given", [[1, 2], [3]])}
    collection = next(iter(rig.compiled.assemblies))
    name = RunKey("collect-1")
    run = max(rig.compiled.numbers.values())
    cases = {
        FromDriver(0, None, True): [1, 2, 3],
        FromDriver(0, 1, True): 2,
        FromDriver(0, 1): [3],
        FromDriver(0): [[1, 2], [3]],
    }
    for source, value in cases.items():
        submit = Submit(run, 1, 9, name, (Argument("xs", source),))
        (shipment,) = rig.lowering.lower([submit], states.__getitem__).shipments
        spec = spec_of(shipment)
        got = spec.given["xs"] if "xs" in spec.given else pickle.loads(spec.recipes[0][1][1])
        assert got == value
    whole = FromCollection(collection, (FromRun(0, 1),), item=1)
    many = FromMany((FromRun(0, 1, item=2),), flat=True)
    submit = Submit(run, 1, 9, name, (Argument("xs", whole), Argument("extra", many)))
    (shipment,) = rig.lowering.lower([submit], rig.engine.state).shipments
    recipes = dict(spec_of(shipment).recipes)
    assert recipes["xs"][2:] == (1, False)
    assert recipes["extra"] == (MANY, ((NEED, 0, 2, False),), None, True)


def test_an_empty_map_is_an_empty_list(bench: Any, spec_of: Any) -> None:
    with FlowGraph("f") as graph:
        collect(each.map([]))
    (shipment,) = bench(graph).start().shipments
    assert spec_of(shipment).recipes == (("xs", (NEEDS, (), None, False)),)


def test_a_failure_without_an_exception_reads_as_one() -> None:
    error = value_of(Failed("not today"))
    assert isinstance(error, TaskError)
    assert str(error) == "Failed: not today"
    assert value_of(Failed("no", None)) is None
    assert value_of(Skipped("s")) is None


def test_what_was_cancelled_is_no_failure_and_reads_as_its_result() -> None:
    assert value_of(Cancelled("called off")) is None
    assert value_of(Cancelled("called off", 3)) == 3
    assert value_of(Success("s", 3)) == 3


def test_what_travels_of_a_state_is_all_but_its_result_and_odd_context() -> None:
    assert fact_of(Success("plain", 5)) is None
    assert fact_of(Running()) is None
    assert fact_of(Mapped(map_states=[Success(), Failed(), Success()])) == {"Success": 2, "Failed": 1}
    bare = fact_of(Mapped("unread", n_map_states=4))
    assert isinstance(bare, Mapped)
    assert bare.n_map_states == 4
    told = fact_of(Failed("no", ValueError(), {"n": 1, "lock": LOCK}))
    assert isinstance(told, Failed)
    assert (dict(told.context), told.has_result) == ({"n": 1}, False)


def test_a_state_only_upstream_that_is_a_map_in_flight_counts_as_a_success_to_come(
    bench: Any, spec_of: Any
) -> None:
    with FlowGraph("f") as graph:
        inc(2, upstream_tasks=[each.map([1, 2])])
    (follower,) = bench(graph).start().shipments[-1:]
    assert spec_of(follower).upstreams[0][0] == "each-1"
    assert [(submission, count) for _, submission, count in follower.needs] == [(1, 1), (1, 1)]


def test_a_long_argument_of_text_travels_as_bytes_of_its_own(bench: Any, spec_of: Any) -> None:
    with FlowGraph("f") as graph:
        each("x" * 1000)
    (shipment,) = bench(graph).start().shipments
    assert spec_of(shipment).recipes[0][1][0] == PACKED


def test_the_flows_name_in_keys_may_be_given(bench: Any) -> None:
    with FlowGraph("f") as graph:
        inc(1)
    rig = bench(graph, flow_name="other", scheduled=5.0, log_level=10, inline_limit=7)
    assert isinstance(rig.lowering, Lowering)
    (shipment,) = rig.start().shipments
    facts = shipment.flow.content
    assert shipment.key[0].startswith("other.inc-0-")
    assert (facts.flow_name, facts.scheduled, facts.log_level, facts.inline_limit) == ("other", 5.0, 10, 7)
    assert os.sep not in shipment.key[0]


class Why(enum.StrEnum):
    EMPTY = "nothing there"


def test_a_text_of_a_users_class_breaks_no_bundle(bench: Any, spec_of: Any) -> None:
    with FlowGraph("f") as graph:
        a = inc(1)
        inc(2, upstream_tasks=[a], task_args={"trigger": all_finished, "skip_on_upstream_skip": False})
    rig = bench(graph)
    rig.start()
    state = Skipped(Why.EMPTY, context={"n": 1, "why": Why.EMPTY, Why.EMPTY: 2})
    (shipment,) = rig.finish(rig.number(a), state).shipments
    assert isinstance(shipment.told, bytes)  # by itself, whatever stands in a state
    ((_, _, fact),) = spec_of(shipment).upstreams
    assert (type(fact.message), fact.message) == (str, "nothing there")
    assert "why" not in fact.context
    assert set(map(type, fact.context)) == {str}


def test_plain_calls_are_told_what_others_are_told(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are lowered in one pass, for speed; all else goes the longer way."""
    with FlowGraph("plain") as graph:
        one, two = collect(1, 2), collect(xs=3, extra="four")
        again = collect(one, one)
        collect(again, two)
        collect(one, "x" * 10_000)
        collect(again, two, upstream_tasks=[one])

    def told() -> list[tuple[Any, ...]]:
        shipments = bench(graph).start().shipments
        return [(one.key, pickle.loads(one.spec), one.needs) for one in shipments]

    short = told()
    monkeypatch.setattr(Lowering, "_plain_call", lambda *_: None)
    assert short == told()
    assert len(short) == 5, "the last follows a state, and is not sent ahead"
