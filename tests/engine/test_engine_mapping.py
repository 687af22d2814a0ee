"""Maps: width, what each child takes, flattening, empty maps, maps of maps, and the reduce."""

from __future__ import annotations

from typing import Any

import pytest

from prefectlite.engine.events import Measure
from prefectlite.rules.retry import RetryPolicy
from prefectlite.rules.triggers import all_failed, all_finished
from prefectlite.states import signals
from prefectlite.states.state import Failed, Mapped, Skipped, Success
from tests.engine.plans import Bench, Spec, follows, listed, maps, pairs, reads, task, value

BOOM = Failed("boom", ValueError("boom"))
SKIP = Skipped("not today")


class OwnSuccess(Success):
    """A user's own kind of success."""

    __slots__ = ()


def taken(bench: Bench, slug: str, key: str | None = None) -> list[str]:
    """What each child of a map took, in order; a child that was never sent took nothing."""
    sent = {one.split()[1] for one in bench.log.acts if one.startswith("submit")}
    names = [str(bench.engine.key(run)) for run in bench.engine.children(bench.run(slug))]
    return [bench.sources(name, key) if name in sent else "-" for name in names]


# Width


def test_a_map_over_a_constant_unfolds_at_the_start() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x")))
    turn = bench.start()
    assert turn.words[2:] == ["m Pending > Mapped", "submit m[0]", "submit m[1]"]
    assert taken(bench, "m") == ["x[0]", "x[1]"]
    why = turn.why("m", "Mapped")
    assert (why.rule, why.text, why.read) == (
        "mapping",
        "The map unfolded into 2 children.",
        (("width", "2"),),
    )
    state = turn.move("m", "Mapped").new
    assert isinstance(state, Mapped)
    assert state.n_map_states == 2


def test_a_map_over_a_result_asks_for_its_length_alone() -> None:
    bench = Bench(task("a"), task("b"), task("m", maps("a"), reads("b")))
    turn = bench.start()
    assert turn.submit("a").measure == {"length"}
    assert turn.submit("b").measure == frozenset()
    bench.drive(facts={"a": {"length": 2}})
    assert taken(bench, "m", "a") == ["a.1[0]", "a.1[1]"]
    assert taken(bench, "m", "b") == ["b.1", "b.1"]


def test_a_flattened_map_over_a_result_asks_for_its_flat_length() -> None:
    bench = Bench(task("a"), task("m", maps("a", flat=True)))
    assert bench.start().submit("a").measure == {"flat"}
    bench.drive(facts={"a": {"length": 2, "flat_length": 3}})
    assert taken(bench, "m") == ["flat(a.1)[0]", "flat(a.1)[1]", "flat(a.1)[2]"]


def test_a_result_that_is_mapped_both_ways_tells_both_lengths() -> None:
    bench = Bench(task("a"), task("m", maps("a")), task("n", maps("a", flat=True)))
    assert bench.start().submit("a").measure == {"length", "flat"}


def test_a_flattened_constant_unfolds_by_its_elements() -> None:
    bench = Bench(value("x", length=2, flat_length=3), task("m", maps("x", flat=True)))
    bench.start()
    assert taken(bench, "m") == ["flat(x)[0]", "flat(x)[1]", "flat(x)[2]"]


def test_inputs_of_unequal_length_fail_the_map_and_are_named() -> None:
    bench = Bench(value("x", length=2), value("y", length=3), task("m", maps("x", "rows"), maps("y", "cols")))
    turn = bench.start()
    assert turn.acts == ["end Failed"]
    why = turn.why("m", "Failed")
    assert (why.rule, why.read) == ("width", (("rows", "2"), ("cols", "3")))
    assert "'rows' has 2, 'cols' has 3" in str(bench.state("m").message)


def test_the_shortest_input_decides_where_the_task_says_so() -> None:
    bench = Bench(
        value("x", length=2), value("y", length=3), task("m", maps("x"), maps("y"), map_lengths="shortest")
    )
    bench.start()
    assert taken(bench, "m", "y") == ["y[0]", "y[1]"]


def test_a_mapped_edge_without_an_argument_counts_by_its_upstreams_name() -> None:
    bench = Bench(
        value("x", length=2), value("y", length=3), task("m", maps("x")), task("n", pairs("m"), maps("y"))
    )
    bench.start()
    assert "'m' has 2, 'y' has 3" in str(bench.state("n").message)


