"""A SIGTERM that comes while flow runs go on in threads of their own: they end in order, then the program."""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from prefectlite import Flow, LocalExecutor, task
from prefectlite.driver.interrupts import Terminations

FLOW = """
import asyncio, signal, time
from prefectlite import Flow, LocalExecutor, ResourceManager, task

signal.signal(signal.SIGTERM, signal.SIG_DFL)  # what measures tests may have set one of its own

class Place:
    def setup(self):
        return 1

    def cleanup(self, value):
        print("cleaned", flush=True)

def nap(place):
    print("body", flush=True)
    for _ in range(6000):
        time.sleep(0.01)

def tell(flow, old, new):
    print(type(new).__name__, flush=True)

with Flow("started", state_handlers=[tell]) as flow, ResourceManager(Place, name="place")() as place:
    task(nap, name="nap")(place)

def start():
    return flow.start(executor=LocalExecutor())

async def wait():
    await start()

"""
ENDS = {
    "waited for": "start().wait(); print('never reached')",
    "awaited": "asyncio.run(wait()); print('never reached')",
    "left behind": "start()",
    "looked at": "run = start()\nwhile True: run.counts()",
    "beside another": "start(); flow.run(executor=LocalExecutor())",
}


@pytest.mark.parametrize("how", ENDS)
def test_a_run_ends_in_order_before_the_program(how: str) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", FLOW + ENDS[how]],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    runs = 2 if how == "beside another" else 1
    assert program.stdout is not None
    words: list[str] = []
    while words.count("body") < runs:
        words.append(said_next(program.stdout))
    program.send_signal(signal.SIGTERM)
    rest, _ = program.communicate(timeout=60)

    assert program.returncode == -signal.SIGTERM
    assert [line for line in rest.splitlines() if " | " not in line] == ["cleaned", "Cancelled"] * runs


def said_next(lines: Iterator[str]) -> str:
    """Return the next word of a program, past its log."""
    return next(line.strip() for line in lines if " | " not in line)


@pytest.fixture
def plain() -> Iterator[None]:
    """SIGTERM as a program finds it; what measures tests may have set a handler of its own."""
    former = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, former)


@pytest.fixture
def held(plain: None) -> Iterator[tuple[Flow, threading.Event]]:
    """Return a flow whose body goes on until an event is set."""
    over = threading.Event()
    with Flow("held") as flow:
        task(lambda: over.wait(60), name="body")()
    yield flow, over
    over.set()


def handler() -> Any:
    return signal.getsignal(signal.SIGTERM)


def test_the_signal_is_taken_while_runs_go_on_and_no_longer(held: Any) -> None:
    flow, over = held
    runs = [flow.start(executor=LocalExecutor()) for _ in range(2)]
    assert callable(handler())
    with pytest.raises(TimeoutError):
        runs[0].wait(0)
    assert callable(handler())
    over.set()
    for run in runs:
        run.wait(20)
    assert handler() == signal.SIG_DFL


def test_it_is_given_back_when_the_place_cannot_be_opened(plain: None) -> None:
    class Closed(LocalExecutor):
        def open(self, *_: Any) -> Any:
            raise OSError("closed")

    with Flow("nowhere") as flow:
        task(lambda: 1, name="one")()
    with pytest.raises(OSError, match="closed"):
        flow.start(executor=Closed())
    assert handler() == signal.SIG_DFL


def test_runs_that_are_started_in_other_threads_leave_it_alone(held: Any) -> None:
    flow, over = held
    runs: list[Any] = []
    thread = threading.Thread(target=lambda: runs.append(flow.start(executor=LocalExecutor())))
    thread.start()
    thread.join()
    assert handler() == signal.SIG_DFL
    over.set()
    assert runs[0].wait(20).is_successful()


def test_a_handler_of_the_programs_own_stays(held: Any) -> None:
    def own(number: int, frame: object) -> None:
        raise AssertionError("nobody sent a signal")

    flow, over = held
    signal.signal(signal.SIGTERM, own)
    run = flow.start(executor=LocalExecutor())
    assert handler() is own
    over.set()
    run.wait(20)
    assert handler() is own


def test_a_handler_that_the_program_sets_meanwhile_stays(held: Any) -> None:
    flow, over = held
    run = flow.start(executor=LocalExecutor())
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    over.set()
    run.wait(20)
    assert handler() == signal.SIG_IGN


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_process_that_is_forked_meanwhile_ends_at_once(held: Any) -> None:
    flow, over = held
    run = flow.start(executor=LocalExecutor())
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    process.start()
    process.terminate()
    process.join(20)
    over.set()
    assert run.wait(20).is_successful()
    assert process.exitcode == -signal.SIGTERM


def test_a_second_one_does_not_wait() -> None:
    code = """
import signal, threading
from prefectlite.driver.interrupts import Terminations

signal.signal(signal.SIGTERM, signal.SIG_DFL)  # what measures tests may have set one of its own
Terminations(threading.Event().wait).take()
signal.raise_signal(signal.SIGTERM)
print("goes on", flush=True)
signal.raise_signal(signal.SIGTERM)
print("never reached", flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "goes on\n"), done.stderr


def test_what_was_given_back_may_be_set_again_by_who_kept_it(plain: None) -> None:
    one = Terminations(lambda: None)
    one.take()
    kept = handler()
    one.give_back()
    assert handler() == signal.SIG_DFL
    signal.signal(signal.SIGTERM, kept)
    one.give_back()
    assert handler() == signal.SIG_DFL
