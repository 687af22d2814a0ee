"""The oracle against tables written by hand from the reference, sections 9, 11.1, 12 and 17: who checks the checker."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulation.case import (
    Begun,
    EndingKind,
    HandlerKind,
    Leaf,
    TriggerSpec,
    flattened,
    value_of,
)
from tests.simulation.oracle import Broken, Oracle
from tests.simulation.sketch import Sketch
from tests.simulation.verdicts import trigger_verdict


def classes(oracle: Oracle, number: int) -> list[str]:
    """Return the classes of a map's children."""
    return [child.cls for child in oracle.ends[number].children or ()]


# Section 9: triggers

S, F, K, C = "Success", "Failed", "Skipped", "Cancelled"


@pytest.mark.parametrize(
    ("name", "seen", "expected"),
    [
        ("all_successful", [S, S], None),
        ("all_successful", [S, K], None),
        ("all_successful", [S, F], "TriggerFailed"),
        ("all_successful", [S, C], "TriggerFailed"),
        ("all_failed", [F, "TriggerFailed", "Crashed"], None),
        ("all_failed", [F, S], "TriggerFailed"),
        ("all_failed", [F, C], "TriggerFailed"),
        ("all_finished", [S, F, K, C], None),
        ("any_successful", [F, S], None),
        ("any_successful", [F, K], None),
        ("any_successful", [F, C], "TriggerFailed"),
        ("any_failed", [S, F], None),
        ("any_failed", [S, C], "TriggerFailed"),
        ("not_all_skipped", [K, S], None),
        ("not_all_skipped", [K, K], "Skipped"),
        ("not_all_skipped", [S, F], "TriggerFailed"),
        ("not_all_skipped", [K, C], "TriggerFailed"),
        ("manual_only", [S], "Paused"),
        ("manual_only", [F], "Paused"),
    ],
)
def test_each_trigger_decides_as_the_reference_says(name: Any, seen: list[str], expected: str | None) -> None:
    assert trigger_verdict(TriggerSpec(name), seen, has_upstreams=True) == expected


@pytest.mark.parametrize(
    ("name", "without_upstreams", "with_an_empty_map"),
    [
        ("all_successful", None, None),
        ("all_failed", None, None),
        ("all_finished", None, None),
        ("any_successful", None, "TriggerFailed"),
        ("any_failed", None, "TriggerFailed"),
        ("not_all_skipped", "Skipped", "Skipped"),
        ("manual_only", "Paused", "Paused"),
    ],
)
def test_nothing_to_count_is_decided_as_the_reference_says(
    name: Any, without_upstreams: str | None, with_an_empty_map: str | None
) -> None:
    assert trigger_verdict(TriggerSpec(name), [], has_upstreams=False) == without_upstreams
    assert trigger_verdict(TriggerSpec(name), [], has_upstreams=True) == with_an_empty_map


@pytest.mark.parametrize(
    ("low", "high", "failed", "total", "passes"),
    [
        (None, None, 0, 3, True),
        (1, None, 0, 3, False),
        (1, None, 1, 3, True),
        (1, 2, 3, 3, False),
        (0.5, None, 1, 3, False),
        (0.5, None, 2, 3, True),
        (1.0, None, 2, 3, False),
        (1.0, None, 3, 3, True),
        (None, 1, 2, 3, False),
        (None, 1.0, 3, 3, True),
        (None, 0, 0, 3, True),
        (None, 0.0, 1, 3, False),
    ],
)
def test_bounds_count_as_ints_and_share_as_floats(
    low: float | None, high: float | None, failed: int, total: int, passes: bool
) -> None:
    seen = [F] * failed + [S] * (total - failed)
    verdict = trigger_verdict(TriggerSpec("some_failed", low, high), seen, has_upstreams=True)
    assert (verdict is None) == passes