@pytest.mark.parametrize(
    ("up", "facts", "said"),
    [
        (value("x", unmappable="is a set"), {}, "input 'x': is a set"),
        (value("x"), {}, "input 'x': its value has no length"),
        (task("x"), {"unmappable": "is a generator"}, "input 'x': is a generator"),
        (task("x"), {}, "input 'x': its value has no length"),
        (listed("x", length=None, unmappable="is a dict"), {}, "input 'x': is a dict"),
    ],
)
def test_what_has_no_length_fails_the_map_and_is_named(up: Spec, facts: dict[str, Any], said: str) -> None:
    bench = Bench(up, task("m", maps("x"), retry=RetryPolicy(3)))
    bench.drive(facts={"x": facts})
    assert bench.states("m") == ["Failed"]
    assert said in str(bench.state("m").message)
    assert not any("Retrying" in one for one in bench.log.moves)


def test_a_flattened_dict_of_tasks_is_named_too() -> None:
    bench = Bench(
        task("a"), listed("x", "a", length=None, unmappable="is a dict"), task("m", maps("x", flat=True))
    )
    bench.drive()
    assert "input 'x': is a dict" in str(bench.state("m").message)


def test_an_upstream_that_failed_has_no_width_whatever_the_trigger() -> None:
    bench = Bench(task("a"), task("m", maps("a"), trigger=all_finished))
    bench.drive({"a": BOOM})
    assert "input 'a': it ended Failed: boom" in str(bench.state("m").message)


def test_an_upstream_that_was_skipped_skips_the_map_or_has_no_width() -> None:
    bench = Bench(task("a"), task("m", maps("a")), task("n", maps("a"), skip_on_upstream_skip=False))
    bench.drive({"a": SKIP})
    assert bench.states("m", "n") == ["Skipped", "Failed"]
    assert "it ended Skipped: not today" in str(bench.state("n").message)


def test_a_map_over_a_map_without_a_width_has_none_either() -> None:
    bench = Bench(task("a"), task("m", maps("a")), task("n", maps("m")), task("o", maps("m", flat=True)))
    bench.drive({"a": BOOM})
    assert bench.states() == ["Failed", "Failed", "Failed", "Failed"]
    assert "input 'm': it ended Failed" in str(bench.state("n").message)


@pytest.mark.parametrize("state", [Success("ordered", [1, 2]), OwnSuccess("mine", [1, 2])])
def test_a_success_that_came_as_a_state_can_be_mapped_over(state: Success) -> None:
    bench = Bench(task("a"), task("m", maps("a")))
    bench.drive({"a": state}, {"a": {"length": 2, "forced": True}})
    assert taken(bench, "m") == ["driver a[0]", "driver a[1]"]
    assert bench.states("m[0]", "m[1]") == ["Success", "Success"]


def test_a_success_that_a_trigger_gave_was_not_measured() -> None:
    bench = Bench(task("a", trigger=None), task("m", maps("a")))
    bench.start()
    bench.answer("a", error=signals.SUCCESS("known", result=[1]))
    assert "its length is not known" in str(bench.state("m").message)


# Children


def test_children_are_pending_until_it_is_their_turn_and_count_in_place_of_their_parent() -> None:
    bench = Bench(value("x", length=3), task("m", maps("x")), window=1)
    assert bench.start().acts == ["submit m[0]"]
    assert bench.engine.counts() == {"Pending": 3}
    assert bench.states("m", "m[2]") == ["Mapped", "Pending"]


def test_a_failing_child_does_not_touch_its_siblings() -> None:
    bench = Bench(value("x", length=3), task("m", maps("x"), retry=RetryPolicy(1)))
    bench.start()
    assert bench.fail("m[1]").acts == ["release m[1].1", "submit m[1] #2.2"]
    assert bench.fail("m[1]").acts == ["release m[1].2"]
    bench.succeed("m[0]")
    assert bench.succeed("m[2]").acts == ["end Failed"]  # a terminal map counts by its children
    assert bench.states("m", "m[0]", "m[1]", "m[2]") == ["Mapped", "Success", "Failed", "Success"]


def test_a_flow_whose_children_all_succeed_is_a_success() -> None:
    bench = Bench(value("x", length=3), task("m", maps("x")))
    bench.drive()
    assert dict(bench.log.why("flow", "Success").read)["reference"] == "3"


def test_child_follows_child_through_a_map_of_a_map() -> None:
    bench = Bench(
        value("x", length=3),
        task("m", maps("x")),
        task("n", maps("m")),
        task("o", maps("n"), trigger=all_failed),
    )
    bench.drive({"m[0]": BOOM, "m[1]": SKIP})
    assert bench.states("n[0]", "n[1]", "n[2]") == ["TriggerFailed", "Skipped", "Success"]
    assert bench.states("o[0]", "o[1]", "o[2]") == ["Success", "Skipped", "TriggerFailed"]
    assert taken(bench, "o") == ["driver n[0]", "-", "-"]


