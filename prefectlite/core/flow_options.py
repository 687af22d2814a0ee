"""What is said of a flow as a whole: its handlers and its limits, checked whenever they are set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Generic, Self, TypeAlias, TypedDict, TypeVar, overload

from prefectlite.core.in_place import OptionList
from prefectlite.errors import DefinitionError, DefinitionTypeError, warn_caller
from prefectlite.kinds import shown
from prefectlite.results.result import Result
from prefectlite.schedules.schedules import Schedule, as_schedule
from prefectlite.states.value import NO_RESULT

T = TypeVar("T")

#: Called with flow, old and new state; returns another new state, or None to let the transition stand.
FlowHandler: TypeAlias = Callable[[Any, Any, Any], Any]

#: Options of Prefect 1 that nothing reads, as there, where the flow runs without a server.
UNREAD: Final = {
    "run_config": "tells a server how to start the flow; leave it out, and say where the flow runs with "
    "executor=DaskExecutor(...)",
    "storage": "tells a server where the flow is; leave it out: `prefectlite run FILE.py` finds the flow in "
    "its file",
}
#: Methods of Prefect 1 that are not here.
ABSENT: Final = {
    "register": "it told a server of the flow, and there is no server; `prefectlite run FILE.py` runs it, "
    "`prefectlite serve FILE.py` whenever its schedule says",
    "run_agent": "it ran what a server said, and there is no server; `prefectlite serve FILE.py` runs the "
    "flow whenever its schedule says",
    **dict.fromkeys(
        ("serialize", "serialized_hash"),
        "it was in a server's form, and there is no server; flow.save(path) writes the flow to a file",
    ),
}


class FlowOptions(TypedDict, total=False):
    """What is said of a flow as a whole, as keyword arguments.

    Parameters
    ----------
    state_handlers : sequence of callable
        Each is called with flow, old and new state when a run begins and when it ends, and may return another
        new state. One that returns a final state at the beginning keeps the run from starting.
    on_failure : callable or None
        Called with flow and state when a run has failed.
    terminal_state_handler : callable or None
        Called with flow, state and the reference tasks' states, children of maps one by one, when a run ends
        by itself, before the ``state_handlers`` are; may return another state.
    max_concurrency : int or None
        How many task runs of a run of the flow may run at once.
    tag_concurrency : mapping of str to int
        The same of the task runs that have a tag, by tag.
    result : Result or None
        Where the values of its tasks are stored that have no ``result`` of their own.
    """

    state_handlers: Sequence[FlowHandler] | None
    on_failure: Callable[[Any, Any], Any] | None
    terminal_state_handler: FlowHandler | None
    max_concurrency: int | None
    tag_concurrency: Mapping[str, int] | None
    result: Result | None


class FlowOption(Generic[T]):
    """An attribute of a flow that is checked when it is set.

    Parameters
    ----------
    check : callable
        Takes the flow's name, the option's and the value, and returns what is to be kept.
    """

    def __init__(self, check: Callable[[str, str, Any], T]) -> None:
        self._check = check

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, flow: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, flow: Any, owner: type[Any]) -> T: ...
    def __get__(self, flow: Any, owner: type[Any]) -> Any:
        return self if flow is None else vars(flow)[self._name]

    def __set__(self, flow: Any, value: Any) -> None:
        # A flow that gets its first name has none yet.
        vars(flow)[self._name] = self._check(vars(flow).get("name", ""), self._name, value)


class HandlersOption(FlowOption[list[FlowHandler]]):
    """State handlers of a flow: a list that can be changed in place, and is checked then."""

    def __init__(self) -> None:
        super().__init__(as_handlers)

    @overload  # type: ignore[override]  # what is read is a view of what is held
    def __get__(self, flow: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, flow: Any, owner: type[Any]) -> OptionList[FlowHandler]: ...
    def __get__(self, flow: Any, owner: type[Any]) -> Any:
        if flow is None:
            return self
        return OptionList(lambda: vars(flow)[self._name], partial(setattr, flow, self._name))


def as_handlers(flow_name: str, option: str, value: Any, takes: str = "of the flow") -> list[FlowHandler]:
    """Return state handlers as a list of the flow's own.

    Parameters
    ----------
    flow_name, option : str
        Whose, for the error.
    value : object
        What the user gave.
    takes : str
        What they are functions of, for the error.

    Returns
    -------
    list of callable
        Empty for None.

    Raises
    ------
    DefinitionTypeError
        When it is no sequence of functions.
    """
    if value is None:
        return []
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(callable(one) for one in value):
        mend = f"give a list of functions {takes}, its old and its new state."
        raise DefinitionTypeError(_text(flow_name, option, value, mend))
    return list(value)


def as_flow_name(flow_name: str, option: str, value: Any) -> str:
    """Return a flow's name.

    Parameters
    ----------
    flow_name, option : str
        What it is called so far, and the option.
    value : object
        What the user gave.

    Returns
    -------
    str
        The same.

    Raises
    ------
    DefinitionError
        When it is None or empty.
    DefinitionTypeError
        When it is anything else that is no text.
    """
    if not isinstance(value, str) or not value:
        refusal = DefinitionError if isinstance(value, str | None) else DefinitionTypeError
        raise refusal(f"A flow has name={shown(value)}; give a text that is not empty.")
    return value


def as_flow_schedule(flow_name: str, option: str, value: Any) -> Schedule | None:
    """Return a flow's schedule.

    Parameters
    ----------
    flow_name, option : str
        Whose, for the error.
    value : object
        What the user gave.

    Returns
    -------
    Schedule or None
        The same.

    Raises
    ------
    DefinitionTypeError
        When it is something else.
    """
    return as_schedule(value, f"Flow {flow_name!r}")


def as_function(flow_name: str, option: str, value: Any) -> Callable[..., Any] | None:
    """Return a function, or None.

    Parameters
    ----------
    flow_name, option : str
        Whose, for the error.
    value : object
        What the user gave.

    Returns
    -------
    callable or None
        The same.

    Raises
    ------
    DefinitionTypeError
        When it cannot be called.
    """
    if value is not None and not callable(value):
        more = (
            ", the state and those of the reference tasks" if option.startswith("term") else " and the state"
        )
        raise DefinitionTypeError(
            _text(flow_name, option, value, f"give a function that takes the flow{more}.")
        )
    return value  # type: ignore[no-any-return]  # callable() tells no more than that


def as_result(flow_name: str, option: str, value: Any) -> Result | None:
    """Return a flow's result.

    Parameters
    ----------
    flow_name, option : str
        Whose, for the error.
    value : object
        What the user gave.

    Returns
    -------
    Result or None
        The same.

    Raises
    ------
    DefinitionTypeError
        When it is something else.
    """
    if value is NO_RESULT or not isinstance(value, Result | None):
        mend = "give a Result, as in result=LocalResult(dir='results')."
        raise DefinitionTypeError(_text(flow_name, option, value, mend))
    return value


def as_unread(flow_name: str, option: str, value: Any) -> Any:
    """Return what only a server would read, with a warning.

    Parameters
    ----------
    flow_name, option : str
        Whose, for the warning.
    value : object
        What the user gave.

    Returns
    -------
    object
        The same; None asks for nothing.
    """
    if value is not None:
        warn_caller(f"Flow {flow_name!r} is given {option}, which nothing reads here: it {UNREAD[option]}.")
    return value


def as_limit(flow_name: str, option: str, value: Any) -> int | None:
    """Return how many task runs may run at once.

    Parameters
    ----------
    flow_name, option : str
        Whose, for the error.
    value : object
        What the user gave.

    Returns
    -------
    int or None
        1 or more; None for no limit.

    Raises
    ------
    DefinitionError
        When it is less than 1.
    DefinitionTypeError
        When it is no whole number.
    """
    mend = "give a whole number from 1 on, or None for no limit."
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise DefinitionTypeError(_text(flow_name, option, value, mend))
    if value < 1:
        raise DefinitionError(_text(flow_name, option, value, mend))
    return value


def as_limits(flow_name: str, option: str, value: Any) -> dict[str, int]:
    """Return how many task runs may run at once, by tag.

    Parameters
    ----------
    flow_name, option : str
        Whose, for the error.
    value : object
        What the user gave.

    Returns
    -------
    dict of str to int
        Without the tags that have no limit.

    Raises
    ------
    DefinitionError
        When a limit is less than 1.
    DefinitionTypeError
        When it is no mapping of tags to whole numbers.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(tag, str) for tag in value):
        mend = "give tags and numbers, as in tag_concurrency={'database': 2}."
        raise DefinitionTypeError(_text(flow_name, option, value, mend))
    checked = {tag: as_limit(flow_name, f"{option}[{tag!r}]", most) for tag, most in value.items()}
    return {tag: most for tag, most in checked.items() if most is not None}


def _text(flow_name: str, option: str, value: Any, mend: str) -> str:
    return f"Flow {flow_name!r} has {option}={shown(value)}; {mend}"
