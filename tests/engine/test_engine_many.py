"""Children of a map many at a time: ranges in, ranges out, and the same outcome as one by one."""

from __future__ import annotations

import copy
import pickle
from array import array
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefectlite.engine.events import (
    AttemptFinished,
    AttemptHeld,
    Event,
    RangeFinished,
    RoomChanged,
    RunStarted,
)
from prefectlite.engine.inputs import FromElements, FromSpan, FromValue, Row
from prefectlite.engine.instructions import (
    Instruction,
    Release,
    ReleaseMany,
    Submit,
    SubmitMany,
    one_by_one,
)
from prefectlite.engine.landings import DONE, RAN, Landing, Landings
from prefectlite.engine.ledger import Ledger
from prefectlite.engine.transitions import Transition, TransitionMany
from prefectlite.errors import EngineError, TaskError
from prefectlite.rules.retry import RetryPolicy
from prefectlite.rules.triggers import all_finished
from prefectlite.rules.verdict import Reason
from prefectlite.states.keys import RunKey
from prefectlite.states.report import Report, Reports, Results
from prefectlite.states.state import (
    Crashed,
    Failed,
    Pending,
    Retrying,
    Running,
    Skipped,
    State,
    Success,
)
from tests.engine.plans import Bench, Spec, books, follows, listed, maps, pairs, reads, said, task, value


def reports_of(count: int, first: int = 0, at: float = 10.0) -> Reports:
    """Of children whose values are their indices; the child with index i ended i seconds after ``at``."""
    payloads = [pickle.dumps(first + place) for place in range(count)]
    started = array("d", [at + first + place - 0.5 for place in range(count)])
    ended = array("d", [at + first + place for place in range(count)])
    return Reports(started, ended, Results(array("q", map(len, payloads)), b"".join(payloads)), "w1")


def landed(bench: Bench, first: str, count: int, submission: int = 1) -> RangeFinished:
    run = bench.run(first)
    index = bench.engine.key(run).index or 0
    return RangeFinished(100.0, run, submission, reports_of(count, index))


def raw(bench: Bench, event: Event) -> list[Instruction]:
    """What the engine wants, ranges as they are."""
    found = bench.engine.handle(event)
    bench.engine.audit()
    bench.log.extend(one_by_one(found))
    return found


def started(*specs: Spec, window: int = 4096) -> tuple[Bench, list[Instruction]]:
    bench = Bench(*specs, window=window)
    return bench, raw(bench, RunStarted(0.0))


def wide(width: int, **policy: Any) -> list[Spec]:
    return [value("x", length=width), task("m", maps("x"), **policy)]


def submitted(found: Sequence[Instruction]) -> list[tuple[str, int, int]]:
    """What goes to the cluster: slug, first index, how many."""
    told = []
    for one in found:
        if isinstance(one, SubmitMany):
            told.append((one.slug, one.first, len(one)))
        elif isinstance(one, Submit):
            told.append((one.key.slug, -1 if one.key.index is None else one.key.index, 1))
    return told


