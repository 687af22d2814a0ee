"""What a place to run must offer the driver. Knows events and shipments; knows no particular place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

from prefectlite.engine.events import Event
from prefectlite.lowering.lower import Lowered
from prefectlite.worker.logs import LogLine

#: Takes events (or log lines) from any thread.
Deliver: TypeAlias = Callable[[Sequence[Event]], None]
DeliverLogs: TypeAlias = Callable[[Sequence[LogLine]], None]
#: A run's number and the number of the graph that it travelled in.
Parcel: TypeAlias = tuple[int, int]
#: The same for runs that stand side by side: the first, the submission of all, how many.
Span: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class RunBrief:
    """What a place must know of a flow run before it starts.

    Parameters
    ----------
    run_id : str
        The flow run's identity, 32 hexadecimal digits.
    flow_name : str
        The flow's name.
    log_level : int
        The lowest level of log records that travel to the driver.
    """

    run_id: str
    flow_name: str
    log_level: int = 20


class Session(Protocol):
    """One flow run at one place.

    It may have ``leaves_behind`` as well: what the states of attempts that were in flight say when the run is
    cancelled, where their bodies may run on.
    """

    #: Whether tasks and arguments must be pickled to get there.
    pickles: bool

    @property
    def dashboard_link(self) -> str | None:
        """The address of the place's own page, once it is known."""
        ...

    @property
    def description(self) -> str:
        """Where the work runs, in a few words (``"LocalCluster, 2 workers"``)."""
        ...

    def submit(self, lowered: Lowered) -> None:
        """Send a turn's shipments; returns before they have run.

        Parameters
        ----------
        lowered : Lowered
            Shipments and shared literals of one turn of the loop.
        """
        ...

    def work(self, budget: float) -> bool:
        """Run queued attempts in this thread for about ``budget`` seconds, where the place is this process.

        Parameters
        ----------
        budget : float
            Seconds.

        Returns
        -------
        bool
            Whether anything ran; places elsewhere return False at once.
        """
        ...

    def waiting_for(self, run: int) -> str:
        """Return what a task run in flight waits for in its place.

        Parameters
        ----------
        run : int
            Its number.

        Returns
        -------
        str
            In words; empty when it waits for nothing known.
        """
        ...

    def room(self) -> int:
        """Return how many task runs may be in flight here at once, as things stand."""
        ...

    def release(self, spans: Sequence[Span]) -> None:
        """Let go of submissions that nobody needs any more.

        Parameters
        ----------
        spans : sequence of (int, int, int)
            First run, submission, count.
        """
        ...

    def cancel(self, why: str) -> None:
        """Stop everything in flight; running bodies are interrupted where that is possible.

        Parameters
        ----------
        why : str
            For logs.
        """
        ...

    def stop_released(self) -> None:
        """Interrupt bodies that run for submissions that were let go of; the place stays usable."""
        ...

    def hold(self) -> None:
        """Begin no further body in the driver's thread until the driver has read what was asked of it."""
        ...

    def interrupt(self) -> None:
        """Interrupt the body that runs in the driver's own thread, if one does (called by Ctrl-C)."""
        ...

    def interrupt_again(self) -> None:
        """Do so once more, if that body runs on: Python lost what ``interrupt`` raised."""
        ...

    def fetch(self, run: int, submission: int) -> Any:
        """Return the value of a finished submission; callable from any thread, also after ``close``.

        Parameters
        ----------
        run, submission : int
            Which.

        Returns
        -------
        object
            The value.

        Raises
        ------
        ResultUnavailable
            When it is gone; the text says when, why, and what to set to keep it.
        """
        ...

    def close(self, keep: Sequence[Span]) -> None:
        """End the session: what it started is stopped, what it did not start is left as it was.

        Parameters
        ----------
        keep : sequence of (int, int, int)
            First run, submission and count of values that must stay readable by ``fetch`` until ``drop``.
        """
        ...

    def drop(self) -> None:
        """Let go of the kept values: nobody holds the flow run's state any more."""
        ...


@runtime_checkable
class Executor(Protocol):
    """A place where flows can run; may be used for many runs, also at once."""

    def open(self, brief: RunBrief, deliver: Deliver, deliver_logs: DeliverLogs) -> Session:
        """Begin a session; returns soon, whatever has to start goes on meanwhile.

        Parameters
        ----------
        brief : RunBrief
            The flow run.
        deliver : callable
            Takes sequences of events, from any thread.
        deliver_logs : callable
            Takes sequences of log lines, from any thread.

        Returns
        -------
        Session
            Where to submit.

        Raises
        ------
        ExecutorError
            When the place cannot be reached; the text names the address and the mend.
        """
        ...
