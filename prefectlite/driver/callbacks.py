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

from prefectlite.core.constants import Constant
from prefectlite.core.edge import Edge
from prefectlite.core.facts import task_facts
from prefectlite.core.loggers import run_logger
from prefectlite.core.options import TaskOptions
from prefectlite.core.surroundings import clocked, surroundings
from prefectlite.core.task import Task
from prefectlite.driver.flow_handlers import FlowHandlers
from prefectlite.driver.handlers import TaskRunner, state_after
from prefectlite.driver.measuring import measure_of
from prefectlite.driver.shown import tagged, told
from prefectlite.engine.events import Answered, Event
from prefectlite.engine.instructions import Ask
from prefectlite.engine.ledger import FLOW
from prefectlite.lowering.past import facts_of_past
from prefectlite.states.holders import holding
from prefectlite.states.keys import RunKey
from prefectlite.states.signals import Signal
from prefectlite.states.state import State, Success
from prefectlite.worker.failures import unrevealing, unrevealing_error

_logger = logging.getLogger(__name__)

#: How many questions of one flow run are asked at the same time.
THREADS: Final = 8
_NOTHING: Final[Mapping[Any, Any]] = {}


class Callbacks:
    """Asks users' triggers, state handlers, delays and ``on_failure`` in threads, and hands in their answers.

    The threads start with the first question. They are daemons: a callback that never returns must not keep
    the interpreter alive.

    Parameters
    ----------
    tasks : sequence of Task
        The flow's tasks by the plan's numbers.
    options : sequence of TaskOptions
        Their options, as they were when the run began.
    deliver : callable
        Takes a sequence with one ``Answered``, from any thread.
    facts : mapping of str to object
        What ``context`` shows of the flow run while a callback runs.
    clock : callable
        Returns seconds since the epoch.
    flow : FlowHandlers or None
        The flow's own handlers; None where nobody asks them.
    of_tasks : sequence of callable
        The run's handlers for all of its tasks, which are asked after a task's own.
    contexts : mapping of Task to mapping
        What ``context`` shows more while a callback of a task runs, by task.
    constants : sequence of mapping
        Values bound to the tasks' arguments, by the plan's numbers; none if it is empty.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        options: Sequence[TaskOptions],
        deliver: Callable[[Sequence[Event]], None],
        facts: Mapping[str, Any],
        clock: Callable[[], float] = time.time,
        flow: FlowHandlers | None = None,
        of_tasks: Sequence[Callable[..., Any]] = (),
        contexts: Mapping[Task, Mapping[str, Any]] = _NOTHING,
        constants: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self._tasks = tasks
        self._options = options
        self._deliver = deliver
        self._facts = facts
        self._clock = clock
        self._flow = flow
        self._of_tasks = of_tasks
        self._contexts = contexts
        self._constants = constants
        self._questions: queue.SimpleQueue[tuple[Ask, RunKey, int] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._open = 0
        self._threads = 0
        self._closed = False

    @property
    def is_asking(self) -> bool:
        """Whether a question is open: once it is not, all answers have been handed in."""
        with self._lock:
            return self._open > 0

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
                    flows = ask.run == FLOW
                    answered = self._answer_of_flow(ask) if flows else self._answer(ask, key, attempt)
                except BaseException as error:  # a question without an answer would hang its run
                    _logger.exception("Question %r of %s could not be asked.", ask.question, key)
                    answered = Answered(self._clock(), ask.run, ask.ask, error=error)
                self._deliver([answered])
            with self._lock:
                self._open -= 1

    def _answer(self, ask: Ask, key: RunKey, attempt: int) -> Answered:
        task = self._tasks[ask.node]
        around = {**self._facts, **self._contexts.get(task, _NOTHING)}
        own = task_facts(key, around["flow_run_id"], task.name, task.frozen_tags, attempt, around)
        facts = {
            **around,
            **own,
            "task_run_count": max(attempt, 1),  # as in Prefect 1, also of what has not begun
            "logger": task.logger if own["map_index"] is None else run_logger(own["task_full_name"]),
        }
        try:
            facts |= facts_of_past(ask.past, key, around)
            with surroundings(facts), clocked(self._clock):
                answer = self._put(task, ask, attempt)
                if isinstance(answer, State):
                    answer = unrevealing(answer)
                measure = measure_of(answer)
        except BaseException as error:  # whatever is raised is the answer
            if ask.question == "on_failure":
                _logger.exception("on_failure of task %r raised; the task's state stays.", task.name)
            given = error.state if isinstance(error, Signal) else None
            told = unrevealing_error(error)
            return Answered(self._clock(), ask.run, ask.ask, error=told, measure=measure_of(given))
        return Answered(self._clock(), ask.run, ask.ask, answer, measure=measure)

    def _answer_of_flow(self, ask: Ask) -> Answered:
        assert self._flow is not None
        assert ask.old is not None
        assert ask.new is not None
        answer: State | None = None
        try:
            with surroundings(self._facts), clocked(self._clock):
                if ask.question == "on_failure":
                    self._flow.failed(ask.new)
                else:
                    answer = unrevealing(self._flow.state_after(ask.old, ask.new))
        except BaseException as error:  # as above
            return Answered(self._clock(), ask.run, ask.ask, error=unrevealing_error(error))
        return Answered(self._clock(), ask.run, ask.ask, answer)

    def _put(self, task: Task, ask: Ask, attempt: int) -> Any:
        options = self._options[ask.node]
        match ask.question:
            case "trigger":
                upstream_states = {edge: _of_edge(edge, one) for edge, one in ask.upstreams}
                constants = self._constants[ask.node] if self._constants else _NOTHING
                for key, value in constants.items():
                    upstream_states[Edge(Constant(value), task, key)] = Success(result=holding(value))
                return bool(options.trigger(upstream_states))
            case "handlers":
                assert ask.old is not None
                assert ask.new is not None
                old, shown = (told(one, task.frozen_tags, attempt) for one in (ask.old, ask.new))
                new = state_after(task, options.state_handlers, old, shown)
                new = state_after(TaskRunner(task), self._of_tasks, old, new)
                return ask.new if new is shown else new
            case "delay":
                return _seconds(task.name, options.retry_delay, ask.attempt)
            case "on_failure":
                assert options.on_failure is not None
                assert ask.new is not None
                options.on_failure(task, told(ask.new, task.frozen_tags, attempt))
                return None
            case _:
                assert_never(ask.question)


def _of_edge(edge: Any, state: State) -> State:
    """Return the state of an upstream as a trigger reads it."""
    return tagged(state, edge.upstream.frozen_tags)


def _seconds(task_name: str, delay: Any, attempt: int) -> float:
    said = delay(attempt)
    seconds = said.total_seconds() if isinstance(said, timedelta) else said
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
        raise ValueError(
            f"retry_delay({attempt}) of task {task_name!r} returned {said!r}; "
            "return seconds (0 or more) or a timedelta."
        )
    return float(seconds)
