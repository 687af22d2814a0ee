"""Corners that random flows seldom reach, each of which hid a bug once. Knows flows and scripts, no engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from tests.simulation.case import Case, EndingKind, Faults, TriggerSpec
from tests.simulation.sketch import Sketch

#: Wires of all kinds: quick ones, slow ones, and such as lose and double what they carry.
WIRES: Final = (
    Faults(latency=0.0005, hints=1.0, slow_answers=0.001, folded=1.0),
    Faults(latency=0.5, hints=0.5, slow_answers=5.0),
    Faults(latency=0.05, doubled=0.3, lost=0.3, hints=0.5, slow_answers=2.0, echoes=0.3, skew=30.0),
    Faults(latency=0.05, doubled=0.3, lost=0.1, hints=0.5, slow_answers=0.1, together=0.9, folded=0.5),
)
_CORNERS: Final[list[Callable[[Sketch], None]]] = []


def corner(build: Callable[[Sketch], None]) -> Callable[[Sketch], None]:
    """Enter a corner under its function's name."""
    _CORNERS.append(build)
    return build


def cases() -> Iterator[Case]:
    """Yield every corner with wires of all kinds, wide windows and narrow ones, undisturbed and cancelled."""
    for build in _CORNERS:
        for number, faults in enumerate(WIRES):
            for window in (1, 3, 4096):
                for cancel_at in (None, 0.05, 1.2):
                    flow = Sketch()
                    build(flow)
                    seed = number + window
                    yield flow.case(
                        seed,
                        corner=build.__name__,
                        faults=faults,
                        window=window,
                        cancel_at=cancel_at,
                        approved=(0.0, 0.6, 1.0)[number % 3],
                    )


@corner
def a_map_unfolds_while_a_child_above_it_waits_for_its_retry(flow: Sketch) -> None:
    four, slow = flow.value((-1, -1, -1, -1)), flow.task(ends=["value"], lasts=1.0)
    above = flow.task(
        (four, "mapped"), ends={0: ["failed"], 1: ["failed"], 2: ["lost"]}, max_retries=1, asks_delay=True
    )
    flow.task((above, "mapped"), slow)


@corner
def a_reduce_that_has_read_some_children_is_taken_back_for_the_sake_of_others(flow: Sketch) -> None:
    ends = {6: ["failed", "value"], 7: ["lost", "value"]}
    above = flow.task((flow.value((-1,) * 8), "mapped"), ends=ends, max_retries=1, max_crashes=1)
    flow.task(above)


@corner
def a_reduce_that_may_be_tried_again_reads_its_children_anew(flow: Sketch) -> None:
    above = flow.task((flow.value((-1,) * 8), "mapped"))
    flow.task(above, max_retries=1, ends=["failed"])


@corner
def children_fail_alike_and_are_sent_again(flow: Sketch) -> None:
    ends: dict[int, list[EndingKind]] = {child: ["failed", "value"] for child in range(6)}
    flow.task((flow.value((-1,) * 6), "mapped"), ends=ends, max_retries=1)


@corner
def a_long_chain_is_taken_back_and_sent_again(flow: Sketch) -> None:
    last = flow.task(ends=["failed", "value"], max_retries=2)
    for _ in range(20):
        last = flow.task(last)


@corner
def what_follows_without_a_value_is_taken_back_as_well(flow: Sketch) -> None:
    first = flow.task(ends=["lost", "value"], max_crashes=1)
    second = flow.task((first, "after"))
    flow.task((second, "after"), (first, "after"))


@corner
def a_handler_puts_off_what_the_rules_refuse(flow: Sketch) -> None:
    failed, two = flow.task(ends=["failed"]), flow.value((-1, -1))
    refused = flow.task(failed, handled=True)
    skipped = flow.task(flow.task(ends=["signal_skip"]), handled=True)
    unfolds = flow.task((two, "mapped"), handled=True)
    has_no_width = flow.task((failed, "mapped"), handled=True)
    for node, new in (
        (refused, "TriggerFailed"),
        (skipped, "Skipped"),
        (unfolds, "Mapped"),
        (has_no_width, "Failed"),
    ):
        flow.handlings[node, -1, "", new, 1] = "retrying"
    flow.task(unfolds)


@corner
def a_handler_puts_a_value_in_the_place_of_a_map(flow: Sketch) -> None:
    two = flow.value((-1, -1))
    replaced = flow.task(flow.value(()), (two, "mapped"), handled=True)
    flow.handlings[replaced, -1, "", "Mapped", 1] = "success"
    flow.task((replaced, "mapped"), trigger=TriggerSpec("all_finished"))


@corner
def a_handler_refuses_the_start_after_it_put_it_off(flow: Sketch) -> None:
    flow.handlings[flow.task(handled=True), -1, "", "Running", 1] = "retrying"
    flow.handlings[0, -1, "", "Running", 2] = "raise"


@corner
def lists_of_lists_and_of_maps_are_flattened_by_one_level(flow: Sketch) -> None:
    two = flow.value((2, -1))
    mapped = flow.task((two, "mapped"), shape=(-1, 1))
    skipped = flow.task(ends=["signal_skip"])
    inner = flow.task(flow.task(shape=(-1,)), two, kind="collection")
    outer = flow.task(inner, mapped, skipped, (two, "flat"), kind="collection", skip_on_upstream_skip=False)
    flow.task((outer, "mapped flat"))
    flow.task((outer, "mapped"))
    flow.task((outer, "flat"))
    flow.reference = frozenset({outer})


