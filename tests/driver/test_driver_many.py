"""Children that go together, from the loop's side: one record, one event, and each child's own for who looks."""

from __future__ import annotations

import pickle
import sys
import threading
import time
from array import array
from collections.abc import Sequence
from typing import Any

import pytest

from prefectlite.core.annotations import unmapped
from prefectlite.core.graph import FlowGraph
from prefectlite.core.task import task
from prefectlite.driver.loop import FIRST_ROOM, giving_way
from prefectlite.driver.observer import Changes
from prefectlite.driver.run import Run
from prefectlite.driver.values import RIDES_ALONG, Values
from prefectlite.engine.events import AttemptFinished, CallsFinished, RangeFinished
from prefectlite.engine.transitions import Transition, TransitionMany
from prefectlite.engine.view import EngineView
from prefectlite.errors import ResultUnavailable
from prefectlite.journal.memory import MemoryJournal
from prefectlite.journal.protocol import Submitted, SubmittedMany
from prefectlite.lowering.shipment import BlockShipment
from prefectlite.rules.triggers import all_finished
from prefectlite.rules.verdict import Reason
from prefectlite.states import Mapped, Pending, Report, ResultRef, RunKey, Running, Success
from prefectlite.states.report import Reports, Results


def reports_of(values: Sequence[Any]) -> Reports:
    payloads = [pickle.dumps(value) for value in values]
    now = time.time()
    times = array("d", [now + place / 1000 for place in range(len(values))])
    return Reports(times, times, Results(array("q", map(len, payloads)), b"".join(payloads)), "somewhere")


class Place:
    """A place where children travel together; child i of any map returns ``value(i)``."""

    def __init__(self, rooms: Sequence[int] = (4096,), value: Any = lambda index: index * 10) -> None:
        self.value = value
        self.rooms = list(rooms)
        self.sent: list[int] = []
        self.released: list[tuple[int, int, int]] = []
        self.kept: list[tuple[int, int, int]] = []

    def open(self, brief: Any, deliver: Any, deliver_logs: Any) -> Any:
        self.deliver = deliver
        return self

    pickles = True
    dashboard_link = None
    description = "a script"

    def room(self) -> int:
        return self.rooms.pop(0) if len(self.rooms) > 1 else self.rooms[0]

    def submit(self, lowered: Any) -> None:
        for one in lowered.shipments:
            if isinstance(one, BlockShipment):
                self.sent.append(len(one.runs))
                values = [self.value(one.first + place) for place in range(len(one.runs))]
                self.deliver([RangeFinished(time.time(), one.runs.start, one.submission, reports_of(values))])
            else:
                report = Report(None, time.time(), time.time(), pickle.dumps(None))
                self.deliver([AttemptFinished(time.time(), one.run, one.submission, report)])

    def work(self, budget: float) -> bool:
        return False

    def release(self, spans: Any) -> None:
        self.released += spans

    def cancel(self, why: str) -> None: ...

    def interrupt(self) -> None: ...
    def hold(self) -> None: ...

    def fetch(self, run: int, submission: int) -> Any:
        return ("fetched", run, submission)

    def close(self, keep: Any) -> None:
        self.kept += keep

    def drop(self) -> None: ...


@task
def each(x: Any) -> Any:
    return x


@task
def total(xs: Any) -> Any:
    return sum(xs)


def flow(width: int = 20) -> tuple[FlowGraph, Any, Any]:
    with FlowGraph("wide") as graph:
        children = each.map(range(width))
        last = total(children)
    return graph, children, last


def test_children_are_journaled_as_ranges_and_read_one_by_one() -> None:
    graph, children, _ = flow()
    journal, place = MemoryJournal(), Place()
    run = Run(graph, {}, place, journal=journal)
    state = run.drive()

    assert place.sent == [20]
    sent = [one for one in journal.records() if isinstance(one, SubmittedMany)]
    assert [(one.slug, one.first, len(one.runs)) for one in sent] == [("each-1", 0, 20)]
    many = [one for one in journal.records() if isinstance(one, TransitionMany)]
    assert [(type(one.old), type(one.new)) for one in many] == [(Pending, Running), (Running, Success)]
    history = run.history(RunKey("each-1", 7))
    assert [type(entry) for entry in history] == [Submitted, Transition, Transition]
    assert history[-1].new.result == 70  # type: ignore[union-attr]
    assert type(state.result[children]) is Mapped
    assert list(state.result[children].result) == [index * 10 for index in range(20)]


def test_values_that_go_together_are_let_go_of_together() -> None:
    graph, _, _ = flow()
    place = Place()
    run = Run(graph, {}, place)
    run.drive()
    first = next(start for start, _, count in place.released if count > 1)
    assert place.released.count((first, 1, 20)) == 1
    assert [count for _, _, count in place.kept] == [1], "the reduce is what the flow run's state shows"


