"""State values: construction, predicates, copies, equality, pickling."""

import copy
import json
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import numpy as np
import pytest

import prefectlite.states
from prefectlite.errors import ResultUnavailable
from prefectlite.states import (
    NO_RESULT,
    Cached,
    Cancelled,
    Cancelling,
    ClientFailed,
    Crashed,
    Failed,
    Finished,
    Looped,
    Mapped,
    NoResultType,
    Paused,
    Pending,
    Queued,
    ResultRef,
    Resume,
    Retrying,
    RunKey,
    Running,
    Scheduled,
    Skipped,
    State,
    Submitted,
    Success,
    TimedOut,
    TriggerFailed,
    ValidationFailed,
    count_by_class,
)
from prefectlite.states.meta import unwrapped

BUILTIN = [c for c in State.children(include_self=True) if c.__module__.startswith("prefectlite.states.")]
TIME = datetime(2030, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
EXTRAS: dict[str, Any] = {
    "start_time": TIME,
    "run_count": 3,
    "map_states": (Success(result=1), Mapped(map_states=[Failed(result=ValueError("x"))])),
    "n_map_states": 2,
    "traceback": "Traceback ...",
    "cause": "exited",
    "loop_count": 4,
    "cached_result_expiration": TIME,
    "hashed_inputs": {"x": "c0a8"},
    "cached_parameters": {"p": "cfea"},
    "state": Paused("inside", start_time=TIME),
}
#: Other values of attributes whose types are looked at.
OTHER: dict[str, Any] = {
    "start_time": TIME.replace(year=2031),
    "cached_result_expiration": TIME.replace(year=2031),
    "hashed_inputs": {},
    "cached_parameters": {},
    "map_states": [],
    "traceback": "other",
    "cause": "worker-lost",
    "state": Running(),
}


class Stale(Failed):
    """A user's own class, as ``State`` tells to write one."""

    extras: ClassVar[tuple[str, ...]] = ("traceback", "age")
    age: float

    def __init__(self, *args: Any, age: float = 0.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        object.__setattr__(self, "age", age)


def full(cls: type[State]) -> State:
    """A state of a class with everything set."""
    extras = {name: EXTRAS.get(name, 2.5) for name in cls.extras}
    return cls("because", result={"a": [1]}, context={"tags": ["x"]}, **extras)


@pytest.mark.parametrize("cls", [*BUILTIN, Stale])
class TestEveryClass:
    def test_it_is_made_from_nothing(self, cls: type[State]) -> None:
        state = cls()
        assert state.message is None
        assert not state.has_result
        assert state.context == {}
        assert repr(state) == f"<{cls.__name__}>"

    def test_it_keeps_what_it_is_given(self, cls: type[State]) -> None:
        state = full(cls)
        assert state.message == "because"
        assert state.has_result
        assert state.result == {"a": [1]}
        assert state.context == {"tags": ["x"]}
        assert repr(state) == f'<{cls.__name__}: "because">'

    def test_it_cannot_be_changed(self, cls: type[State]) -> None:
        state = full(cls)
        for name in ("message", "result", "context", *cls.extras, "new"):
            with pytest.raises(AttributeError, match=rf"state\.replace\({name}="):
                setattr(state, name, None)
            with pytest.raises(AttributeError, match="deleted"):
                delattr(state, name)
        with pytest.raises(TypeError):
            state.context["a"] = 1  # type: ignore[index]

    def test_it_survives_pickling(self, cls: type[State]) -> None:
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            copy = pickle.loads(pickle.dumps(full(cls), protocol))
            assert type(copy) is cls
            assert copy == full(cls)
            assert copy.attributes() == full(cls).attributes()

    def test_a_changed_copy_has_the_changes_and_the_rest(self, cls: type[State]) -> None:
        changed = full(cls).replace(message="other")
        assert type(changed) is cls
        assert changed.attributes() == {**full(cls).attributes(), "message": "other"}

    def test_equality_weighs_class_result_and_extras(self, cls: type[State]) -> None:
        state = full(cls)
        assert state == full(cls)
        assert state == state.replace(message="other", context={})
        assert state != state.replace(result=7)
        for name in cls.extras:
            changed = state.replace(**{name: OTHER.get(name, 7)})
            assert (changed == state) is (name == "traceback")

    def test_it_hashes_by_identity(self, cls: type[State]) -> None:
        assert len({full(cls), full(cls)}) == 2

    def test_it_has_a_colour(self, cls: type[State]) -> None:
        assert cls.color.startswith("#")

    def test_it_is_exported(self, cls: type[State]) -> None:
        assert cls is Stale or getattr(prefectlite.states, cls.__name__) is cls


PREDICATES: dict[str, set[type[State]]] = {
    "is_pending": {Pending, Scheduled, Paused, Resume, Retrying},
    "is_scheduled": {Scheduled, Paused, Resume, Retrying, Queued},
    "is_submitted": {Submitted},
    "is_queued": {Queued},
    "is_meta_state": {Submitted, Queued, ClientFailed},
    "is_retrying": {Retrying},
    "is_running": {Running, Cancelling},
    "is_successful": {Success, Cached, Mapped, Skipped},
    "is_skipped": {Skipped},
    "is_cached": {Cached},
    "is_mapped": {Mapped},
    "is_failed": {Failed, TimedOut, TriggerFailed, ValidationFailed, Crashed, Stale},
    "is_crashed": {Crashed},
    "is_looped": {Looped},
    "is_cancelled": {Cancelled},
}
PREDICATES["is_finished"] = (
    {Finished, Looped, Cancelled} | PREDICATES["is_successful"] | PREDICATES["is_failed"]
)


@pytest.mark.parametrize("name", sorted({n for n in dir(State) if n.startswith("is_")} | set(PREDICATES)))
def test_a_predicate_holds_for_its_classes_and_no_other(name: str) -> None:
    holds = {cls for cls in (*BUILTIN, Stale) if getattr(cls(), name)()}
    assert holds == PREDICATES[name]


@pytest.mark.parametrize(
    ("cls", "parent", "extras"),
    [
        (Pending, State, ()),
        (Scheduled, Pending, ("start_time",)),
        (Paused, Scheduled, ("start_time",)),
        (Resume, Scheduled, ("start_time",)),
        (Retrying, Scheduled, ("start_time", "run_count")),
        (Running, State, ()),
        (Cancelling, Running, ()),
        (Finished, State, ()),
        (Success, Finished, ()),
        (Cached, Success, ()),
        (Mapped, Success, ("map_states", "n_map_states")),
        (Skipped, Success, ()),
        (Failed, Finished, ("traceback",)),
        (TimedOut, Failed, ("traceback",)),
        (TriggerFailed, Failed, ("traceback",)),
        (ValidationFailed, Failed, ("traceback",)),
        (Looped, Finished, ("loop_count",)),
        (Cancelled, Finished, ()),
        (Crashed, Failed, ("traceback", "cause")),
    ],
)
def test_the_classes_stand_as_in_prefect_1_but_for_crashed(
    cls: type[State], parent: type[State], extras: tuple[str, ...]
) -> None:
    assert cls.__bases__ == (parent,)
    assert set(extras) <= set(cls.extras)
    assert cls.parents()[0] is parent


@pytest.mark.parametrize("cls", [Submitted, Queued, ClientFailed])
class TestWrappers:
    def test_a_state_is_wrapped_once(self, cls: type[Submitted]) -> None:
        inner = Retrying("again", run_count=2)
        assert cls(state=inner).state is inner
        assert cls(state=Submitted(state=Queued(state=inner))).state is inner
        assert cls(state=ClientFailed()).state is None
        assert cls().state is None

    def test_a_run_is_in_what_is_wrapped(self, cls: type[Submitted]) -> None:
        inner = Success(result=3)
        assert unwrapped(cls("told", state=inner)) is inner
        assert unwrapped(inner) is inner
        nothing = unwrapped(cls("told"))
        assert (type(nothing), nothing.message) == (Pending, "told")

    def test_only_a_state_can_be_wrapped(self, cls: type[Submitted]) -> None:
        with pytest.raises(
            TypeError, match=rf"{cls.__name__}: state is a int \(3\); pass the state that it wraps"
        ):
            cls(state=3)  # type: ignore[arg-type]

    def test_it_stands_below_state_alone(self, cls: type[Submitted]) -> None:
        assert cls.parents() == [State]
        assert cls in State.children()


def test_what_is_queued_has_a_start_time_as_what_is_scheduled() -> None:
    assert Queued().start_time is not None
    assert Queued(start_time=datetime(2030, 1, 1)).start_time == datetime(2030, 1, 1, tzinfo=UTC)  # noqa: DTZ001
    with pytest.raises(TypeError, match=r"Queued: start_time is a str \('now'\); pass a datetime"):
        Queued(start_time="now")  # type: ignore[arg-type]


@pytest.mark.parametrize("cls", [Scheduled, Resume, Retrying, Queued])
@pytest.mark.parametrize("given", [{}, {"start_time": None}])
def test_a_wait_without_a_time_is_until_now(cls: type[Scheduled], given: dict[str, None]) -> None:
    before = datetime.now(UTC)

    start = cls(**given).start_time

    assert start is not None
    assert before <= start <= datetime.now(UTC)
    assert start.utcoffset() == timedelta(0)


def test_a_pause_without_a_time_is_over_when_somebody_says_so() -> None:
    assert Paused().start_time is Paused(start_time=None).start_time is None


def test_what_a_class_says_more_of_comes_before_the_context() -> None:
    when, child = datetime(2030, 1, 2, tzinfo=UTC), Success()

    for wait in (Scheduled, Paused, Resume, Retrying):
        assert wait("m", None, when).start_time == when
    assert Mapped("m", None, [child], {"x": 1}) == Mapped(map_states=[child], result=None)
    assert (Looped("m", 5, 3, {"x": 1}).loop_count, Looped("m", 5, 3, {"x": 1}).context["x"]) == (3, 1)
    assert Submitted("m", None, child, {"x": 1}).state is child
    assert Queued("m", None, child, when).start_time == when


def test_a_time_without_a_zone_is_of_utc() -> None:
    assert Scheduled(start_time=datetime(2030, 1, 1)).start_time == datetime(2030, 1, 1, tzinfo=UTC)  # noqa: DTZ001


def test_a_message_that_is_no_text_is_told_as_one() -> None:
    failed = Failed(ValueError("no rows"))  # type: ignore[arg-type]

    assert failed.message == "no rows"
    assert repr(failed) == '<Failed: "no rows">'


def test_the_base_is_above_all_others() -> None:
    ours = [cls.__name__ for cls in State.children() if cls in BUILTIN]
    assert ours == [
        "Pending", "Scheduled", "Paused", "Resume", "Retrying", "ClientFailed", "Submitted", "Queued", "Running",
        "Cancelling", "Finished", "Looped", "Success", "Cached", "Mapped", "Skipped", "Cancelled", "Failed",
        "TimedOut", "TriggerFailed", "ValidationFailed", "Crashed",
    ]  # fmt: skip
    assert set(BUILTIN) <= set(State.children(include_self=True))
    assert Crashed.parents() == [Failed, Finished, State]
    assert Crashed.parents(include_self=True) == [Failed, Finished, State, Crashed]
    assert State.children(include_self=True)[-1] is State
    assert Stale in Failed.children()
    assert Failed not in Failed.children()


def test_families_may_be_asked_for_by_name_and_leave_out_what_is_private() -> None:
    class Left(Skipped): ...  # other tests' classes stand below Skipped itself

    class _Odd(Left): ...

    class Odder(_Odd): ...

    assert Left.children(include_self=True) == [Odder, Left]
    assert Left.children(names_only=True) == ["Odder"]
    assert Odder.parents(names_only=True) == ["Left", "Skipped", "Success", "Finished", "State"]
    assert Odder.parents(include_self=True, names_only=True)[-2:] == ["State", "Odder"]


class TestResults:
    def test_none_is_a_result_like_any_other(self) -> None:
        assert Success(result=None).has_result
        assert not Success().has_result
        assert Success().result is Success(result=None).result is None

    def test_no_result_is_one_object_whatever_happens_to_it(self) -> None:
        assert NoResultType() is NO_RESULT
        assert pickle.loads(pickle.dumps(NO_RESULT)) is NO_RESULT
        assert repr(NO_RESULT) == "NO_RESULT"

    def test_a_state_that_holds_its_value_has_no_reference(self) -> None:
        assert Success(result=1).result_ref is None

    @pytest.mark.parametrize("state", [Success(), Success(context={"a": [1]})])
    def test_a_context_is_a_dict_that_nobody_changes(self, state: State) -> None:
        facts: Any = state.context
        plain = {"a": [1]} if facts else {}
        assert isinstance(facts, dict)
        assert (json.dumps(facts), repr(facts)) == (json.dumps(plain), repr(plain))
        for again in (pickle.loads(pickle.dumps(facts)), copy.deepcopy(facts), facts.copy(), facts | {}):
            assert (type(again), again) == (dict, plain)
        for change in ("clear", "popitem", "update", "setdefault"):
            with pytest.raises(TypeError, match=r"state\.replace\(context="):
                getattr(facts, change)()
        with pytest.raises(TypeError, match="cannot be changed"):
            facts["b"] = 1

    def test_a_context_is_a_copy(self) -> None:
        given = {"a": 1}
        state = Success(context=given)
        given["a"] = 2
        assert state.context == {"a": 1}


class TestEquality:
    def test_states_of_other_classes_are_not_equal(self) -> None:
        assert Success(result=1) != Cached(result=1)
        assert Success() != "Success"

    @pytest.mark.parametrize("cls", [Failed, Paused, Success])
    def test_exceptions_are_equal_by_type_and_arguments(self, cls: type[State]) -> None:
        assert cls(result=ValueError("a")) == cls(result=ValueError("a"))
        assert cls(result=ValueError("a")) != cls(result=ValueError("b"))
        assert cls(result=ValueError("a")) != cls(result=KeyError("a"))
        assert cls(result=ValueError("a")) != cls(result="a")

    def test_references_to_the_same_value_are_equal_unfetched(self) -> None:
        ref = ResultRef(RunKey("a"))
        copy = pickle.loads(pickle.dumps(ref))
        assert Success(result=ref) == Success(result=copy)
        assert Mapped(map_states=[Success(result=ref)]) == Mapped(map_states=[Success(result=copy)])

    def test_a_reference_is_equal_to_its_value(self) -> None:
        ref = ResultRef(RunKey("a"), inline=pickle.dumps([1]))
        assert Success(result=ref) == Success(result=[1])
        assert Success(result=ref) != Success(result=[2])

    def test_a_value_that_cannot_be_had_is_equal_to_nothing_else(self) -> None:
        gone = Success(result=ResultRef(RunKey("a")))
        assert gone != Success(result=1)
        with pytest.raises(ResultUnavailable):
            _ = gone.result

    def test_arrays_are_compared_as_a_whole(self) -> None:
        assert Success(result=np.arange(3)) == Success(result=np.arange(3))
        assert Success(result=np.arange(3)) != Success(result=np.array([0, 1, 3]))
        assert Success(result=np.zeros(1)) != Success(result=np.zeros(2))
        assert Success(result=np.zeros(0)) == Success(result=np.zeros(0))
        assert Success(result=np.float64(1)) == Success(result=np.float64(1))
        assert Success(result=np.zeros(2)) != Success(result=[0, 0])

    def test_tables_are_compared_as_a_whole(self) -> None:
        class Column:
            shape = (2,)

            def __init__(self, flags: list[bool]) -> None:
                self.flags = flags

            def all(self) -> bool:
                return all(self.flags)

        class Table:
            shape = (2, 2)

            def __init__(self, *flags: bool) -> None:
                self.flags = list(flags)

            def __eq__(self, other: object) -> Any:
                assert isinstance(other, Table)
                return Table(*(a == b for a, b in zip(self.flags, other.flags, strict=True)))

            __hash__ = None  # type: ignore[assignment]

            def all(self) -> Column:
                return Column(self.flags)

        assert Success(result=Table(True, False)) == Success(result=Table(True, False))
        assert Success(result=Table(True, False)) != Success(result=Table(True, True))

    def test_values_that_refuse_to_compare_are_not_equal(self) -> None:
        assert Success(result=[np.arange(3)]) != Success(result=[np.arange(3)])

    def test_a_value_is_equal_to_itself_whatever_it_says(self) -> None:
        nan, arrays = float("nan"), [np.arange(3)]
        assert Success(result=nan) == Success(result=nan)
        assert Success(result=arrays) == Success(result=arrays)


class TestMapped:
    def test_it_counts_its_children_unless_it_is_told_how_many(self) -> None:
        assert Mapped(map_states=[Success(), Failed()]).n_map_states == 2
        assert Mapped(n_map_states=5).n_map_states == 5
        assert Mapped().n_map_states == 0

    def test_its_result_is_its_childrens_in_order(self) -> None:
        error = ValueError("x")
        mapped = Mapped(map_states=[Success(result=1), Failed(result=error), Skipped()])
        assert mapped.result == [1, error, None]
        assert not mapped.has_result
        assert Mapped(result=[7]).result == [7]

    def test_new_children_bring_their_number(self) -> None:
        mapped = Mapped(n_map_states=5)
        assert mapped.replace(map_states=[Success()]).attributes()["n_map_states"] == 1
        assert mapped.replace(map_states=[Success()], n_map_states=9).attributes()["n_map_states"] == 9
        assert mapped.replace(message="x").attributes()["n_map_states"] == 5


def test_states_are_counted_by_class_in_order_of_first_appearance() -> None:
    counts = count_by_class([Success(), Failed(), Success(), Stale()])
    assert list(counts.items()) == [("Success", 2), ("Failed", 1), ("Stale", 1)]


def test_what_a_state_was_given_goes_before_what_its_class_says() -> None:
    class Rejected(Failed):
        message = "rejected"  # type: ignore[assignment]

    assert Rejected("by the bank").message == "by the bank"
    assert Rejected().message is None