def test_some_with_at_least_one_refuses_an_empty_map() -> None:
    spec = TriggerSpec("some_successful", at_least=1)
    assert trigger_verdict(spec, [], has_upstreams=True) == "TriggerFailed"
    assert trigger_verdict(spec, [], has_upstreams=False) is None


# Section 9: the skip rule


def test_skip_beats_failure() -> None:
    flow = Sketch()
    failed, skipped = flow.task(ends=["failed"]), flow.task(ends=["signal_skip"])
    end = flow.task(failed, skipped)
    oracle = Oracle(flow.case())
    assert oracle.ends[end].cls == "Skipped"
    assert oracle.flow_state() == "Success"


def test_a_task_that_runs_after_skips_is_given_none() -> None:
    flow = Sketch()
    skipped = flow.task(ends=["signal_skip"])
    end = flow.task(skipped, skip_on_upstream_skip=False)
    oracle = Oracle(flow.case())
    assert oracle.ends[end].cls == "Success"
    assert oracle.ends[end].given == [{"arg_1": None}]


def test_a_failed_upstream_is_given_as_its_exception() -> None:
    flow = Sketch()
    failed = flow.task(ends=["failed"])
    end = flow.task(failed, trigger=TriggerSpec("any_failed"))
    assert Oracle(flow.case()).ends[end].given == [{"arg_1": Broken((failed, -1))}]


# Section 12: retries


def test_an_attempt_is_made_once_more_than_there_are_retries() -> None:
    flow = Sketch()
    last = flow.task(ends=["failed", "failed", "value"], max_retries=2)
    short = flow.task(ends=["failed", "failed", "value"], max_retries=1)
    oracle = Oracle(flow.case())
    assert (oracle.ends[last].cls, oracle.ends[last].bodies) == ("Success", 3)
    assert (oracle.ends[short].cls, oracle.ends[short].bodies) == ("Failed", 2)


@pytest.mark.parametrize(
    ("kind", "cls"),
    [
        ("hopeless", "Failed"),
        ("endrun_cached", "Cached"),
        ("endrun_failed", "Failed"),
        ("refused", "Failed"),
    ],
)
def test_some_ends_are_never_tried_again(kind: EndingKind, cls: str) -> None:
    flow = Sketch()
    task = flow.task(ends=[kind, "value"], max_retries=3)
    assert Oracle(flow.case()).ends[task].cls == cls


def test_a_timeout_is_tried_again() -> None:
    flow = Sketch()
    task = flow.task(ends=["timed_out", "value"], max_retries=1)
    assert Oracle(flow.case()).ends[task].cls == "Success"


def test_the_retry_signal_needs_no_retries() -> None:
    flow = Sketch()
    task = flow.task(ends=["signal_retry", "signal_retry", "value"])
    end = Oracle(flow.case()).ends[task]
    assert (end.cls, end.bodies) == ("Success", 3)


def test_crashes_draw_on_their_own_budget() -> None:
    flow = Sketch()
    mixed = flow.task(ends=["failed", "lost", "exited", "failed"], max_retries=1, max_crashes=2)
    none = flow.task(ends=["lost", "value"], max_retries=3)
    unsent = flow.task(ends=["unsent", "value"], max_crashes=1)
    oracle = Oracle(flow.case())
    assert (oracle.ends[mixed].cls, oracle.ends[mixed].bodies) == ("Failed", 4)
    assert (oracle.ends[none].cls, oracle.ends[none].bodies) == ("Crashed", 1)
    assert (oracle.ends[unsent].cls, oracle.ends[unsent].attempts, oracle.ends[unsent].bodies) == (
        "Success",
        2,
        1,
    )


def test_an_input_out_of_reach_is_a_crash_and_no_lost_work() -> None:
    flow = Sketch()
    none = flow.task(ends=["unreachable", "value"], idempotent=True)
    once = flow.task(ends=["unreachable", "value"], max_crashes=1)
    oracle = Oracle(flow.case())
    assert (oracle.ends[none].cls, oracle.ends[none].bodies) == ("Crashed", 0)
    assert (oracle.ends[once].cls, oracle.ends[once].attempts, oracle.ends[once].bodies) == ("Success", 2, 1)


