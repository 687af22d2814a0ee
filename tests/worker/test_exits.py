"""What the end of a worker process means for the bodies that ran in it."""

from __future__ import annotations

import signal

import pytest

from prefectlite.worker.exits import UNKNOWN, Exit, judge_exit


@pytest.mark.parametrize(
    ("code", "cause", "words"),
    [
        (0, "exited", "exit status 0"),
        (3, "exited", "exit status 3"),
        (-signal.SIGSEGV, "exited", "SIGSEGV (a crash in C code)"),
        (-signal.SIGABRT, "exited", "SIGABRT"),
        (-signal.SIGKILL, "worker-lost", "SIGKILL, which came from outside"),
        (-signal.SIGTERM, "worker-lost", "SIGTERM"),
        (-99, "worker-lost", "the signal 99"),
    ],
)
def test_a_process_that_ends_itself_has_exited_and_one_that_is_ended_is_lost(code, cause, words):
    found, text = judge_exit(Exit(code, False), 1)

    assert found == cause
    assert words in text


@pytest.mark.parametrize(("running", "words"), [(2, "which of the 2 bodies"), (0, "whether this body")])
def test_no_body_is_blamed_for_what_another_may_have_done(running, words):
    cause, text = judge_exit(Exit(3, False), running)

    assert cause == "worker-lost"
    assert "exit status 3" in text
    assert words in text


@pytest.mark.parametrize("code", [-signal.SIGTERM, -signal.SIGKILL, UNKNOWN, 0])
def test_a_process_that_its_nanny_ended_for_its_memory_was_out_of_memory(code):
    cause, text = judge_exit(Exit(code, True), 2)

    assert cause == "out-of-memory"
    assert "memory_limit" in text


def test_of_an_unknown_end_nothing_is_concluded():
    assert judge_exit(Exit(UNKNOWN, False), 1) is None
