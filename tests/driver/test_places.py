"""The places where a flow run goes on, one after the other, by themselves."""

from __future__ import annotations

from typing import Any

import pytest

from prefectlite.driver.inbox import Inbox
from prefectlite.driver.places import Places
from prefectlite.driver.values import Values
from prefectlite.executors.protocol import RunBrief


class Session:
    """A place that notes what is asked of it."""

    pickles = False
    dashboard_link = "http://somewhere"

    def __init__(self, description: str, log: list[Any]) -> None:
        self.description, self.log = description, log

    def waiting_for(self, run: int) -> str:
        return f"a worker with {run} GPUs"

    def close(self, keep: Any) -> None:
        self.log.append((self.description, keep))

    def drop(self) -> None: ...

    def __getattr__(self, name: str) -> Any:
        if name == "leaves_behind":
            raise AttributeError(name)
        return lambda *_: self.log.append((self.description, name))


class Executor:
    def __init__(self, kind: type[Session] = Session) -> None:
        self.kind = kind
        self.log: list[Any] = []
        self.opened = 0

    def open(self, brief: RunBrief, deliver: Any, deliver_logs: Any) -> Any:
        self.opened += 1
        return self.kind(f"{brief.flow_name} {self.opened}", self.log)


def places_of(executor: Executor) -> Places:
    return Places(executor, RunBrief("ab" * 16, "f"), Inbox(), Values())


def test_before_the_first_place_there_is_nothing_to_say() -> None:
    executor = Executor()
    places = places_of(executor)
    places.hold()
    places.close()
    assert (places.description, places.dashboard_link, places.leaves_behind) == ("", None, "")
    assert (places.waiting_for(3), places.count, places.is_open) == ("", 0, False)
    assert (executor.opened, executor.log) == (0, [])


def test_one_place_at_most_is_open_and_the_next_one_comes_after_it() -> None:
    executor = Executor()
    places = places_of(executor)
    first = places.open()
    assert places.open() is first
    places.hold()
    places.close([(0, 1, 2)])
    places.close()
    assert (places.description, places.waiting_for(3), places.count) == ("f 1", "a worker with 3 GPUs", 1)

    assert places.open() is not first
    places.interrupt()
    assert (places.description, places.dashboard_link, places.count) == ("f 2", "http://somewhere", 2)
    assert executor.log == [("f 1", "hold"), ("f 1", [(0, 1, 2)]), ("f 2", "interrupt")]


def test_a_place_that_cannot_be_reached_is_none() -> None:
    class Unreachable(Executor):
        def open(self, *arguments: Any) -> Any:
            raise OSError("nobody there")

    places = places_of(Unreachable())
    with pytest.raises(OSError, match="nobody"):
        places.open()
    assert (places.count, places.is_open, places.description) == (0, False, "")


def test_a_place_that_can_be_neither_stopped_nor_closed_is_told_to_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Stubborn(Session):
        def cancel(self, why: str) -> None:
            raise RuntimeError("cannot cancel")

        def close(self, keep: Any) -> None:
            raise RuntimeError("cannot close")

    places = places_of(Executor(Stubborn))
    places.open()
    places.cancel("enough")
    places.close()
    assert not places.is_open
    assert "could not be stopped" in caplog.text
    assert "where flow 'f' ran could not be closed" in caplog.text
