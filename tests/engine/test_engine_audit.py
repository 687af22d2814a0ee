"""The auditor: each book that is tampered with is caught, and the story of the run is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from prefectlite.engine.board import ASKING, FINAL, FLYING, PARKED, QUEUED, WAITING
from prefectlite.errors import AuditError
from prefectlite.rules.retry import RetryPolicy
from prefectlite.rules.triggers import all_finished
from prefectlite.states.state import Failed, Pending, Skipped, Success
from tests.engine.plans import Bench, listed, maps, reads, task, value


def midway() -> Bench:
    """A bit of everything, in the middle of it; see the names of the runs."""
    bench = Bench(
        task("done"),
        task("reader", "done"),
        task("later", "reader"),
        value("x", length=3),
        task("m", maps("x"), retry=RetryPolicy(1, (60.0,))),
        task("n", maps("m")),
        task("r", "n", trigger=all_finished),
        task("asked", handled=True),
        task("end", "asked", "r"),
        listed("l", "done", "r"),
        task("last", "l", "x"),
        reference=("last", "end"),
    )
    bench.start()
    bench.succeed("done")
    bench.succeed("m[0]")
    bench.succeed("n[0]")
    bench.fail("m[1]")
    return bench


def caught(bench: Bench, story: str) -> None:
    with pytest.raises(AuditError, match=story):
        bench.engine.audit()


def test_books_that_nobody_touched_agree() -> None:
    midway().engine.audit()


@pytest.mark.parametrize("by", [-1, 1])
@pytest.mark.parametrize(
    ("book", "name", "what"),
    [
        ("unmet", "later", "open upstreams"),
        ("unmet", "n[1]", "open upstreams"),
        ("unmet", "n[0]", "open upstreams"),
        ("unmet", "last", "open upstreams"),
        ("unmet", "r", "open upstreams"),
        ("unsent", "reader", "unsent upstreams"),
        ("unsent", "n[1]", "unsent upstreams"),
        ("unsent", "n[2]", "unsent upstreams"),
        ("unsent", "r", "unsent upstreams"),
        ("unsent", "end", "unsent upstreams"),
        ("readers", "done", "readers"),
        ("readers", "m[1]", "readers"),
        ("readers", "l", "readers"),
        ("readers", "x", "readers"),
    ],
)
def test_a_counter_of_a_run_that_is_off_by_one_is_caught(book: str, name: str, what: str, by: int) -> None:
    bench = midway()
    getattr(bench.engine.board, book)[bench.run(name)] += by
    caught(bench, f"for {what}, a count says .*: {name}".replace("[", r"\["))


def test_a_mark_that_is_missing_is_caught() -> None:
    bench = midway()
    bench.engine.board.sent[bench.run("done")] = 0
    caught(bench, "unsent upstreams")


def test_a_mark_too_many_is_caught() -> None:
    bench = midway()
    bench.engine.board.sent[bench.run("m[1]")] = 1
    caught(bench, "unsent")


def test_a_value_without_a_reader_is_caught() -> None:
    bench = midway()
    run = bench.run("m[0]")
    assert bench.engine.board.live[run] == 0
    bench.engine.board.live[run] = 1
    caught(bench, r"1 for values without a reader, a count says 0: m\[0\]")


def test_a_run_in_flight_that_is_not_held_is_caught() -> None:
    bench = midway()
    bench.engine.board.live[bench.run("reader")] = 0
    caught(bench, "A run in flight is not held: reader")


def test_a_submission_that_was_not_counted_is_caught() -> None:
    bench = midway()
    bench.engine.board.submission[bench.run("reader")] += 1
    caught(bench, "A run in flight is not held: reader")


def test_a_run_that_flies_ahead_and_may_not_is_caught() -> None:
    bench = midway()
    bench.engine.wiring.ahead[bench.run("later")] = 0
    caught(bench, "A run flies ahead of an upstream that may not succeed: later")


def test_a_run_that_flies_ahead_of_one_that_is_not_sent_is_caught() -> None:
    bench = midway()
    board, run = bench.engine.board, bench.run("n[1]")
    board.stage[run] = FLYING
    board.flying += 1
    board.live[run] = board.submission[run]
    caught(bench, r"A run flies ahead of an upstream that may not succeed: n\[1\]")


def test_a_state_that_is_not_final_in_a_final_run_is_caught() -> None:
    bench = midway()
    bench.engine.board.states[bench.run("x")] = Pending()  # a constant is in no count
    with pytest.raises(AuditError):
        bench.engine.audit()
    bench = Bench(value("x"), task("a"))
    bench.start()
    bench.engine.board.states[0] = Pending()
    caught(bench, "A run is final in a state that is not: x")


def test_a_question_that_was_lost_is_caught() -> None:
    bench = midway()
    bench.engine.board.asks.clear()
    caught(bench, "A run waits for an answer that nobody was asked for: asked")


def test_a_run_that_was_taken_for_asking_is_caught() -> None:
    bench = midway()
    bench.engine.board.stage[bench.run("end")] = ASKING
    caught(bench, "A run waits for an answer that nobody was asked for: end")


def test_a_number_in_flight_that_is_off_is_caught() -> None:
    bench = midway()
    bench.engine.board.flying += 1
    caught(bench, "runs are said to be in flight")


def test_a_number_of_open_runs_that_is_off_is_caught() -> None:
    bench = midway()
    bench.engine.board.open -= 1
    caught(bench, "runs are said to be open")


@pytest.mark.parametrize("stage", [WAITING, QUEUED, PARKED, FINAL])
def test_a_stage_that_is_off_is_caught(stage: int) -> None:
    bench = midway()
    bench.engine.board.stage[bench.run("reader")] = stage
    caught(bench, "are said to be")


def test_a_state_behind_the_counts_is_caught() -> None:
    bench = midway()
    bench.engine.board.states[bench.run("reader")] = Failed()
    caught(bench, "The counts by state are said to be")


def test_a_count_by_state_that_is_off_is_caught() -> None:
    bench = midway()
    bench.engine.board.counts["Skipped"] = 1
    caught(bench, "The counts by state are said to be")


@pytest.mark.parametrize(("fact", "what"), [("open", "open children"), ("unsent", "unsent")])
@pytest.mark.parametrize("slug", ["m", "n"])
def test_a_counter_of_a_family_that_is_off_is_caught(slug: str, fact: str, what: str) -> None:
    bench = midway()
    family = bench.engine.board.families[bench.run(slug)]
    setattr(family, fact, getattr(family, fact) + 1)
    caught(bench, what)


def test_a_terminal_familys_counter_is_told_as_its_own() -> None:
    bench = Bench(value("x", length=2), task("m", maps("x")))
    bench.start()
    bench.engine.board.families[1].unsent += 1
    caught(bench, "1 for unsent children, a count says 0: m")


def test_a_tally_of_a_family_that_is_off_is_caught() -> None:
    bench = midway()
    bench.engine.board.families[bench.run("m")].tally.add(Skipped())
    caught(bench, r"The children's tally is Tally\(.*\), but should be .*: m")


def test_the_tally_of_an_empty_family_is_checked() -> None:
    bench = Bench(value("x", length=0), task("m", maps("x")), task("a"))
    bench.start()
    bench.engine.audit()
    bench.engine.board.families[1].tally.empty_maps = 0
    caught(bench, "The children's tally is")


@pytest.mark.parametrize("lose", ["timer", "flight"])
def test_a_run_that_hangs_is_caught(lose: str) -> None:
    bench = Bench(task("a", retry=RetryPolicy(1, (5.0,))))
    bench.start()
    board = bench.engine.board
    if lose == "timer":
        bench.fail("a")
        board.timers.clear()
    else:
        board.stage[0] = WAITING
        board.flying = 0
    caught(bench, "Nothing is in flight, asked or timed, yet the flow run goes on; 1 runs are open")


def test_more_in_flight_than_the_window_is_caught() -> None:
    bench = midway()
    bench.engine.window = 1
    caught(bench, r"submissions are in flight, more than the window of 1")


def test_a_readers_book_of_a_shorter_map_is_counted_right() -> None:
    bench = Bench(
        value("x", length=2),
        value("y", length=1),
        task("m", maps("x")),
        task("n", maps("m"), maps("y"), map_lengths="shortest"),
    )
    bench.start()
    bench.engine.board.readers[bench.run("m[1]")] += 1
    caught(bench, r"1 for readers, a count says 0: m\[1\]")


def test_the_books_of_a_finished_run_are_checked_too() -> None:
    bench = Bench(task("a"), task("b", "a"))
    bench.drive()
    bench.engine.audit()
    bench.engine.board.live[0] = 1
    caught(bench, "values without a reader")


def test_a_cancelled_run_is_checked_by_its_totals() -> None:
    bench = Bench(task("a"), task("b", "a"))
    bench.start()
    bench.cancel()
    bench.engine.audit()
    bench.engine.board.unmet[1] = 7  # nobody reads this book any more
    bench.engine.audit()
    bench.engine.board.open = 1
    caught(bench, "1 runs are said to be open, but 0 are")


@pytest.mark.parametrize(
    "tamper",
    [
        lambda board: board.counts.update(Success=0),
        lambda board: board.counts.update(Nobody=0),
    ],
)
def test_a_count_of_nobody_is_no_entry(tamper: Callable[[object], None]) -> None:
    bench = Bench(task("a"), task("b", reads("a")))
    bench.start()
    tamper(bench.engine.board)
    bench.engine.audit()


def test_a_state_that_no_plain_success_is_shows_in_the_marks() -> None:
    bench = Bench(task("a", keep_result=True), value("x", length=1), task("m", maps("x"), "a"))
    bench.drive()
    bench.engine.audit()
    bench.engine.board.states[0] = Success("still one")
    bench.engine.audit()
