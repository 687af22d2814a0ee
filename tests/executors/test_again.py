"""What waits for lost Dask tasks is held, however often the scheduler has to be asked."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from prefectlite.engine.events import AttemptCrashed, AttemptHeld
from prefectlite.executors.again import Again
from prefectlite.executors.cargo import Cargo
from prefectlite.lowering.order import AnyShipment
from prefectlite.lowering.shipment import Literal
from prefectlite.worker.wire import SEALED
from tests.lowering.shipments import block

LOST = ("f.t-0-00000000", 0, 1, 1, 1, 1)
READER = ("f.u-0-00000000", 0, 1, 1, 1, 2)


class Sender(Again):
    """Sends nothing."""

    def _send(self, shipments: Sequence[AnyShipment], literals: Sequence[Literal]) -> None:
        raise AssertionError


def no_answer() -> None:
    raise OSError("The scheduler does not answer.")


def a_graph_is_on_its_way() -> None:
    return None


@pytest.mark.parametrize("first", [no_answer, a_graph_is_on_its_way])
def test_what_waits_for_a_lost_bundle_is_held_at_the_next_look_if_not_at_the_first(first: Any) -> None:
    events: list[Any] = []
    answers = [first, lambda: [READER]]
    client = SimpleNamespace(
        id="client",
        scheduler=SimpleNamespace(prefectlite_recall=None),
        sync=lambda call, **options: answers.pop(0)(),
        _scheduler_identity={"total_threads": 1},
    )
    sender = Sender(client, None, None, events.extend, lambda lines: None)
    sender.cargo[LOST] = Cargo(LOST, (block(range(2)),), ())
    sender.cargo[READER] = Cargo(READER, (block(range(2, 4)),), (LOST,))
    sender.hear([(SEALED, LOST, None, "worker-lost", "It ended.")])
    assert {type(one) for one in events} == {AttemptCrashed}
    events.clear()

    sender.send_again()
    assert events == []
    assert sender.is_slow, "the next look is soon"
    sender.send_again()
    assert [(type(one), one.run) for one in events] == [(AttemptHeld, 2), (AttemptHeld, 3)]
    assert not sender.is_slow
    assert answers == []