class TestSubmit:
    def test_children_go_as_one(self) -> None:
        bench, found = started(*wide(20), task("r", "m"))
        (many,) = [one for one in found if isinstance(one, SubmitMany)]
        assert submitted(found) == [("m", 0, 20), ("r", -1, 1)]
        assert many.runs == bench.engine.children(1)
        assert many.rows == (Row("x", FromElements(FromValue(0), 0)),)
        assert (many.attempt, many.submission, many.ahead, many.left) == (1, 1, False, 0)

    def test_one_of_many_is_what_it_would_be_alone(self) -> None:
        bench, found = started(
            value("x", length=5), value("k"), task("m", maps("x")), task("n", maps("m"), reads("k"))
        )
        for many in [one for one in found if isinstance(one, SubmitMany)]:
            assert list(many) == [many.one(place) for place in range(len(many))]
            for place, one in enumerate(many):
                assert (one.run, one.key) == (many.runs[place], RunKey(many.slug, many.first + place))
                assert (one.ahead, one.drop_value, one.measure) == (many.ahead, many.drop_value, many.measure)
                assert one.consumes == many.consumes == frozenset({"m"} if many.slug == "n" else ())
        assert bench.sources("m[3]") == "x[3]"
        assert bench.sources("n[4]", "m") == "m[4].1"
        assert bench.sources("n[4]", "k") == "k"

    def test_a_map_of_a_map_reads_span_by_span(self) -> None:
        bench, found = started(value("x", length=20), task("m", maps("x")), task("n", maps("m")))
        above, below = [one for one in found if isinstance(one, SubmitMany)]
        assert below.rows == (Row("m", FromSpan(above.runs.start, 1, 20)),)
        assert below.ahead
        assert bench.engine.board.flying == 40

    def test_what_the_window_leaves_behind_is_told(self) -> None:
        bench, found = started(*wide(20), window=8)
        sent = [one for one in found if isinstance(one, SubmitMany)]
        assert [(one.first, len(one), one.left) for one in sent] == [
            (0, 2, 18),
            (2, 2, 16),
            (4, 2, 14),
            (6, 2, 12),
        ]
        assert bench.engine.board.flying == 8

    @pytest.mark.parametrize(
        "specs",
        [
            [value("x", length=3), task("m", maps("x"), handled=True)],
            [task("a"), task("b"), listed("x", "a", "b"), task("m", maps("x"))],
        ],
    )
    def test_children_that_must_be_heard_or_differ_go_one_by_one(self, specs: list[Spec]) -> None:
        bench, seen = Bench(*specs), []
        handle = bench.engine.handle

        def listening(event: Event) -> list[Instruction]:
            found = handle(event)
            seen.extend(found)
            return found

        bench.engine.handle = listening  # type: ignore[method-assign]
        bench.drive()
        assert bench.engine.flow_state.is_successful()
        assert {type(one).__name__ for one in seen}.isdisjoint({"SubmitMany", "TransitionMany"})

    def test_what_follows_children_without_a_value_goes_ahead_of_each(self) -> None:
        """The state alone is followed child by child, so that each waits for its own."""
        _, found = started(value("x", length=3), task("m", maps("x")), task("n", maps("x"), pairs("m")))
        assert submitted(found) == [("m", 0, 3), ("n", 0, 1), ("n", 1, 1), ("n", 2, 1)]
        followers = [one for one in found if isinstance(one, Submit)]
        assert all(one.ahead and len(one.after) == 1 for one in followers)

    def consider_all(self, width: int, window: int) -> list[tuple[str, int, int]]:
        """Let all children come up together, of which as many as the window holds were sent before."""
        bench, _ = started(*wide(width), window=window)
        assert bench.engine.board.flying == window
        conduct, frontier, ledger = bench.engine._conduct, bench.engine._frontier, bench.engine._ledger
        while frontier.pop(width) is not None:
            pass
        ledger.out = []
        conduct.together.consider(bench.engine.children(1))
        while (some := frontier.pop(width)) is not None:
            if len(some) == 1:
                conduct.consider(some.start)
            else:
                conduct.together.consider(some)
        return submitted(ledger.out)

    def test_where_many_differ_they_come_up_in_halves(self) -> None:
        assert self.consider_all(64, 32) == [("m", 32, 32)], "what was in flight is left alone"
        assert self.consider_all(64, 40) == [*(("m", n, 1) for n in range(40, 48)), ("m", 48, 16)]

    def test_where_few_differ_they_come_up_one_by_one(self) -> None:
        assert self.consider_all(16, 13) == [("m", 13, 1), ("m", 14, 1), ("m", 15, 1)]


