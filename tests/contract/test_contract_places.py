"""Executors, as Prefect 1 made and asked them: a row per rule of section 19 of the reference that is about them.

Where a cluster is needed, all rows share the runs that show them.
"""

from __future__ import annotations

import importlib.util
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from prefectlite import DaskExecutor, Flow, LocalDaskExecutor, LocalExecutor, context, task
from prefectlite.errors import DefinitionError, ExecutorError
from prefectlite.executors import Executor
from prefectlite.executors.performance import PerformanceReport
from tests.contract.rows import Rows

row = Rows()


@row("19", "LocalDaskExecutor takes the names that Dask has for threads and processes (S8)")
def _() -> None:
    assert (
        repr(LocalDaskExecutor("threading"))
        == repr(LocalDaskExecutor("threads"))
        == repr(LocalDaskExecutor())
    )
    assert repr(LocalDaskExecutor("multiprocessing", 3)) == repr(
        LocalDaskExecutor("processes", num_workers=3)
    )
    for name in ("synchronous", "sync", "single-threaded"):
        with pytest.raises(
            ValueError, match=rf"scheduler='{name}'.*'threads' or 'processes'.*LocalExecutor\(\)"
        ):
            LocalDaskExecutor(name)  # type: ignore[arg-type]


@row("19", "LocalDaskExecutor refuses options that 1.x did not look at, by name (S8)")
def _() -> None:
    with pytest.raises(TypeError, match=r"the option 'n_workers', which .*; give num_workers\.$"):
        LocalDaskExecutor("threads", n_workers=4)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"'local_processes', which does not exist.*scheduler, num_workers"):
        LocalDaskExecutor(local_processes=True)  # type: ignore[call-arg]


@row("19", "each executor is an Executor")
def _() -> None:
    for kind in (LocalExecutor, LocalDaskExecutor, DaskExecutor):
        assert isinstance(kind(), Executor)
        assert kind().logger.name == f"prefectlite.{kind.__name__}"


@row("19", "DaskExecutor(address=) is a scheduler that is up; with a cluster beside it, it is a ValueError")
def _() -> None:
    assert repr(DaskExecutor(address="tcp://10.0.0.1:8786")) == repr(DaskExecutor("tcp://10.0.0.1:8786"))
    assert repr(DaskExecutor(disable_cancellation_event=True)) == repr(DaskExecutor())
    for beside in ({"cluster_class": "a.B"}, {"cluster_kwargs": {"x": 1}}, {"adapt_kwargs": {"minimum": 1}}):
        with pytest.raises(
            ValueError, match=f"(?s)address.*{next(iter(beside))}|{next(iter(beside))}.*address"
        ):
            DaskExecutor(address="tcp://10.0.0.1:8786", **beside)  # type: ignore[arg-type]
    for wrong in ("here", 3):
        with pytest.raises(DefinitionError, match=rf"address={wrong!r}, which is no.*: tcp://host:8786"):
            DaskExecutor(address=wrong)  # type: ignore[arg-type]


@row(
    "19",
    "an executor has start, submit(fn, *args, extra_context) and wait(futures); whatever has them is one",
)
def _() -> None:
    told: list[Any] = []

    class Own:
        @contextmanager
        def start(self) -> Iterator[None]:
            told.append("start")
            yield
            told.append("end")

        def submit(self, fn: Any, *args: Any, extra_context: Any = None, **kwargs: Any) -> Any:
            told.append(extra_context)
            return fn(*args, **kwargs)

        def wait(self, futures: Any) -> Any:
            return futures

    with Flow("own") as flow:
        doubled = task(lambda x: 2 * x, name="double", tags=["gpu"]).map([1, 2])
    state = flow.run(executor=Own())
    assert state.result[doubled].result == [2, 4]
    names = {"task_name": "double", "task_tags": {"gpu"}}
    assert told == ["start", {**names, "task_index": 0}, {**names, "task_index": 1}, "end"]
    with pytest.raises(TypeError, match="abstract"):
        type("Lacking", (Executor,), {"wait": Own.wait})()
    whole: Any = type("Whole", (Executor,), {"submit": Own.submit, "wait": Own.wait})()
    assert whole.logger.name == "prefectlite.Whole"


@row("19", "executors survive cloudpickle while nothing runs there")
def _() -> None:
    for executor in (
        LocalExecutor(),
        LocalDaskExecutor("processes", 2),
        DaskExecutor(address="tcp://10.0.0.1:8786"),
        DaskExecutor(cluster_class="a.B", cluster_kwargs={"x": 1}, adapt_kwargs={"minimum": 1}, debug=True),
    ):
        again = cloudpickle.loads(cloudpickle.dumps(executor))
        assert (type(again), repr(again)) == (type(executor), repr(executor))
    flow = Flow("f", executor=LocalDaskExecutor(), tasks=[task(lambda: 1)])
    assert repr(cloudpickle.loads(cloudpickle.dumps(flow)).executor) == "LocalDaskExecutor('threads')"