def test_a_map_of_a_map_needs_no_barrier() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x"), handled=True), task("n", maps("m")))
    bench.start()
    bench.agree("m")
    bench.agree("m[0]")
    bench.succeed("m[0]")
    assert bench.agree("m[0]").acts == ["submit n[0]"]
    assert bench.states("m[1]") == ["Pending"]


def test_children_find_what_their_upstream_child_came_to_before_they_were() -> None:
    # The map below unfolds late: one child above is done, one failed, one waits for its retry, one flies.
    bench = Bench(
        value("x", length=4),
        task("m", maps("x"), retry=RetryPolicy(1, (100.0,))),
        task("z"),
        task("n", maps("m"), follows("z")),
    )
    bench.start()
    bench.succeed("m[0]")
    bench.fail("m[1]", retryable=False)
    bench.fail("m[2]")
    assert bench.succeed("z").acts == ["release z.1", "submit n[0]", "submit n[3] ahead"]
    assert bench.states("n[0]", "n[1]", "n[2]", "n[3]") == ["Pending", "TriggerFailed", "Pending", "Pending"]
    assert bench.fire("m[2]").acts == ["submit m[2] #2.2", "submit n[2] ahead"]


def test_a_child_that_waits_to_hear_its_delay_is_not_final_for_the_map_below() -> None:
    asks = RetryPolicy(1, asks_delay=True)
    bench = Bench(
        value("x", length=1),
        task("m", maps("x"), retry=asks),
        task("z"),
        task("n", maps("m"), follows("z"), trigger=all_finished),
    )
    bench.start()
    bench.fail("m[0]")
    assert bench.states("m[0]") == ["Failed"]
    bench.succeed("z")
    assert bench.states("n", "n[0]") == ["Mapped", "Pending"]
    assert bench.answer("m[0]", 0).acts == ["submit m[0] #2.2"]
    assert bench.succeed("m[0]").acts == ["submit n[0]"]


def test_a_map_below_that_comes_late_goes_ahead_of_what_still_flies() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x")), task("y"), task("n", maps("m"), maps("y")))
    bench.start()
    assert bench.succeed("y", length=2).acts == ["submit n[0] ahead", "submit n[1] ahead"]


def test_an_unmapped_upstream_that_failed_lets_the_map_unfold_and_refuses_each_child() -> None:
    bench = Bench(
        value("x", length=1),
        task("a"),
        task("m", maps("x"), reads("a"), trigger=all_finished),
        task("n", maps("x"), reads("a")),
    )
    bench.drive({"a": BOOM})
    assert bench.states("m", "m[0]", "n", "n[0]") == ["Mapped", "Success", "Mapped", "TriggerFailed"]
    assert taken(bench, "m", "a") == ["driver a"]


def test_a_mapped_task_reads_a_whole_map_where_it_is_not_mapped() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x")), task("n", maps("x"), reads("m", "all")))
    bench.drive()
    assert taken(bench, "n", "all") == ["[m[0].1, m[1].1]"] * 2


def test_a_mapped_task_that_reads_a_failing_map_refuses_each_child() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x")), task("n", maps("x"), reads("m", "all")))
    log = bench.drive({"m[1]": BOOM})
    assert bench.states("n", "n[0]", "n[1]") == ["Mapped", "TriggerFailed", "TriggerFailed"]
    assert log.why("n[0]", "TriggerFailed").read[-1] == ("m[1]", "Failed")


# Over lists of tasks


def test_a_map_over_a_list_of_tasks_gives_each_child_one_member() -> None:
    bench = Bench(
        task("a"), value("x"), task("b"), listed("l", "a", "x", reads("b", flat=True)), task("m", maps("l"))
    )
    bench.drive()
    assert taken(bench, "m") == ["a.1", "x", "flat(b.1)"]


def test_a_map_over_a_list_waits_for_the_whole_list() -> None:
    bench = Bench(task("a"), task("b"), listed("l", "a", "b"), task("m", maps("l")))
    assert bench.start().acts == ["submit a", "submit b"]
    assert bench.succeed("a").acts == []
    assert bench.succeed("b").acts == ["submit m[0]", "submit m[1]"]


