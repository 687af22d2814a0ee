"""A cancel while something must be cleaned up: all else ends at once, the cleanups run, then it is over."""

from __future__ import annotations

from typing import Any

import pytest

from prefectlite.engine.events import Answered, TimerFired
from prefectlite.rules.retry import RetryPolicy
from prefectlite.rules.triggers import all_finished, manual_only
from prefectlite.states.state import Failed, Paused, Skipped
from tests.engine.plans import Bench, follows, listed, maps, pairs, task, value


def bench(*more: Any, trigger: Any = None, **policy: Any) -> Bench:
    """A resource ``s``, made by ``i``, used by ``u``, cleaned up by ``c``."""
    policy.setdefault("skip_on_upstream_skip", False)
    flow = Bench(
        task("i"),
        task("s", "i"),
        task("u", "s"),
        *more,
        task("c", "i", "s", follows("u"), cleans_up=True, trigger=trigger, **policy),
        task("z", follows("c")),
    )
    flow.start()
    return flow


def made(flow: Bench) -> Bench:
    flow.succeed("i")
    flow.succeed("s")
    return flow


def agree(flow: Bench) -> list[str]:
    """Let the one trigger that is asked pass."""
    (ask,) = flow.open_asks()
    return flow.handle(Answered(9.0, flow.engine.board.asks[ask], ask, True)).acts


def test_a_cancel_lets_the_cleanup_of_what_was_made_run_and_then_ends_the_flow() -> None:
    flow = made(bench())

    turn = flow.cancel("enough")

    assert turn.words == [
        "u Pending > Cancelled",
        "release u.1",
        "z Pending > Cancelled",
        "stop what was released",
        "ask c trigger",
    ]
    assert turn.why("u", "Cancelled").text == "The flow run was cancelled: enough."
    assert agree(flow) == ["submit c"]
    assert flow.engine.flow_state.is_running()
    assert set(flow.succeed("c").acts[:3]) == {"release c.1", "release i.1", "release s.1"}
    assert flow.engine.flow_state.is_cancelled()
    assert flow.states() == ["Success", "Success", "Cancelled", "Success", "Cancelled"]


def test_what_is_in_flight_when_the_rest_is_cleaned_up_says_that_its_body_may_run_on() -> None:
    flow = made(bench())

    flow.cancel("enough", "It may run on.")

    assert flow.state("u").message == "The flow run was cancelled: enough. It may run on."
    assert flow.state("z").message == "The flow run was cancelled: enough."


def test_what_is_being_made_when_the_cancel_comes_is_made_and_cleaned_up() -> None:
    flow = bench()

    assert flow.cancel().acts == ["release u.1", "stop what was released"]
    flow.succeed("i")
    assert flow.succeed("s").acts == ["ask c trigger"]
    assert agree(flow) == ["submit c"]
    assert flow.succeed("c").acts[-1] == "end Cancelled"


def test_nothing_is_cleaned_up_that_was_not_made() -> None:
    flow = Bench(
        task("a"),
        task("i", follows("a")),
        task("s", "i"),
        task("c", "i", "s", cleans_up=True, trigger=None, skip_on_upstream_skip=False),
    )
    flow.start()

    assert flow.cancel().acts[-1] == "end Cancelled"
    assert flow.states("s", "c") == ["Cancelled", "Cancelled"]


def test_a_resource_that_is_made_of_one_that_is_being_made_is_cleaned_up_with_it() -> None:
    flow = Bench(
        task("o"),
        task("i", "o"),
        task("u", "i"),
        task("ci", "i", follows("u"), cleans_up=True, trigger=all_finished),
        task("co", "o", follows("ci"), cleans_up=True, trigger=all_finished),
    )
    flow.start()

    assert flow.cancel().acts == ["release u.1", "stop what was released"]
    flow.succeed("o")
    assert "submit ci" in flow.succeed("i").acts
    assert "submit co" in flow.succeed("ci").acts
    assert flow.succeed("co").acts[-1] == "end Cancelled"


def test_a_setup_whose_handlers_are_asked_has_begun_and_one_that_waits_has_not() -> None:
    def made_by(**policy: Any) -> Bench:
        flow = Bench(task("s", **policy), task("c", "s", cleans_up=True, trigger=all_finished))
        flow.start()
        return flow

    handled = made_by(handled=True)
    handled.agree("s")
    handled.succeed("s")
    assert handled.cancel().acts == ["stop what was released"]
    assert handled.agree("s").acts == ["submit c"]

    retried = made_by(retry=RetryPolicy(1, (5.0,)))
    retried.fail("s")
    assert retried.cancel().acts[-1] == "end Cancelled"


@pytest.mark.parametrize("end", [Failed("no"), Skipped("no")])
def test_nothing_is_cleaned_up_whose_setup_failed_or_was_skipped(end: Any) -> None:
    flow = bench(task("long"))
    flow.succeed("i")
    flow.report("s", end)

    assert flow.cancel().acts[-1] == "end Cancelled"


def test_a_second_cancel_ends_the_cleanup_too() -> None:
    flow = made(bench())
    flow.cancel()
    agree(flow)

    turn = flow.cancel("now")

    assert turn.acts[0] == "cancel all"
    assert turn.acts[-1] == "end Cancelled"
    assert flow.states("c") == ["Cancelled"]
    assert turn.why("c", "Cancelled").text == "The flow run was cancelled: now."