@row("19", "a report that nobody asked for is empty, with a warning")
def _() -> None:
    with pytest.warns(UserWarning, match="performance_report_path='report.html'"):
        assert DaskExecutor().performance_report == ""


@pytest.mark.parametrize("rule", row)
def test_the_rules_of_executors_hold(rule: str) -> None:
    row[rule]()


def test_retries_begin_no_new_cluster_and_a_cluster_tells_of_itself(
    tmp_path: Path, lines: list[logging.LogRecord]
) -> None:
    """S2: in Prefect 1 each pass of retries began a cluster. One run shows the other rules of its making too."""
    from distributed import LocalCluster

    made: list[Any] = []

    def cluster(**options: Any) -> Any:
        made.append(LocalCluster(**options))
        return made[-1]

    def told() -> list[str]:
        return [line.getMessage() for line in lines if line.getMessage().startswith("Worker inproc://")]

    def grows(task_: Any, old: Any, new: Any) -> None:
        if new.is_retrying():
            made[0].scale(2)
            deadline = time.monotonic() + 30
            while not told() and time.monotonic() < deadline:
                time.sleep(0.02)

    @task(max_retries=2, state_handlers=[grows])
    def tried() -> int:
        if context.attempt < 3:
            raise ValueError("not yet")
        return int(context.attempt)

    @task
    def has_default(attempt: int) -> bool:
        from distributed.client import _get_global_client

        return _get_global_client() is not None

    with Flow("cluster") as flow:
        found = has_default(tried())
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": ":0"}
    executor = DaskExecutor(
        cluster, cluster_kwargs=options, performance_report_path=tmp_path / "report.html", client_kwargs={}
    )

    state = flow.run(executor=executor)

    assert state.is_successful(), state.result
    assert state.result[found].result is False
    assert len(made) == 1
    assert made[0].status.name == "closed"
    assert told()[0].endswith(" came.")
    if importlib.util.find_spec("bokeh") is None:
        (said,) = [line.getMessage() for line in lines if "performance report" in line.getMessage()]
        assert "report.html' was not written (" in said
    else:
        assert "Dask Performance Report" in executor.performance_report


class Reported:
    """Stands for Dask's own report, which needs a library that not everybody has."""

    def __init__(self, filename: str, *, fails: str = "") -> None:
        self.path, self.fails = Path(filename), fails

    def __enter__(self) -> None:
        self.client = CURRENT.get()
        if self.fails == "begin":
            raise ImportError("no bokeh")

    def __exit__(self, *error: object) -> None:
        if self.fails == "end":
            raise ImportError("no bokeh")
        self.path.write_text(f"about {self.client} and {CURRENT.get()}")


CURRENT: ContextVar[str] = ContextVar("current", default="nobody")


class Client:
    @contextmanager
    def as_current(self) -> Iterator[None]:
        token = CURRENT.set("ours")
        yield
        CURRENT.reset(token)


def test_a_report_is_of_our_client_and_the_executor_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distributed.performance_report", Reported)
    executor = DaskExecutor(performance_report_path=tmp_path / "r.html")

    report = PerformanceReport(Client(), str(tmp_path / "r.html"))
    report.begin()
    report.end()
    report.end()

    assert executor.performance_report == "about ours and ours"


@pytest.mark.parametrize("fails", ["begin", "end"])
def test_a_report_that_cannot_be_written_is_a_warning(
    fails: str, monkeypatch: pytest.MonkeyPatch, lines: list[logging.LogRecord]
) -> None:
    monkeypatch.setattr("distributed.performance_report", partial(Reported, fails=fails))
    report = PerformanceReport(Client(), "r.html")
    report.begin()
    report.end()

    (line,) = lines
    assert line.levelname == "WARNING"
    assert "'r.html' was not written (ImportError: no bokeh)" in line.getMessage()
    assert "pip install 'prefectlite[report]'" in line.getMessage()


def test_debug_lets_dasks_own_warnings_through(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def start(made_by: Any, options: Any, *others: Any) -> None:
        seen.append((made_by, options))
        raise ExecutorError("enough")

    monkeypatch.setattr("prefectlite.executors.dask.start_cluster", start)
    flow = Flow("f", tasks=[task(lambda: 1)])
    for executor in (
        DaskExecutor(n_workers=1, debug=True),
        DaskExecutor(n_workers=1),
        DaskExecutor(cluster_kwargs={"silence_logs": 50}, debug=True),
        DaskExecutor("some.Cluster", debug=True),
    ):
        with pytest.raises(ExecutorError, match="enough"):
            flow.run(executor=executor)

    assert seen == [
        (None, {"silence_logs": logging.WARNING}),
        (None, {}),
        (None, {"silence_logs": 50}),
        ("some.Cluster", {}),
    ]
