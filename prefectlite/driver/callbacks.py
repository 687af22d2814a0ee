"""User code of the driver, asked in threads. Knows tasks and questions; knows no rules and no loop."""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, assert_never

from prefectlite.core.context import surroundings
from prefectlite.core.facts import task_facts
from prefectlite.core.task import Task
from prefectlite.engine.events import Answered, Event, Measure
from prefectlite.engine.instructions import Ask
from prefectlite.lowering.elements import flat_length_of, length_of
from prefectlite.lowering.past import facts_of_past
from prefectlite.states.keys import RunKey
from prefectlite.states.signals import Signal
from prefectlite.states.state import State
from prefectlite.worker.failures import unrevealing, unrevealing_error

_logger = logging.getLogger(__name__)

#: How many questions of one flow run are asked at the same time.
THREADS: Final = 8


class Callbacks:
    """Asks users' triggers, state handlers, delays and ``on_failure`` in threads, and hands in their answers.

    The threads start with the first question. They are daemons: a callback that never returns must not keep
    the interpreter alive.

    Parameters
    ----------
    tasks : sequence of Task
        The flow's tasks by the plan's numbers.
    deliver : callable
        Takes a sequence with one ``Answered``, from any thread.
    facts : mapping of str to object
        What ``context`` shows of the flow run while a callback runs.
    clock : callable
        Returns seconds since the epoch.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        deliver: Callable[[Sequence[Event]], None],
        facts: Mapping[str, Any],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._tasks = tasks
        self._deliver = deliver
        self._facts = facts
        self._clock = clock
        self._questions: queue.SimpleQueue[tuple[Ask, RunKey, int] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._open = 0
        self._threads = 0
        self._closed = False

    def ask(self, question: Ask, key: RunKey, attempt: int) -> None:
        """Ask user code; the answer comes in later.

        Parameters
        ----------
        question : Ask
            Whom to ask what.
        key : RunKey
            The run's name.
        attempt : int
            Its attempt, counted from 1; 0 before the first.
        """
        with self._lock:
            self._open += 1
            wanted = self._open > self._threads < THREADS
            self._threads += wanted
        self._questions.put((question, key, attempt))
        if wanted:
            threading.Thread(target=self._work, name="prefectlite-callback", daemon=True).start()

    def close(self) -> None:
        """Ask no more: what is being asked goes on, and nobody waits for its answer."""
        with self._lock:
            self._closed = True
            threads = self._threads
        for _ in range(threads):
            self._questions.put(None)

    def _work(self) -> None:
        while (question := self._questions.get()) is not None:
            if not self._closed:
                ask, key, attempt = question
                try:
                    answered = self._answer(ask, key, attempt)
                except BaseException as error:  # a question without an answer would hang its run
                    _logger.exception("Question %r of %s could not be asked.", ask.question, key)
                    answered = Answered(self._clock(), ask.run, ask.ask, error=error)
                self._deliver([answered])
            with self._lock:
                self._open -= 1

    def _answer(self, ask: Ask, key: RunKey, attempt: int) -> Answered:
        task = self._tasks[ask.node]
        facts = {
            **self._facts,
            **task_facts(key, self._facts["flow_run_id"], task.name, task.tags, attempt),
            "logger": task.logger,
        }
        try:
            facts |= facts_of_past(ask.past, key.loop)
            with surroundings(facts):
                answer = _put(task, ask)
                if isinstance(answer, State):
                    answer = unrevealing(answer)
                measure = _measure(answer)
        except BaseException as error:  # whatever is raised is the answer
            if ask.question == "on_failure":
                _logger.exception("on_failure of task %r raised; the task's state stays.", task.name)
            given = error.state if isinstance(error, Signal) else None
            told = unrevealing_error(error)
            return Answered(self._clock(), ask.run, ask.ask, error=told, measure=_measure(given))
        return Answered(self._clock(), ask.run, ask.ask, answer, measure=measure)


def _put(task: Task, ask: Ask) -> Any:
    match ask.question:
        case "trigger":
            return bool(task.trigger(dict(ask.upstreams)))
        case "handlers":
            assert ask.old is not None
            assert ask.new is not None
            return state_after(task, ask.old, ask.new)
        case "delay":
            return _seconds(task, ask.attempt)
        case "on_failure":
            assert task.on_failure is not None
            task.on_failure(task, ask.new)
            return None
        case _:
            assert_never(ask.question)


def state_after(task: Task, old: State, new: State) -> State:
    """Return the state that a task's handlers make of a transition.

    Parameters
    ----------
    task : Task
        Whose handlers to ask, in order; each sees what the one before it made.
    old, new : State
        The transition.

    Returns
    -------
    State
        The last handler's word; that of a signal, if one was raised.

    Raises
    ------
    TypeError
        When a handler returns something that is neither a state nor None.
    """
    for handler in task.state_handlers:
        try:
            said = handler(task, old, new)
        except Signal as signal:
            return signal.state
        if said is None:
            continue
        if not isinstance(said, State):
            raise TypeError(
                f"State handler {getattr(handler, '__name__', handler)!r} of task {task.name!r} returned "
                f"{said!r}; return a State, or None to let the transition stand."
            )
        new = said
    return new


def _measure(given: Any) -> Measure | None:
    """Return the lengths of a value that user code put into a state; a map may read it."""
    if not isinstance(given, State) or not given.is_successful() or given.result_ref or not given.has_result:
        return None
    value = given.result
    try:
        length, flat = length_of(value), flat_length_of(value)
    except Exception as error:  # the value's own len() is user code, too
        return Measure(unmappable=f"its length cannot be told: {type(error).__name__}")
    return Measure(
        length if isinstance(length, int) else None,
        flat if isinstance(flat, int) else None,
        length if isinstance(length, str) else None,
    )


def _seconds(task: Task, attempt: int) -> float:
    delay: Any = task.retry_delay
    said = delay(attempt)
    seconds = said.total_seconds() if isinstance(said, timedelta) else said
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
        raise ValueError(
            f"retry_delay({attempt}) of task {task.name!r} returned {said!r}; "
            "return seconds (0 or more) or a timedelta."
        )
    return float(seconds)
