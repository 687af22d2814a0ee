"""What the context says of a flow run and of a task run: dates, names, what a person may put there."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from prefectlite.core.facts import date_facts, flow_facts, task_facts
from prefectlite.core.given_context import checked
from prefectlite.errors import ContextError
from prefectlite.states import Cached
from prefectlite.states.keys import RunKey

RUN = "ab" * 16


def facts(scheduled: float = 0.0, **given: Any) -> dict[str, Any]:
    return flow_facts("etl", RUN, scheduled, checked(given, "Flow 'etl'"))


def test_dates_follow_the_scheduled_start() -> None:
    told = date_facts(datetime(2026, 3, 1, 23, 30, tzinfo=timezone(timedelta(hours=2))))
    assert (told["yesterday"], told["today"], told["tomorrow"]) == ("2026-02-28", "2026-03-01", "2026-03-02")
    assert told["today_nodash"] == "20260301"
    naive = datetime(2026, 3, 1, tzinfo=UTC).replace(tzinfo=None)
    assert date_facts(naive)["date"] == datetime(2026, 3, 1, tzinfo=UTC)


def test_a_flow_runs_facts_are_those_of_prefect_1() -> None:
    told = facts(86400.0)
    moment = datetime(1970, 1, 2, tzinfo=UTC)
    assert (told["flow_name"], told["flow_id"], told["flow_run_id"]) == ("etl", "etl", RUN)
    assert told["flow_run_name"] == "etl-abababab"
    assert (told["scheduled_start_time"], told["date"], told["today"]) == (moment, moment, "1970-01-02")
    assert (told["checkpointing"], told["caches"], dict(told["secrets"])) == (True, {}, {})


@pytest.mark.parametrize(
    "given",
    ["2026-03-01", " 2026-03-01T05:30:00 ", date(2026, 3, 1), datetime(2026, 3, 1, 5), "2026-03-01T05:00Z"],  # noqa: DTZ001
)
def test_a_date_that_is_given_decides_what_today_is(given: Any) -> None:
    told = facts(86400.0, date=given)
    assert (told["yesterday"], told["today"], told["tomorrow_nodash"]) == (
        "2026-02-28",
        "2026-03-01",
        "20260302",
    )
    assert told["date"].tzinfo is not None
    assert told["scheduled_start_time"] == datetime(1970, 1, 2, tzinfo=UTC)


def test_a_start_that_is_given_leaves_the_date_and_names_of_days_can_be_set() -> None:
    told = facts(86400.0, scheduled_start_time="2026-03-01T06:00+01:00", today="a day", region="north")
    assert told["scheduled_start_time"].isoformat() == "2026-03-01T06:00:00+01:00"
    assert told["date"] == datetime(1970, 1, 2, tzinfo=UTC)
    assert (told["today"], told["yesterday"], told["region"]) == ("a day", "1970-01-01", "north")


def test_what_the_run_says_itself_is_left_out_and_the_rest_is_as_it_is_kept() -> None:
    cached = Cached(result="old")
    given = {
        **dict.fromkeys(("flow_id", "flow_name", "logger", "task_full_name", "task_id", "task_name"), "x"),
        **dict.fromkeys(("task_run_count", "task_run_id", "task_slug", "task_tags"), "x"),
    }
    taken = {
        "caches": {"load": (cached,)},
        "checkpointing": False,
        "config": {"results": {"inline_limit": 7}},
        "map_index": 3,
        "parameters": {"p": 1},
        "resume": True,
        "tags": ["a"],
        "task_loop_count": 4,
    }

    kept = checked({**given, **taken}, "Flow 'etl'")

    assert kept.pop("config").results.inline_limit == 7
    assert kept.pop("secrets") == {}
    del taken["config"]
    assert kept == {**taken, "caches": {"load": [cached]}, "tags": {"a"}}
    assert checked({"caches": None}, "Flow 'etl'")["caches"] == {}


def test_a_map_index_that_is_given_is_that_of_runs_that_have_none() -> None:
    lone, child = (
        task_facts(RunKey("load-1", index), RUN, "load", frozenset(), 1, {"map_index": 7})
        for index in (None, 3)
    )
    assert (lone["map_index"], lone["task_full_name"], lone["task_run_id"]) == (
        7,
        "load[7]",
        f"{RUN}/load-1",
    )
    assert (child["map_index"], child["task_full_name"]) == (3, "load[3]")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"date": "someday"}, r"context=\{'date': 'someday'\}, which is no moment; give a datetime"),
        ({"scheduled_start_time": 3}, r"'scheduled_start_time': 3\}, which is no moment"),
        ({"attempt": 7}, r"prefectlite sets 'attempt' itself: choose another name"),
        ({"flow": 7}, r"prefectlite sets 'flow' itself: it is the flow that is being built"),
        ({"flow_run_id": "x"}, r"'flow_run_id' itself: each run gets one of its own, context.flow_run_id"),
        ({"parameters": 5}, r"\{'parameters': \.\.\.\} of type int; pass a dict of names and values"),
        ({"caches": {"load": 5}}, r"'caches': \{'load': 5\}\}; pass a list of Cached states"),
        ({"caches": {"load": [5]}}, r"'caches': \{'load': \[5\]\}\}; pass a list of Cached states"),
        ({"task_loop_count": "x"}, r"'task_loop_count': 'x'\}, which counts no iterations"),
        ({"task_loop_count": True}, r"'task_loop_count': True\}, which counts no iterations"),
        ({3: 1}, r"the context name 3, which is no text"),
        ({"secrets": "hush"}, r"\{'secrets': \.\.\.\} of type str; pass a dict"),
    ],
)
def test_a_context_that_cannot_be_is_refused_with_name_value_and_mend(given: Any, text: str) -> None:
    with pytest.raises(ContextError, match=f"Flow 'etl' .*{text}"):
        checked(given, "Flow 'etl'")


def test_a_task_runs_facts_are_those_of_prefect_1_and_three_more() -> None:
    told = task_facts(RunKey("load-1", 3), RUN, "load", frozenset({"a"}), 2)
    assert (told["task_name"], told["task_full_name"], told["task_slug"]) == ("load", "load[3]", "load-1")
    assert (told["task_id"], told["task_run_id"], told["map_index"]) == ("load-1", f"{RUN}/load-1[3]", 3)
    assert (told["task_tags"], told["task_run_count"], told["attempt"]) == ({"a"}, 2, 2)
    assert len(told["idempotency_key"]) == 32
    assert told["time_left"]() == math.inf
    assert task_facts(RunKey("load-1"), RUN, "load", frozenset(), 1)["task_full_name"] == "load"
