"""LOOP: each iteration is a task run of its own, under the same number on the board."""

from __future__ import annotations

from array import array

from prefectlite.engine.events import RangeFinished
from prefectlite.engine.transitions import Transition
from prefectlite.rules.retry import RetryPolicy
from prefectlite.rules.triggers import manual_only
from prefectlite.states.report import Report, Reports, Results
from prefectlite.states.state import Failed, Looped, Paused, State, Success
from tests.engine.plans import Bench, maps, task, value


def looping(**policy: object) -> Bench:
    """A task that is sent, and one that reads it."""
    bench = Bench(task("a", **policy), task("b", "a"))
    bench.start()
    return bench


def round_of(bench: Bench, name: str = "a", value: object = "handed on") -> list[str]:
    """The words of a turn in which a body raises LOOP."""
    return bench.report(name, Looped("once more", value)).words


def test_an_iteration_is_followed_by_the_next_under_a_name_of_its_own() -> None:
    bench = looping()
    assert round_of(bench) == [
        "a Pending > Running",
        "release a@2.1",
        "release b.1",
        "a Running > Looped",
        "a@2 Looped > Pending",
        "submit a@2 #1.2",
        "submit b ahead #1.2",
    ]
    assert bench.turn.why("a@2", "Pending").rule == "loop"


def test_the_next_iteration_is_told_what_the_one_before_hands_on() -> None:
    bench = looping()
    assert bench.log.submit("a").past.looped is None
    round_of(bench, value=[1, 2])
    past = bench.turn.submit("a@2").past
    assert past.looped is not None
    assert past.looped.result == [1, 2]
    assert not past.resumed
    round_of(bench, "a@2", value=3)
    past = bench.turn.submit("a@3").past
    assert past.looped is not None
    assert past.looped.result == 3


def test_the_last_iteration_says_how_the_run_ends() -> None:
    bench = looping()
    round_of(bench)
    assert bench.succeed("a@2").words == ["a@2 Pending > Running", "a@2 Running > Success"]
    assert bench.succeed("b").acts == ["release a@2.2", "end Success"]
    assert bench.engine.counts() == {"Success": 2}
    ref = bench.state("a@2").result_ref
    assert ref is not None
    assert (str(ref.run), ref.attempt, ref.submission) == ("a@2", 1, 2)


def test_the_retry_budget_counts_for_each_iteration() -> None:
    bench = looping(retry=RetryPolicy(max_retries=1))
    assert "submit a #2.2" in bench.fail("a").words
    round_of(bench)
    assert bench.engine.attempt(0) == 1
    assert "submit a@2 #2.4" in bench.fail("a@2").words
    past = bench.turn.submit("a@2").past
    assert past.looped is not None
    assert past.looped.result == "handed on"
    assert bench.fail("a@2").moves[-1] == "flow Running > Failed"


def test_the_crash_budget_counts_for_each_iteration() -> None:
    bench = looping(max_crashes=1)
    bench.crash("a")
    round_of(bench)
    assert "a@2 Crashed > Retrying" in bench.crash("a@2").words
    assert "flow Running > Failed" in bench.crash("a@2").words


def test_an_order_to_loop_is_a_loop() -> None:
    bench = looping()
    assert "a@2 Looped > Pending" in bench.report("a", Looped("once more"), forced=True).words


def test_children_of_a_map_loop_one_by_one() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x")), task("n", maps("m")))
    bench.start()
    assert "submit m[0]@2 #1.2" in round_of(bench, "m[0]")
    bench.succeed("m[1]")
    bench.succeed("n[1]")
    bench.succeed("m[0]@2")
    bench.succeed("n[0]")
    assert bench.engine.flow_state.is_successful()
    assert bench.engine.board.run_of(bench.engine.key(3)) == 3


def test_a_manual_task_is_approved_once_for_all_of_its_iterations() -> None:
    bench = looping(trigger=manual_only)
    bench.approve("a")
    round_of(bench)
    assert bench.turn.submit("a@2").past.resumed


def test_a_handler_that_puts_off_an_iteration_asks_no_rule_anew() -> None:
    bench = looping(trigger=manual_only, handled=True)
    bench.agree("a")  # Pending -> Paused
    bench.approve("a")
    bench.agree("a")  # Resume -> Running
    bench.report("a", Looped("once more"))
    bench.agree("a")  # Running -> Looped
    turn = bench.answer("a@2", Paused("look at this one"))
    assert turn.acts == ["await Running"]
    assert bench.approve("a@2").acts == ["ask a@2 handlers Resume > Running"]


def test_state_handlers_see_each_iteration_begin_and_are_told_of_the_one_before() -> None:
    bench = looping(handled=True)
    bench.agree("a")
    bench.report("a", Looped("once more", 7))
    assert bench.turn.ask("handlers").past.looped is None
    turn = bench.agree("a")
    assert turn.moves == ["a Running > Looped", "a@2 Looped > Pending"]
    asked = turn.ask("handlers")
    assert asked.past.looped is not None
    assert asked.past.looped.result == 7


def test_a_cancel_ends_an_iteration() -> None:
    bench = looping()
    round_of(bench)
    bench.cancel()
    assert bench.states() == ["Cancelled", "Cancelled"]


def test_an_iteration_may_end_in_any_way() -> None:
    for state, flow in ((Failed("no", ValueError()), "Failed"), (Success("yes", 1), "Success")):
        bench = Bench(task("a"))
        bench.start()
        round_of(bench)
        bench.report("a@2", state)
        assert type(bench.engine.flow_state).__name__ == flow


def test_every_transition_of_an_iteration_carries_its_name() -> None:
    bench = looping()
    round_of(bench)
    bench.succeed("a@2")
    names = [str(one.key) for one in bench.log if isinstance(one, Transition) and one.run == 0]
    assert names == ["a", "a", "a@2", "a@2", "a@2"]


class Stubborn(Looped):
    """A user's own iteration that is not made again without its result."""

    __slots__ = ()

    def replace(self, **changes: object) -> State:
        raise TypeError


def test_what_is_handed_on_does_not_pile_up_in_the_history() -> None:
    bench = looping()
    round_of(bench, value="large")
    assert not bench.turn.move("a", "Looped").new.has_result
    assert bench.engine.board.laps[0].looped is not None
    bench.succeed("a@2")
    assert bench.engine.board.laps[0].looped is None


def test_an_iteration_of_a_class_that_cannot_be_copied_is_kept_as_it_is() -> None:
    bench = looping()
    state = Stubborn("once more", 1)
    assert bench.report("a", state).move("a", "Stubborn").new is state


def test_children_that_fail_alike_in_a_later_iteration_keep_their_names() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x"), retry=RetryPolicy(max_retries=1)))
    bench.start()
    for index in range(2):
        round_of(bench, f"m[{index}]")
    times, said = array("d", [10.0, 10.0]), Report(Failed("boom", ValueError("boom")), 0.0, 0.0)
    reports = Reports(times, times, Results(array("q"), b""), "w1", said)
    turn = bench.handle(RangeFinished(20.0, bench.run("m[0]"), 2, reports))
    assert [str(one.key) for one in turn if isinstance(one, Transition)] == [
        *["m[0]@2"] * 3,
        *["m[1]@2"] * 3,
    ]
    assert turn.acts == ["release m[0]@2.2", "release m[1]@2.2", "submit m[1]@2 #2.3", "submit m[0]@2 #2.3"]
