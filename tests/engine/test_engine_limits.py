"""Concurrency limits: at most so many runs in flight, first come, first served, and nobody waits for ever."""

from __future__ import annotations

import random
from array import array
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefectlite.engine.events import AttemptFinished, RangeFinished
from prefectlite.engine.instructions import Submit
from prefectlite.errors import AuditError
from prefectlite.rules.retry import RetryPolicy
from prefectlite.rules.triggers import all_finished
from prefectlite.states.report import Report, Reports, Results
from prefectlite.states.state import Failed, Retrying, Skipped
from tests.engine.plans import Bench, Spec, follows, maps, task, value


def sent(bench: Bench) -> list[str]:
    """The runs that the last event sent, in order."""
    return [str(one.key) for one in bench.turn if isinstance(one, Submit)]


def mapped(width: int, most: int, **policy: object) -> Bench:
    bench = Bench(value("x", length=width), task("m", maps("x"), limits=(0,), **policy), limits=(most,))
    bench.start()
    return bench


# One limit


def test_no_more_children_are_in_flight_than_the_limit_says() -> None:
    bench = mapped(5, 2)
    assert sent(bench) == ["m[0]", "m[1]"]
    assert bench.states("m[2]") == ["Pending"]


def test_a_place_that_comes_free_goes_to_whoever_waits_longest() -> None:
    bench = mapped(5, 2)
    bench.succeed("m[1]")
    assert sent(bench) == ["m[2]"]
    bench.fail("m[0]")
    assert sent(bench) == ["m[3]"]
    bench.crash("m[2]")
    assert sent(bench) == ["m[4]"]
    bench.succeed("m[3]")
    assert sent(bench) == []
    bench.succeed("m[4]")
    assert bench.engine.ended


def test_a_refused_submission_gives_its_place_back() -> None:
    bench = mapped(2, 1)
    bench.refuse("m[0]", TypeError("no"))
    assert sent(bench) == ["m[1]"]


def test_a_retry_waits_behind_those_who_came_before() -> None:
    bench = mapped(3, 1, retry=RetryPolicy(1))
    bench.fail("m[0]")
    assert sent(bench) == ["m[1]"]
    bench.succeed("m[1]")
    assert sent(bench) == ["m[2]"]
    bench.succeed("m[2]")
    assert sent(bench) == ["m[0]"]


def test_a_retry_that_waits_for_its_time_holds_no_place() -> None:
    bench = mapped(2, 1, retry=RetryPolicy(1, (60.0,)))
    bench.fail("m[0]")
    assert sent(bench) == ["m[1]"]
    bench.fire("m[0]")
    assert sent(bench) == []
    bench.succeed("m[1]")
    assert sent(bench) == ["m[0]"]


def test_a_held_run_waits_for_a_place_like_any_other() -> None:
    bench = mapped(2, 1)
    bench.observe("m[0]")
    bench.hold("m[0]")
    assert sent(bench) == ["m[1]"]
    bench.succeed("m[1]")
    assert sent(bench) == ["m[0]"]
    assert bench.succeed("m[0]").moves == ["m[0] Running > Success", "flow Running > Success"]


def test_who_had_to_wait_says_so() -> None:
    bench = mapped(2, 1)
    assert bench.succeed("m[0]").why("m[0]", "Running").rule == "trigger"
    why = bench.succeed("m[1]").why("m[1]", "Running")
    assert why.rule == "limit"
    assert why.text.startswith("A place came free. At most 1 task run of kind 0 runs at once. Trigger")
    assert dict(why.read)["limit"] == "kind 0: 1"


def test_calls_share_a_limit_with_children_and_others_do_not_wait() -> None:
    bench = Bench(
        value("x", length=2),
        task("a", limits=(0,)),
        task("b", limits=(0,)),
        task("m", maps("x"), limits=(0,)),
        task("free"),
        limits=(2,),
    )
    bench.start()
    assert sorted(sent(bench)) == ["free", "m[0]", "m[1]"]
    bench.succeed("m[1]")
    assert sent(bench) == ["a"]
    bench.succeed("a")
    assert sent(bench) == ["b"]


