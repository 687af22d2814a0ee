"""The states of task runs and flow runs: immutable values. Knows neither clock, I/O nor Dask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Self, Unpack

from prefectlite.moments import Moment
from prefectlite.states.arguments import counted, named, refused, told, zoned
from prefectlite.states.children import ChildStates
from prefectlite.states.holders import Holder, result_of
from prefectlite.states.surroundings import fact_here, moment_here
from prefectlite.states.value import NO_RESULT, OldOptions, StateValue


class State(StateValue):
    """What is known of a task run or flow run at one moment; an immutable value.

    A subclass that adds an attribute takes it as a keyword argument, lists it in ``extras`` and sets it with
    ``object.__setattr__``; it is then part of copies, equality, pickles and the JSON form.

    Parameters
    ----------
    message : str or None
        Why the run is in this state, in a sentence.
    result : object, optional
        The value that goes with the state: data for a success, the exception for a failure; a ``Result``
        around it, or a ``ResultRef`` that says where the value lies.
    context : mapping or None
        Free facts that travel with the state. What a task's code makes has the task's tags there, as a sorted
        list ``tags``, if it has any.

    Raises
    ------
    TypeError
        When ``context`` is no mapping, or another argument is nothing that the class takes.
    """

    __slots__ = ()
    #: Whether behind a state of the class stands a value of a body that readers take where it lies.
    gives_value: ClassVar[bool] = False

    def is_pending(self) -> bool:
        """Return whether the run waits to run."""
        return isinstance(self, Pending)

    def is_running(self) -> bool:
        """Return whether the run is in progress."""
        return isinstance(self, Running)

    def is_finished(self) -> bool:
        """Return whether the run has ended."""
        return isinstance(self, Finished)

    def is_scheduled(self) -> bool:
        """Return whether the run waits for a time."""
        return isinstance(self, Scheduled)

    def is_submitted(self) -> bool:
        """Return whether the run was handed over to be run; none is here, see ``Submitted``."""
        return False

    def is_queued(self) -> bool:
        """Return whether the run waits until there is room for it; none does here, see ``Queued``."""
        return False

    def is_meta_state(self) -> bool:
        """Return whether the state wraps another one; none of a run does here, see ``ClientFailed``."""
        return False

    def is_retrying(self) -> bool:
        """Return whether the run waits for its next attempt."""
        return isinstance(self, Retrying)

    def is_successful(self) -> bool:
        """Return whether the run ended well; a skipped, cached or mapped run counts."""
        return isinstance(self, Success)

    def is_skipped(self) -> bool:
        """Return whether the run was left out on purpose."""
        return isinstance(self, Skipped)

    def is_cached(self) -> bool:
        """Return whether the value came from an earlier run, or is kept for later ones."""
        return isinstance(self, Cached)

    def is_mapped(self) -> bool:
        """Return whether the run unfolded into children; it says nothing of their success."""
        return isinstance(self, Mapped)

    def is_failed(self) -> bool:
        """Return whether the run ended badly."""
        return isinstance(self, Failed)

    def is_crashed(self) -> bool:
        """Return whether infrastructure, not code, ended the run."""
        return isinstance(self, Crashed)

    def is_looped(self) -> bool:
        """Return whether one iteration is done and another follows."""
        return isinstance(self, Looped)

    def is_cancelled(self) -> bool:
        """Return whether the run was called off."""
        return isinstance(self, Cancelled)


class Pending(State):
    """The run waits for its turn."""

    __slots__ = ()
    color = "#7ebdff"


class Scheduled(Pending):
    """The run waits for a time.

    Parameters
    ----------
    message, result
        As for ``State``.
    start_time : datetime or None
        When the run may go on; a time without a zone is taken for UTC. None is now, but for a pause.
    context : mapping or None
        As for ``State``; what a task's code makes has its ``task_run_count`` in it, too.

    Raises
    ------
    TypeError
        When ``start_time`` is something else.
    """

    __slots__ = ("_start_time",)
    color = "#ffab00"
    extras: ClassVar[tuple[str, ...]] = ("start_time",)
    start_time = Moment()

    def __init__(
        self,
        message: str | None = None,
        result: Any = NO_RESULT,
        start_time: datetime | None = None,
        *,
        context: Mapping[str, Any] | None = None,
        **_others: Unpack[OldOptions],
    ) -> None:
        super().__init__(message, result, context, **_others)
        if start_time is None and not isinstance(self, Paused):
            start_time = moment_here()
        object.__setattr__(self, "start_time", zoned(type(self), start_time))

    @classmethod
    def _facts_here(cls) -> dict[str, Any]:
        count = fact_here("task_run_count")
        found = super()._facts_here()
        return found if count is None else {**found, "task_run_count": count}


class Paused(Scheduled):
    """The run waits for approval; with a ``start_time``, until then."""

    __slots__ = ()
    color = "#99a8e8"


class Resume(Scheduled):
    """The run was approved and may go on; its body finds ``context.resume``."""

    __slots__ = ()
    color = "#f58c0c"


class Retrying(Scheduled):
    """The run failed and will be tried again at ``start_time``.

    Parameters
    ----------
    message, result, start_time, context
        As for ``Scheduled``.
    run_count : int or None
        How many attempts have been made; None is that of the code that makes the state, else 1.

    Raises
    ------
    TypeError
        When ``start_time`` or ``run_count`` is something else.
    """

    __slots__ = ("run_count",)
    color = "#f66a0a"
    extras = ("start_time", "run_count")
    run_count: int

    def __init__(
        self,
        message: str | None = None,
        result: Any = NO_RESULT,
        start_time: datetime | None = None,
        *,
        context: Mapping[str, Any] | None = None,
        run_count: int | None = None,
        **_others: Unpack[OldOptions],
    ) -> None:
        super().__init__(message, result, start_time, context=context, **_others)
        if run_count is None:
            run_count = fact_here("task_run_count") or 1
        object.__setattr__(self, "run_count", counted(type(self), run_count, "run_count"))


# Not in meta.py with its kinds: ``State.children()`` has the order of definition, which is that of Prefect 1.
class _MetaState(State):
    """What somebody said of a run on its way to another state.

    Parameters
    ----------
    message, result
        As for ``State``.
    state : State or None
        The state that it wraps; of one that wraps another, that other one.
    context : mapping or None
        As for ``State``.

    Raises
    ------
    TypeError
        When ``state`` is something else.
    """

    __slots__ = ("state",)
    extras: ClassVar[tuple[str, ...]] = ("state",)
    state: State | None

    def __init__(
        self,
        message: str | None = None,
        result: Any = NO_RESULT,
        state: State | None = None,
        context: Mapping[str, Any] | None = None,
        **_others: Unpack[OldOptions],
    ) -> None:
        super().__init__(message, result, context, **_others)
        if not isinstance(state, State | None):
            raise refused(type(self), "state", state, "pass the state that it wraps.")
        object.__setattr__(self, "state", state.state if isinstance(state, _MetaState) else state)

    def is_meta_state(self) -> bool:
        """Return whether the state wraps another one: it does."""
        return True


class Running(State):
    """The run is in progress."""

    __slots__ = ()
    color = "#3d67ff"


class Cancelling(Running):
    """The run was called off and has not stopped yet."""

    __slots__ = ()
    color = "#E8E8E8"


class Finished(State):
    """The run has ended."""

    __slots__ = ()
    color = "#003ccb"


class Looped(Finished):
    """One iteration is done and another follows at once; never the last state of a run.

    Parameters
    ----------
    message, result
        As for ``State``.
    loop_count : int or None
        The iteration that ended, counted from 1; None is that of the code that makes the state, else 1.
    context : mapping or None
        As for ``State``.

    Raises
    ------
    TypeError
        When ``loop_count`` is something else.
    """

    __slots__ = ("loop_count",)
    color = "#003ccb"
    extras = ("loop_count",)
    loop_count: int

    def __init__(
        self,
        message: str | None = None,
        result: Any = NO_RESULT,
        loop_count: int | None = None,
        context: Mapping[str, Any] | None = None,
        **_others: Unpack[OldOptions],
    ) -> None:
        super().__init__(message, result, context, **_others)
        if loop_count is None:
            loop_count = fact_here("task_loop_count") or 1
        object.__setattr__(self, "loop_count", counted(type(self), loop_count, "loop_count"))


class Success(Finished):
    """The run ended well."""

    __slots__ = ()
    color = "#28a745"
    gives_value = True


class Cached(Success):
    """The value of an earlier run was used, or the value is kept for later ones (the message says which).

    Of inputs it keeps tokens, which are the same for equal values; of the flow's parameters, the values. A
    large one, or one of a class of yours, is kept by what stands in for it and equals it; so is a secret.

    Parameters
    ----------
    message, result, context
        As for ``State``.
    cached_result_expiration : datetime or None
        Until when the value may be used; None for ever.
    hashed_inputs : mapping of str to str, or None
        The tokens of the inputs, by name; an input that has none, and so never equals another, is not among
        them.
    cached_parameters : mapping of str to object, or None
        The values of the flow's parameters, by name.

    Raises
    ------
    TypeError
        When the expiration is no datetime, or tokens or values have no names.
    """

    __slots__ = ("_cached_result_expiration", "cached_parameters", "hashed_inputs")
    color = "#34d058"
    extras: ClassVar[tuple[str, ...]] = ("cached_result_expiration", "hashed_inputs", "cached_parameters")
    cached_result_expiration = Moment()
    hashed_inputs: Mapping[str, str]
    cached_parameters: Mapping[str, Any]

    def __init__(
        self,
        message: str | None = None,
        result: Any = NO_RESULT,
        context: Mapping[str, Any] | None = None,
        *,
        cached_result_expiration: datetime | None = None,
        hashed_inputs: Mapping[str, str] | None = None,
        cached_parameters: Mapping[str, Any] | None = None,
        **_others: Unpack[OldOptions],
    ) -> None:
        super().__init__(message, result, context, **_others)
        put, cls, until = object.__setattr__, type(self), cached_result_expiration
        put(self, "cached_result_expiration", zoned(cls, until, "cached_result_expiration"))
        put(self, "hashed_inputs", named(cls, hashed_inputs, "hashed_inputs"))
        put(self, "cached_parameters", named(cls, cached_parameters, "cached_parameters"))


class Mapped(Success):
    """The run unfolded into children.

    Parameters
    ----------
    message, result
        As for ``State``.
    map_states : iterable of State
        The states of the children, in index order.
    context : mapping or None
        As for ``State``.
    n_map_states : int or None
        How many children there are; by default, as many as ``map_states``.

    Raises
    ------
    TypeError
        When ``map_states`` is no list or holds something else, or the number is none.
    """

    __slots__ = ("map_states", "n_map_states")
    color = "#003ccb"
    gives_value = False
    extras = ("map_states", "n_map_states")
    map_states: ChildStates
    n_map_states: int

    def __init__(
        self,
        message: str | None = None,
        result: Any = NO_RESULT,
        map_states: Iterable[State] = (),
        context: Mapping[str, Any] | None = None,
        *,
        n_map_states: int | None = None,
        **_others: Unpack[OldOptions],
    ) -> None:
        super().__init__(message, result, context, **_others)
        cls: type[State] = type(self)
        if not isinstance(map_states, Iterable):
            raise refused(cls, "map_states", map_states, "pass a list of states.")
        states = ChildStates.of(map_states)
        given: Iterable[object] = () if states is map_states else states
        for one in given:
            if not isinstance(one, State):
                raise refused(cls, "one of map_states", one, "pass states only.")
        number = len(states) if n_map_states is None else counted(cls, n_map_states, "n_map_states")
        object.__setattr__(self, "map_states", states)
        object.__setattr__(self, "n_map_states", number)

    @property
    def result(self) -> Any:
        """The children's results in index order; a failed child gives its exception."""
        held: Any = super().result
        return [state.result for state in self.map_states] if held is None else held

    @property
    def _result(self) -> Holder:
        """The ``Result`` around the value, also around the list of the children's."""
        return super()._result if self.has_result else result_of(self)

    def load_result(self, result: Any = None) -> Self:
        """Return the state with its children's values fetched.

        Parameters
        ----------
        result : Result or None
            As of ``State.load_result``.

        Returns
        -------
        State
            A state whose children hold their values.
        """
        fetched = [one.load_result(result) for one in self.map_states]
        return super().load_result(result).replace(map_states=fetched, n_map_states=self.n_map_states)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some attributes changed.

        Parameters
        ----------
        **changes : object
            Constructor arguments and their new values; new ``map_states`` bring their own number.

        Returns
        -------
        State
            A state of the same class.
        """
        if "map_states" in changes:
            changes = {"n_map_states": None, **changes}
        return super().replace(**changes)


class Skipped(Success):
    """The run was left out on purpose."""

    __slots__ = ()
    color = "#62757f"
    gives_value = False


class Cancelled(Finished):
    """The run was called off; neither a success nor a failure."""

    __slots__ = ()
    color = "#bdbdbd"


class Failed(Finished):
    """The run ended badly.

    Parameters
    ----------
    message : str or None
        What went wrong.
    result : object
        The exception, or its stand-in if it could not travel.
    context : mapping or None
        As for ``State``.
    traceback : str or None
        The traceback as text, formatted where the exception was raised.

    Raises
    ------
    TypeError
        When ``traceback`` is something else.
    """

    __slots__ = ("traceback",)
    color = "#eb0000"
    extras: ClassVar[tuple[str, ...]] = ("traceback",)
    uncompared = frozenset({"traceback"})
    traceback: str | None

    def __init__(
        self,
        message: str | None = None,
        result: Any = NO_RESULT,
        context: Mapping[str, Any] | None = None,
        *,
        traceback: str | None = None,
        **_others: Unpack[OldOptions],
    ) -> None:
        super().__init__(message, result, context, **_others)
        object.__setattr__(self, "traceback", told(type(self), traceback, "traceback"))


class TimedOut(Failed):
    """The run was ended at its time limit."""

    __slots__ = ()
    color = "#ff4e33"


class TriggerFailed(Failed):
    """The run's trigger refused it."""

    __slots__ = ()
    color = "#ff5131"


class ValidationFailed(Failed):
    """The run's result was found to be wrong."""

    __slots__ = ()
    color = "#ff5131"


class Crashed(Failed):
    """Infrastructure ended the attempt: it left without a word.

    Parameters
    ----------
    message, result, context, traceback
        As for ``Failed``.
    cause : str
        ``"worker-lost"``, ``"result-lost"``, ``"out-of-memory"``, ``"exited"``,
        ``"input-unreachable"`` or another short name.

    Raises
    ------
    TypeError
        When ``traceback`` or ``cause`` is something else.
    """

    __slots__ = ("cause",)
    color = "#8b0000"
    extras = ("traceback", "cause")
    cause: str

    def __init__(
        self,
        message: str | None = None,
        result: Any = NO_RESULT,
        context: Mapping[str, Any] | None = None,
        *,
        traceback: str | None = None,
        cause: str = "worker-lost",
        **_others: Unpack[OldOptions],
    ) -> None:
        super().__init__(message, result, context, traceback=traceback, **_others)
        given: object = cause
        if not isinstance(given, str):
            raise refused(type(self), "cause", cause, 'pass a short name: "worker-lost".')
        object.__setattr__(self, "cause", cause)