class TestLand:
    def test_children_land_as_one(self) -> None:
        bench, _ = started(*wide(20), task("r", "m", keep_result=True))
        found = raw(bench, landed(bench, "m[0]", 20))
        changes = [one for one in found if isinstance(one, TransitionMany)]
        assert [(type(one.old), type(one.new), len(one)) for one in changes] == [
            (Pending, Running, 20),
            (Running, Success, 20),
        ]
        began, ended = changes
        assert [one.time for one in began][:2] == [9.5, 10.5]
        assert [one.time for one in ended][:2] == [10.0, 11.0]
        assert ended.one(3).new == bench.engine.state(bench.run("m[3]"))
        assert ended.one(3).new.result == 3
        assert ended.why.text == DONE
        assert set(bench.states("m[0]", "m[19]")) == {"Success"}
        assert bench.engine.counts() == {"Success": 20, "Pending": 1}

    def test_values_are_let_go_of_as_one(self) -> None:
        bench, _ = started(*wide(20), task("r", "m"))
        raw(bench, landed(bench, "m[0]", 20))
        found = raw(bench, AttemptFinished(200.0, bench.run("r"), 1, Report(None, 199.0, 200.0)))
        released = [one for one in found if isinstance(one, ReleaseMany)]
        (many,) = released
        assert (many.runs, many.submission) == (bench.engine.children(1), 1)
        assert list(many) == [Release(run, 1) for run in many.runs]

    def test_a_part_lands_and_the_rest_later(self) -> None:
        bench, _ = started(*wide(20))
        for first, count in ((5, 5), (0, 5), (15, 5), (10, 5)):
            raw(bench, landed(bench, f"m[{first}]", count))
        assert bench.engine.ended
        assert [bench.state(f"m[{index}]").result for index in range(20)] == list(range(20))

    def test_what_was_heard_before_changes_nothing(self) -> None:
        bench, _ = started(*wide(20), task("r", "m"))
        event = landed(bench, "m[2]", 5)
        raw(bench, event)
        before = books(bench.engine)
        assert raw(bench, event) == []
        assert books(bench.engine) == before

    def test_what_overlaps_with_what_was_heard_tells_of_the_rest(self) -> None:
        bench, _ = started(*wide(10), task("r", "m"))
        raw(bench, landed(bench, "m[2]", 5))
        raw(bench, landed(bench, "m[0]", 10))
        assert [bench.state(f"m[{index}]").result for index in range(10)] == list(range(10))
        assert bench.states("m[0]", "m[3]", "m[9]") == ["Success"] * 3

    def test_nothing_in_it_is_nothing(self) -> None:
        bench, _ = started(*wide(3))
        before = books(bench.engine)
        assert raw(bench, landed(bench, "m[1]", 0)) == []
        assert books(bench.engine) == before

    @pytest.mark.parametrize(
        ("first", "count", "submission", "story"),
        [
            (0, 4, 1, "there is no run 5"),
            (-1, 2, 1, "there is no run -3"),
            (0, 3, 2, r"submission 2 of run 2, which was never made: .*m\[0\]"),
        ],
    )
    def test_what_was_never_sent_is_refused_and_nothing_has_changed(
        self, first: int, count: int, submission: int, story: str
    ) -> None:
        bench, _ = started(*wide(3))
        run = bench.run("m[0]") if first == 0 else -3
        before = books(bench.engine)
        with pytest.raises(EngineError, match=story):
            bench.engine.handle(RangeFinished(1.0, run, submission, reports_of(count)))
        assert books(bench.engine) == before
        bench.engine.audit()

    def test_one_in_the_middle_that_was_never_sent_is_refused_before_the_first_is_taken_in(self) -> None:
        bench, _ = started(*wide(3, max_crashes=3))
        for name in ("m[0]", "m[2]"):
            bench.crash(name)
        before = books(bench.engine)
        with pytest.raises(EngineError, match="submission 2 of run 3"):
            bench.engine.handle(RangeFinished(900.0, bench.run("m[0]"), 2, reports_of(3)))
        assert books(bench.engine) == before
        bench.engine.audit()

    def test_a_law_that_forbids_a_step_of_many_changes_nothing(self) -> None:
        bench, _ = started(*wide(3))
        ledger: Ledger = bench.engine._ledger
        before = books(bench.engine)
        with pytest.raises(EngineError, match="Pending cannot become Pending"):
            ledger.commit_many(
                bench.engine.children(1), Pending(), Reason("rule", "text"), array("d", [1.0] * 3), None
            )
        assert books(bench.engine) == before


