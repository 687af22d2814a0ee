"""What is taken away does not run, what runs is not told as returned, and each end is told once."""

from __future__ import annotations

import itertools
import random
import sys
import threading

import pytest

from prefectlite.lowering.wrappers import Held, Succeeded
from prefectlite.worker.ledger import Ledger, Names
from prefectlite.worker.wire import HELD, RETURNED
from tests.worker.conftest import PREFIX, block, member, told_by

KEY = ("etl.double-1-0123abcd", 0, 1, 1, 1, 1)


def ledger_of(count):
    return Ledger(KEY, "here", Names([block(count)]))


def run_next(ledger):
    slot = ledger.free.popleft()
    ledger.book_plain(Succeeded(slot, 1.0, 2.0, 1), b"x" * (slot % 3), 1.0, 2.0)
    return slot


def test_names_are_made_from_parts():
    names = Names([member(("double-1", 7, 1, 2)), block(2, first=3), member(("double-1", None, 2, 1))])
    assert len(names) == 4
    assert [names.key(slot) for slot in range(4)] == [
        ("etl.double-1-1-0123abcd", 7, 1, 2, 1),
        ("etl.double-1-0-0123abcd", 3, 1, 2, 1),
        ("etl.double-1-1-0123abcd", 4, 1, 2, 1),
        ("etl.double-0-0123abcd", -2, 2, 1, 1),
    ]
    assert len(Names([])) == 0
    assert PREFIX == "etl.double-1-0123abcd"


def test_a_cut_before_the_first_slot_or_after_the_last_says_nothing():
    ledger = ledger_of(2)
    assert ledger.cut() is None
    assert len(ledger.free) == 2  # what takes long to open begins all the same
    assert set(told_by(ledger.close(), ledger.names).values()) == {"returned"}

    ledger = ledger_of(2)
    run_next(ledger), run_next(ledger)
    assert ledger.cut() is None
    ledger.close()
    assert ledger.cut() is None


def test_one_that_runs_alone_has_no_mates_to_tell_of():
    ledger = ledger_of(1)
    ledger.free.popleft()
    assert ledger.cut() is None


def test_when_the_last_one_runs_long_its_mates_are_told_of():
    ledger = ledger_of(3)
    run_next(ledger), run_next(ledger)
    slot = ledger.free.popleft()
    told = told_by(ledger.cut(), ledger.names)
    assert [type(told[0]).__name__, type(told[1]).__name__, told[2]] == ["Report", "Report", "going"]
    assert ledger.cut() is None
    item = (2, ledger.names.key(slot))
    ledger.book(Held(item), item, 3.0, 4.0)
    assert told_by(ledger.close(), ledger.names) == {2: "held"}
    assert len(ledger.wrappers) == 3


def test_a_bundle_that_was_cut_and_called_off_has_nothing_more_to_say():
    ledger = ledger_of(3)
    run_next(ledger)
    ledger.free.popleft()
    assert told_by(ledger.cut(), ledger.names)[2] == "returned"
    assert ledger.close() is None


def run_all(ledger, ran, work=0, body=None):
    """Do what the bundle's thread does; return what it tells at the end."""
    try:
        while True:
            slot = ledger.free.popleft()
            ran.append(slot)
            for _ in range(work):
                pass
            if body is not None:
                body(slot)
            if slot % 4 == 3:
                item = (HELD, ledger.names.key(slot))
                ledger.book(Held(item), item, 1.0, 2.0)
            else:
                ledger.book_plain(Succeeded(slot), b"x" * (slot % 3), 1.0, 2.0)
    except IndexError:
        pass
    return ledger.close()


