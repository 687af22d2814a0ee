"""What is said of many at a time: the same as of each, made when looked at."""

from __future__ import annotations

import pickle
from array import array
from operator import add
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefectlite.states import Failed, Mapped, Pending, Report, RunKey, Skipped, State, Success
from prefectlite.states.children import ChildStates, count_by_class
from prefectlite.states.report import Reports, ResultRef, Results

COMMON = Success("The body returned.")
PAYLOADS = st.lists(st.binary(max_size=5), min_size=1, max_size=8)


def results(payloads: list[bytes]) -> Results:
    return Results(array("q", map(len, payloads)), b"".join(payloads))


def complete(place: int) -> State:
    return Success("made", place)


def children(*states: State) -> ChildStates:
    return ChildStates(list(states), COMMON, complete)


class TestResults:
    @given(PAYLOADS)
    def test_each_is_found_in_its_place(self, payloads: list[bytes]) -> None:
        found = results(payloads)
        assert len(found) == len(payloads)
        assert found.nbytes == sum(map(len, payloads))
        assert [found.get(place) for place in range(len(payloads))] == payloads
        assert [found.size(place) for place in range(len(payloads))] == [*map(len, payloads)]
        assert repr(found) == f"Results({len(payloads)}, {found.nbytes} bytes)"

    @given(PAYLOADS, st.data())
    def test_a_part_is_as_if_it_had_come_alone(self, payloads: list[bytes], data: st.DataObject) -> None:
        start = data.draw(st.integers(0, len(payloads)))
        stop = data.draw(st.integers(start, len(payloads)))
        whole = results(payloads)
        part = whole.part(start, stop)
        assert part == results(payloads[start:stop])
        assert (part is whole) == (stop - start == len(payloads))
        whole.drop()
        dropped = whole.part(start, stop)
        assert [dropped.get(place) for place in range(len(dropped))] == [None] * (stop - start)
        assert [dropped.size(place) for place in range(len(dropped))] == [*map(len, payloads[start:stop])]
        if part is not whole:
            assert part == results(payloads[start:stop]), "it has bytes of its own"

    def test_what_was_let_go_of_has_a_size_still(self) -> None:
        found = results([b"ab", b"c"])
        found.drop()
        assert (found.get(0), found.size(0), found.nbytes, len(found)) == (None, 2, 0, 2)
        assert found != results([b"ab", b"c"])
        assert found != 5

    def test_they_are_no_key(self) -> None:
        with pytest.raises(TypeError):
            hash(results([b"ab"]))


class TestReports:
    def reports(self, payloads: list[bytes]) -> Reports:
        times = array("d", map(float, range(len(payloads))))
        return Reports(times, array("d", [one + 0.5 for one in times]), results(payloads), "w1")

    @given(PAYLOADS)
    def test_one_says_what_it_would_say_alone(self, payloads: list[bytes]) -> None:
        found = self.reports(payloads)
        assert len(found) == len(payloads)
        assert [found.one(place) for place in range(len(found))] == [
            Report(None, float(place), place + 0.5, payload, len(payload), where="w1")
            for place, payload in enumerate(payloads)
        ]

    @given(PAYLOADS, st.data())
    def test_a_part_says_the_same_of_some(self, payloads: list[bytes], data: st.DataObject) -> None:
        start = data.draw(st.integers(0, len(payloads)))
        stop = data.draw(st.integers(start, len(payloads)))
        whole = self.reports(payloads)
        part = whole.part(start, stop)
        assert [part.one(place) for place in range(len(part))] == [
            whole.one(place) for place in range(start, stop)
        ]
        assert (part is whole) == (len(part) == len(whole))
        assert pickle.loads(pickle.dumps(part)) == part


class TestChildStates:
    def test_what_ended_among_many_is_made_when_looked_at(self) -> None:
        failed = Failed("no")
        found = children(COMMON, failed, COMMON)
        assert len(found) == 3
        assert list(found) == [complete(0), failed, complete(2)]
        assert [found[place] for place in (0, 1, -1)] == [complete(0), failed, complete(2)]
        assert found[1:] == [failed, complete(2)]
        assert found[::-2] == [complete(2), complete(0)]
        with pytest.raises(IndexError):
            found[3]

    def test_nobody_is_made_to_be_counted(self) -> None:
        def refuse(place: int) -> State:
            raise AssertionError

        found = ChildStates([COMMON, Failed(), COMMON, Skipped()], COMMON, refuse)
        assert list(found.classes()) == [Success, Failed, Success, Skipped]
        assert count_by_class(found) == {"Success": 2, "Failed": 1, "Skipped": 1}
        assert count_by_class([COMMON, Failed()]) == {"Success": 1, "Failed": 1}

    def test_an_equal_state_that_came_alone_stays(self) -> None:
        twin = Success("The body returned.")
        assert children(twin)[0] is twin

    def test_they_compare_with_any_sequence_of_states(self) -> None:
        found = children(COMMON, Failed("no"))
        same = [complete(0), Failed("no")]
        assert found == same
        assert found == tuple(same)
        assert found == children(COMMON, Failed("no"))
        assert found != same[:1]
        assert found != [Failed("no"), complete(0)]
        assert found != {1}
        with pytest.raises(TypeError):
            hash(found)

    @pytest.mark.parametrize(
        "states", [children(COMMON, Failed("no")), Mapped(map_states=[Success(), Skipped()]).map_states]
    )
    def test_they_are_as_a_list_to_who_changes_nothing(self, states: ChildStates) -> None:
        assert isinstance(states, list)
        assert isinstance(states, ChildStates)
        listed = list(states)
        assert states == listed
        more = [Pending()]
        assert (add(states, more), add(more, states)) == ([*listed, *more], [*more, *listed])
        assert (states.copy(), states[:1]) == (listed, listed[:1])
        assert [type(each) for each in (add(states, more), states.copy(), states[:1])] == [list] * 3
        for wrong in ((states, ()), ((), states)):
            with pytest.raises(TypeError):
                add(*wrong)

    def test_a_long_one_shows_the_first_few(self) -> None:
        assert repr(children(COMMON)) == f"[{complete(0)!r}]"
        assert repr(children(*[COMMON] * 6)).endswith(", ...]")
        assert repr(children(*[COMMON] * 6)).count("made") == 5

    def test_they_travel_as_a_list(self) -> None:
        copied: Any = pickle.loads(pickle.dumps(children(COMMON, Failed("no"))))
        assert type(copied) is list
        assert [type(state) for state in copied] == [Success, Failed]
        assert copied[0].result == 0

    def test_a_mapped_state_shows_them(self) -> None:
        ref = ResultRef(RunKey("m", 0), inline=pickle.dumps(7))
        found = ChildStates([COMMON], COMMON, lambda place: Success("made", ref))
        mapped = Mapped(map_states=found, n_map_states=1)
        assert list(mapped.result) == [7]
        assert mapped.map_states[0].result == 7
