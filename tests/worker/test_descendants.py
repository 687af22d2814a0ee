"""A process's descendants: found at any depth, ended, and Python's trackers spared."""

from __future__ import annotations

import subprocess
import sys

import psutil

from prefectlite.worker.descendants import descendants, end_all
from tests.faults.ground import until

#: Starts a program of a session of its own, says its number, and waits.
ABOVE = """
import subprocess, sys
below = subprocess.Popen(["sleep", "600"], start_new_session=True)
print(below.pid, flush=True)
below.wait()
"""
#: Python's process that unlinks shared memory, and who uses it.
WITH_TRACKER = """
import time
from multiprocessing import resource_tracker
resource_tracker.ensure_running()
print(resource_tracker._resource_tracker._pid, flush=True)
time.sleep(600)
"""


def started(source):
    program = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)
    return program, psutil.Process(int(program.stdout.readline()))


def ended(program):
    program.kill()
    program.communicate()


def test_what_a_process_has_started_is_found_in_other_sessions_too_and_ended():
    program, below = started(ABOVE)
    try:
        found = descendants(program.pid)
        end_all(found)
        _, alive = psutil.wait_procs([below], timeout=10)
    finally:
        ended(program)

    assert found == {below}
    assert not alive


def test_a_process_that_is_gone_has_no_descendants_and_ending_it_again_does_nothing():
    program, below = started(ABOVE)
    end_all([below])
    ended(program)

    assert descendants(program.pid) == set()
    end_all([below])


def test_pythons_resource_tracker_is_left_to_end_by_itself():
    program, tracker = started(WITH_TRACKER)
    try:
        until(tracker.cmdline, "the tracker to have its name")
        end_all(descendants(program.pid))
        is_spared = tracker.is_running() and tracker.status() != psutil.STATUS_ZOMBIE
    finally:
        ended(program)
    _, alive = psutil.wait_procs([tracker], timeout=10)

    assert is_spared
    assert not alive