def test_a_value_that_was_found_is_read_like_one_that_was_made() -> None:
    flow = Sketch()
    found = flow.task(ends=["found"])
    reader = flow.task(found)
    oracle = Oracle(flow.case())
    assert (oracle.ends[found].cls, oracle.ends[reader].cls) == ("Cached", "Success")
    assert oracle.ends[reader].given == [{"arg_1": value_of("n0@1", (-1, -1))}]


def test_what_waits_for_an_approval_holds_up_only_what_is_below() -> None:
    flow = Sketch()
    paused = flow.task(ends=["signal_pause"])
    below, beside = flow.task(paused), flow.task()
    oracle = Oracle(flow.case())
    assert [oracle.ends[one].cls for one in (paused, below, beside)] == ["Paused", "Pending", "Success"]
    assert oracle.flow_state() == "Running"


def test_a_pause_until_a_time_is_one_still_while_upstreams_run_unless_it_was_approved_before() -> None:
    flow = Sketch()
    above = flow.task(ends=["signal_pause"])
    below = flow.task(above)
    case = flow.case(begun={(below, -1): Begun("paused_until", delay=0.5)})
    assert Oracle(case).ends[below].cls == "Paused"
    assert Oracle(case, approved={(below, -1)}).ends[below].cls == "Resume"


# Section 15: handlers


def test_a_handler_may_replace_a_state_and_a_broken_one_fails_its_task_for_good() -> None:
    flow = Sketch()
    saved = flow.task(ends=["failed"], handled=True)
    broken = flow.task(handled=True, max_retries=2)
    flow.handlings = {(saved, -1, "", "Failed", 1): "success", (broken, -1, "", "Running", 1): "raise"}
    oracle = Oracle(flow.case())
    assert (oracle.ends[saved].cls, oracle.ends[saved].bodies) == ("Success", 1)
    assert (oracle.ends[broken].cls, oracle.ends[broken].bodies) == ("Failed", 0)


# Section 17: mapping


def test_width_is_that_of_the_inputs() -> None:
    flow = Sketch()
    three, also = flow.value((-1, -1, -1)), flow.task(shape=(-1, -1, -1))
    mapped = flow.task((three, "mapped"), (also, "mapped"))
    assert classes(Oracle(flow.case()), mapped) == ["Success"] * 3


def test_unequal_lengths_fail_the_map_unless_the_shortest_decides() -> None:
    flow = Sketch()
    two, three = flow.value((-1, -1)), flow.value((-1, -1, -1))
    equal = flow.task((two, "mapped"), (three, "mapped"), max_retries=2)
    shortest = flow.task((two, "mapped"), (three, "mapped"), map_lengths="shortest")
    oracle = Oracle(flow.case())
    assert oracle.ends[equal].cls == "Failed"
    assert classes(oracle, shortest) == ["Success"] * 2


def test_what_has_no_length_or_no_success_fails_the_map_whatever_its_trigger() -> None:
    flow = Sketch()
    leaf, failed = flow.value(None), flow.task(ends=["failed"])
    over_leaf = flow.task((leaf, "mapped"))
    over_failed = flow.task((failed, "mapped"), trigger=TriggerSpec("all_finished"))
    oracle = Oracle(flow.case())
    assert oracle.ends[over_leaf].cls == oracle.ends[over_failed].cls == "Failed"


def test_a_skipped_input_skips_the_parent_of_a_map() -> None:
    flow = Sketch()
    skipped, two = flow.task(ends=["signal_skip"]), flow.value((-1, -1))
    over = flow.task((skipped, "mapped"))
    beside = flow.task((two, "mapped"), skipped)
    oracle = Oracle(flow.case())
    assert oracle.ends[over].cls == oracle.ends[beside].cls == "Skipped"