def test_a_map_over_a_list_of_lists_gives_lists() -> None:
    bench = Bench(task("a"), task("b"), listed("l", "a", "b"), listed("ll", "l", "a"), task("m", maps("ll")))
    bench.drive()
    assert taken(bench, "m") == ["l(a.1, b.1)", "a.1"]


def test_a_map_over_a_list_with_a_map_in_it_gives_the_maps_values_as_one_list() -> None:
    bench = Bench(
        value("x", length=2), task("m", maps("x")), task("a"), listed("l", "m", "a"), task("n", maps("l"))
    )
    bench.drive()
    assert taken(bench, "n") == ["[m[0].1, m[1].1]", "a.1"]


def test_a_map_over_a_list_with_a_failed_member_has_no_width() -> None:
    bench = Bench(task("a"), task("b"), listed("l", "a", "b"), task("m", maps("l"), trigger=all_finished))
    bench.drive({"a": BOOM})
    assert "it ended TriggerFailed" in str(bench.state("m").message)


# Flattened: one level of unnesting


def test_a_flattened_map_takes_the_elements_of_each_childs_value() -> None:
    bench = Bench(value("x", length=4), task("m", maps("x")), task("n", maps("m", flat=True)))
    turn = bench.start()
    assert turn.submit("m[0]").measure == {"length"}
    for place, length in enumerate((2, 0, None)):
        bench.succeed(f"m[{place}]", length=length)
    assert bench.states("n") == ["Pending"]  # it waits for all lengths
    bench.succeed("m[3]", length=1)
    assert taken(bench, "n") == ["m[0].1[0]", "m[0].1[1]", "m[2].1", "m[3].1[0]"]


def test_a_failed_or_skipped_child_is_one_element_of_a_flattened_map() -> None:
    bench = Bench(
        value("x", length=3),
        task("m", maps("x")),
        task("n", maps("m", flat=True)),
        task("o", maps("m", flat=True), trigger=all_failed),
    )
    log = bench.drive({"m[0]": BOOM, "m[2]": SKIP}, {"m": {"length": 1}})
    assert bench.states("n[0]", "n[1]", "n[2]") == ["TriggerFailed", "Success", "Skipped"]
    assert bench.states("o[0]", "o[1]", "o[2]") == ["Success", "TriggerFailed", "Skipped"]
    assert taken(bench, "o") == ["driver m[0]", "-", "-"]
    assert log.why("n[0]", "TriggerFailed").read[-1] == ("m[0]", "Failed")


def test_a_flattened_map_over_an_empty_map_is_empty() -> None:
    bench = Bench(value("x", length=0), task("m", maps("x")), task("n", maps("m", flat=True)))
    bench.drive()
    assert bench.states() == ["Success", "Mapped", "Mapped"]


def test_flattening_a_list_unnests_each_member_by_one_level() -> None:
    bench = Bench(
        task("a"),
        value("x", length=2),
        task("b"),
        listed("l", "a", "x", "b"),
        task("m", maps("l", flat=True)),
    )
    turn = bench.start()
    assert turn.submit("a").measure == {"length"}
    bench.drive(facts={"a": {"length": 2}})
    assert taken(bench, "m") == ["a.1[0]", "a.1[1]", "x[0]", "x[1]", "b.1"]


def test_flattening_a_list_of_lists_gives_the_members_of_the_inner_lists() -> None:
    bench = Bench(
        task("a"),
        value("x", length=9),
        listed("l", "a", "x"),
        task("b"),
        listed("ll", "l", "b"),
        task("m", maps("ll", flat=True)),
    )
    bench.drive(facts={"a": {"length": 2}, "b": {"length": 1}})
    assert taken(bench, "m") == ["a.1", "x", "b.1[0]"]


def test_flattening_a_list_with_a_map_in_it_gives_the_maps_children_whole() -> None:
    bench = Bench(
        value("x", length=2), task("m", maps("x")), listed("l", "m"), task("n", maps("l", flat=True))
    )
    bench.drive(facts={"m": {"length": 5}})
    assert taken(bench, "n") == ["m[0].1", "m[1].1"]


def test_flattening_a_list_with_a_flattened_map_in_it_unnests_each_child() -> None:
    bench = Bench(
        value("x", length=2),
        task("m", maps("x")),
        listed("l", reads("m", flat=True)),
        task("n", maps("l", flat=True)),
    )
    assert bench.start().submit("m[0]").measure == {"length"}
    bench.drive(facts={"m": {"length": 2}})
    assert taken(bench, "n") == ["m[0].1[0]", "m[0].1[1]", "m[1].1[0]", "m[1].1[1]"]


