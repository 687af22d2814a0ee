"""The JSON form: every state comes back as it went, and what cannot says so."""

import base64
import copyreg
import json
import math
import pickle
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefectlite.errors import ResultUnavailable, SerializationError, TaskError
from prefectlite.states import (
    NO_RESULT,
    Failed,
    Mapped,
    Paused,
    ResultRef,
    RunKey,
    Scheduled,
    State,
    Success,
)
from prefectlite.states.json import StateForm, schema, state_from_json, state_to_json

BUILTIN = [c for c in State.children(include_self=True) if c.__module__.startswith("prefectlite.states.")]
TIME = datetime(2030, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
EXTRAS: dict[str, Any] = {
    "start_time": TIME,
    "run_count": 3,
    "map_states": (Success(result=1), Mapped(map_states=[Failed("no", result=ValueError("x"))])),
    "n_map_states": 7,
    "traceback": "Traceback ...\n",
    "cause": "exited",
    "loop_count": 4,
    "cached_result_expiration": TIME,
    "hashed_inputs": {"x": "c0a8"},
    "cached_parameters": {"p": "cfea"},
    "state": Success("inside", result=1),
    "age": (1, 2),
}


class Stale(Failed):
    """A user's own class with an attribute of its own, which JSON has no word for."""

    extras: ClassVar[tuple[str, ...]] = ("traceback", "age")
    age: tuple[int, ...]

    def __init__(self, *args: Any, age: tuple[int, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        object.__setattr__(self, "age", age)


class Stubborn(Exception):
    """An exception that pickles and cannot be made again."""

    def __init__(self, *, code: int) -> None:
        super().__init__(f"code {code}")


class Rude(Exception):
    """An exception that has neither pickle nor text."""

    def __reduce__(self) -> Any:
        raise RuntimeError("no")

    def __str__(self) -> str:
        raise RuntimeError("no")


def travel(state: State) -> State:
    """There and back, through JSON text that says nothing but JSON."""
    form = state_to_json(state)
    StateForm.model_validate(form)
    text = json.dumps(form, allow_nan=False)
    text.encode("utf-8")
    json.dumps(form, allow_nan=False, ensure_ascii=False).encode("utf-8")
    return state_from_json(json.loads(text))


def assert_same(left: Any, right: Any) -> None:
    """Equal in everything, message and context included, which ``==`` does not look at."""
    assert type(left) is type(right)
    if isinstance(left, State):
        assert_same(left.attributes(), right.attributes())
    elif isinstance(left, dict):
        assert left.keys() == right.keys()
        for name in left:
            assert_same(left[name], right[name])
    elif isinstance(left, list | tuple):
        assert len(left) == len(right)
        for mine, theirs in zip(left, right, strict=True):
            assert_same(mine, theirs)
    elif isinstance(left, BaseException):
        assert_same(left.args, right.args)
    elif isinstance(left, float):
        assert repr(left) == repr(right)
    else:
        assert left == right


@pytest.mark.parametrize("cls", [*BUILTIN, Stale])
def test_every_class_comes_back_as_it_went(cls: type[State]) -> None:
    bare = cls()
    assert_same(travel(bare), bare)
    extras = {name: EXTRAS[name] for name in cls.extras}
    state = cls("because", result={"a": [1, None]}, context={"tags": ["x"], "at": TIME}, **extras)
    assert_same(travel(state), state)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=4), inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.integers(), inner, max_size=2)
    ),
    max_leaves=12,
)


@given(values)
def test_every_value_comes_back_as_it_went(value: Any) -> None:
    state = Success(result=value, context={"value": value})
    assert_same(travel(state), state)


@given(st.text(st.characters()), st.text(st.characters(), min_size=1))
def test_texts_come_back_and_lone_surrogates_are_spelled_out(message: str, name: str) -> None:
    state = Failed(message, context={name: 1}, traceback=message)
    back = travel(state)
    assert isinstance(back, Failed)
    assert back.traceback == message
    assert back.message == message.encode("utf-8", "backslashreplace").decode()
    assert list(back.context) == [name.encode("utf-8", "backslashreplace").decode()]


@pytest.mark.parametrize("value", [None, True, 0, -1.5, "text", [], {}, [{"a": [1, "b"]}], 2**63 - 1])
def test_what_json_holds_exactly_is_written_as_itself(value: Any) -> None:
    assert state_to_json(Success(result=value))["result"] == {"kind": "json", "value": value}


CYCLE: list[Any] = []
CYCLE.extend([CYCLE, CYCLE])


def deep(levels: int) -> list[Any]:
    return [deep(levels - 1)] if levels else []