def test_what_is_under_a_limit_never_goes_ahead_and_may_be_followed() -> None:
    bench = Bench(task("a"), task("b", "a", limits=(0,)), task("c", "b"), limits=(1,))
    assert bench.start().acts == ["submit a"]
    assert bench.succeed("a").acts == ["submit b", "submit c ahead"]


def test_children_under_a_limit_are_never_sent_nor_taken_in_as_one() -> None:
    bench = mapped(40, 20)
    assert len(sent(bench)) == 20
    reports = Reports(array("d", [1.0] * 20), array("d", [2.0] * 20), Results(array("q", bytes(160)), b""))
    bench.handle(RangeFinished(3.0, bench.run("m[0]"), 1, reports))
    assert set(sent(bench)) == {f"m[{n}]" for n in range(20, 40)}


def test_a_cancel_ends_who_waits() -> None:
    bench = mapped(3, 1)
    bench.cancel()
    assert bench.states("m[0]", "m[1]", "m[2]") == ["Cancelled"] * 3


def test_a_cleanup_gets_the_place_of_what_was_called_off() -> None:
    bench = Bench(
        task("made"),
        task("u", "made", limits=(0,)),
        task("v", "made", limits=(0,)),
        task("c", "made", follows("u"), follows("v"), limits=(0,), cleans_up=True, trigger=all_finished),
        limits=(1,),
    )
    bench.start()
    bench.succeed("made")
    assert sent(bench) == ["u"]
    bench.cancel()
    assert bench.states("u", "v") == ["Cancelled", "Cancelled"]
    assert sent(bench) == ["c"]
    bench.succeed("c")
    assert bench.engine.flow_state.is_cancelled()


def test_who_waits_and_comes_up_once_more_stands_in_the_row_once() -> None:
    bench = Bench(
        task("a"), task("b", limits=(0,)), task("c", "a", limits=(0,)), task("d"), limits=(1,), window=2
    )
    bench.start()
    assert sent(bench) == ["a", "b"]
    bench.succeed("a")  # now c waits, and comes up again with the rest of the plan
    assert sent(bench) == ["d"]
    bench.succeed("b")
    assert sent(bench) == ["c"]
    bench.succeed("c")
    bench.succeed("d")
    assert bench.engine.ended


# Handlers


def test_handlers_hear_of_a_start_once_there_is_a_place() -> None:
    bench = mapped(2, 1, handled=True)
    bench.agree("m")
    assert bench.turn.acts == ["ask m[0] handlers Pending > Running"]
    assert bench.agree("m[0]").acts == ["submit m[0]"]
    bench.succeed("m[0]")
    assert bench.turn.acts[-1] == "ask m[1] handlers Pending > Running"
    assert bench.states("m[1]") == ["Pending"]
    assert bench.agree("m[0]").moves == ["m[0] Running > Success"]
    turn = bench.agree("m[1]")
    assert turn.words == ["m[1] Pending > Running", "submit m[1]"]
    assert turn.why("m[1]", "Running").rule == "limit"


@pytest.mark.parametrize("state", [Skipped("no need"), Failed("no"), Retrying("later", start_time=None)])
def test_a_start_that_a_handler_refuses_or_puts_off_gives_its_place_back(state: object) -> None:
    bench = mapped(2, 1, handled=True)
    bench.agree("m")
    bench.answer("m[0]", state)
    assert "ask m[1] handlers Pending > Running" in bench.turn.acts


def test_a_handled_retry_waits_for_a_place_before_it_is_running() -> None:
    bench = mapped(2, 1, handled=True, retry=RetryPolicy(1))
    for name in ("m", "m[0]"):
        bench.agree(name)
    bench.fail("m[0]")
    bench.agree("m[1]")
    bench.agree("m[0]")  # Running > Failed
    bench.agree("m[0]")  # Failed > Retrying
    assert bench.states("m[0]", "m[1]") == ["Retrying", "Running"]
    assert not bench.turn.acts
    bench.succeed("m[1]")
    assert "ask m[0] handlers Retrying > Running" in bench.turn.acts


