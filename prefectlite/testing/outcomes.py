"""What to inject where a body would run: values, errors, crashes. Knows flows and names; runs nothing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeAlias

from prefectlite.core.base import AnyTask
from prefectlite.core.graph import FlowGraph
from prefectlite.core.task import FunctionTask, Task
from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.kinds import check_kind
from prefectlite.lowering.awaiting import awaited
from prefectlite.states.keys import RunKey
from prefectlite.states.signals import Signal
from prefectlite.testing.names import runs_named

__all__ = ["Injected", "Outcomes", "Script", "crashes", "raises", "returns", "runs"]


@dataclass(frozen=True, slots=True)
class Injected:
    """How one attempt goes; made by ``returns``, ``raises``, ``crashes`` and ``runs``.

    Parameters
    ----------
    body : callable or None
        What is called instead of the task's own body, with the same arguments; None leaves that in place.
    crash : (str, str) or None
        The text and the cause, for an attempt that ends without a word.
    takes : float or None
        How many seconds of virtual time the attempt takes; None leaves that to ``simulate``.
    """

    body: Callable[..., Any] | None = None
    crash: tuple[str, str] | None = None
    takes: float | None = None


#: One outcome for all attempts, or one for each in turn, of which the last repeats. A bare exception is
#: raised.
Course: TypeAlias = (
    Injected | BaseException | type[BaseException] | Sequence[Injected | BaseException | type[BaseException]]
)
#: By task, by slug, by name of a task or of a map's child.
Outcomes: TypeAlias = Mapping[AnyTask, Course]

_AS_IT_IS: Final = Injected()
_OURS: Final = ("prefectlite.core.", "prefectlite.tasks.control_flow")


def returns(value: Any, *, takes: float | timedelta | None = None) -> Injected:
    """Return the outcome of an attempt that returns a value.

    Parameters
    ----------
    value : object
        The value.
    takes : float, timedelta or None
        Seconds of virtual time.

    Returns
    -------
    Injected
        For ``simulate``.
    """

    def body(**_: Any) -> Any:
        return value

    return Injected(body, takes=_seconds(takes))


def raises(error: BaseException | type[BaseException], *, takes: float | timedelta | None = None) -> Injected:
    """Return the outcome of an attempt that raises an exception, or a signal.

    Parameters
    ----------
    error : BaseException or type
        What it raises.
    takes : float, timedelta or None
        Seconds of virtual time.

    Returns
    -------
    Injected
        For ``simulate``.

    Raises
    ------
    DefinitionTypeError
        When ``error`` is no exception.
    """
    if not _is_error(error):
        raise DefinitionTypeError(
            f"raises() takes an exception or a class of exceptions, not {error!r}; "
            "for a value, write returns(...)."
        )

    def body(**_: Any) -> Any:
        if isinstance(error, Signal):
            raise error.anew()  # at once, say, is when it is raised
        if isinstance(error, BaseException):
            error.__context__ = None  # that of an attempt before
            raise error.with_traceback(None)
        raise error

    return Injected(body, takes=_seconds(takes))


def crashes(
    text: str = "The worker was killed, says the test.",
    *,
    cause: str = "worker-lost",
    takes: float | timedelta | None = None,
) -> Injected:
    """Return the outcome of an attempt that ends without a word, as when its worker is killed.

    Parameters
    ----------
    text : str
        What the state says.
    cause : str
        As in ``Crashed``: ``"worker-lost"``, ``"out-of-memory"`` and so on.
    takes : float, timedelta or None
        Seconds of virtual time until then.

    Returns
    -------
    Injected
        For ``simulate``.

    Raises
    ------
    DefinitionTypeError
        When text or cause are no texts.
    """
    check_kind("crashes(...)", "text", text, str, "give a text.")
    check_kind("crashes(...)", "cause", cause, str, "give a short name: 'worker-lost'.")
    return Injected(crash=(text, cause), takes=_seconds(takes))


def runs(body: Callable[..., Any] | None = None, *, takes: float | timedelta | None = None) -> Injected:
    """Return the outcome of an attempt that really runs: its task's body, or another one.

    Parameters
    ----------
    body : callable or None
        Called instead of the task's own body, with the same arguments by name.
    takes : float, timedelta or None
        Seconds of virtual time; how long the body really takes does not count.

    Returns
    -------
    Injected
        For ``simulate``.

    Raises
    ------
    DefinitionTypeError
        When the body is no function.
    """
    check_kind(
        "runs(...)", "body", body, Callable | None, "give a function, or leave it out for the task's own."
    )
    return Injected(None if body is None else awaited(body), takes=_seconds(takes))


class Script:
    """Says of each attempt of a flow how it goes.

    Parameters
    ----------
    flow : FlowGraph
        The flow.
    outcomes : mapping
        What was asked for.
    default : Injected, exception or list of such
        For all tasks that are not named, but for operators, items of values and control flow.

    Raises
    ------
    DefinitionError
        When the flow has no such task, or one is named twice.
    DefinitionTypeError
        When something is no outcome.
    """

    def __init__(self, flow: FlowGraph, outcomes: Outcomes, default: Course) -> None:
        given: object = outcomes
        if not isinstance(given, Mapping):
            raise DefinitionTypeError(
                f"outcomes={given!r} names no tasks; say what they come to in a dict: {{load: returns(1)}}."
            )
        self._own = {slug for task, slug in flow.slugs.items() if _is_ours(task)}
        self._default = _attempts(default, "default")
        # By slug and map index; those of a map as a whole, by None.
        self._courses: dict[tuple[str, int | None], list[Injected]] = {}
        for named, course in outcomes.items():
            attempts = _attempts(course, f"outcomes[{named!r}]")
            for run in runs_named(flow, named):
                if run in self._courses:
                    raise DefinitionError(
                        f"outcomes[{named!r}] is about {RunKey(*run)}, which another entry is about, too; "
                        "name each task once."
                    )
                self._courses[run] = attempts
        self._begun: Counter[tuple[str, int | None]] = Counter()

    def next(self, key: RunKey) -> Injected:
        """Return how the next attempt of a task run goes.

        Parameters
        ----------
        key : RunKey
            Its name; iterations of a loop follow one another.

        Returns
        -------
        Injected
            The last that was asked for, if there were more attempts than outcomes.
        """
        run = (key.slug, key.index)
        course = self._courses.get(run) or self._courses.get((key.slug, None))
        if course is None:
            course = [_AS_IT_IS] if key.slug in self._own else self._default
        place = self._begun[run]
        self._begun[run] += 1
        return course[min(place, len(course) - 1)]


def _is_ours(task: Task) -> bool:
    """Return whether a task only works on values of others: an operator, an item of a value, control flow."""
    return not isinstance(task, FunctionTask) and type(task).__module__.startswith(_OURS)


def _attempts(course: Any, whose: str) -> list[Injected]:
    if isinstance(course, list | tuple):
        if not course:
            raise DefinitionTypeError(f"{whose} is an empty list; give at least one outcome.")
        return [_one(each, whose) for each in course]
    return [_one(course, whose)]


def _one(given: Any, whose: str) -> Injected:
    if isinstance(given, Injected):
        return given
    if _is_error(given):
        return raises(given)
    raise DefinitionTypeError(
        f"{whose} has {given!r}, which is no outcome; write returns({given!r}) for a value. Others are "
        "raises(...), crashes(), runs(...), an exception, or a list of such, one for each attempt."
    )


def _is_error(given: Any) -> bool:
    return isinstance(given, BaseException) or (isinstance(given, type) and issubclass(given, BaseException))


def _seconds(takes: float | timedelta | None) -> float | None:
    return None if takes is None else seconds_of(takes, "takes")


def seconds_of(given: float | timedelta, name: str) -> float:
    """Return a duration in seconds.

    Parameters
    ----------
    given : float or timedelta
        As a user gave it.
    name : str
        The option's name.

    Returns
    -------
    float
        Seconds, 0 or more.

    Raises
    ------
    DefinitionError
        When it is something else.
    """
    seconds: Any = given.total_seconds() if isinstance(given, timedelta) else given
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
        raise DefinitionError(f"{name}={given!r} is no duration; give seconds (0 or more) or a timedelta.")
    return float(seconds)
