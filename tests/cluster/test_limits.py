"""Limits on a cluster of our own, with bundles: what is under one is never in a bundle, the rest still is."""

from __future__ import annotations

import os
import time

import pytest

from prefectlite import DaskExecutor, Flow, task
from prefectlite.states import Success
from tests.contract.test_contract_limits import at_once

pytestmark = pytest.mark.cluster


def span(x):
    began = time.monotonic()
    time.sleep(0.002)
    return began, time.monotonic()


def test_what_is_under_a_limit_keeps_it_beside_bundles_that_do_not_wait():
    with Flow("beside") as flow:
        limited = task(span, name="limited", max_concurrency=2).map(list(range(60)))
        free = task(span, name="free").map(list(range(200)))
        total = task(lambda xs, ys: len(xs) + len(ys))(limited, free)

    state = flow.run(executor=DaskExecutor(n_workers=2, cluster_kwargs={"threads_per_worker": 3}))

    assert type(state) is Success
    assert state.result[total].result == 260
    assert at_once(state.result[limited].result) <= 2


def test_a_limit_of_a_worker_that_dies_is_free_again():
    def dies(x):
        if x == 0:
            os._exit(1)
        return x

    with Flow("dies") as flow:
        mapped = task(dies, max_concurrency=1).map([0, 1, 2])

    state = flow.run(executor=DaskExecutor(n_workers=1))

    assert [type(child).__name__ for child in state.result[mapped].map_states] == [
        "Crashed",
        "Success",
        "Success",
    ]
