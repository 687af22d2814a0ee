"""Signals: which state each one makes, and that nothing swallows them."""

import pickle
from datetime import UTC, datetime

import pytest

from prefectlite.states import (
    Cancelled,
    Failed,
    Looped,
    Paused,
    Retrying,
    Skipped,
    State,
    Success,
    TriggerFailed,
    ValidationFailed,
)
from prefectlite.states.signals import (
    ENDRUN,
    FAIL,
    LOOP,
    PAUSE,
    RETRY,
    SKIP,
    SUCCESS,
    TRIGGERFAIL,
    VALIDATIONFAIL,
    Signal,
    StateSignal,
    signal_from_state,
)

PAIRS = [
    (FAIL, Failed),
    (TRIGGERFAIL, TriggerFailed),
    (VALIDATIONFAIL, ValidationFailed),
    (SUCCESS, Success),
    (RETRY, Retrying),
    (SKIP, Skipped),
    (PAUSE, Paused),
    (LOOP, Looped),
]
LATER = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("signal", "state"), PAIRS)
class TestEachSignal:
    def test_it_carries_a_state_of_its_class(self, signal: type[StateSignal], state: type[State]) -> None:
        raised = signal("why", result=3)
        assert type(raised.state) is state
        assert raised.state.message == str(raised) == "why"
        assert raised.state.result == 3

    def test_its_class_can_be_raised(self, signal: type[StateSignal], state: type[State]) -> None:
        with pytest.raises(signal) as caught:
            raise signal
        assert type(caught.value.state) is state
        assert caught.value.state.message is None
        assert not str(caught.value)

    def test_a_state_without_a_result_does_not_get_the_signal_for_one(
        self, signal: type[StateSignal], state: type[State]
    ) -> None:
        held = signal("why").state.result
        assert held == ("LOOP('why')" if signal is LOOP else None)

    def test_it_goes_through_except_exception(self, signal: type[StateSignal], state: type[State]) -> None:
        def body() -> None:
            try:
                raise signal("why")
            except Exception:
                pytest.fail("swallowed")

        with pytest.raises(signal):
            body()

    def test_it_survives_pickling(self, signal: type[StateSignal], state: type[State]) -> None:
        for raised in (signal("why", result=[1], context={"a": 1}), signal()):
            copy = pickle.loads(pickle.dumps(raised))
            assert type(copy) is signal
            assert copy.args == raised.args
            assert copy.state == raised.state
            assert copy.state.message == raised.state.message
            assert copy.state.context == raised.state.context

    def test_it_is_found_from_its_state(self, signal: type[StateSignal], state: type[State]) -> None:
        assert signal_from_state(state()) is signal


def test_keywords_go_to_the_state() -> None:
    assert RETRY("later", start_time=LATER, run_count=4).state.attributes() == {
        "message": "later",
        "result": Retrying().attributes()["result"],
        "context": {},
        "start_time": LATER,
        "run_count": 4,
    }
    assert PAUSE(start_time=LATER).state.attributes()["start_time"] == LATER


def test_the_special_failures_are_failures() -> None:
    assert issubclass(TRIGGERFAIL, FAIL)
    assert issubclass(VALIDATIONFAIL, FAIL)


def test_who_waits_for_signals_that_make_states_lets_an_end_through() -> None:
    assert all(issubclass(signal, StateSignal) for signal, _ in PAIRS)
    with pytest.raises(ENDRUN):
        try:
            raise ENDRUN(Success())
        except StateSignal:
            pytest.fail("taken for a signal that makes a state")
    assert issubclass(ENDRUN, Signal)
    assert ENDRUN(Failed()).anew().state == Failed()


@pytest.mark.parametrize("state", [Cancelled("off"), Failed("no", result=ValueError("x")), Success()])
def test_endrun_ends_in_exactly_the_given_state(state: State) -> None:
    raised = ENDRUN(state)
    assert raised.state is state
    copy = pickle.loads(pickle.dumps(raised))
    assert type(copy) is ENDRUN
    assert copy.state == state
    assert copy.state.message == state.message


@pytest.mark.parametrize("state", [Cancelled(), State()])
def test_a_state_that_no_signal_makes_is_refused(state: State) -> None:
    with pytest.raises(ValueError, match=rf"{type(state).__name__}; raise ENDRUN\(state\)"):
        signal_from_state(state)


def test_a_users_signal_is_found_and_takes_no_place_of_a_built_in_one() -> None:
    class Stale(Failed):
        pass

    class STALE(FAIL):
        state_class = Stale

    class OTHERFAIL(StateSignal):
        state_class = Failed

    assert signal_from_state(Stale()) is STALE
    assert signal_from_state(Failed()) is FAIL


def test_to_end_a_run_takes_a_state() -> None:
    with pytest.raises(TypeError, match="'stop', which is no state"):
        ENDRUN("stop")  # type: ignore[arg-type]