def test_a_cleanup_that_runs_already_goes_on() -> None:
    flow = made(bench(task("other")))
    flow.succeed("u")
    agree(flow)

    assert flow.cancel().acts == ["release other.1", "release z.1", "stop what was released"]
    assert flow.succeed("c").acts[-1] == "end Cancelled"
    assert flow.states("c", "z", "other") == ["Success", "Cancelled", "Cancelled"]


def test_a_cleanup_that_fails_is_tried_again_after_a_cancel() -> None:
    flow = made(bench(trigger=all_finished, retry=RetryPolicy(1, (5.0,))))
    assert flow.cancel().acts[-2:] == ["stop what was released", "submit c"]

    assert flow.fail("c").acts == ["release c.1", "timer c at 9"]
    assert not flow.engine.ended
    assert flow.fire("c").acts == ["submit c #2.2"]
    assert flow.fail("c").acts[-1] == "end Cancelled"
    assert flow.states("c") == ["Failed"]


def test_a_cleanup_that_waits_for_approval_is_waited_for_no_longer() -> None:
    flow = made(bench(trigger=manual_only))

    assert flow.cancel().acts[-1] == "end Cancelled"
    assert flow.states("c") == ["Cancelled"]


def test_a_cleanup_that_went_ahead_is_taken_back_by_its_own_trigger() -> None:
    flow = Bench(task("i"), task("u", follows("i")), task("c", "i", follows("u"), cleans_up=True))
    flow.start()
    flow.succeed("i")

    assert flow.cancel().acts[-1] == "end Cancelled"
    assert flow.states() == ["Success", "Cancelled", "TriggerFailed"]


def test_resources_inside_each_other_are_cleaned_up_from_inside_to_outside() -> None:
    flow = Bench(
        task("o"),
        task("i", "o"),
        task("u", "i"),
        task("ci", "i", follows("u"), cleans_up=True, trigger=all_finished),
        task("co", "o", follows("ci"), cleans_up=True, trigger=all_finished),
    )
    flow.start()
    flow.succeed("o")
    flow.succeed("i")

    assert flow.cancel().acts == ["release u.1", "stop what was released", "submit ci"]
    assert "submit co" in flow.succeed("ci").acts
    assert flow.succeed("co").acts[-1] == "end Cancelled"


def test_each_child_of_a_map_cleans_up_what_it_made() -> None:
    flow = Bench(
        value("x", length=3),
        task("s", maps("x")),
        task("u", maps("s")),
        task("c", maps("s"), pairs("u"), cleans_up=True, trigger=all_finished),
    )
    flow.start()
    flow.succeed("s[0]")
    flow.succeed("s[1]")
    flow.succeed("u[1]")

    turn = flow.cancel()
    assert [act for act in turn.acts if act.startswith("submit")] == ["submit c[0]"]
    flow.succeed("c[0]")
    flow.succeed("c[1]")
    assert "submit c[2]" in flow.succeed("s[2]").acts  # it was being made
    assert flow.succeed("c[2]").acts[-1] == "end Cancelled"
    assert flow.states("u[0]", "u[1]", "u[2]") == ["Cancelled", "Success", "Cancelled"]


def test_a_map_of_cleanups_that_has_not_unfolded_cleans_nothing_up() -> None:
    flow = Bench(
        value("x", length=2),
        task("s"),
        task("w"),
        task("c", maps("x"), follows("w"), cleans_up=True, trigger=all_finished),
    )
    flow.start()

    assert flow.cancel().acts[-1] == "end Cancelled"


def test_what_was_asked_and_timed_for_others_comes_too_late() -> None:
    flow = made(
        bench(
            task("asked", trigger=None),
            task("handled", handled=True),
            task("failed", on_failure=True),
            task("timed", retry=RetryPolicy(1, (5.0,))),
            task("paused"),
            trigger=all_finished,
        )
    )
    flow.fail("failed")
    flow.fail("timed")
    flow.report("paused", Paused("look"), forced=True)
    asks = dict(flow.engine.board.asks)
    ((timer, timed),) = flow.engine.board.timers.items()
    assert len(asks) == 3

    flow.cancel()

    for ask, run in asks.items():
        assert flow.handle(Answered(9.0, run, ask, True)).words == []
    assert flow.handle(TimerFired(9.0, timed, timer)).words == []
    assert flow.states("asked", "handled", "failed", "timed", "paused") == [
        "Cancelled",
        "Cancelled",
        "Failed",
        "Cancelled",
        "Cancelled",
    ]
    assert flow.succeed("c").acts[-1] == "end Cancelled"


def test_many_children_end_while_a_cleanup_runs() -> None:
    flow = made(
        bench(value("x", length=50), task("m", maps("x")), task("n", maps("m")), trigger=all_finished)
    )
    flow.succeed("m[0]")

    flow.cancel()

    assert flow.states("m[0]", "m[1]", "n[0]", "n[49]") == ["Success", "Cancelled", "Cancelled", "Cancelled"]
    assert flow.succeed("c").acts[-1] == "end Cancelled"


def test_a_list_that_maps_lets_go_of_its_members_once() -> None:
    flow = made(
        bench(value("x", length=1), task("m", maps("x")), listed("l", maps("m")), task("r", maps("m"), "l"))
    )

    flow.cancel()  # the books are audited
    assert flow.states("l[0]", "r") == ["Cancelled", "Cancelled"]
