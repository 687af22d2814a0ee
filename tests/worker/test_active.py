"""Interruptions hit bodies, once, and nothing else."""

from __future__ import annotations

import threading
import time

import pytest

from prefectlite.worker.active import Active
from prefectlite.worker.attempt import Interruption

KEY = ("etl.load-1-0123abcd", -1, 1, 1, 1)


def spin(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def in_thread(work):
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_body_that_runs_is_interrupted_once():
    caught, ready, actives = [], threading.Event(), []

    def work():
        active = Active(KEY, False)
        actives.append(active)
        active.enter()
        ready.set()
        try:
            spin(20)
        except Interruption as error:
            caught.append(error)
        active.leave()
        spin(0.05)
        caught.append("left")

    thread = in_thread(work)
    assert ready.wait(10)
    assert actives[0].interrupt()
    assert not actives[0].interrupt()
    thread.join(10)

    assert len(caught) == 2
    assert isinstance(caught[0], Interruption)
    assert caught[1] == "left"


def test_an_attempt_that_is_called_off_before_its_body_does_not_begin_it():
    active = Active(KEY, False)

    assert not active.interrupt()
    with pytest.raises(Interruption):
        active.enter()
    active.leave()


def test_an_attempt_whose_body_is_over_is_left_alone():
    active = Active(KEY, False)
    active.enter()
    active.leave()

    assert not active.interrupt()
    spin(0.02)


def test_an_interruption_on_its_way_is_taken_back_when_the_body_is_left():
    leaks, ready, go = [], threading.Event(), threading.Event()

    def work():
        active = Active(KEY, False)
        try:
            active.enter()
            actives.append(active)
            ready.set()
            go.wait(10)
        except Interruption:
            pass
        while True:
            try:
                active.leave()
                break
            except Interruption:
                continue
        try:
            spin(0.05)
        except Interruption:
            leaks.append(active)

    for _ in range(30):
        actives: list[Active] = []
        ready.clear()
        go.clear()
        thread = in_thread(work)
        assert ready.wait(10)
        go.set()
        actives[0].interrupt()
        thread.join(10)

    assert not leaks


def test_a_lock_that_is_held_does_not_hold_up_whoever_interrupts():
    active, ready, go = Active(KEY, False), threading.Event(), threading.Event()

    def hold():
        with active._lock:
            ready.set()
            go.wait(10)

    thread = in_thread(hold)
    assert ready.wait(10)
    assert not active.interrupt()
    go.set()
    thread.join(10)