def test_observers_see_each_child_change_in_order() -> None:
    seen: list[tuple[str, str]] = []
    lengths: list[int] = []

    class Watcher:
        def started(self, run: Any) -> None: ...

        def turn(self, transitions: Any, counts: Any) -> None:
            lengths.append(len(transitions))
            seen.extend((str(one.key), type(one.new).__name__) for one in transitions)

        def log(self, lines: Any) -> None: ...

        def ended(self, state: Any) -> None: ...

    graph, _, _ = flow(3)
    Run(graph, {}, Place(), observers=[Watcher()]).drive()  # type: ignore[list-item]

    assert sum(lengths) == len(seen)
    children = [one for one in seen if one[0].startswith("each-1[")]
    assert children == [(f"each-1[{n}]", name) for name in ("Running", "Success") for n in range(3)]


class TestRoom:
    def test_the_engine_fills_the_room_that_there_is(self) -> None:
        with FlowGraph("wide") as graph:
            # The first turn is the engine's own; from the second on it knows how much room there is.
            each.map(range(40), upstream_tasks=[unmapped(total([]))])
        place = Place([10])
        Run(graph, {}, place).drive()
        assert max(place.sent) <= 10
        assert sum(place.sent) == 40

    def test_the_engine_is_told_of_less_at_once_and_of_more_by_steps(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from prefectlite.engine.engine import Engine
        from prefectlite.engine.events import RoomChanged

        told: list[int] = []
        handle = Engine.handle

        def listening(self: Any, event: Any) -> Any:
            if isinstance(event, RoomChanged):
                told.append(event.window)
            return handle(self, event)

        monkeypatch.setattr(Engine, "handle", listening)
        with FlowGraph("many turns") as graph:
            made = each(1)
            for _ in range(10):  # one at a time: as many turns as tasks
                made = each(made, task_args={"trigger": all_finished})
        Run(graph, {}, Place([4096, 4095, 4095, 4100, 5000, 6000, 6000, 1])).drive()
        assert told[:4] == [4 * FIRST_ROOM, 4095, 6000, 1]

    def test_a_wide_flow_is_sent_in_ever_larger_parts(self) -> None:
        turns: list[int] = []

        class Busy(Place):
            waiting: tuple[Any, ...] = ()

            def submit(self, lowered: Any) -> None:
                turns.append(len(lowered.shipments))
                self.waiting = *self.waiting, lowered
                if sum(turns) > 5000:
                    for one in self.waiting:
                        super().submit(one)

        with FlowGraph("wide") as graph:
            total([each(1) for _ in range(5000)])
        Run(graph, {}, Busy([10_000])).drive()
        assert turns == [FIRST_ROOM, 3 * FIRST_ROOM, 12 * FIRST_ROOM, 5001 - 16 * FIRST_ROOM]


class TestGivingWay:
    def test_other_threads_are_let_in_soon_during_a_turn_and_as_before_behind_it(self) -> None:
        usual = sys.getswitchinterval()
        during: list[float] = []

        class Looking(Place):
            def submit(self, lowered: Any) -> None:
                during.append(sys.getswitchinterval())
                super().submit(lowered)

        with FlowGraph("one") as graph:
            each(1)
        Run(graph, {}, Looking()).drive()
        assert during == [pytest.approx(0.0005)]
        assert sys.getswitchinterval() == usual

    def test_who_gives_way_sooner_is_left_alone(self) -> None:
        usual = sys.getswitchinterval()
        sys.setswitchinterval(0.0001)
        try:
            with giving_way():
                assert sys.getswitchinterval() == pytest.approx(0.0001)
        finally:
            sys.setswitchinterval(usual)


class Slow(Place):
    """Calls land there later, one turn after the other."""

    def submit(self, lowered: Any) -> None:
        for one in lowered.shipments:
            reports = reports_of([1])
            event = CallsFinished(time.time(), [one.run], [one.submission], reports)
            threading.Timer(0.02 * (1 + one.run), self.deliver, [[event]]).start()


def test_states_of_what_has_landed_are_made_while_the_rest_is_awaited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with FlowGraph("calls") as graph:
        links: list[Any] = [each(1)]
        for _ in range(3):
            links.append(each(links[-1]))
    made: list[bool] = []
    complete = EngineView.complete

    def spied(view: EngineView, most: int) -> bool:
        made.append(complete(view, most))
        return made[-1]

    monkeypatch.setattr(EngineView, "complete", spied)
    state = Run(graph, {}, Slow()).drive()
    assert [state.result[link].result for link in links] == [1, 1, 1, 1]
    assert True in made
    assert made[-1] is False, "or it would not have waited"


class TestChanges:
    def changes(self) -> Changes:
        why = Reason("rule", "text")
        single = Transition(1.0, 3, RunKey("a"), 1, Pending(), Running(), why)
        many = TransitionMany(array("d", [5.0, 6.0]), range(10, 12), "m", 4, 1, Pending(), Running("x"), why)
        return Changes([single, many, single])

    def test_each_run_has_its_own(self) -> None:
        changes = self.changes()
        assert len(changes) == len(list(changes)) == 4
        assert [str(one.key) for one in changes] == ["a", "m[4]", "m[5]", "a"]
        assert [(one.time, one.run) for one in changes] == [(1.0, 3), (5.0, 10), (6.0, 11), (1.0, 3)]

    def test_one_of_many_is_among_them(self) -> None:
        changes = self.changes()
        (_, second, third, _) = changes
        assert third in changes
        assert second in changes
        assert Transition(9.0, 10, second.key, 1, second.old, second.new, second.why) not in changes
        assert "a" not in changes


class TestValues:
    def large(self, run: int, count: int = 3) -> RangeFinished:
        return RangeFinished(0.0, run, 1, reports_of([bytes([n]) * 1000 for n in range(count)]))

    def test_results_that_came_together_are_let_go_of_together_and_the_oldest_first(self) -> None:
        values = Values(budget=8000)
        values.read_from(Place())
        ranges = [self.large(run) for run in (0, 10, 20)]
        for event in ranges:
            values.take_many(event)
            values.take_many(event)  # a report may come twice
        assert [event.reports.results.nbytes > 0 for event in ranges] == [False, True, True]
        assert ranges[0].reports.results.get(1) is None
        assert ranges[0].reports.results.size(1) > 1000
        assert pickle.loads(ranges[2].reports.results.get(1) or b"") == b"\x01" * 1000

    def test_both_kinds_share_one_budget(self) -> None:
        values = Values(budget=4000)
        values.read_from(Place())
        values.number_by(lambda key: key.index)
        alone = AttemptFinished(0.0, 1, 1, Report(None, 0.0, 0.0, pickle.dumps(b"x" * 1000), 1000))
        values.take(alone)
        together = self.large(10)
        values.take_many(together)
        assert values.fetch(ResultRef(RunKey("a", 1))) == ("fetched", 1, 1), "the oldest went"
        assert together.reports.results.nbytes
        for run in (2, 3):
            values.take(AttemptFinished(0.0, run, 1, alone.report))
        assert not together.reports.results.nbytes
        assert values.fetch(ResultRef(RunKey("a", 3))) == b"x" * 1000

    def test_small_results_stay(self) -> None:
        values = Values(budget=0)
        values.read_from(Place())
        small = RangeFinished(0.0, 0, 1, reports_of([b"x" * (RIDES_ALONG - 50)] * 4))
        values.take_many(small)
        assert small.reports.results.nbytes

    def test_a_late_report_of_the_first_of_many_does_not_hide_the_others(self) -> None:
        values = Values(budget=5000)
        values.read_from(Place())
        together = self.large(10)
        values.take_many(together)
        late = values.take(AttemptFinished(0.0, 10, 1, together.reports.one(0)))
        assert late.report.inline is None
        values.take_many(self.large(20))
        assert not together.reports.results.nbytes, "they are still on the books, and the oldest"

    def test_what_was_let_go_of_is_fetched(self) -> None:
        class Away(Place):
            def fetch(self, run: int, submission: int) -> Any:
                raise ResultUnavailable("nobody has it")

        graph, children, _ = flow(3)
        large = Place(value=lambda index: bytes([index]) * 1000)
        run = Run(graph, {}, large)
        state = run.drive()
        assert state.result[children].result[1] == b"\x01" * 1000
        values = Values(budget=0)
        values.read_from(Away())
        values.number_by(lambda key: 0)
        with pytest.raises(ResultUnavailable, match="nobody has it"):
            values.fetch(ResultRef(RunKey("a", 0)))

    def test_a_run_that_went_on_elsewhere_reads_from_where_each_value_is(self) -> None:
        class Session(Place):
            dropped = 0

            def __init__(self, holds: set[int], name: str) -> None:
                super().__init__()
                self.holds, self.name = holds, name

            def fetch(self, run: int, submission: int) -> Any:
                if run not in self.holds:
                    raise ResultUnavailable(f"{self.name} does not have it")
                return self.name

            def drop(self) -> None:
                self.dropped += 1

        first, second = Session({1, 2}, "first"), Session({2, 3}, "second")
        values = Values()
        values.read_from(first)
        values.read_from(second)
        values.number_by(lambda key: key.index)
        found = [values.fetch(ResultRef(RunKey("a", index))) for index in (1, 2, 3)]
        assert found == ["first", "second", "second"]
        with pytest.raises(ResultUnavailable, match=r"a\[4\]: first does not have it"):
            values.fetch(ResultRef(RunKey("a", 4)))
        del values
        assert (first.dropped, second.dropped) == (1, 1), "seen at once, without the cycle collector"