def chain() -> list[Spec]:
    return [value("x", length=6), task("m", maps("x")), task("n", maps("m")), task("r", "n")]


def measured() -> list[Spec]:
    return [value("x", length=6), task("m", maps("x")), task("f", maps("m", flat=True))]


Prepare = Callable[[Bench], Any]

#: Why reports of children that ended together cannot be taken in as one.
DIFFERENT: dict[str, tuple[list[Spec], str, Prepare]] = {
    "one was heard before": (wide(6), "m", lambda bench: bench.succeed("m[2]")),
    "one was seen to run": (wide(6), "m", lambda bench: bench.observe("m[2]")),
    "one was sent again": (
        wide(6, max_crashes=2),
        "m",
        lambda bench: bench.crash("m[2]"),
    ),
    "one was held and sent again": (wide(6), "m", lambda bench: bench.hold("m[2]")),
    "each was let through for a reason of its own": (
        wide(6, trigger=all_finished),
        "m",
        lambda bench: bench.engine._conduct._why.update(
            {run: Reason("trigger", f"Passed at {run}.") for run in bench.engine.children(1)}
        ),
    ),
    "their values are measured": (measured(), "m", lambda bench: None),
    "those above are not known": (chain(), "n", lambda bench: None),
    "some above are not known": (chain(), "n", lambda bench: bench.succeed("m[3]")),
    "one above was no success": (chain(), "n", lambda bench: bench.fail("m[3]")),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_where_they_differ_each_is_taken_in_by_itself_with_the_same_outcome(case: str) -> None:
    specs, slug, prepare = DIFFERENT[case]
    together, alone = Bench(*specs), Bench(*specs)
    for bench in (together, alone):
        bench.start()
        bench.now = 500.0
        prepare(bench)
    event = landed(together, f"{slug}[0]", 6)
    event = RangeFinished(600.0, event.run, 1, event.reports)
    found = raw(together, event)
    assert not [one for one in found if isinstance(one, TransitionMany)]
    for place in range(6):
        raw(alone, AttemptFinished(600.0, event.run + place, 1, event.reports.one(place)))
    assert [said(one, together.engine) for one in together.log] == [
        said(one, alone.engine) for one in alone.log
    ]
    assert together.states() == alone.states()
    for run in together.engine.runs():
        assert together.engine.state(run) == alone.engine.state(run)


def test_those_that_one_reason_let_through_land_as_one() -> None:
    bench, _ = started(*wide(6, trigger=all_finished))
    why = bench.engine._conduct._why[bench.run("m[0]")]
    found = raw(bench, landed(bench, "m[0]", 6))
    began, ended = [one for one in found if isinstance(one, TransitionMany)]
    assert (began.why, len(began), len(ended)) == (why, 6, 6)
    assert not bench.engine._conduct._why


def failed_reports(count: int, state: State, *, at: float = 10.0, **facts: Any) -> Reports:
    """Of children that ended alike, and no plain successes."""
    said = Report(state, 0.0, 0.0, where="w1", **facts)
    started = array("d", [at + place for place in range(count)])
    ended = array("d", [at + place + 0.5 for place in range(count)])
    return Reports(started, ended, Results(array("i"), b""), "w1", said)


def fallen(bench: Bench, first: str, count: int, submission: int = 1, **facts: Any) -> RangeFinished:
    state = facts.pop("state", Failed("It broke.", ValueError("no")))
    return RangeFinished(100.0, bench.run(first), submission, failed_reports(count, state, **facts))


class TestFail:
    def test_children_that_fail_alike_are_tried_again_as_one(self) -> None:
        bench, _ = started(*wide(20, retry=RetryPolicy(2)), task("r", "m"))
        found = raw(bench, fallen(bench, "m[0]", 20))
        changes = [one for one in found if isinstance(one, TransitionMany)]
        assert [(type(one.old), type(one.new), one.attempt, len(one)) for one in changes] == [
            (Pending, Running, 1, 20),
            (Running, Failed, 1, 20),
            (Failed, Retrying, 1, 20),
        ]
        assert [one.time for one in changes[0]][:2] == [10.0, 11.0]
        assert [one.time for one in changes[1]][:2] == [10.5, 11.5]
        assert {one.time for one in changes[2]} == {100.0}
        assert changes[2].new.run_count == 1
        assert [one for one in found if isinstance(one, ReleaseMany)] == [
            ReleaseMany(bench.engine.children(1), 1)
        ]
        (many,) = [one for one in found if isinstance(one, SubmitMany)]
        assert (many.runs, many.attempt, many.submission) == (bench.engine.children(1), 2, 2)

        found = raw(bench, landed(bench, "m[0]", 20, submission=2))
        began, _ = [one for one in found if isinstance(one, TransitionMany)]
        assert (type(began.old), type(began.new), began.attempt) == (Retrying, Running, 2)
        assert began.why.rule == "time"
        assert bench.state("m[7]").result == 7
        assert bench.engine.board.failures == dict.fromkeys(bench.engine.children(1), 1)

    def test_the_last_failure_is_each_one_s_own(self) -> None:
        bench, _ = started(*wide(3, retry=RetryPolicy(1)))
        raw(bench, fallen(bench, "m[0]", 3))
        found = raw(bench, fallen(bench, "m[0]", 3, submission=2))
        assert not [one for one in found if isinstance(one, TransitionMany)]
        assert bench.states("m[0]", "m[1]", "m[2]") == ["Failed"] * 3
        assert bench.engine.ended

    def test_a_failure_without_an_exception_gets_one(self) -> None:
        bench, _ = started(*wide(2, retry=RetryPolicy(1)))
        found = raw(bench, fallen(bench, "m[0]", 2, state=Failed("Just so.")))
        failed = [one for one in found if isinstance(one, TransitionMany)][1].new
        assert isinstance(failed.result, TaskError)
        assert "Just so." in str(failed.result)

    @pytest.mark.parametrize("ahead", [False, True])
    def test_what_reads_them_comes_back(self, ahead: bool) -> None:
        below = [task("n", maps("m")), task("r", "n")] if ahead else [task("r", "m")]
        bench, _ = started(*wide(4, retry=RetryPolicy(1)), *below)
        names = [f"n[{n}]" for n in range(4)] if ahead else ["r"]
        assert [bench.last(name) for name in names] == [1] * len(names)
        found = raw(bench, fallen(bench, "m[0]", 4))
        released = {(one.run, one.submission) for one in one_by_one(found) if isinstance(one, Release)}
        assert released >= {(bench.run(name), 1) for name in names}
        assert [bench.last(name) for name in names] == [2] * len(names), "and goes ahead again"
        raw(bench, landed(bench, "m[0]", 4, submission=2))
        for name in names:
            bench.succeed(name)
        if ahead:
            bench.succeed("r")
        assert bench.engine.flow_state.is_successful()

    def test_each_attempt_may_be_held_as_often_as_the_first(self) -> None:
        bench, _ = started(*wide(2, retry=RetryPolicy(1)))
        for _ in range(3):
            bench.hold("m[0]")
            bench.hold("m[1]")
        raw(bench, fallen(bench, "m[0]", 2, submission=4))
        for _ in range(3):
            bench.hold("m[1]")
        assert bench.states("m[0]", "m[1]") == ["Retrying", "Retrying"]

    def test_some_of_them_fail_while_others_fly(self) -> None:
        bench, _ = started(*wide(9, retry=RetryPolicy(1)), task("r", "m"))
        raw(bench, fallen(bench, "m[3]", 4))
        assert bench.last("m[4]") == 2
        assert bench.last("m[0]") == 1
        raw(bench, landed(bench, "m[0]", 3))
        raw(bench, landed(bench, "m[7]", 2))
        raw(bench, landed(bench, "m[3]", 4, submission=2))
        bench.succeed("r")
        assert bench.engine.flow_state.is_successful()


#: Why children that failed alike are weighed one by one: the task's policy, what they said, what was before.
WEIGHED: dict[str, tuple[dict[str, Any], dict[str, Any], Prepare]] = {
    "a delay is a timer of each": ({"delays": (5.0,)}, {}, lambda bench: None),
    "jitter is each one's own": ({"jitter": 0.5, "delays": (5.0,)}, {}, lambda bench: None),
    "the user's function is asked": ({"asks_delay": True}, {}, lambda bench: None),
    "it is an order": ({}, {"forced": True}, lambda bench: None),
    "it is a crash": ({}, {"state": Crashed("Gone.", cause="exited")}, lambda bench: None),
    "it is no failure": ({}, {"state": Skipped("Not today.")}, lambda bench: None),
    "it is not retryable": ({}, {"retryable": False}, lambda bench: None),
    "one of them failed before": (
        {},
        {},
        lambda bench: bench.engine.board.failures.update({bench.run("m[1]"): 1}),
    ),
    "one of them was seen to run": ({}, {}, lambda bench: bench.observe("m[1]")),
}


@pytest.mark.parametrize("case", WEIGHED)
def test_where_the_rule_could_differ_each_is_weighed_with_the_same_outcome(case: str) -> None:
    policy, facts, prepare = WEIGHED[case]
    retry = RetryPolicy(2, **policy)
    together, alone = (Bench(*wide(4, retry=retry), task("r", "m")) for _ in range(2))
    for bench in (together, alone):
        bench.start()
        bench.now = 500.0
        prepare(bench)
    event = fallen(together, "m[0]", 4, **facts)
    found = raw(together, event)
    assert not [one for one in found if isinstance(one, TransitionMany)]
    for place in range(4):
        raw(alone, AttemptFinished(100.0, event.run + place, 1, event.reports.one(place)))
    assert stories(together) == stories(alone)
    assert together.states() == alone.states()


def stories(bench: Bench) -> dict[str, list[str]]:
    """What is told of each child, in order."""
    found: dict[str, list[str]] = {}
    for one in bench.log:
        if isinstance(one, Transition) and one.key.index is not None:
            found.setdefault(str(one.key), []).append(said(one, bench.engine))
    return found


def test_one_that_waits_to_be_sent_again_is_not_taken_in_with_the_others() -> None:
    bench, _ = started(*wide(9), task("r", "m"), window=8)
    assert bench.hold("m[2]").acts == ["release m[2].1"], "a window that was full is not refilled for one"
    raw(bench, landed(bench, "m[0]", 5))
    assert bench.states(*[f"m[{n}]" for n in range(5)]) == ["Success"] * 2 + ["Pending"] + ["Success"] * 2
    assert bench.last("m[2]") == 2


@given(
    st.lists(st.tuples(st.integers(0, 11), st.integers(1, 12)), max_size=6),
    st.sets(st.integers(0, 11), max_size=3),
    st.sampled_from([4, 4096]),
)
def test_ranges_end_as_the_same_reports_one_by_one(
    ranges: list[tuple[int, int]], failing: set[int], window: int
) -> None:
    specs = [value("x", length=12), task("m", maps("x")), task("n", maps("m")), task("r", "n")]
    together, alone = Bench(*specs, window=window), Bench(*specs, window=window)
    for bench in (together, alone):
        bench.start()

    def current(bench: Bench, run: int) -> bool:
        return bench.engine.board.submission[run] >= 1

    def report(index: int, count: int) -> None:
        for slug in ("m", "n"):
            if together.engine.ended or together.engine.run_of(RunKey(slug, 0)) is None:
                return
            run = together.run(f"{slug}[0]") + index
            width = min(count, 12 - index)
            if not all(current(together, run + place) for place in range(width)):
                return
            event = RangeFinished(100.0 + index, run, 1, reports_of(width, index))
            together.handle(event)
            for place in range(width):
                alone.handle(AttemptFinished(event.time, run + place, 1, event.reports.one(place)))

    for index in sorted(failing):
        name = f"m[{index}]"
        if current(together, together.run(name)):
            for bench in (together, alone):
                if bench.engine.board.submission[bench.run(name)] == 1 and not bench.engine.ended:
                    bench.fail(name, submission=1)
    for index, count in ranges:
        report(index, count)
    assert together.states() == alone.states()
    assert together.live() == alone.live()
    assert together.engine.counts() == alone.engine.counts()
    for run in together.engine.runs():
        assert together.engine.state(run) == alone.engine.state(run)


class TestNeighbours:
    """What those below and above make of children that land together."""

    def test_values_that_nobody_reads_go_at_once(self) -> None:
        bench, _ = started(*wide(6), task("end", follows("m")))
        found = raw(bench, landed(bench, "m[1]", 4))
        assert [one for one in found if isinstance(one, ReleaseMany | Release)] == [
            ReleaseMany(bench.engine.children(1)[1:5], 1)
        ]

    def test_values_beyond_the_width_of_a_shorter_map_go_alone(self) -> None:
        bench, _ = started(
            *wide(6),
            value("y", length=4),
            task("n", maps("m"), maps("y"), map_lengths="shortest"),
        )
        found = raw(bench, landed(bench, "m[0]", 6))
        runs = bench.engine.children(1)
        assert [one for one in found if isinstance(one, ReleaseMany | Release)] == [
            Release(runs[4], 1),
            Release(runs[5], 1),
        ]
        assert bench.live()[:4] == [f"m[{n}].1" for n in range(4)]

    def test_children_that_wait_for_two_maps_go_when_both_are_known(self) -> None:
        """Their own trigger must be asked about final states, so nothing goes ahead."""
        bench, found = started(
            value("x", length=4),
            task("m", maps("x")),
            task("k", maps("x")),
            task("n", maps("m"), maps("k"), trigger=all_finished),
        )
        assert sorted(submitted(found)) == [("k", 0, 4), ("m", 0, 4)]
        bench.succeed("k[1]")
        assert submitted(raw(bench, landed(bench, "m[0]", 4))) == [("n", 1, 1)], "the one with both"
        assert submitted(raw(bench, landed(bench, "k[2]", 2))) == [("n", 2, 1), ("n", 3, 1)]
        bench.succeed("k[0]")
        for index in range(4):
            bench.succeed(f"n[{index}]")
        assert bench.engine.flow_state.is_successful()

    def test_children_that_read_two_maps_go_ahead_when_both_were_sent(self) -> None:
        _, found = started(
            value("x", length=4), task("m", maps("x")), task("k", maps("x")), task("n", maps("m"), maps("k"))
        )
        assert sorted(submitted(found)[:2]) == [("k", 0, 4), ("m", 0, 4)]
        assert submitted(found)[2:] == [("n", 0, 4)]

    @pytest.mark.parametrize("early", [0, 2])
    def test_a_report_that_was_faster_than_those_above_is_taken_in_with_them(self, early: int) -> None:
        bench, _ = started(value("x", length=4), task("m", maps("x")), task("n", maps("m")))
        bench.succeed(f"n[{early}]", inline=pickle.dumps("early"))
        assert bench.states(f"n[{early}]") == ["Pending"]
        raw(bench, landed(bench, "m[0]", 4))
        assert bench.states(*[f"n[{n}]" for n in range(4)]) == [
            "Success" if n == early else "Pending" for n in range(4)
        ]
        assert bench.state(f"n[{early}]").result == "early"

    def test_a_hold_that_was_faster_than_those_above_is_sent_again(self) -> None:
        bench, _ = started(value("x", length=4), task("m", maps("x")), task("n", maps("m")))
        bench.hold("n[1]")
        found = raw(bench, landed(bench, "m[0]", 4))
        assert submitted(found) == [("n", 1, 1)]
        assert bench.last("n[1]") == 2

    def test_children_behind_a_gate_go_together_when_it_opens(self) -> None:
        bench, found = started(*wide(4)[:1], task("gate"), task("m", maps("x"), follows("gate")))
        assert submitted(found) == [("gate", -1, 1)]
        found = raw(bench, AttemptFinished(1.0, 1, 1, Report(None, 0.0, 1.0)))
        assert submitted(found) == [("m", 0, 4)]

    def test_children_whose_inputs_travelled_in_different_graphs_go_one_by_one(self) -> None:
        bench, _ = started(*wide(4, max_crashes=1), task("y"), task("n", maps("m"), maps("y", "y")))
        bench.crash("m[1]")
        for index in range(4):
            bench.succeed(f"m[{index}]")
        run = bench.run("y")
        found = raw(bench, AttemptFinished(99.0, run, 1, Report(None, 98.0, 99.0, length=4)))
        assert submitted(found) == [("n", n, 1) for n in range(4)]
        assert [bench.sources(f"n[{n}]", "m") for n in range(3)] == ["m[0].1", "m[1].2", "m[2].1"]


class TestRoom:
    def test_more_room_is_filled_at_once(self) -> None:
        bench, _ = started(*wide(100), window=8)
        assert bench.engine.board.flying == 8
        found = raw(bench, RoomChanged(1.0, 60))
        assert sum(count for _, _, count in submitted(found)) == 52
        assert bench.engine.window == 60

    def test_less_room_leaves_alone_what_is_in_flight(self) -> None:
        bench, _ = started(*wide(100), window=60)
        assert raw(bench, RoomChanged(1.0, 10)) == []
        assert bench.engine.board.flying == 60
        found = raw(bench, landed(bench, "m[0]", 45))
        assert submitted(found) == [], "15 are still more than there is room for"
        found = raw(bench, landed(bench, "m[45]", 10))
        assert sum(count for _, _, count in submitted(found)) == 5

    def test_room_before_the_start_is_the_room_at_the_start(self) -> None:
        bench = Bench(*wide(100))
        assert raw(bench, RoomChanged(0.0, 12)) == []
        raw(bench, RunStarted(0.0))
        assert bench.engine.board.flying == 12

    def test_room_after_the_end_changes_nothing(self) -> None:
        bench = Bench(task("a"))
        bench.drive()
        assert raw(bench, RoomChanged(9.0, 1)) == []


class TestLandings:
    def landing(self, first: int, count: int) -> Landing:
        return Landing(range(first, first + count), 1, 2, reports_of(count, first), None)

    @given(st.permutations([0, 4, 9, 12]))
    def test_each_run_is_found_in_whatever_order_they_came(self, order: list[int]) -> None:
        counts = {0: 4, 4: 2, 9: 3, 12: 1}
        found = Landings()
        for first in order:
            found.add(self.landing(first, counts[first]))
        for first, count in counts.items():
            for run in range(first, first + count):
                landing = found.of(run)
                assert run in landing.runs
                state = landing.state(run, RunKey("m", run))
                assert (type(state), state.message, state.result) == (Success, DONE, run)
                assert state.result_ref is not None
                assert (state.result_ref.attempt, state.result_ref.submission) == (1, 2)

    def test_what_was_let_go_of_is_fetched_from_where_it_lies(self) -> None:
        class Source:
            def fetch(self, ref: Any) -> Any:
                return ("fetched", ref.run, ref.nbytes)

        reports = reports_of(2)
        landing = Landing(range(5, 7), 1, 1, reports, Source())
        reports.results.drop()
        size = len(pickle.dumps(1))
        assert landing.state(6, RunKey("m", 1)).result == ("fetched", RunKey("m", 1), size)

    def test_books_of_landings_can_be_compared(self) -> None:
        one, other = Landings(), Landings()
        one.add(self.landing(0, 2))
        assert one != other
        other.add(self.landing(0, 2))
        assert one == other
        assert one != 5
        assert copy.deepcopy(one) == one
        assert RAN.message == DONE

    def test_a_hold_of_one_that_landed_among_many_is_stale(self) -> None:
        bench, _ = started(*wide(3), task("r", "m"))
        raw(bench, landed(bench, "m[0]", 3))
        assert raw(bench, AttemptHeld(200.0, bench.run("m[1]"), 1)) == []
