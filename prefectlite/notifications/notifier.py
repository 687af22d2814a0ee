"""What all notifiers have in common: when to tell, what to tell, and never to be in the way."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, Self, overload

from prefectlite.core.context import context
from prefectlite.core.task import Task
from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.masking import mask
from prefectlite.notifications.outbox import OUTBOX, Undelivered
from prefectlite.states.state import State


@dataclass(frozen=True, slots=True)
class Notice:
    """What is told of one transition.

    Parameters
    ----------
    flow : str or None
        The flow's name.
    flow_run_id : str or None
        The flow run's identity.
    task : str or None
        The task's name, with the index of a map's child; None for the flow itself.
    old_state, state : str
        The classes of the states, by name.
    message : str or None
        Why, in a sentence.
    color : str
        The state's color, ``"#rrggbb"``.
    time : str
        When, in UTC and ISO 8601.
    """

    flow: str | None
    flow_run_id: str | None
    task: str | None
    old_state: str
    state: str
    message: str | None
    color: str
    time: str

    @property
    def text(self) -> str:
        """The news in half a sentence."""
        if self.task is None:
            return f"Flow {self.flow} is {self.state}"
        return f"Task {self.task} of flow {self.flow} is {self.state}"

    def to_dict(self) -> dict[str, str | None]:
        """Return what is told, ready for JSON.

        Returns
        -------
        dict of str to str or None
            The fields by name.
        """
        return asdict(self)


@dataclass(frozen=True, kw_only=True, repr=False)
class Notifier:
    """A state handler that tells somebody; called with options, it gives one that has them.

    Parameters
    ----------
    ignore_states : iterable of type
        Classes of states that are not told, nor are those below them.
    only_states : iterable of type
        If any: the classes of the only states that are told, with those below them.
    timeout : float
        How long the other side may take to answer, in seconds.

    Raises
    ------
    DefinitionTypeError
        When something among the states is no class of states.
    DefinitionError
        When the timeout is not positive.
    """

    ignore_states: Iterable[type[State]] = ()
    only_states: Iterable[type[State]] = ()
    timeout: float = field(default=10.0)

    def __post_init__(self) -> None:
        """Check the options."""
        for name in ("ignore_states", "only_states"):
            object.__setattr__(self, name, _classes(getattr(self, name), f"{name} of {self}"))
        seconds: object = self.timeout
        if not (isinstance(seconds, int | float) and seconds > 0):
            raise DefinitionError(f"timeout of {self} is {self.timeout!r}; give seconds, more than zero.")

    def __repr__(self) -> str:
        """Return who it is, and no secret."""
        return self.label

    @property
    def label(self) -> str:
        """Who it is, and whom it tells as far as that is no secret."""
        return type(self).__name__

    @overload
    def __call__(self, tracked_obj: Any, old_state: State, new_state: State, /, **options: Any) -> State: ...

    @overload
    def __call__(self, /, **options: Any) -> Self: ...

    def __call__(self, /, *transition: Any, **options: Any) -> State | Self:
        """Tell of a transition, or return a notifier with other options.

        Parameters
        ----------
        *transition : object
            The task or flow, its old and its new state; or nothing.
        **options : object
            What shall be other than it is.

        Returns
        -------
        State or Notifier
            The new state as it was given, or the notifier.

        Raises
        ------
        DefinitionTypeError
            When there is no such option, or the call is neither of the two.
        """
        known = [one.name for one in fields(self)]
        if unknown := [name for name in options if name not in known]:
            raise DefinitionTypeError(f"{self} has no option {unknown[0]!r}; it has {', '.join(known)}.")
        chosen = replace(self, **options) if options else self
        if not transition:
            return chosen
        if len(transition) != 3:
            raise DefinitionTypeError(
                f"{self} was called with {len(transition)} arguments; a state handler takes three (the task "
                "or flow, its old and its new state), and options are given by name."
            )
        tracked, old, new = transition
        if chosen._tells(new):
            try:
                OUTBOX.put(chosen.label, chosen.letter(_notice(tracked, old, new)))
            except Undelivered as reason:
                OUTBOX.complain(chosen.label, str(reason))
            except Exception as error:  # a notifier fails no run, whatever a formatter of the user's does
                OUTBOX.complain(chosen.label, f"it raised {type(error).__name__}")
        return new  # type: ignore[no-any-return]

    def letter(self, notice: Notice) -> Callable[[], None]:
        """Return what sends a notice; it is called later, in another thread.

        Parameters
        ----------
        notice : Notice
            What to tell.

        Returns
        -------
        callable
            Sends it, or raises ``Undelivered`` with a reason that holds no secret.

        Raises
        ------
        NotImplementedError
            Here; a notifier says how it sends.
        """
        raise NotImplementedError(f"{type(self).__name__} has no letter(notice); write it.")

    def _tells(self, state: State) -> bool:
        only, ignore = tuple(self.only_states), tuple(self.ignore_states)
        return not isinstance(state, ignore) and (not only or isinstance(state, only))


def secret(given: Any, name: str, owner: str) -> str:
    """Return a secret: as it was given, or by its name from the context's ``secrets`` or the environment.

    Parameters
    ----------
    given : str, pydantic.SecretStr or None
        What the user gave.
    name : str
        What it is called.
    owner : str
        Who needs it, for the error.

    Returns
    -------
    str
        The secret.

    Raises
    ------
    Undelivered
        When there is none.
    """
    if given is None:
        given = (context.get("secrets") or {}).get(name) or os.environ.get(name)
    if given is None:
        raise Undelivered(
            f"{owner} is not known; set the environment variable {name}, or give it as an option"
        )
    return plain(given)


def plain(given: Any) -> str:
    """Return a secret as it is sent.

    Parameters
    ----------
    given : str or pydantic.SecretStr
        What hides it, or does not.

    Returns
    -------
    str
        Never to be shown.
    """
    return str(given.get_secret_value() if hasattr(given, "get_secret_value") else given)


def _notice(tracked: Any, old: State, new: State) -> Notice:
    name = str(tracked.name)
    is_task = isinstance(tracked, Task)
    return Notice(
        flow=context.get("flow_name", None if is_task else name),
        flow_run_id=context.get("flow_run_id"),
        task=context.get("task_full_name", name) if is_task else None,
        old_state=type(old).__name__,
        state=type(new).__name__,
        message=new.message and mask(new.message),
        color=new.color,
        time=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )


def _classes(given: Any, owner: str) -> tuple[type[State], ...]:
    listed = given if isinstance(given, Iterable) else (given,)
    found = tuple(() if given is None else listed)
    for one in found:
        if not (isinstance(one, type) and issubclass(one, State)):
            raise DefinitionTypeError(
                f"{owner} holds {one!r}, which is no class of states; write [states.Failed]."
            )
    return found
