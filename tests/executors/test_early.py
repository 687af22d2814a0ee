"""Where the driver looks for values that a bundle handed over early."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from prefectlite.engine.events import ResultLost
from prefectlite.executors.again import Again
from prefectlite.executors.cargo import Cargo
from prefectlite.executors.early import Early
from prefectlite.worker.wire import SEALED
from tests.lowering.shipments import block

KEY = ("f.t-0-00000000", 0, 1, 1, 1, 1)
NAME = ("f.t-0-00000000", 0, 1, 1, 1, 2)


class Idle(Again):
    """The books of a run that sends nothing more."""

    def _send(self, shipments: Sequence[Any], literals: Sequence[Any]) -> None:
        raise AssertionError("nothing is to be sent")


@pytest.fixture
def events() -> list[Any]:
    """What was delivered, in order."""
    return []


@pytest.fixture
def books(events: list[Any]) -> Again:
    """Those of a run that sent four attempts, 7 to 10, as one bundle, which runs the third."""
    client = SimpleNamespace(_scheduler_identity={"total_threads": 1})
    found = Idle(client, None, None, events.extend, lambda lines: None)
    cargo = found.cargo[KEY] = Cargo(KEY, (block(range(7, 11)),), ())
    found.berths.put_row(range(7, 11), 1, KEY, 0)
    found.futures.hold(SimpleNamespace(key=KEY), 4)
    found._close(cargo, 0, 2)  # these were heard of
    found._early._ready.append(Early(cargo, [0, 1], SimpleNamespace(key=NAME)))
    return found


def places(books: Again) -> list[Any]:
    return [books.berths.find(run, 1) for run in range(7, 11)]


def test_values_are_found_under_their_new_name_which_is_held_as_long_as_they_are(books: Again) -> None:
    books._shelve()

    assert places(books) == [(NAME, 0), (NAME, 1), (KEY, 2), (KEY, 3)]
    assert books.futures.get(NAME).key == NAME
    books.futures._let_go = lambda futures: None  # type: ignore[method-assign]
    books.futures.give_back([(KEY, 1)])
    assert books.futures.get(KEY) is not None
    books.futures.give_back([(KEY, 1), (NAME, 2)])
    assert books.futures.get(KEY) is books.futures.get(NAME) is None


def test_what_is_released_meanwhile_stays_released(books: Again) -> None:
    books.berths.forget(7, 1)
    books._shelve()

    assert places(books) == [None, (NAME, 1), (KEY, 2), (KEY, 3)]


def test_when_the_bundle_is_over_they_are_found_there(books: Again) -> None:
    books._close(books.cargo[KEY], 2, 4)
    books._shelve()

    assert places(books) == [(KEY, place) for place in range(4)]
    assert books.futures.get(NAME) is None


def test_when_their_worker_is_lost_they_are_lost(books: Again, events: list[Any]) -> None:
    books._shelve()
    books.hear([(SEALED, NAME, None, "result-lost", "It is gone.")])

    assert [(type(one), one.run, one.text) for one in events] == [
        (ResultLost, run, "It is gone.") for run in (7, 8)
    ]


def test_when_they_are_lost_before_they_are_looked_for_they_are_lost_with_their_bundle(
    books: Again, events: list[Any]
) -> None:
    books.hear([(SEALED, NAME, None, "result-lost", "It is gone.")])
    books._shelve()
    assert places(books) == [(KEY, place) for place in range(4)]
    books.hear([(SEALED, KEY, None, "worker-lost", "It is gone.")])

    assert [one.run for one in events if isinstance(one, ResultLost)] == [7, 8]
