"""Fixtures for tests of flows; pytest finds them by itself. Knows the public names, and imports them late.

Every pytest run where prefectlite is installed loads this module, so it must cost next to nothing.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Generator, Iterator
from typing import Any, Final

import pytest

import prefectlite

#: How long processes that are about to end are waited for, in seconds.
PATIENCE: Final = 5.0
# Python's own helpers live as long as the process that first needed them.
_PYTHONS: Final = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")

_shown: Final = pytest.StashKey[list[Any]]()


@pytest.fixture
def prefectlite_simulate(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Run a flow in virtual time, as ``prefectlite.testing.simulate``; a test that fails shows the timelines.

    Parameters
    ----------
    request : pytest.FixtureRequest
        The test.

    Returns
    -------
    callable
        Takes what ``simulate`` takes, and returns a ``Simulation``.
    """
    shown = request.node.stash.setdefault(_shown, [])

    def simulate(*args: Any, **options: Any) -> Any:
        simulation = prefectlite.testing.simulate(*args, **options)
        shown.append(simulation)
        return simulation

    return simulate


@pytest.fixture
def local_executor() -> Any:
    """Return an executor that runs flows in this process, one task run at a time.

    Returns
    -------
    LocalExecutor
        A new one.
    """
    return prefectlite.LocalExecutor()


@pytest.fixture
def no_leftover_processes() -> Iterator[None]:
    """Fail a test that leaves processes behind: worker processes, or what a task's body has started.

    Yields
    ------
    None
        While the test runs.
    """
    before = set(_children())
    yield
    deadline = time.monotonic() + PATIENCE
    while (left := _new(before)) and time.monotonic() < deadline:
        time.sleep(0.02)
    if left:
        pytest.fail("The test left processes running:\n" + "\n".join(left), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what was simulated when a test fails.

    Parameters
    ----------
    item : pytest.Item
        The test.
    call : pytest.CallInfo
        Set-up, test or tear-down.

    Yields
    ------
    None
        While pytest makes its report, which is returned then.
    """
    report = yield
    if report.failed and call.when == "call":
        for simulation in item.stash.get(_shown, ()):
            report.sections.append((f"timeline of flow {simulation.flow_name!r}", str(simulation)))
    return report


def _new(before: Collection[Any]) -> list[str]:
    return [f"  {one.pid}: {command}" for one, command in _children().items() if one not in before]


def _children() -> dict[Any, str]:
    """Return the processes that come from this one and are alive, each with its command line."""
    import psutil

    found: dict[Any, str] = {}
    for process in psutil.Process().children(recursive=True):
        # One may end while it is looked at.
        with contextlib.suppress(psutil.NoSuchProcess):
            command = " ".join(process.cmdline()) or process.name()
            if process.status() != psutil.STATUS_ZOMBIE and not any(one in command for one in _PYTHONS):
                found[process] = command
    return found
