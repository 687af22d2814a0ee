"""What attempts share is unpickled once per process."""

from __future__ import annotations

import pickle

from prefectlite.lowering.envelope import Envelope, FlowFacts
from prefectlite.lowering.wrappers import Packed
from prefectlite.worker.opened import open_flow, open_task


def test_the_same_bytes_give_the_same_task_however_they_came() -> None:
    payload = pickle.dumps(Envelope("double", abs))
    once = open_task(payload)
    assert open_task(bytes(bytearray(payload))) is once
    assert open_task(Packed(payload)) is once
    assert once.logger.name == "prefectlite.double"


def test_the_same_bytes_give_the_same_flow() -> None:
    payload = pickle.dumps(FlowFacts("ab" * 16, "etl", 0.0))
    once = open_flow(payload)
    assert open_flow(Packed(payload)) is once
    assert once.context["flow_run_name"] == "etl-abababab"
    assert once.context["yesterday"] == "1969-12-31"
