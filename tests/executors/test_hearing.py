"""What the driver makes of the scheduler's word for Dask tasks that were lost with their worker."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from prefectlite.engine.events import AttemptCrashed, AttemptFinished, ResultLost
from prefectlite.executors.cargo import Cargo
from prefectlite.executors.hearing import Hearing
from prefectlite.states.report import Report
from prefectlite.states.state import Crashed
from prefectlite.worker.losses import Loss, told_of_loss
from prefectlite.worker.records import Record
from prefectlite.worker.wire import RETURNED, SEALED, encode, told_singly
from tests.lowering.shipments import block, shipment

KEY = ("f.t-0-00000000", 0, 1, 1, 1, 1)
PART = ("f.sum-0-00000000", -1, 1, 1, 1, -1)
LOST = ("worker-lost", "It ended.")


@pytest.fixture
def events() -> list[Any]:
    """What was delivered, in order."""
    return []


@pytest.fixture
def hearing(events: list[Any]) -> Hearing:
    """The books of a run that sent four attempts, 7 to 10, as one bundle."""
    client = SimpleNamespace(_scheduler_identity={"total_threads": 1})
    found = Hearing(client, None, None, events.extend, lambda lines: None)
    found.cargo[KEY] = Cargo(KEY, (block(range(7, 11)),), ())
    found.berths.put_row(range(7, 11), 1, KEY, 0)
    return found


def test_what_had_not_begun_in_a_lost_bundle_is_to_be_sent_anew(hearing: Hearing, events: list[Any]) -> None:
    hearing.hear([(SEALED, KEY, 2, *LOST)])

    assert [(cargo.key, slot) for cargo, slot in hearing._returned] == [(KEY, 2), (KEY, 3)]
    assert hearing.doubt.is_set()
    assert events == []


def test_a_lost_bundle_that_left_nothing_behind_takes_all_with_it(
    hearing: Hearing, events: list[Any]
) -> None:
    hearing._close(hearing.cargo[KEY], 0, 2)  # these were heard of
    hearing.hear([(SEALED, KEY, None, *LOST)])

    crashed = [one for one in events if isinstance(one, AttemptCrashed)]
    assert [(one.run, one.submission, one.cause, one.text) for one in crashed] == [
        (10, 1, *LOST),
        (9, 1, *LOST),
    ]
    lost = [one for one in events if isinstance(one, ResultLost)]
    assert [(one.run, one.submission, one.text) for one in lost] == [(7, 1, LOST[1]), (8, 1, LOST[1])]
    assert len(events) == 4
    assert hearing._returned == []


def test_what_a_bundle_had_sent_back_before_it_was_lost_is_sent_anew_all_the_same(
    hearing: Hearing, events: list[Any]
) -> None:
    hearing.hear(
        [told_singly(KEY, "gone", [(1.0, 2.0, None, 0, None, None, False), *[(RETURNED, None)] * 3])]
    )
    events.clear()
    hearing.hear([(SEALED, KEY, None, "result-lost", "It is gone.")])

    assert [(type(one), one.run) for one in events] == [(ResultLost, 7)]
    assert [(cargo.key, slot) for cargo, slot in hearing._returned] == [(KEY, 1), (KEY, 2), (KEY, 3)]
    assert list(hearing.cargo[KEY].open_slots()) == [1, 2, 3]


def test_of_a_bundle_that_was_heard_of_its_values_are_lost(hearing: Hearing, events: list[Any]) -> None:
    hearing._close(hearing.cargo[KEY], 0, 4)
    hearing.hear([(SEALED, KEY, None, "result-lost", "It is gone.")])

    assert [(type(one), one.run, one.text) for one in events] == [
        (ResultLost, run, "It is gone.") for run in range(7, 11)
    ]


def test_of_what_was_heard_of_in_a_bundle_that_is_not_over_the_values_are_lost_that_were_not_kept(
    hearing: Hearing, events: list[Any]
) -> None:
    hearing._close(hearing.cargo[KEY], 0, 3)  # told when it was cut
    large, last = (
        encode(None, Report(Crashed(text, cause=cause), 1.0, 2.0, where="gone"))
        for text, cause in [("It is gone.", "result-lost"), LOST[::-1]]
    )
    hearing.hear([told_singly(KEY, "gone", [large, (1.0, 2.0, None, None), large, last])])

    assert [(type(one), one.run) for one in events] == [
        (ResultLost, 7),
        (ResultLost, 9),
        (AttemptFinished, 10),
    ]
    assert events[0].text == "It is gone."


def test_a_part_of_a_reduce_that_was_lost_before_it_began_is_no_success(
    hearing: Hearing, events: list[Any]
) -> None:
    part = hearing.cargo[PART] = Cargo(PART, (shipment(11),), (KEY,), ((7, 1, 4),), ((7, 1, 4),))
    memory = memoryview(bytearray(64))
    Record(memory).begin(1)
    hearing.hear(told_of_loss(PART, Loss(*LOST, 1.0, bytes(memory)), None))

    assert hearing._returned == [(part, 0)]
    assert events == [], "what it was to read is still needed"
