"""What Dask says of an own cluster is kept from its handlers, and nothing else is."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from prefectlite import DaskExecutor, Flow, task
from prefectlite.errors import ExecutorError
from prefectlite.executors.hush import hush, level_of

DASK, OURS = "distributed.scheduler", "prefectlite.test_hush"


@pytest.fixture
def shared() -> Iterator[list[str]]:
    """What reaches a handler that stands at Dask's logger and at ours."""
    found: list[str] = []
    handler = logging.StreamHandler()
    handler.emit = lambda record: found.append(record.getMessage())  # type: ignore[method-assign]
    loggers = [logging.getLogger("distributed"), logging.getLogger("prefectlite")]
    for logger in loggers:
        logger.addHandler(handler)
    yield found
    for logger in loggers:
        logger.removeHandler(handler)


def say(name: str, level: int, text: str) -> None:
    logging.getLogger(name).log(level, text)


def test_only_what_dask_says_is_kept_back_and_only_below_the_level(shared):
    end = hush(logging.ERROR)
    say(DASK, logging.WARNING, "kept back")
    say(DASK, logging.ERROR, "at the level")
    say(OURS, logging.WARNING, "ours")
    end()
    say(DASK, logging.WARNING, "afterwards")

    assert shared == ["at the level", "ours", "afterwards"]


def test_two_end_in_any_order(shared):
    first, second = hush(logging.CRITICAL), hush(logging.ERROR)
    first()
    say(DASK, logging.WARNING, "kept back by the second")
    say(DASK, logging.ERROR, "let through by the second")
    second()
    say(DASK, logging.WARNING, "afterwards")

    assert shared == ["let through by the second", "afterwards"]


@pytest.mark.parametrize(
    ("given", "level"), [(40, 40), ("error", 40), ("ERROR", 40), (False, 0), (None, 0), ("NotSet", 0)]
)
def test_level_has_a_number_or_a_name(given, level):
    assert level_of(given) == level


def test_level_without_such_a_name_is_an_error_that_names_it():
    with Flow("hushed") as flow:
        task(lambda: 1, name="one")()
    with pytest.raises(ExecutorError, match="silence_logs is 'loud', which is no level"):
        flow.run(executor=DaskExecutor(cluster_kwargs={"silence_logs": "loud"}))


@pytest.mark.parametrize("processes", [True, False])
def test_an_own_cluster_keeps_dask_quiet_and_nothing_of_ours(processes, shared):
    def body() -> int:
        say(DASK, logging.ERROR, "said in a worker")
        return 1

    def on_change(task: object, old: object, new: object) -> None:
        say(DASK, logging.ERROR, "said beside the driver")
        say(OURS, logging.WARNING, "heard")

    with Flow("hushed") as flow:
        task(body, state_handlers=[on_change])()
    levels = [handler.level for handler in logging.getLogger("distributed").handlers]
    state = flow.run(executor=DaskExecutor(n_workers=1, cluster_kwargs={"processes": processes}))

    assert state.is_successful()
    assert "heard" in shared
    assert not {"said in a worker", "said beside the driver"} & set(shared)
    assert [handler.level for handler in logging.getLogger("distributed").handlers] == levels
    assert not any(handler.filters for handler in logging.getLogger("distributed").handlers)


def test_cluster_that_cannot_start_leaves_no_hush():
    with Flow("hushed") as flow:
        task(lambda: 1, name="one")()
    with pytest.raises(ExecutorError, match="could not start"):
        flow.run(executor=DaskExecutor(cluster_kwargs={"no_such_option": 1, "processes": False}))

    assert not any(handler.filters for handler in logging.getLogger("distributed").handlers)
