"""Runs that were left with pauses and go on at a new place: what the former one made is still there."""

from __future__ import annotations

import os

import pytest

from prefectlite import DaskExecutor, Flow, pause_task, task, unmapped

pytestmark = pytest.mark.cluster

BEFORE, AFTER = b"before" * 40_000, b"after" * 40_000


def approvals():
    """A flow with a pause between values that are large, and large constants on both of its sides."""

    @task
    def load(shared, x):
        return os.getpid(), bytes(50_000) + bytes([x]), shared[:3]

    @task
    def approve(found):
        pause_task("look at it")
        return found

    @task
    def save(found, shared):
        pid, value, word = found
        return pid, len(value), value[-1], word, shared[:3]

    with Flow("approvals") as flow:
        approved = approve.map(load.map(unmapped(BEFORE), [1, 2]))
        saved = save.map(approved, unmapped(AFTER))
    return flow, approved, saved


EXPECTED = [(50_001, 1, b"bef", b"aft"), (50_001, 2, b"bef", b"aft")]


def test_on_a_cluster_of_its_own_a_left_run_holds_no_process_and_starts_new_ones():
    flow, approved, saved = approvals()
    run = flow.start(executor=DaskExecutor(n_workers=1))
    assert run.wait().is_running()
    assert run.dashboard_link is None

    run.resume("approve-1[1]")
    assert run.wait().is_running()
    run.resume(approved)

    found = run.wait().result[saved].result
    assert [told[1:] for told in found] == EXPECTED
    assert len({told[0] for told in found}) == 1, (
        "the values were made once, by the first cluster's one worker"
    )


def test_on_a_client_of_the_users_a_left_run_goes_on_with_names_of_its_own(client):
    flow, approved, saved = approvals()
    run = flow.start(executor=DaskExecutor(client))
    assert run.wait().is_running()

    run.resume(approved)

    assert [told[1:] for told in run.wait().result[saved].result] == EXPECTED


def test_a_run_that_waits_goes_on_at_the_same_cluster(client):
    flow, approved, saved = approvals()
    run = flow.start(executor=DaskExecutor(client), wait_for_approval=True)
    while len(run.paused()) < 2:
        with pytest.raises(TimeoutError):
            run.wait(0.05)

    run.resume(approved)

    assert [told[1:] for told in run.wait(60).result[saved].result] == EXPECTED