@corner
def a_success_that_the_body_orders_can_be_mapped_over(flow: Sketch) -> None:
    ordered = flow.task(ends=["endrun_success"], shape=(-1, 2))
    own = flow.task(ends=["endrun_own_success"], shape=(-1, 2))
    over = flow.task((ordered, "mapped"), (own, "mapped"), ends={0: ["endrun_own_success"]}, shape=(1, -1))
    flow.task((over, "mapped flat"))


@corner
def a_value_that_was_found_can_be_mapped_over(flow: Sketch) -> None:
    found = flow.task(ends=["timed_out", "endrun_cached"], max_retries=1, shape=(-1, 2))
    over = flow.task((found, "mapped"), ends={0: ["endrun_cached"]}, shape=(1, -1))
    flow.task((over, "mapped flat"))
    flow.task(found, over)


@corner
def lists_that_map_are_read_child_by_child_and_whole(flow: Sketch) -> None:
    three, one = flow.value((-1, -1, -1)), flow.task()
    many = flow.task((three, "mapped"), ends={0: ["failed"], 1: ["signal_skip"]})
    inner = flow.task((three, "mapped"), (many, "mapped"), one, kind="collection")
    outer = flow.task((inner, "mapped"), (many, "mapped"), kind="collection", skip_on_upstream_skip=False)
    for trigger in (TriggerSpec(), TriggerSpec("all_finished")):
        flow.task((outer, "mapped"), trigger=trigger, skip_on_upstream_skip=False)
        flow.task(outer, inner, trigger=trigger, max_retries=1, ends=["failed"], skip_on_upstream_skip=False)
    none = flow.task((one, "mapped"), (flow.value(()), "mapped"), kind="collection")
    flow.task(none, trigger=TriggerSpec("all_finished"))


@corner
def maps_without_children_meet_every_trigger(flow: Sketch) -> None:
    none = flow.task((flow.value(()), "mapped"))
    for name in (
        "all_successful",
        "all_failed",
        "all_finished",
        "any_successful",
        "any_failed",
        "not_all_skipped",
    ):
        flow.task(none, trigger=TriggerSpec(name))
    flow.task((none, "mapped"))
    flow.task((none, "mapped flat"))


@corner
def a_failed_child_is_passed_over_by_a_shorter_map(flow: Sketch) -> None:
    three, one = flow.value((-1, -1, -1)), flow.value((-1,))
    above = flow.task((three, "mapped"), ends={2: ["signal_pause"], 1: ["failed", "value"]}, max_retries=1)
    flow.task((above, "mapped"), (one, "mapped"), map_lengths="shortest")


@corner
def a_body_asks_for_what_nothing_follows_from(flow: Sketch) -> None:
    for kind in ("endrun_pending", "signal_trigger_failed", "refused", "unsent"):
        failed = flow.task(ends=[kind], max_retries=1, on_failure=True)
        flow.task(failed, trigger=TriggerSpec("any_failed"))


@corner
def iterations_fail_pause_and_crash(flow: Sketch) -> None:
    looping: list[EndingKind] = [
        "failed",
        "signal_loop",
        "failed",
        "lost",
        "signal_pause_until",
        "signal_loop",
    ]
    one = flow.task(ends=looping, max_retries=1, max_crashes=1)
    flow.task(one, ends=["signal_loop", "failed", "failed"], max_retries=1)
    three = flow.value((-1, -1, -1))
    many = flow.task((three, "mapped"), ends={0: looping, 2: ["signal_loop"]}, max_retries=1, max_crashes=1)
    flow.task((many, "mapped"), ends={1: ["signal_loop"]}, handled=True)
    flow.task(many)


@corner
def what_is_paused_is_approved(flow: Sketch) -> None:
    three = flow.value((-1, -1, -1))
    many = flow.task((three, "mapped"), ends={0: ["signal_pause"], 1: ["signal_pause", "signal_pause"]})
    manual = flow.task(
        (many, "mapped"), trigger=TriggerSpec("manual_only"), ends={1: ["failed"]}, max_retries=1
    )
    flow.task(manual, trigger=TriggerSpec("manual_only"), ends=["signal_loop"], handled=True)


@corner
def a_handler_lets_a_child_that_succeeded_start_again(flow: Sketch) -> None:
    above = flow.task((flow.value((-1, -1, -1)), "mapped"))
    below = flow.task((above, "mapped"), handled=True)
    flow.handlings[below, 1, "", "Success", 1] = "retrying"
    flow.task(below)


@corner
def a_handler_makes_a_failure_of_a_success_that_the_body_ordered(flow: Sketch) -> None:
    ordered: dict[EndingKind, str] = {
        "endrun_success": "Success",
        "endrun_cached": "Cached",
        "endrun_own_success": "OwnSuccess",
        "value": "Success",
    }
    for kind, new in ordered.items():
        failed = flow.task(ends=[kind, "value"], handled=True, max_retries=1)
        flow.handlings[failed, -1, "", new, 1] = "failed"