@pytest.mark.parametrize(
    "value",
    [
        (1, 2),
        {1: 2},
        {"caf\udce9": 1},
        "caf\udce9",
        math.nan,
        -math.inf,
        2**63,
        10**5000,
        b"bytes",
        {1, 2},
        deep(40),
        list(range(20_000)),
        dict.fromkeys(map(str, range(20_000))),
        [list(range(6_000))] * 2,
        TIME.replace(fold=1),
        datetime(2030, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")),
    ],
    ids=lambda value: f"{type(value).__name__}",
)
def test_what_json_does_not_hold_exactly_is_pickled_and_comes_back(value: Any) -> None:
    state = Success(result=value)
    assert state_to_json(state)["result"]["kind"] == "object"
    back = travel(state)
    assert type(back.result) is type(value)
    assert repr(back.result) == repr(value) if value != 10**5000 else back.result == value


def test_a_list_that_holds_itself_comes_back_holding_itself() -> None:
    back = travel(Success(result=CYCLE)).result
    assert back[0] is back[1] is back


@pytest.mark.parametrize(
    "moment",
    [TIME, TIME.replace(tzinfo=None), TIME.astimezone(timezone(timedelta(hours=-3, minutes=30)))],
)
def test_moments_are_written_in_iso_8601(moment: datetime) -> None:
    state = Scheduled(start_time=moment)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    assert state_to_json(state)["extras"]["start_time"] == {"kind": "moment", "time": aware.isoformat()}
    back = travel(state)
    assert isinstance(back, Scheduled)
    assert back.start_time is not None
    assert back.start_time == aware
    assert back.start_time.utcoffset() == aware.utcoffset()


def test_a_pause_keeps_an_unknown_start_time() -> None:
    assert_same(travel(Paused()), Paused(start_time=None))


class TestReferences:
    def test_a_reference_travels_as_its_facts_and_stays_unfetched(self) -> None:
        class Guard:
            def fetch(self, ref: ResultRef) -> Any:
                raise AssertionError("fetched")

        ref = ResultRef(RunKey("load-1", 3, 2), 4, 500, source=Guard(), submission=6)
        form = state_to_json(Success(result=ref))["result"]
        assert form == {
            "kind": "ref",
            "slug": "load-1",
            "index": 3,
            "loop": 2,
            "attempt": 4,
            "submission": 6,
            "nbytes": 500,
            "inline": None,
            "location": None,
            "digest": None,
        }
        back = travel(Success(result=ref))
        assert back.result_ref == ref
        with pytest.raises(ResultUnavailable, match=r"load-1\[3\]@2"):
            _ = back.result

    def test_an_inline_value_travels_along(self) -> None:
        ref = ResultRef(RunKey("load-1"), inline=pickle.dumps({"a": (1, 2)}))
        back = travel(Success(result=ref))
        assert back.result_ref == ref
        assert back.result == {"a": (1, 2)}

    def test_where_a_value_is_stored_travels_along_and_a_form_may_be_older_than_its_digest(self) -> None:
        ref = ResultRef(RunKey("load-1"), location="load.pkl", digest="c0a8")
        assert travel(Success(result=ref)).result_ref == ref
        form = state_to_json(Success(result=ref))
        del form["result"]["digest"]
        assert state_from_json(form).result_ref == ResultRef(RunKey("load-1"), location="load.pkl")


class TestExceptions:
    def test_an_exception_comes_back_with_type_and_arguments(self) -> None:
        back = travel(Failed(result=KeyError("x", 3))).result
        assert type(back) is KeyError
        assert back.args == ("x", 3)

    def test_its_type_and_text_can_be_read_without_unpickling(self) -> None:
        form = state_to_json(Failed(result=ValueError("bad caf\udce9")))["result"]
        assert (form["type_name"], form["text"], form["raised"]) == (
            "builtins.ValueError",
            "bad caf\\udce9",
            True,
        )

    def test_one_that_cannot_be_made_again_leaves_a_stand_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # distributed, once imported, has tblib pickle every class of exception, which calls no constructor.
        monkeypatch.delitem(copyreg.dispatch_table, Stubborn, raising=False)
        back = travel(Failed(result=Stubborn(code=3))).result
        assert type(back) is TaskError
        assert back.type_name.endswith("Stubborn")
        assert back.message == "code 3"

    def test_one_without_pickle_and_text_leaves_its_type(self) -> None:
        back = travel(Failed(result=Rude())).result
        assert type(back) is TaskError
        assert back.type_name.endswith("Rude")
        assert back.message == ""

    def test_one_whose_class_is_gone_is_a_stand_in(self) -> None:
        form = state_to_json(Failed(result=ValueError("bad")))
        form["result"]["pickled"] = base64.b64encode(b"nonsense").decode()
        back = state_from_json(form).result
        assert type(back) is TaskError
        assert str(back) == "builtins.ValueError: bad"


class TestValuesThatCannotBeStored:
    def test_reading_one_says_why(self) -> None:
        back = travel(Success("done", result=threading.Lock()))
        assert back.message == "done"
        assert back.has_result
        with pytest.raises(ResultUnavailable, match=r"_thread\.lock.*cannot be pickled \(TypeError"):
            _ = back.result

    def test_it_says_the_same_after_another_journey(self) -> None:
        once = travel(Success(result=threading.Lock()))
        again = travel(once)
        with pytest.raises(ResultUnavailable) as first:
            _ = once.result
        with pytest.raises(ResultUnavailable) as second:
            _ = again.result
        assert str(first.value) == str(second.value)

    def test_one_that_cannot_be_unpickled_here_says_so(self) -> None:
        form = state_to_json(Success(result={1}))
        form["result"]["pickled"] = base64.b64encode(b"nonsense").decode()
        with pytest.raises(ResultUnavailable, match="cannot be unpickled here"):
            _ = state_from_json(form).result

    def test_bytes_that_are_not_base64_are_one_more_way_not_to_be_there(self) -> None:
        form = state_to_json(Success(result={1}))
        form["result"]["pickled"] = "ä"
        with pytest.raises(ResultUnavailable, match="not base64"):
            _ = state_from_json(form).result


class TestUsersClasses:
    def test_a_class_is_named_by_module_and_qualified_name(self) -> None:
        assert state_to_json(Stale())["type"] == f"{__name__}:Stale"
        assert state_to_json(Success())["type"] == "Success"

    def test_a_class_that_only_shares_its_name_with_a_built_in_one_is_told_apart(self) -> None:
        class Success(Failed):
            pass

        back = travel(Success())
        assert type(back) is Success

    def test_a_class_that_was_defined_again_is_read_as_its_youngest_form(self) -> None:
        def define() -> type[State]:
            class Cell(Failed):
                pass

            return Cell

        _old, new = define(), define()
        assert type(travel(new())) is new

    @pytest.fixture
    def module(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
        (tmp_path / "stale_states.py").write_text(
            "from prefectlite.states import Failed\n"
            "class Outer:\n    class Inner(Failed):\n        pass\n"
            "number = 3\n"
        )
        (tmp_path / "broken_states.py").write_text("1 / 0\n")
        monkeypatch.syspath_prepend(tmp_path)
        yield "stale_states"
        sys.modules.pop("stale_states", None)

    def test_a_class_is_imported_where_it_is_not_yet(self, module: str) -> None:
        form = {**state_to_json(Failed("m")), "type": f"{module}:Outer.Inner"}
        back = state_from_json(form)
        assert type(back).__qualname__ == "Outer.Inner"
        assert back.is_failed()
        assert back.message == "m"

    @pytest.mark.parametrize(
        "path",
        ["no_such_module:A", "stale_states:Missing", "broken_states:A", "Unknown", "", ":A", "stale_states:"],
    )
    def test_a_class_that_cannot_be_imported_is_refused_with_its_name(self, module: str, path: str) -> None:
        with pytest.raises(SerializationError, match=f"class {path} of a stored state cannot be imported"):
            state_from_json({**state_to_json(Failed()), "type": path})

    @pytest.mark.parametrize("path", ["stale_states:number", "stale_states:Outer", "builtins:ValueError"])
    def test_what_is_no_class_of_states_is_refused(self, module: str, path: str) -> None:
        with pytest.raises(SerializationError, match="no class of states"):
            state_from_json({**state_to_json(Failed()), "type": path})

    def test_a_class_that_does_not_take_its_attributes_is_refused(self) -> None:
        form = state_to_json(Failed())
        form["extras"]["flavour"] = {"kind": "none"}
        with pytest.raises(SerializationError, match="cannot be made again by its class Failed"):
            state_from_json(form)


class TestForms:
    @pytest.mark.parametrize(
        "changes",
        [
            {"format": 2},
            {"format": None},
            {"message": 3},
            {"result": {"kind": "unheard"}},
            {"result": {"kind": "none", "more": 1}},
            {"extras": None},
            {"more": 1},
        ],
    )
    def test_what_is_no_form_is_refused(self, changes: dict[str, Any]) -> None:
        with pytest.raises(SerializationError, match="not the JSON form of a state"):
            state_from_json({**state_to_json(Success()), **changes})

    def test_a_form_with_a_part_missing_is_refused(self) -> None:
        with pytest.raises(SerializationError, match="not the JSON form of a state"):
            state_from_json({})

    def test_a_moment_that_is_none_is_refused(self) -> None:
        form = state_to_json(Scheduled(start_time=TIME))
        form["extras"]["start_time"]["time"] = "tomorrow"
        with pytest.raises(SerializationError, match="'tomorrow' in the place of a moment"):
            state_from_json(form)

    def test_an_inline_value_that_is_not_base64_is_refused(self) -> None:
        form = state_to_json(Success(result=ResultRef(RunKey("a"), inline=b"x")))
        form["result"]["inline"] = "?"
        with pytest.raises(SerializationError, match="not base64"):
            state_from_json(form)

    def test_the_schema_describes_the_form(self) -> None:
        described = schema()
        form = described["$defs"][described["$ref"].rpartition("/")[2]]
        assert form["properties"].keys() == state_to_json(Success()).keys()
        json.dumps(described)

    def test_a_state_inside_a_state_comes_back(self) -> None:
        state = Success(result=Failed("inner", result=NO_RESULT), context={"empty": (), "none": NO_RESULT})
        assert_same(travel(state), state)
