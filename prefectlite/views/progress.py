"""Watches a flow run and shows how far it is, from a thread of its own. Knows no terminal, only a display."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType, TracebackType
from typing import Any, Final, Protocol, Self

from prefectlite.engine.transitions import Transition
from prefectlite.states.state import State
from prefectlite.views.logs import LoggedLine
from prefectlite.views.summary import Summary, summarize, tasks_of

_PERIOD: Final = 0.2  # seconds between two looks; what the loop pays does not depend on it


class WatchedRun(Protocol):
    """What progress asks of the flow run that it watches."""

    @property
    def flow_name(self) -> str:
        """The flow's name."""
        ...

    @property
    def slugs(self) -> Mapping[Any, str]:
        """The slug of each task."""
        ...

    @property
    def description(self) -> str:
        """Where the work runs, in a few words."""
        ...

    @property
    def dashboard_link(self) -> str | None:
        """The address of the Dask dashboard while it lives."""
        ...


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How far a flow run is at one moment.

    Parameters
    ----------
    flow : str
        The flow's name.
    elapsed : float
        Seconds since the run began.
    counts : mapping of str to int
        Task runs by the class of their state.
    where : str
        Where the work runs; empty while that is not known.
    dashboard_link : str or None
        The address of the Dask dashboard while it lives.
    """

    flow: str
    elapsed: float
    counts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    where: str = ""
    dashboard_link: str | None = None


class Display(Protocol):
    """A place where progress shows; called by one thread at a time."""

    def begin(self, now: Snapshot) -> None:
        """Show that the run begins, as ``now`` says."""
        ...

    def show(self, now: Snapshot) -> None:
        """Show how far it is ``now``; called a few times a second."""
        ...

    def write(self, lines: Sequence[LoggedLine]) -> None:
        """Show the ``lines`` that task bodies logged and printed."""
        ...

    def end(self, summary: Summary) -> None:
        """Show the ``summary`` of what came of it."""
        ...

    def abandon(self) -> None:
        """Leave the place in order, whatever happened; called last, also after ``end``."""
        ...


class Progress:
    """An observer that shows how far a flow run is.

    The loop that it watches only pays for a copy of the counts each turn; everything else happens
    in a thread that looks five times a second. A display that breaks (a closed pipe, say) is left
    alone from then on: the run goes on.

    Parameters
    ----------
    display : Display
        Where to show it.
    clock : callable
        Seconds, of a clock that only goes forward.
    logs : bool
        Whether the lines show that task bodies log and print.
    """

    def __init__(
        self, display: Display, clock: Callable[[], float] = time.monotonic, *, logs: bool = True
    ) -> None:
        self._display: Display | None = display
        self._logs = logs
        self._clock = clock
        self._run: WatchedRun | None = None
        self._began = 0.0
        self._counts: Mapping[str, int] = {}
        self._lines: list[LoggedLine] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._drawing = threading.RLock()

    def started(self, run: WatchedRun) -> None:
        """Begin to show.

        Parameters
        ----------
        run : WatchedRun
            The flow run.
        """
        self._run = run
        self._began = self._clock()
        self._counts = {}
        self._begin(run)

    def turn(self, transitions: Iterable[Transition], counts: Mapping[str, int]) -> None:
        """Take note of the counts.

        Parameters
        ----------
        transitions : iterable of Transition
            Not looked at: what shows are counts.
        counts : mapping of str to int
            Task runs by the class of their state.
        """
        self._counts = dict(counts)

    def log(self, lines: Sequence[LoggedLine]) -> None:
        """Take note of log lines; they show at the next look, in order.

        Parameters
        ----------
        lines : sequence of LoggedLine
            What task bodies logged and printed.
        """
        if self._logs:
            with self._lock:
                self._lines.extend(lines)

    def ended(self, state: State) -> None:
        """Show what came of the run.

        Parameters
        ----------
        state : State
            The flow's final state; its result maps each task to its state.
        """
        self._halt()
        run = self._run
        if run is None:
            return
        self._flush()
        # What a short run came by since the last look, such as the place where it ran, shows too.
        self._show(self._snapshot(run))
        tasks = tasks_of(state, run.slugs)
        summary = summarize(run.flow_name, state, tasks, self._clock() - self._began)
        self._draw(lambda display: display.end(summary))

    def close(self) -> None:
        """Stop showing and leave the display in order; a second call does nothing."""
        self._halt()
        if self._run is not None:
            self._run = None
            self._flush()
            self._draw(lambda display: display.abandon())

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Show nothing inside a block, in which the terminal belongs to somebody else.

        Yields
        ------
        None
            Nothing.
        """
        self._halt()
        self._flush()
        self._draw(lambda display: display.abandon())
        try:
            yield
        finally:
            if self._run is not None:
                self._begin(self._run)

    def _begin(self, run: WatchedRun) -> None:
        now = self._snapshot(run)
        self._draw(lambda display: display.begin(now))
        self._stop.clear()
        thread = threading.Thread(target=self._watch, args=(run,), name="prefectlite-progress", daemon=True)
        # Ctrl-C may come between any two lines here: what is joined later must have been started.
        thread.start()
        self._thread = thread

    def _watch(self, run: WatchedRun) -> None:
        while not self._stop.wait(_PERIOD):
            with self._drawing:
                if not self._stop.is_set():
                    self._flush()
                    self._show(self._snapshot(run))

    def _show(self, now: Snapshot) -> None:
        self._draw(lambda display: display.show(now))

    def _flush(self) -> None:
        with self._lock:
            lines, self._lines = self._lines, []
        if lines:
            self._draw(lambda display: display.write(lines))

    def _draw(self, draw: Callable[[Display], None]) -> None:
        with self._drawing:
            if self._display is None:
                return
            try:
                draw(self._display)
            except (OSError, ValueError):  # the stream is gone or closed
                self._display = None

    def _halt(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _snapshot(self, run: WatchedRun) -> Snapshot:
        return Snapshot(
            run.flow_name, self._clock() - self._began, self._counts, run.description, run.dashboard_link
        )