def check(ledger, ran, early, late):
    """Each slot is run or returned, never both, and each end is told once; return how it went."""
    count = len(ledger.names)
    early = {} if early is None else told_by(early, ledger.names)
    late = {} if late is None else told_by(late, ledger.names)
    going = [slot for slot, told in early.items() if told == "going"]
    told = {slot: one for slot, one in early.items() if one != "going"}
    assert not told.keys() & late.keys()
    told.update(late)
    assert sorted(told) == list(range(count))
    returned = {slot for slot, one in told.items() if one == "returned"}
    assert ran == sorted(set(range(count)) - returned)
    assert len(going) == bool(early)
    assert set(going) <= late.keys()
    assert len(ledger.wrappers) == count
    for slot, one in told.items():
        wrapper = ledger.wrappers[slot]
        if one == "returned":
            assert wrapper.said == (RETURNED, ledger.names.key(slot))
        elif slot % 4 == 3:
            assert (one, wrapper.said[0]) == ("held", HELD)
        else:
            assert (wrapper.value, one.inline, one.ended) == (slot, b"x" * (slot % 3), 2.0)
    return len(ran), bool(going)


def test_a_cut_between_any_two_steps_is_clean():
    """At each instruction of the bundle's thread in turn, another thread cuts."""
    ways, before = set(), sys.gettrace()
    for moment in itertools.count(1):
        ledger, ran, early, steps = ledger_of(5), [], [], itertools.count(1)

        def cut(ledger=ledger, early=early):
            early.append(ledger.cut())

        cutter = threading.Thread(target=cut)

        def trace(frame, event, arg, moment=moment, steps=steps, cutter=cutter):
            frame.f_trace_opcodes = True
            if event == "opcode" and next(steps) == moment:
                cutter.start()
                cutter.join(0.05)  # it may have to wait until the thread that is traced has gone on
            return sys.gettrace()

        sys.settrace(trace)
        try:
            late = run_all(ledger, ran)
        finally:
            sys.settrace(before)
        if cutter.ident is None:
            break
        cutter.join(10)
        ways.add(check(ledger, ran, early[0], late))
    # In each, between each two, after the last; never before the first.
    assert ways == {(n, going) for n in range(1, 6) for going in (False, True)}


@pytest.mark.parametrize("slot", [0, *(pytest.param(slot, marks=pytest.mark.slow) for slot in (1, 2, 3))])
def test_one_that_ends_while_its_bundle_is_cut_is_told_of_once(slot):
    """At each instruction of the desk's thread in turn, the body ends that ran."""
    ways, before = set(), sys.gettrace()
    for moment in itertools.count(1):
        ledger, ran, late, steps = ledger_of(4), [], [], itertools.count(1)
        is_there, may_go_on = threading.Event(), threading.Event()

        def wait(at, is_there=is_there, may_go_on=may_go_on):
            if at == slot:
                is_there.set()
                may_go_on.wait(10)

        runner = threading.Thread(
            target=lambda late=late, ledger=ledger, ran=ran, wait=wait: late.append(
                run_all(ledger, ran, body=wait)
            )
        )
        runner.start()
        is_there.wait(10)

        def trace(frame, event, arg, moment=moment, steps=steps, may_go_on=may_go_on, runner=runner):
            frame.f_trace_opcodes = True
            if event == "opcode" and next(steps) == moment:
                may_go_on.set()
                runner.join(0.02)
            return sys.gettrace()

        sys.settrace(trace)
        try:
            early = ledger.cut()
        finally:
            sys.settrace(before)
        is_over = not may_go_on.is_set()
        may_go_on.set()
        runner.join(10)
        ways.add(check(ledger, ran, early, late[0]))
        if is_over:
            break
    assert (slot + 1, True) in ways
    assert (4, False) in ways


@pytest.mark.parametrize("seed", range(3))
def test_whoever_comes_first_has_a_slot_alone(seed):
    rng = random.Random(seed)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        moments = {_race(rng) for _ in range(300)}
    finally:
        sys.setswitchinterval(before)
    assert len(moments) > 3  # it was a race


def _race(rng):
    ledger, ran, early, late = ledger_of(rng.randint(1, 150)), [], [], []
    start = threading.Barrier(2)
    delay, work = rng.randint(0, 4000), rng.randint(0, 30)

    def run():
        start.wait()
        late.append(run_all(ledger, ran, work))

    def take():
        start.wait()
        for _ in range(delay):
            pass
        early.append(ledger.cut())

    threads = [threading.Thread(target=one) for one in (run, take)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return check(ledger, ran, early[0], late[0])
