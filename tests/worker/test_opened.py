"""What attempts share is unpickled once, and goes when nobody needs it any more."""

from __future__ import annotations

import gc
import pickle
import weakref

from prefectlite.lowering.envelope import Envelope, FlowFacts
from prefectlite.lowering.wrappers import BESIDE, Packed
from prefectlite.worker.opened import SMALL, open_flow, open_task


class Value:
    """Something that tells when it is gone."""


def test_the_same_bytes_give_the_same_task() -> None:
    payload = pickle.dumps(Envelope("double", abs))
    once = open_task(payload)
    assert open_task(bytes(bytearray(payload))) is once
    assert once.logger.name == "prefectlite.double"
    packed = Packed(payload)
    assert open_task(packed) is open_task(packed)
    assert open_task(packed).envelope == once.envelope


def test_the_same_bytes_give_the_same_flow() -> None:
    payload = pickle.dumps(FlowFacts("ab" * 16, "etl", 0.0))
    once = open_flow(payload)
    assert open_flow(bytes(bytearray(payload))) is once
    assert once.context["flow_run_name"] == "etl-abababab"
    assert once.context["yesterday"] == "1969-12-31"
    packed = Packed(payload)
    assert open_flow(packed) is open_flow(packed)
    assert open_flow(packed).facts == once.facts


def test_what_is_opened_goes_with_what_travelled() -> None:
    packed = Packed(pickle.dumps(FlowFacts("ab" * 16, "etl", 0.0, {"p": Value()})))
    gone = weakref.ref(open_flow(packed).facts.parameters["p"])
    assert gone() is not None
    del packed
    gc.collect()
    assert gone() is None


def test_of_large_parameters_those_of_one_run_stay() -> None:
    gone = []
    for number in range(3):
        facts = FlowFacts(f"{number:032}", "etl", 0.0, {"p": Value(), "q": bytes(SMALL)})
        gone.append(weakref.ref(open_flow(pickle.dumps(facts)).facts.parameters["p"]))
    gc.collect()
    assert [one() is None for one in gone] == [True, True, False]


def test_many_bytes_go_beside_the_pickle() -> None:
    facts = FlowFacts("ab" * 16, "etl", 0.0, {"p": bytes(BESIDE)})
    buffers: list[pickle.PickleBuffer] = []
    frame = pickle.dumps(Packed(pickle.dumps(facts)), 5, buffer_callback=buffers.append)
    assert len(frame) < 1000
    there = pickle.loads(frame, buffers=buffers)
    assert open_flow(there).facts == facts
    assert pickle.loads(open_flow(there).payload) == facts
    for protocol in (4, 5):
        assert open_flow(pickle.loads(pickle.dumps(Packed(pickle.dumps(facts)), protocol))).facts == facts
