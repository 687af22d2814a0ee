"""What states take from where they are made, and what they keep wherever they go."""

import json
import pickle
import subprocess
import sys
import warnings
from datetime import UTC, datetime
from typing import Any

import pytest

from prefectlite import context, signals
from prefectlite.core.surroundings import clocked, run_layer, surroundings
from prefectlite.states import (
    Cached,
    Failed,
    Looped,
    Mapped,
    Paused,
    Queued,
    Resume,
    Retrying,
    Scheduled,
    State,
    Success,
)
from prefectlite.states.json import state_from_json, state_to_json
from prefectlite.states.meta import Submitted
from prefectlite.states.surroundings import NO_CONTEXT

IN_A_TASK = {"task_tags": frozenset({"nightly", "db"}), "task_run_count": 3, "task_loop_count": 5}
BUILTIN = [c for c in State.children(include_self=True) if c.__module__.startswith("prefectlite.states.")]


@pytest.mark.parametrize("cls", BUILTIN)
def test_a_state_that_a_task_makes_has_its_tags_in_order(cls: type[State]) -> None:
    with context(IN_A_TASK):
        assert cls().context["tags"] == ["db", "nightly"]
        assert cls(context={"who": "Ada"}).context["tags"] == ["db", "nightly"]
        assert cls(context={"tags": ["mine"]}).context["tags"] == ["mine"]


def test_a_state_without_tags_has_none() -> None:
    for state in (Success(), Success(context={"who": "Ada"})):
        assert state.context["tags"] == []
        assert "tags" not in state.context
        with pytest.raises(KeyError, match="day"):
            state.context["day"]


def test_a_state_that_waits_has_the_count_of_the_run_that_makes_it() -> None:
    with context(IN_A_TASK):
        for cls in (Scheduled, Paused, Retrying, Resume):
            assert cls().context["task_run_count"] == 3
        assert Retrying().run_count == 3
        assert Retrying(run_count=8).run_count == 8
        assert Looped().loop_count == 5
        assert Looped(loop_count=2).loop_count == 2
        assert "task_run_count" not in Success().context
    assert (Retrying().run_count, Looped().loop_count) == (1, 1)
    assert Scheduled().context == {}


def test_the_time_is_that_of_the_clock_around() -> None:
    noon = datetime(2001, 2, 3, 12, tzinfo=UTC)

    with clocked(noon.timestamp):
        assert Scheduled().start_time == Retrying().start_time == Queued().start_time == noon
        assert signals.RETRY().state.start_time == noon
        assert Paused().start_time is None
    assert Scheduled().start_time != noon


@pytest.mark.parametrize("cls", BUILTIN)
def test_a_state_that_travels_takes_nothing_on_its_way(cls: type[State]) -> None:
    state, later = cls("told"), datetime(2099, 1, 1, tzinfo=UTC)
    form = json.loads(json.dumps(state_to_json(state)))
    payload = pickle.dumps(state)

    with context(IN_A_TASK), clocked(later.timestamp):
        copies = [
            pickle.loads(payload),
            state_from_json(form),
            state.replace(message="other"),
            state.replace(context=dict(state.context)),
            state.load_result(),
        ]
        for copy in copies:
            assert copy.context == state.context
            assert {**copy.attributes(), "message": ""} == {**state.attributes(), "message": ""}


def test_a_signal_makes_its_state_where_it_is_made_and_may_be_made_anew() -> None:
    with context(IN_A_TASK):
        made = signals.RETRY("again", context={"who": "Ada"})
    with context(IN_A_TASK, task_run_count=4):
        anew = made.anew()
    assert (made.state.run_count, anew.state.run_count) == (3, 4)
    assert dict(anew.state.context) == {"tags": ["db", "nightly"], "task_run_count": 4, "who": "Ada"}
    assert (type(anew), str(anew)) == (signals.RETRY, "again")
    arrived = pickle.loads(pickle.dumps(made))
    assert arrived.anew() is arrived
    ended = signals.ENDRUN(Failed("no"))
    assert ended.anew() is ended


def test_a_flow_run_inside_a_task_takes_nothing_from_that_but_what_a_person_set() -> None:
    with surroundings({**IN_A_TASK, "task_name": "outer"}), context(city="Bergen"), run_layer():
        assert (context.city, set(context)) == ("Bergen", {"city", "config", "logger", "secrets"})
        assert Success().context == {}
    with context(city="Bergen"):
        before = dict(context)
        with run_layer():
            assert dict(context) == before


def test_modules_that_are_first_imported_by_a_task_make_no_states_of_that_task() -> None:
    script = """
import importlib, pkgutil, sys
from prefectlite.core.context import context
from prefectlite.states import State
import prefectlite.engine, prefectlite.rules, prefectlite.driver
with context(task_tags={"outer"}, task_run_count=7):
    for room in (prefectlite.engine, prefectlite.rules, prefectlite.driver):
        for found in pkgutil.iter_modules(room.__path__, room.__name__ + "."):
            importlib.import_module(found.name)
made = {f"{name}.{key}": dict(one.context) for name, module in list(sys.modules.items())
        if name.startswith("prefectlite") for key, one in vars(module).items() if isinstance(one, State)}
assert len(made) >= 6, made
print({key: facts for key, facts in made.items() if facts})
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{}"


@pytest.mark.parametrize("cls", [Success, Failed, Retrying, Mapped, Cached, Looped, Submitted])
class TestCachedInputs:
    def test_they_are_kept_with_a_warning_and_travel(self, cls: type[State]) -> None:
        with pytest.warns(DeprecationWarning, match=rf"{cls.__name__}\(cached_inputs=...\) is kept") as seen:
            state = cls("m", cached_inputs={"x": 1})
        assert seen[0].filename == __file__
        assert state.cached_inputs == {"x": 1}
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for copy in (pickle.loads(pickle.dumps(state)), state.replace(message="other")):
                assert copy.cached_inputs == {"x": 1}
            assert state == state.replace()
            assert state != state.replace(cached_inputs={"x": 2})
            assert state_from_json(state_to_json(state)).cached_inputs == {}

    def test_they_are_empty_when_none_were_given(self, cls: type[State]) -> None:
        assert cls().cached_inputs == {}
        assert "cached_inputs" not in cls().attributes()

    def test_they_have_names(self, cls: type[State]) -> None:
        with (
            pytest.warns(DeprecationWarning, match="is kept"),
            pytest.raises(TypeError, match=rf"{cls.__name__}: cached_inputs is a list"),
        ):
            cls(cached_inputs=[1])  # type: ignore[arg-type]


def test_a_context_is_shared_by_states_that_were_told_to_have_none() -> None:
    made: Any = Success(context=NO_CONTEXT)
    assert made.context is NO_CONTEXT
