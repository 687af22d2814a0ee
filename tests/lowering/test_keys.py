"""Data keys: safe for Dask, grouped by task, never the same for two runs."""

from __future__ import annotations

from collections import Counter

import pytest
from dask.utils import key_split
from hypothesis import given
from hypothesis import strategies as st

from prefectlite.lowering.keys import COMPANY, call_key, data_key, key_prefix
from prefectlite.states.keys import RunKey

RUN = "0123456789abcdef" * 2


def test_a_key_names_flow_task_run_and_attempt() -> None:
    prefix = key_prefix("etl", "load-2", RUN)
    assert data_key(prefix, RunKey("load-2", 7), 1, 3) == ("etl.load-2-1.3-01234567", 7, 1, 1, 3)
    assert data_key(prefix, RunKey("load-2", loop=4), 2, 1) == ("etl.load-0-01234567", -3, 4, 2, 1)


@pytest.mark.parametrize("slug", ["mine", "run-007", "run-20261122123456789012", "load-x"])
def test_a_slug_without_a_plain_number_has_a_group_of_its_own(slug: str) -> None:
    prefix = key_prefix("etl", slug, RUN)
    assert data_key(prefix, RunKey(slug), 1, 1) == (prefix, -1, 1, 1, 1)
    again = data_key(prefix, RunKey(slug), 2, 2)
    assert again[0] != prefix
    assert key_split(again) == key_split(prefix)


def test_few_runs_share_a_group_and_no_two_a_key() -> None:
    slugs = [f"{name}-{n}" for name in ("load", "load-a", "load_a") for n in (*range(40), "007", "r2")]
    runs = [RunKey(slug) for slug in ("load", *slugs)] + [RunKey("m-3", n) for n in range(40)]
    keys = [
        data_key(key_prefix("etl", run.slug, RUN), run, 1, again) for again in range(1, 5) for run in runs
    ]
    assert len(set(keys)) == len(keys)
    assert max(Counter(key[0] for key in keys).values()) == COMPANY
    assert {key_split(key) for key in keys if key[0].startswith("etl.m-")} == {"etl.m"}


def test_the_dashboard_groups_all_calls_of_a_task() -> None:
    groups = {key_split((key_prefix("etl", f"load-{n}", RUN), -1, 1, 1, 1)) for n in range(20)}
    assert groups == {"etl.load"}


def test_what_had_to_be_altered_is_told_apart_by_a_hash() -> None:
    prefixes = {key_prefix("etl", slug, RUN) for slug in ("a b", "a_b", "a-b", "ä b", "a b-1")}
    assert len(prefixes) == 5
    assert key_prefix("etl", "a_b", RUN) == "etl.a_b-01234567"


def test_a_flow_whose_name_is_no_word_still_makes_a_group() -> None:
    assert key_prefix("2024 plan", "load-1", RUN).startswith("flow_2024_plan.load-1-")


@given(st.one_of(st.text(min_size=1), st.integers(0).map("load-{}".format)), st.integers(1, 3))
def test_a_call_has_the_key_that_its_prefix_would_give_it(slug: str, submission: int) -> None:
    run = RunKey(slug, loop=2)
    assert call_key("etl", RUN, run, 1, submission) == data_key(
        key_prefix("etl", slug, RUN), run, 1, submission
    )


@given(st.lists(st.text(min_size=1, max_size=120), unique=True, max_size=10))
def test_no_two_slugs_share_a_prefix_and_all_are_bounded_ascii(slugs: list[str]) -> None:
    prefixes = [key_prefix("f", slug, RUN) for slug in slugs]
    assert len(set(prefixes)) == len(slugs)
    for prefix in prefixes:
        assert prefix.isascii()
        assert prefix.endswith("-01234567")
        assert len(prefix) <= 240
