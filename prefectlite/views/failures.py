"""Failures, those alike put together. Knows states; knows neither terminals nor notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from prefectlite.errors import TaskError
from prefectlite.states.children import classes_of
from prefectlite.states.keys import RunKey
from prefectlite.states.report import ResultRef
from prefectlite.states.state import Failed, Mapped, State, TriggerFailed
from prefectlite.views.frames import own_lines

_NAMED: Final = 3  # runs that a group names
_TEXTS: Final = 3  # messages that a group quotes
#: How the message of a state begins whose body raised.
_OF_THE_BODY: Final = "Unexpected error: "
#: How Python's lines between two exceptions of a chain end.
_CHAINED: Final = ("the following exception:", "another exception occurred:")


@dataclass(slots=True)
class FailureGroup:
    """Failed runs of one task that failed in the same way.

    Parameters
    ----------
    slug : str
        The task.
    state_name : str
        The class of their states.
    error_type : str
        The exception's class; empty where there was none, as for a refused trigger.
    count : int
        How many runs.
    runs : list of RunKey
        The first of them.
    messages : list of str
        What the first of them said, without repetitions.
    lines : list of str
        The user's own traceback lines of the first.
    is_consequence : bool
        The runs never began, since their trigger refused them.
    """

    slug: str
    state_name: str
    error_type: str
    count: int = 0
    runs: list[RunKey] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    is_consequence: bool = False

    def add(self, run: RunKey, message: str) -> None:
        """Count one more run.

        Parameters
        ----------
        run : RunKey
            Which.
        message : str
            What it said.
        """
        self.count += 1
        if len(self.runs) < _NAMED:
            self.runs.append(run)
        if len(self.messages) < _TEXTS and message not in self.messages:
            self.messages.append(message)

    @property
    def who(self) -> str:
        """The runs in a few words: ``parse[3], parse[9], parse[12] and 37 more like it``."""
        named = ", ".join(str(run) for run in self.runs)
        rest = self.count - len(self.runs)
        return f"{named} and {rest:,} more like it" if rest else named


def every_run(states: Iterable[tuple[str, State]]) -> Iterator[tuple[RunKey, State]]:
    """Yield each task run with its state, a map's children one by one.

    Parameters
    ----------
    states : iterable of (str, State)
        Slugs and states of tasks.

    Yields
    ------
    (RunKey, State)
        Of a map its children, not the map itself.
    """
    for slug, state in states:
        if isinstance(state, Mapped) and state.map_states:
            for index, child in enumerate(state.map_states):
                yield RunKey(slug, index), child
        else:
            yield RunKey(slug), state


def failed_runs(states: Iterable[tuple[str, State]]) -> Iterator[tuple[RunKey, State]]:
    """Yield each task run that failed, with its state; of a large map, only their states are made.

    Parameters
    ----------
    states : iterable of (str, State)
        Slugs and states of tasks.

    Yields
    ------
    (RunKey, State)
        Children of maps one by one.
    """
    for slug, state in states:
        if isinstance(state, Mapped):
            for index, kind in enumerate(classes_of(state.map_states)):
                if issubclass(kind, Failed):
                    yield RunKey(slug, index), state.map_states[index]
        elif isinstance(state, Failed):
            yield RunKey(slug), state


def group_failures(runs: Iterable[tuple[RunKey, State]], line_limit: int = 20) -> list[FailureGroup]:
    """Put failures that are alike together.

    Parameters
    ----------
    runs : iterable of (RunKey, State)
        Task runs and how they ended.
    line_limit : int
        How many traceback lines a group shows at most.

    Returns
    -------
    list of FailureGroup
        Code that failed first, in the order of the runs; then runs that their trigger refused.
    """
    groups: dict[tuple[str, str, str], FailureGroup] = {}
    for run, state in runs:
        if not isinstance(state, Failed):
            continue
        error = exception_of(state)
        error_type = type_name(error)
        found = (run.slug, type(state).__name__, error_type)
        group = groups.get(found)
        if group is None:
            lines = own_lines(state.traceback, line_limit) if state.traceback else []
            lines = _before_the_end(lines, f"{error_type}: {_own_text(error)}")
            refused = isinstance(state, TriggerFailed)
            group = groups[found] = FailureGroup(*found, lines=lines, is_consequence=refused)
        group.add(run, message_of(state, error))
    return sorted(groups.values(), key=lambda group: group.is_consequence)


def _before_the_end(lines: list[str], said: str) -> list[str]:
    """Return the lines of a traceback, without its end if that only says once more what is said already."""
    start = len(lines) - len(said.splitlines())
    is_said = start >= 0 and not lines[start].startswith(" ") and "\n".join(lines[start:]).endswith(said)
    if not is_said:
        return lines
    # Of an exception that another one brought about, there is nothing left to lead to.
    while start and (not lines[start - 1].strip() or lines[start - 1].endswith(_CHAINED)):
        start -= 1
    return lines[:start]


def exception_of(state: State) -> BaseException | None:
    """Return the exception that a failed state carries, if it is at hand.

    Parameters
    ----------
    state : State
        A failed state.

    Returns
    -------
    BaseException or None
        None when there is none, or when it would have to be fetched from a worker.
    """
    ref = state.result_ref
    held: Any = state.result if ref is None else _inline(ref)
    return held if isinstance(held, BaseException) else None


def type_name(error: BaseException | None) -> str:
    """Return the name of an exception's class, of the original's for a stand-in.

    Parameters
    ----------
    error : BaseException or None
        What a task raised.

    Returns
    -------
    str
        The class's name; empty for None.
    """
    if error is None:
        return ""
    return error.type_name.rpartition(".")[2] if isinstance(error, TaskError) else type(error).__name__


def message_of(state: State, error: BaseException | None) -> str:
    """Return what a failure says, in a line or two.

    Parameters
    ----------
    state : State
        A failed state.
    error : BaseException or None
        Its exception, if at hand.

    Returns
    -------
    str
        The exception's own text where it has one, after what the state says before it, ``Its argument 'x'
        could not be made:``, say; else the state's message, if that says more than the exception's type.
    """
    own = _own_text(error)
    text = own or state.message or f"ended {type(state).__name__}"
    if error is not None:
        kind = type_name(error)
        if own:
            text = _lead(state.message or "", f"{kind}: {own}") + own
        elif text.endswith(f": {kind}"):
            text = "without a text"  # the message names the type alone, which is said beside it
    return text if len(text) <= 400 else text[:399] + "…"


def _own_text(error: BaseException | None) -> str:
    if error is None:
        return ""
    if isinstance(error, TaskError):
        return error.message
    try:
        return str(error)
    except (Exception, SystemExit):  # a user's __str__ may fail like any other code of theirs
        return ""


def _lead(message: str, said: str) -> str:
    """Return what a message says before an exception: of what it is, where it is not of the body."""
    lead = message.removesuffix(said)
    return "" if lead in (message, _OF_THE_BODY) else lead


def _inline(ref: ResultRef) -> Any:
    if ref.inline is None:
        return None
    try:
        return ref.fetch()
    except Exception:  # unpickling runs the user's code
        return None
