"""Flow runs that bodies drive in their own threads end with the bodies, and in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefectlite import DaskExecutor, Flow, LocalExecutor, ResourceManager, task
from prefectlite.states import Cancelled
from prefectlite.worker.here import Interruption
from prefectlite.worker.inner import Inner, depth
from prefectlite.worker.interrupts import Interruptible
from tests.faults.ground import until


def napping(said: Path) -> Callable[[Any], None]:
    """Return a body that goes on until it is interrupted."""

    def nap(x: Any) -> None:
        with said.open("a") as file:
            file.write(f"began {x} ")
        for _ in range(6000):
            time.sleep(0.01)

    return nap


def three_naps(said: Path) -> Flow:
    with Flow("naps") as flow:
        task(napping(said), name="nap").map([1, 2, 3])
    return flow


def around(inner: Flow, said: Path, **options: Any) -> Flow:
    """Return a flow whose body runs another in its thread, and writes down how that ended."""

    def body() -> None:
        try:
            inner.run(executor=LocalExecutor())
            raise AssertionError("the inner flow run came to its end")
        except BaseException as error:
            is_interrupted = isinstance(error, KeyboardInterrupt)
            with said.open("a") as file:
                file.write("interrupted " if is_interrupted else f"{error!r} ")
            raise

    with Flow(f"around-{inner.name}") as flow:
        task(body, name="body", **options)()
    return flow


def words_after_a_cancel(flow: Flow, said: Path, executor: Any, count: int) -> list[str]:
    """Cancel a run when its first body has begun; return what was said then, in so many words."""
    run = flow.start(executor=executor)
    until(lambda: said.exists() and said.read_text(), "the body to begin")
    run.cancel()
    assert isinstance(run.wait(20), Cancelled)
    # On a cluster of others, the run does not wait for its body.
    until(lambda: len(said.read_text().split()) >= count, "the body to end")
    return said.read_text().split()


@pytest.mark.parametrize("options", [{}, {"isolate": True}, {"timeout": 60}])
def test_a_cancel_ends_the_flow_run_that_a_body_drives(tmp_path: Path, options: dict[str, Any]) -> None:
    said = tmp_path / "said"
    flow = around(three_naps(said), said, **options)
    assert words_after_a_cancel(flow, said, LocalExecutor(), 3) == ["began", "1", "interrupted"]


def test_a_cancel_ends_flow_runs_one_in_a_body_of_the_other(tmp_path: Path) -> None:
    said = tmp_path / "said"
    flow = around(around(three_naps(said), said), said)
    words = words_after_a_cancel(flow, said, LocalExecutor(), 4)
    assert words == ["began", "1", "interrupted", "interrupted"]


def test_the_flow_run_in_a_body_cleans_up_before_it_ends(tmp_path: Path) -> None:
    said = tmp_path / "said"

    class Place:
        def setup(self) -> int:
            return 1

        def cleanup(self, value: int) -> None:
            with said.open("a") as file:
                file.write("cleaned ")

    with Flow("tidy") as inner, ResourceManager(Place, name="place")() as place:
        task(napping(said), name="nap")(place)
    words = words_after_a_cancel(around(inner, said), said, LocalExecutor(), 4)
    assert words == ["began", "1", "cleaned", "interrupted"]


@pytest.mark.cluster
@pytest.mark.parametrize("size", [None, "auto"])
def test_a_cancel_ends_the_flow_run_that_a_body_on_a_worker_drives(
    client: Any, tmp_path: Path, size: Any
) -> None:
    said = tmp_path / "said"
    flow = around(three_naps(said), said)
    words = words_after_a_cancel(flow, said, DaskExecutor(client, bundle_size=size), 3)
    assert words == ["began", "1", "interrupted"]


def test_one_that_cannot_end_in_order_is_interrupted_where_it_stands() -> None:
    caught: list[str] = []
    here: list[Interruptible] = []
    stands = threading.Event()

    def drive() -> None:
        # As while somebody is asked: that ends by the exception, which may be kept there.
        with Inner(lambda: True, lambda: False):
            try:
                stands.set()
                while True:
                    time.sleep(0.001)
            except Interruption:
                caught.append("where it stood")
        caught.append("never")

    def body() -> None:
        here.append(Interruptible(depth()))
        caught.append(f"came to {here[0].call(drive)}")

    thread = threading.Thread(target=body)
    thread.start()
    assert stands.wait(20)
    assert here[0].interrupt()
    thread.join(20)
    assert caught == ["where it stood", "came to None"]


def test_one_that_is_left_first_is_not_ended_any_more() -> None:
    ended: list[str] = []
    with Inner(lambda: True, lambda: not ended.append("ended")) as inner:  # type: ignore[func-returns-value]
        assert depth() == 1
    assert not inner.end()
    assert (depth(), ended) == (0, [])
