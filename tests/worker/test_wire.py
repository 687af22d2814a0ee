"""What travels arrives, or says why it did not."""

from __future__ import annotations

import pickle
import sys
from array import array
from datetime import UTC, datetime

import pytest

from prefectlite.errors import SerializationError, TaskError
from prefectlite.states import Cached, Failed, Skipped, Success
from prefectlite.states.report import Report
from prefectlite.worker import wire
from prefectlite.worker.logs import LogLine

KEY = ("etl.load-1-0123abcd", -1, 1, 1, 1)


class Unopenable(Exception):
    def __reduce__(self):
        return _refuse, ()


class Leaving(Exception):
    """Of a module that ends its program where it cannot work, as here."""

    def __reduce__(self):
        return sys.exit, ("no GPU here",)


class Mute(Exception):
    """Cannot be opened, and has no word to say about it."""

    def __reduce__(self):
        return _stay_mute, ()

    def __str__(self):
        raise RuntimeError("nothing")


class Own(Success):
    __slots__ = ()


def _stay_mute():
    raise Mute


def _refuse():
    raise ModuleNotFoundError("No module named 'theirs'")


def test_a_plain_success_arrives_as_it_was_written():
    report = Report(None, 1.0, 2.0, b"x", 1, 3, 4, "no order", True, "tcp://w:1")

    assert wire.plain_report(wire.plain_facts(report), "tcp://w:1") == report


def test_what_there_is_to_tell_of_a_success_arrives_as_it_was_written():
    until = datetime(2030, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
    for success in (
        Cached("found"),
        Cached("kept", cached_result_expiration=until, hashed_inputs={"x": "c0"}),
        Success("stored"),
        Success("counted", context={"rows": 3}),
        Own(context={"rows": 3}),
    ):
        for digest in (None, "c0a8"):
            report = Report(None, 1.0, 2.0, success=success, location="there", digest=digest)
            again = wire.plain_report(wire.plain_facts(report), "")
            assert again == report
            assert (again.success.message, again.success.context) == (success.message, success.context)


@pytest.mark.parametrize(
    "payload", [pickle.dumps(one) for one in (Unopenable(), Mute(), Leaving(), "no state")]
)
def test_a_state_of_a_success_that_cannot_be_opened_here_is_a_success_that_says_so(payload):
    found = wire.noted(Report(None, 1.0, 2.0), (payload, None, None)).success

    assert type(found) is Success
    assert "the state that it asked for cannot be read here" in found.message


def test_a_success_that_the_body_ordered_arrives_as_one_though_there_is_no_more_to_tell():
    report = Report(None, 1.0, 2.0, forced=True)
    facts = wire.plain_facts(report)

    assert wire.plain_report(facts, "") == report
    assert not wire.is_bare(facts)


def test_another_report_arrives_as_it_was_written():
    report = Report(Skipped("not today"), 1.0, 2.0, where="tcp://w:1", forced=True)

    assert wire.decode(wire.encode(KEY, report)) == report


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (Unopenable(), "theirs"),
        (Mute(), "Mute: <its text raised"),
        (Leaving(), "SystemExit: no GPU here"),
    ],
)
def test_a_report_that_cannot_be_opened_here_is_a_failure_that_says_so(error, why):
    report = Report(Failed("it broke", error), 1.0, 2.0)

    found = wire.decode(wire.encode(KEY, report))

    assert isinstance(found.state, Failed)
    assert isinstance(found.state.result, TaskError)
    assert "it broke" in found.state.message
    assert why in found.state.message
    assert (found.started, found.ended) == (1.0, 2.0)


def test_a_report_that_cannot_be_pickled_is_a_failure_that_says_so(monkeypatch):
    def refuse(value):
        raise SerializationError("no")

    monkeypatch.setattr(wire, "dumps_failure", refuse)

    found = wire.decode(wire.encode(KEY, Report(Failed("it broke"), 1.0, 2.0)))

    assert "it broke" in found.state.message


def test_something_else_in_place_of_a_report_is_a_failure_that_says_so():
    found = wire.decode((wire.OTHER, KEY, pickle.dumps(1), "Failed", "it broke", 1.0, 2.0))

    assert "int" in found.state.message


def test_log_lines_arrive():
    line = LogLine(1.0, 20, "root", "hello", "etl", "load-1", 1)
    kind, payload = wire.encode_logs([line])

    assert kind == wire.LOGS
    assert pickle.loads(payload) == [line]


def test_a_route_is_the_run_in_the_key():
    assert wire.route_of(KEY) == "0123abcd"


def test_a_bundle_arrives_as_it_was_written():
    others = [(4, (1.0, 2.0, None, 10**6, None, None, None, None)), (5, (wire.HELD, KEY))]
    report = wire.BundleReport(
        (*KEY, 1), "tcp://w:1", 3, array("d", [1.0, 0.0, 0.0]), array("d", [2.0, 0.0, 0.0]),
        array("i", [2, -1, -1]), b"ab", others,
    )  # fmt: skip
    item = wire.bundle_item(report)

    assert item[0] == wire.BUNDLE
    assert wire.read_bundle(item) == report


def test_a_success_that_says_more_than_its_value_is_not_bare():
    bare = Report(None, 1.0, 2.0, b"x", 1)
    assert wire.is_bare(wire.plain_facts(bare))
    for more in ({"length": 0}, {"flat_length": 0}, {"unmappable": "no order"}, {"location": ""}):
        assert not wire.is_bare(wire.plain_facts(bare._replace(**more)))