def test_a_failed_unmapped_input_fails_each_child_and_not_the_parent() -> None:
    flow = Sketch()
    failed, two = flow.task(ends=["failed"]), flow.value((-1, -1))
    mapped = flow.task((two, "mapped"), failed)
    oracle = Oracle(flow.case())
    assert oracle.ends[mapped].cls == "Mapped"
    assert classes(oracle, mapped) == ["TriggerFailed"] * 2


def test_an_empty_map_has_no_children_and_reduces_to_an_empty_list() -> None:
    flow = Sketch()
    empty = flow.value(())
    first = flow.task((empty, "mapped"))
    second = flow.task((first, "mapped"))
    reduce = flow.task(second)
    oracle = Oracle(flow.case())
    assert oracle.ends[first].children == oracle.ends[second].children == []
    assert oracle.ends[reduce].given == [{"arg_1": []}]


def test_children_pair_with_children_and_share_no_fate() -> None:
    flow = Sketch()
    four = flow.value((-1, -1, -1, -1))
    first = flow.task((four, "mapped"), ends={1: ["failed"], 2: ["signal_skip"]})
    second = flow.task((first, "mapped"))
    oracle = Oracle(flow.case())
    assert classes(oracle, first) == ["Success", "Failed", "Skipped", "Success"]
    assert classes(oracle, second) == ["Success", "TriggerFailed", "Skipped", "Success"]
    last = (oracle.ends[second].children or [])[3]
    assert last.given == [{"arg_1": value_of(f"n{first}[3]@1", (-1, -1))}]


def test_a_reduce_takes_the_children_in_order_and_tolerates_what_its_trigger_does() -> None:
    flow = Sketch()
    three = flow.value((-1, -1, -1))
    mapped = flow.task((three, "mapped"), ends={1: ["failed"]})
    strict = flow.task(mapped)
    lenient = flow.task(mapped, trigger=TriggerSpec("any_successful"))
    oracle = Oracle(flow.case())
    assert oracle.ends[strict].cls == "TriggerFailed"
    given = oracle.ends[lenient].given[0]["arg_1"]
    assert [given[0], given[2]] == [value_of(f"n{mapped}[{i}]@1", (-1, -1)) for i in (0, 2)]
    assert given[1] == Broken((mapped, 1))


def test_a_reduce_is_skipped_with_any_child() -> None:
    flow = Sketch()
    two = flow.value((-1, -1))
    mapped = flow.task((two, "mapped"), ends={0: ["signal_skip"]})
    reduce = flow.task(mapped)
    assert Oracle(flow.case()).ends[reduce].cls == "Skipped"


def test_flatten_unnests_a_value_by_one_level() -> None:
    flow = Sketch()
    nested = flow.value((2, -1, 0, 1))
    mapped = flow.task((nested, "mapped flat"))
    children = Oracle(flow.case()).ends[mapped].children
    assert children is not None
    assert [child.given[0]["arg_1"] for child in children] == flattened(value_of("v0", (2, -1, 0, 1)))
    assert len(children) == 4


def test_flatten_of_a_map_unnests_each_child_and_keeps_what_failed_as_one_element() -> None:
    flow = Sketch()
    three = flow.value((-1, -1, -1))
    mapped = flow.task((three, "mapped"), shape=(-1, -1), ends={1: ["failed"], 2: ["signal_skip"]})
    below = flow.task((mapped, "mapped flat"))
    oracle = Oracle(flow.case())
    assert classes(oracle, below) == ["Success", "Success", "TriggerFailed", "Skipped"]


def test_flatten_of_a_map_keeps_what_has_no_length_as_it_is() -> None:
    flow = Sketch()
    two = flow.value((-1, -1))
    mapped = flow.task((two, "mapped"), shape=None)
    below = flow.task((mapped, "mapped flat"))
    children = Oracle(flow.case()).ends[below].children
    assert children is not None
    assert [child.given[0]["arg_1"] for child in children] == [Leaf(f"n{mapped}[{i}]@1") for i in (0, 1)]