def test_flattening_a_list_with_flattened_values_in_it_unnests_them_twice() -> None:
    bench = Bench(
        task("a"),
        value("x", length=1, flat_length=2),
        listed("l", reads("a", flat=True), reads("x", flat=True)),
        task("m", maps("l", flat=True)),
    )
    assert bench.start().submit("a").measure == {"flat"}
    bench.drive(facts={"a": {"length": 1, "flat_length": 2}})
    # The member is flat(a), whose elements are the children's.
    assert taken(bench, "m") == ["flat(a.1)[0]", "flat(a.1)[1]", "flat(x)[0]", "flat(x)[1]"]


def test_flattening_a_list_with_skipped_members_takes_them_for_elements_and_skips_nobody() -> None:
    bench = Bench(
        task("a"),
        task("b"),
        listed("l", "a", "b", skip_on_upstream_skip=False),
        task("m", maps("l", flat=True)),
    )
    bench.drive({"a": SKIP}, {"b": {"length": 1}})
    assert bench.states("m[0]", "m[1]") == ["Success", "Success"]
    assert taken(bench, "m") == ["driver a", "b.1[0]"]


def test_flattening_a_list_that_was_refused_has_no_width() -> None:
    bench = Bench(task("a"), listed("l", "a"), task("m", maps("l", flat=True)))
    bench.drive({"a": BOOM})
    assert bench.states("m") == ["Failed"]


def test_an_own_success_in_a_list_is_unnested_like_any_other() -> None:
    bench = Bench(task("a"), listed("l", "a"), task("m", maps("l", flat=True)))
    bench.drive({"a": OwnSuccess("mine", [1, 2])}, {"a": {"length": 2}})
    assert taken(bench, "m") == ["driver a[0]", "driver a[1]"]


def test_flattening_a_list_with_a_flattened_list_in_it_unnests_the_inner_members() -> None:
    bench = Bench(
        task("a"),
        task("b"),
        listed("l", "a", "b"),
        listed("ll", reads("l", flat=True)),
        task("m", maps("ll", flat=True)),
    )
    bench.drive(facts={"a": {"length": 2}, "b": {"length": 1}})
    assert taken(bench, "m") == ["a.1[0]", "a.1[1]", "b.1[0]"]


def test_a_flattened_list_with_a_value_of_unknown_length_has_no_width() -> None:
    # To take it for one element would give its child a wrong value without a word.
    bench = Bench(task("a", trigger=None), listed("l", "a"), task("m", maps("l", flat=True)))
    bench.start()
    bench.answer("a", error=signals.SUCCESS("known", result=[1, 2]))
    assert bench.states("m") == ["Failed"]


def test_a_success_that_a_trigger_gave_is_mapped_over_by_its_measure() -> None:
    bench = Bench(task("a", trigger=None), task("m", maps("a")))
    bench.start()
    turn = bench.answer("a", error=signals.SUCCESS("known", result=[1]), measure=Measure(1))
    assert turn.acts == ["submit m[0]"]


# Empty maps, reduces


def test_a_map_over_nothing_is_mapped_and_so_is_the_map_below() -> None:
    bench = Bench(value("x", length=0), task("m", maps("x")), task("n", maps("m")), task("r", "n"))
    assert bench.start().words == [
        "flow Pending > Running",
        "x Pending > Success",
        "m Pending > Mapped",
        "n Pending > Mapped",
        "submit r",
    ]
    assert bench.sources("r") == "[]"


def test_a_flow_that_ends_in_an_empty_map_is_a_success() -> None:
    bench = Bench(value("x", length=0), task("m", maps("x")))
    assert bench.start().acts == ["end Success"]
    assert bench.engine.counts() == {}


def test_a_reduce_over_failures_gets_exceptions_in_index_order() -> None:
    bench = Bench(value("x", length=3), task("m", maps("x")), task("r", "m", trigger=all_finished))
    bench.drive({"m[1]": BOOM})
    assert bench.sources("r") == "[m[0].1, driver m[1], m[2].1]"


def test_a_reduce_over_a_map_without_a_width_reads_its_exception() -> None:
    bench = Bench(task("a"), task("m", maps("a")), task("r", "m", trigger=all_failed))
    bench.drive({"a": BOOM})
    assert bench.sources("r") == "driver m"


def test_a_reduce_of_an_empty_map_may_go_ahead_of_another_upstream() -> None:
    bench = Bench(value("x", length=0), task("m", maps("x")), task("a"), task("r", "m", "a"))
    assert bench.start().acts == ["submit a", "submit r ahead"]
