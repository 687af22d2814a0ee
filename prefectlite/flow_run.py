"""A handle on a flow run that goes on in a thread of its own: to wait for, question, resume or cancel it.

Knows runs and what is told of them; knows neither executors nor how a run is made.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Generator
from functools import cache
from typing import Any, Final

from prefectlite.core.base import AnyTask
from prefectlite.core.task import Task
from prefectlite.driver.interrupts import Terminations
from prefectlite.driver.run import GRACE, Run
from prefectlite.journal.protocol import Entry
from prefectlite.kinds import check_kind
from prefectlite.states.keys import RunKey
from prefectlite.states.state import Mapped, State
from prefectlite.views.explain import explain

#: The longest pause between two looks of an awaiting coroutine, in seconds.
_LOOK: Final = 0.1
_SECONDS: Final = "give seconds, or leave it out to wait for the end."
_A_RUN: Final = "give a task of the flow, or a run's name: 'load-1' or 'load-1[3]'."


class FlowRun:
    """A handle on a flow run that goes on in its own thread; made by ``flow.start``.

    ``await run`` waits for its end in a coroutine; cancelling that coroutine cancels the run.

    Parameters
    ----------
    run : Run
        The run.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def __repr__(self) -> str:
        """Return flow, identity and counts."""
        counts = ", ".join(f"{count} {name}" for name, count in self.counts().items())
        return f"<FlowRun {self._run.flow_name!r} {self.run_id[:8]}: {counts or 'nothing yet'}>"

    @property
    def run_id(self) -> str:
        """The flow run's identity, 32 hexadecimal digits."""
        return self._run.run_id

    @property
    def flow_name(self) -> str:
        """The flow's name."""
        return self._run.flow_name

    @property
    def dashboard_link(self) -> str | None:
        """The address of the Dask dashboard, once it is known and while it lives."""
        return self._run.dashboard_link

    @property
    def is_over(self) -> bool:
        """Whether the run has ended, or was left with paused tasks alone."""
        return self._run.is_over

    def states(self) -> dict[AnyTask, State]:
        """Return the state of each task now, as ``state.result`` does at the end.

        Returns
        -------
        dict of Task to State
            Maps with the states of their children.
        """
        return self._run.states()

    def counts(self) -> dict[str, int]:
        """Count task runs by the name of their state's class; children of a map count one by one.

        Returns
        -------
        dict of str to int
            Constants, parameters and collections are left out.
        """
        return self._run.counts()

    def wait(self, timeout: float | None = None) -> State:
        """Wait for the run's end; Ctrl-C in here cancels the run.

        Parameters
        ----------
        timeout : float or None
            Seconds; None waits for ever.

        Returns
        -------
        State
            How the flow ended; ``Running`` for one that was left with paused tasks alone.

        Raises
        ------
        TimeoutError
            When the run is not over by then; it goes on.
        DefinitionTypeError
            When ``timeout`` is no number.
        ExecutorError
            When the place could not be reached.
        """
        check_kind(f"The run of flow {self.flow_name!r}", "timeout", timeout, int | float | None, _SECONDS)
        try:
            # No lock waits longer than that.
            return self._run.wait(None if timeout is None else min(timeout, threading.TIMEOUT_MAX))
        finally:
            _let_go()

    def cancel(self) -> None:
        """Ask the run to end: nothing new starts, what is running is stopped where that is possible."""
        if self._run.cancel():
            drive_in_thread(self._run)

    def paused(self) -> dict[RunKey, State]:
        """Return the task runs that wait for an approval.

        Returns
        -------
        dict of RunKey to State
            By name, children of maps one by one; with those that go on by themselves at a time.
        """
        return self._run.paused()

    def resume(self, task: AnyTask | RunKey | str) -> None:
        """Let a paused task run go on; a run that was left with paused tasks alone is started again.

        The whole task runs again, with ``context.resume`` set.

        Parameters
        ----------
        task : Task, RunKey or str
            A task of the flow, or a run's name: ``"approve-1"``, ``"approve-1[3]"``; a mapped task means all
            of its children that are paused.

        Raises
        ------
        KeyError
            When the flow has no such task.
        DefinitionTypeError
            When it is neither a task nor a name.
        ValueError
            When it is not paused.
        ExecutorError
            When the place to run cannot be reached again.
        """
        if self._run.resume(self._key(task)):
            drive_in_thread(self._run)

    def __await__(self) -> Generator[Any, None, State]:
        """Wait for the run's end without blocking the event loop."""
        return self._waited().__await__()

    async def _waited(self) -> State:
        # Imported here: asyncio costs a tenth of a small program's time, and few programs await.
        import asyncio

        pause = 0.001
        try:
            while not self._run.is_over:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LOOK)
        except asyncio.CancelledError:
            self._run.cancel("the coroutine that awaited the run was cancelled")
            raise
        return self.wait()

    def history(self, task: AnyTask | RunKey | str) -> list[Entry]:
        """Return what the journal knows of a task run, or of the flow.

        Parameters
        ----------
        task : Task, RunKey or str
            A task of the flow, or a run's name: ``"double-1"``, ``"double-1[3]"``, ``"double-1@2"`` for the
            second iteration of one that loops; ``""`` is the flow.

        Returns
        -------
        list of Transition or Submitted
            In order.

        Raises
        ------
        KeyError
            When the flow has no such task.
        DefinitionTypeError
            When it is neither a task nor a name.
        """
        return self._run.history(self._key(task))

    def explain(self, task: AnyTask | RunKey | str = "") -> str:
        """Tell in plain words what happened to a task run, or to the flow, and why.

        Parameters
        ----------
        task : Task, RunKey or str
            A task of the flow, or a run's name: ``"double-1"``, ``"double-1[3]"``; by default the flow.

        Returns
        -------
        str
            Lines of text.

        Raises
        ------
        KeyError
            When the flow has no such task.
        DefinitionTypeError
            When it is neither a task nor a name.
        """
        key = self._key(task)
        told = explain(self._run.journal, key, self._run.flow_name)
        asked = self._run.waiting_for(key)
        return f"{told}\n  It waits for {asked}; there is none now." if asked else told

    def _key(self, task: AnyTask | RunKey | str) -> RunKey:
        slugs = self._run.slugs
        if isinstance(task, Task):
            if task not in slugs:
                raise KeyError(
                    f"Task {task.name!r} is not in flow {self.flow_name!r}; ask for the task that a call "
                    "inside the flow returned."
                )
            return RunKey(slugs[task])
        check_kind(f"The run of flow {self.flow_name!r}", "task", task, str | RunKey, _A_RUN)
        key = RunKey.parse(task) if isinstance(task, str) else task
        if key.slug and key.slug not in slugs.values():
            known = ", ".join(sorted(slugs.values())[:10])
            raise KeyError(f"Flow {self.flow_name!r} has no task run {str(key)!r}; its tasks are {known}.")
        if key.index is not None:
            self._check_index(key)
        return key

    def _check_index(self, key: RunKey) -> None:
        states = self._run.states()
        [state] = [states[one] for one, slug in self._run.slugs.items() if slug == key.slug]
        if isinstance(state, Mapped) and not 0 <= (key.index or 0) < state.n_map_states:
            raise KeyError(
                f"Map {key.slug!r} has no child {key.index}; it has {state.n_map_states}, counted from 0."
            )