# Several limits


def test_who_waits_under_a_narrow_limit_holds_no_place_under_a_wide_one() -> None:
    bench = Bench(
        *(task(f"db{n}", limits=(0, 1)) for n in range(5)),
        *(task(f"cpu{n}", limits=(1,)) for n in range(3)),
        limits=(1, 3),
    )
    bench.start()
    assert sorted(sent(bench)) == ["cpu0", "cpu1", "db0"]
    bench.succeed("cpu0")
    assert sent(bench) == ["cpu2"]
    bench.succeed("db0")
    assert sent(bench) == ["db1"]


def test_a_place_under_a_narrow_limit_is_kept_while_waiting_for_one_under_a_wide_limit() -> None:
    bench = Bench(
        task("a", limits=(1,)),
        task("b", limits=(1,)),
        task("c", limits=(0, 1)),
        task("d", limits=(0, 1)),
        limits=(1, 2),
    )
    bench.start()
    assert sent(bench) == ["a", "b"]
    bench.succeed("a")
    assert sent(bench) == ["c"]
    bench.succeed("b")
    assert sent(bench) == []  # d waits for c's place under the narrow limit
    bench.succeed("c")
    assert sent(bench) == ["d"]


def test_who_is_called_off_while_it_waits_is_passed() -> None:
    bench = mapped(4, 1)
    limits = bench.engine._conduct.limits
    for name in ("m[1]", "m[2]"):
        limits.give_back(bench.run(name))
    bench.succeed("m[0]")
    assert sent(bench) == ["m[3]"]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_ends_first_no_limit_is_exceeded_and_all_come_to_their_end(seed: int) -> None:
    draw = random.Random(seed)
    most = sorted(draw.randint(1, 4) for _ in range(draw.randint(1, 4)))
    specs: list[Spec] = [value("x", length=draw.randint(0, 6))]
    for n in range(draw.randint(1, 8)):
        under = tuple(place for place in range(len(most)) if draw.random() < 0.5)
        ins = [maps("x")] if draw.random() < 0.4 else []
        specs.append(
            task(
                f"t{n}",
                *ins,
                limits=under,
                handled=draw.random() < 0.3,
                retry=RetryPolicy(draw.randint(0, 1)),
            )
        )
    bench = Bench(*specs, limits=tuple(most), window=draw.choice((1, 3, 4096)))
    bench.start()  # the audit after each event counts who is in flight under each limit
    while not bench.engine.ended:
        asked, board = bench.open_asks(), bench.engine.board
        flying = [run for run, stage in enumerate(board.stage) if stage == 2]
        run = draw.choice([*asked.values(), *flying])
        name = str(bench.engine.key(run))
        if run in asked.values():
            bench.agree(name)
        elif draw.random() < 0.3:
            bench.fail(name)
        else:
            bench.succeed(name)
    assert "Pending" not in bench.states()


def test_every_child_is_sent_once_in_the_order_in_which_they_came() -> None:
    bench = mapped(30, 4)
    order = list(sent(bench))
    while not bench.engine.ended:
        bench.succeed(order[len(order) - min(4, len(order) - bench.engine.counts().get("Success", 0))])
        order += sent(bench)
    assert order == [f"m[{n}]" for n in range(30)]
    assert set(Counter(order).values()) == {1}


def test_more_in_flight_than_a_limit_is_caught() -> None:
    bench = mapped(3, 2)
    board = bench.engine.board
    run = bench.run("m[2]")
    board.stage[run] = 2
    board.flying += 1
    board.submission[run] = board.live[run] = 1
    with pytest.raises(AuditError, match="3 runs of kind 0 are in flight, more than the limit of 2"):
        bench.engine.audit()


def test_a_late_report_gives_no_place_back_twice() -> None:
    bench = mapped(4, 1)
    bench.succeed("m[0]")
    report = Report(None, 0.0, 1.0)
    bench.handle(AttemptFinished(9.0, bench.run("m[0]"), 1, report))
    assert sent(bench) == []
