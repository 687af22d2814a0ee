"""Values that are secrets, or in which one stands: told in no report, kept in no record, readable by readers."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from prefectlite.lowering.envelope import Envelope, FlowFacts
from prefectlite.lowering.spec import NEED, Spec
from prefectlite.lowering.wrappers import Done, Succeeded, Veiled
from prefectlite.masking import KNOWN, hide
from prefectlite.worker.attempt import Outcome, perform
from prefectlite.worker.entry import _report_of
from prefectlite.worker.here import Here
from prefectlite.worker.inputs import all_plain, make
from prefectlite.worker.opened import OpenFlow, OpenTask
from prefectlite.worker.records import Record, read_record
from prefectlite.worker.revival import keep_success, revive
from prefectlite.worker.wire import plain_facts

SECRET = "veiled-hush-4"


def outcome(body: Any, *, is_secret: bool = False, drop: bool = False) -> Outcome:
    spec = Spec("a-1", None, 1, 1, {}, (), (), drop, ())
    flow = OpenFlow(FlowFacts("ab" * 16, "etl", hidden=("hidden-parameter",)))
    return perform(flow, OpenTask(Envelope("a", body, is_secret=is_secret)), spec, (), Here("here"))


def test_a_secrets_value_is_in_no_report_and_no_record() -> None:
    found = outcome(lambda: SECRET, is_secret=True)
    assert found.report is not None
    assert found.wrapper is not None
    assert found.report.inline is None
    assert type(found.wrapper) is Veiled
    memory = bytearray(512)
    record = Record(memoryview(memory))
    record.begin(1)
    record.word[0] = 1
    keep_success(record, found.wrapper, plain_facts(found.report))
    record.end()
    assert SECRET.encode() not in memory
    kept = read_record(bytes(memory))
    assert kept is not None
    assert revive(kept.kept[0], ("etl.key-1-0123abcd", None, 1, 1, 1)) is None
    assert _report_of(found.wrapper, "here", ("length",)).inline is None
    assert type(outcome(lambda: SECRET, is_secret=True, drop=True).wrapper) is Done


@pytest.mark.parametrize("value", [1, "x", None, [1, 2]])
def test_a_secret_too_short_to_look_for_is_in_no_report_either(value: Any) -> None:
    found = outcome(lambda: value, is_secret=True)
    assert found.report is not None
    assert found.report.inline is None
    assert type(found.wrapper) is Veiled


def test_a_value_in_which_a_secret_stands_is_veiled_and_others_are_not() -> None:
    hide(SECRET)
    found, plain = outcome(lambda: {"url": f"me:{SECRET}@host"}), outcome(lambda: {"url": "me@host"})
    assert found.report is not None
    assert plain.report is not None
    assert (found.report.inline, type(found.wrapper)) == (None, Veiled)
    assert (plain.report.inline is None, type(plain.wrapper)) == (False, Succeeded)


def test_who_gets_a_veiled_value_reads_it_and_keeps_the_secret() -> None:
    payload = pickle.dumps(Veiled([SECRET], 1.0, 2.0, 3, ("learnt-on-the-way",)))
    wrapper = pickle.loads(payload)
    assert (wrapper.value, wrapper.started, wrapper.ended, wrapper.attempt) == ([SECRET], 1.0, 2.0, 3)
    assert "learnt-on-the-way" in KNOWN
    assert all_plain([wrapper])
    assert make((NEED, 0, None, False), [wrapper]) == [SECRET]


def test_a_worker_learns_the_secrets_among_the_parameters() -> None:
    outcome(lambda: 1)
    assert "hidden-parameter" in KNOWN