def test_a_list_of_tasks_is_put_together_in_order_and_shares_the_fate_of_its_members() -> None:
    flow = Sketch()
    good, bad = flow.task(shape=None), flow.task(shape=None, ends=["failed"])
    fine = flow.task(good, good, kind="collection")
    broken = flow.task(good, bad, kind="collection")
    reader, lenient = flow.task(fine), flow.task(broken, trigger=TriggerSpec("all_finished"))
    oracle = Oracle(flow.case())
    assert oracle.ends[broken].cls == "TriggerFailed"
    assert oracle.ends[reader].given == [{"arg_1": [Leaf("n0@1"), Leaf("n0@1")]}]
    assert oracle.ends[lenient].given == [{"arg_1": [Leaf("n0@1"), Broken((bad, -1))]}]


def test_a_list_that_maps_is_a_list_for_each_child() -> None:
    flow = Sketch()
    two, one = flow.value((-1, -1)), flow.task(shape=None)
    mapped = flow.task((two, "mapped"), shape=None, ends={1: ["failed"]})
    pairs = flow.task((mapped, "mapped"), one, kind="collection")
    each = flow.task((pairs, "mapped"))
    whole = flow.task(pairs, trigger=TriggerSpec("all_finished"))
    oracle = Oracle(flow.case())
    assert classes(oracle, pairs) == classes(oracle, each) == ["Success", "TriggerFailed"]
    first, second = [Leaf(f"n{mapped}[0]@1"), Leaf("n1@1")], [Broken((mapped, 1)), Leaf("n1@1")]
    assert (oracle.ends[each].children or [])[0].given == [{"arg_1": first}]
    assert oracle.ends[whole].given == [{"arg_1": [first, second]}]


# Section 11.1: the flow


@pytest.mark.parametrize(
    ("ends", "reference", "expected"),
    [
        ({}, None, "Success"),
        ({1: "failed"}, None, "Failed"),
        ({1: "failed"}, {0}, "Success"),
        ({0: "failed"}, {0}, "Failed"),
        ({1: "endrun_cancelled"}, None, "Success"),
    ],
)
def test_the_reference_tasks_decide_the_flow(
    ends: dict[int, EndingKind], reference: set[int] | None, expected: str
) -> None:
    flow = Sketch()
    flow.task(ends=[ends.get(0, "value")])
    flow.task(ends=[ends.get(1, "value")])
    flow.reference = None if reference is None else frozenset(reference)
    assert Oracle(flow.case()).flow_state() == expected


@pytest.mark.parametrize(
    ("handlers", "expected"),
    [
        ({"Failed": "success"}, "Success"),
        ({"Failed": "keep"}, "Failed"),
        ({"Failed": "raise"}, "Failed"),
        ({"Failed": "skipped", "Success": "failed"}, "Skipped"),
    ],
)
def test_the_flows_handlers_have_the_last_word(handlers: dict[str, HandlerKind], expected: str) -> None:
    flow = Sketch()
    flow.task(ends=["timed_out"])
    flow.flow_handlers = handlers
    oracle = Oracle(flow.case())
    assert (oracle.ends[0].cls, oracle.flow_state()) == ("TimedOut", expected)


@pytest.mark.parametrize(
    ("kind", "expected"), [("skipped", "Skipped"), ("retrying", "Failed"), ("nonsense", "Failed")]
)
def test_nothing_begins_in_a_flow_whose_handlers_refuse_it(kind: HandlerKind, expected: str) -> None:
    flow = Sketch()
    flow.task()
    flow.flow_handlers = {"Running": kind}
    oracle = Oracle(flow.case())
    assert (oracle.ends[0].cls, oracle.flow_state()) == ("Pending", expected)


def test_a_mapped_reference_task_counts_by_its_children() -> None:
    flow = Sketch()
    two = flow.value((-1, -1))
    flow.task((two, "mapped"), ends={1: ["failed"]})
    assert Oracle(flow.case()).flow_state() == "Failed"
