"""Executors with ``start``, ``submit`` and ``wait``, as Prefect 1 had them. Knows what they look like."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, TypeAlias, runtime_checkable

from prefectlite.executors.errands import ErrandSession
from prefectlite.executors.protocol import Deliver, DeliverLogs, RunBrief
from prefectlite.executors.protocol import Executor as Place
from prefectlite.settings.loggers import ClassLogger


class Executor(ABC):
    """What an executor of one's own is made from: where functions run, and how one gets what they return.

    For each flow run, ``start`` is entered, ``submit`` is called for each attempt whose inputs are there,
    ``wait`` for what ``submit`` returned, and ``start`` is left; all in the thread that drives the flow run.
    The function and its argument can be pickled, and so can what it returns; where nobody pickles them,
    values stay what they are.
    """

    #: The logger of its class's own.
    logger = ClassLogger()

    @contextmanager
    def start(self) -> Iterator[None]:
        """Enter and leave what holds for a flow run; by default, nothing.

        Yields
        ------
        None
            When functions can be submitted. One that is called off raises a ``KeyboardInterrupt`` here.
        """
        yield

    @abstractmethod
    def submit(
        self,
        fn: Callable[..., Any],
        *args: Any,
        extra_context: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Have a function called, once.

        Parameters
        ----------
        fn : callable
            The function; it raises nothing, whatever the task's body does.
        *args : object
            Its arguments.
        extra_context : mapping or None
            ``task_name``, ``task_tags`` and, for a child of a map, ``task_index``.
        **kwargs : object
            Its arguments by name.

        Returns
        -------
        object
            What it returned, or what ``wait`` takes for it. One with ``add_done_callback``, or with ``done``,
            is waited for when it is done; others are in the order of their submission.
        """

    @abstractmethod
    def wait(self, futures: Any) -> Any:
        """Return what functions returned; blocks until they have.

        Parameters
        ----------
        futures : object
            A list of what ``submit`` returned.

        Returns
        -------
        object
            A list of what they returned, in the same order.
        """

    def __repr__(self) -> str:
        """Return its class."""
        return f"<Executor: {type(self).__name__}>"


@runtime_checkable
class Submitting(Protocol):
    """Whatever has the methods of ``prefectlite.executors.Executor``."""

    def start(self) -> AbstractContextManager[Any]:
        """Return what is entered for a flow run.

        Returns
        -------
        context manager
            It is left when the run is over.
        """
        ...

    def submit(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Have a function called.

        Parameters
        ----------
        fn : callable
            The function.
        *args, **kwargs : object
            Its arguments, and ``extra_context``.

        Returns
        -------
        object
            What ``wait`` takes.
        """
        ...

    def wait(self, futures: Any) -> Any:
        """Return what functions returned.

        Parameters
        ----------
        futures : object
            A list of what ``submit`` returned.

        Returns
        -------
        object
            A list, in the same order.
        """
        ...


#: Whatever a flow can be told to run on.
AnyExecutor: TypeAlias = Place | Submitting


class SubmittingPlace:
    """A place to run, behind an executor with ``start``, ``submit`` and ``wait``.

    Parameters
    ----------
    executor : Submitting
        The user's.
    """

    def __init__(self, executor: Submitting) -> None:
        self._executor = executor

    def open(self, brief: RunBrief, deliver: Deliver, deliver_logs: DeliverLogs) -> ErrandSession:
        """Begin a session; the executor is started when it has something to do.

        Parameters
        ----------
        brief : RunBrief
            The flow run.
        deliver : callable
            Takes sequences of events.
        deliver_logs : callable
            Takes sequences of log lines.

        Returns
        -------
        ErrandSession
            Where to submit.
        """
        return ErrandSession(self._executor, brief, deliver, deliver_logs)

    def __repr__(self) -> str:
        """Return what the executor says of itself."""
        return repr(self._executor)


def as_place(executor: object) -> Place | None:
    """Return where an executor of either kind runs flows.

    Parameters
    ----------
    executor : object
        What a user gave.

    Returns
    -------
    Executor or None
        None when it is no executor.
    """
    if isinstance(executor, type):
        return None
    if isinstance(executor, Place):
        return executor
    return SubmittingPlace(executor) if isinstance(executor, Submitting) else None