def drive_in_thread(run: Run) -> None:
    """Drive a run on in a thread of its own.

    Parameters
    ----------
    run : Run
        One that has not begun, or was left.

    Raises
    ------
    ExecutorError
        When the place to run cannot be reached.
    """
    # Not a daemon: a script that ends with flow.start(...) has its flow run to the end.
    thread = threading.Thread(target=_drive, args=(run,), name=f"prefectlite-{run.flow_name}")
    _stay_to_the_end()
    _going[run] = thread
    try:
        run.open()
        _terminations.take()
        thread.start()
    except BaseException:
        _going.pop(run, None)
        run.abandon()
        raise


def _drive(run: Run) -> None:
    # wait() raises what comes up here, where somebody listens.
    with contextlib.suppress(BaseException):
        run.drive()
    _going.pop(run, None)


#: Runs that are driven in threads of their own.
_going: Final[dict[Run, threading.Thread]] = {}


def _end_all() -> None:
    going = [(run, thread) for run, thread in list(_going.items()) if thread.is_alive()]
    for run, _ in going:
        run.cancel("interrupted by SIGTERM")
    until = time.monotonic() + GRACE
    for _, thread in going:
        thread.join(max(0.0, until - time.monotonic()))


_terminations: Final = Terminations(_end_all)


def _let_go() -> None:
    """Let a SIGTERM end the program at once when no run has to end before."""
    _terminations.stay()
    if all(run.is_over for run in list(_going)):
        _terminations.give_back()


@cache
def _stay_to_the_end() -> None:
    """Let the main thread wait for such runs when its program has come to its end.

    It would wait for their threads all the same, but only after Python's pools of threads were closed, of
    which Dask makes use, and without a way to be interrupted in good order.
    """
    # Who comes last is called first, so the pools come before us. These two must be there by then: nobody
    # can come any more once the program has come to its end.
    from concurrent.futures import process, thread  # noqa: F401

    os.register_at_fork(after_in_child=_going.clear)
    # ``atexit`` calls its functions too late. Where Python has no such door, its own way remains.
    with contextlib.suppress(AttributeError, RuntimeError):
        threading._register_atexit(_wait_for_all)  # type: ignore[attr-defined]


def _wait_for_all() -> None:
    try:
        while _going:
            _wait_for(next(iter(_going)))
    except KeyboardInterrupt:  # which has called off the run that was waited for
        for run in list(_going):
            run.cancel("interrupted by Ctrl-C")
            _wait_for(run)


def _wait_for(run: Run) -> None:
    with contextlib.suppress(Exception):  # somebody else hears of it, or nobody wants to
        run.wait()
    _going.pop(run, None)
