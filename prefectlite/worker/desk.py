"""The attempts that a Dask worker runs now: heard while they run, interrupted when called off."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from prefectlite.lowering.keys import BundleKey, DataKey
from prefectlite.lowering.wrappers import Packed, Slots
from prefectlite.worker.active import Active
from prefectlite.worker.apart import perform_apart
from prefectlite.worker.here import Here, Interruption
from prefectlite.worker.ledger import Ledger
from prefectlite.worker.logs import installation
from prefectlite.worker.marks import FILE_NAME, Marks
from prefectlite.worker.opened import open_flow
from prefectlite.worker.timers import EVERY, look_after
from prefectlite.worker.wire import EARLY, MARK, SAY, Item, encode_logs, is_of

#: How often to look for long attempts, in seconds.
TICK: Final = 0.1
#: After so many seconds without an attempt, nothing of ours listens on a worker.
REST: Final = 5.0
#: How many reports that were no plain success a worker can tell again.
MEMORY: Final = 1000


class Desk:
    """What one Dask worker does for us.

    Parameters
    ----------
    worker : distributed.Worker
        The worker.
    """

    def __init__(self, worker: Any) -> None:
        self._worker = weakref.proxy(worker)
        self.address: str = worker.address
        self._active: dict[int, Active] = {}
        self._said: OrderedDict[DataKey | BundleKey, Item] = OrderedDict()
        # Flow runs of which nothing begins here any more, and of others, Dask tasks that don't.
        self._called_off: OrderedDict[str, None] = OrderedDict()
        self._dropped: set[DataKey | BundleKey] = set()
        self._levels: set[int] = set()
        self._lock = threading.Lock()
        self._is_awake = False
        self._keeps_time = False
        self._last = 0.0
        self._directory: str = worker.local_directory
        self._file = Path(self._directory) / FILE_NAME
        self._marks: Marks | None = None
        worker.handlers[EARLY] = self.hand_over

    def begin(self, key: DataKey | BundleKey, by_topic: bool, ledger: Ledger | None = None) -> Active:
        """Take note of an attempt, or of a bundle, that begins in this thread.

        Parameters
        ----------
        key : tuple
            Its data key.
        by_topic : bool
            Whether what it says goes through a Dask topic.
        ledger : Ledger or None
            What becomes of a bundle's attempts.

        Returns
        -------
        Active
            It, while it runs.

        Raises
        ------
        Interruption
            When it was called off before it began, or this worker was taken for dead, so that it must begin
            nothing more.
        """
        marks, begun = self._find_marks(), None
        if marks is not None:
            begun = marks.begin(key, 1 if ledger is None else len(ledger.names))
            if marks.is_stopped():
                raise Interruption
        active = Active(key, by_topic, begun, ledger)
        self._active[active.thread] = active
        # Asked only now: who calls off later finds it among those that run.
        if active.route in self._called_off or key in self._dropped:
            self.end(active)
            raise Interruption
        self._last = active.since
        if not self._is_awake:
            self._rouse()
        return active

    def end(self, active: Active) -> None:
        """Take note that it ended.

        Parameters
        ----------
        active : Active
            The attempt.
        """
        self._active.pop(active.thread, None)
        if active.begun is not None and self._marks is not None:
            self._marks.end(active.begun)

    def _find_marks(self) -> Marks | None:
        # A file that comes later counts from then on; without one, nobody could read it after our death.
        if self._marks is None and self._file.exists():
            with self._lock, contextlib.suppress(OSError):
                # Two writers would each hand out the same places, and a death be read as another's success.
                if self._marks is None:
                    self._marks = Marks(self._directory)
        return self._marks

    @property
    def stop_word(self) -> memoryview[int]:
        """Is not zero at its only place once this worker was taken for dead, and must begin nothing more."""
        return _NEVER if self._marks is None else self._marks.word

    def here(self, active: Active) -> Here:
        """Return where an attempt runs.

        Parameters
        ----------
        active : Active
            The attempt.

        Returns
        -------
        Here
            This worker, with a way for its log lines.
        """
        # Nothing but that of the attempt: a timer that a body has set off keeps what is around that.
        route, by_topic = active.route, active.by_topic
        return Here(
            self.address,
            True,
            lambda lines: self.say(route, by_topic, encode_logs(lines)),
            perform_apart,
            is_given_up=self.is_given_up,
        )

    def is_given_up(self) -> bool:
        """Return whether nobody can hear of what ends here: another worker may have done it meanwhile.

        Returns
        -------
        bool
            As far as this worker has been told: one that is cut off does not know.
        """
        try:
            return self.stop_word[0] != 0 or self._worker.status.name in _ENDED
        except ReferenceError:
            return True

    def capture(self, flow: bytes | Packed) -> None:
        """Listen to log records from the level on that a flow run wants.

        Parameters
        ----------
        flow : bytes or Packed
            The flow run's facts.
        """
        try:
            level = open_flow(flow).facts.log_level
        except Exception:
            return  # the attempt itself will say so
        with self._lock:
            if level not in self._levels:
                installation.acquire(level)
                self._levels.add(level)

    def say(self, route: str, by_topic: bool, item: Item) -> None:
        """Send something to the driver; callable from any thread.

        Parameters
        ----------
        route : str
            Of which flow run it is.
        by_topic : bool
            Whether it goes through a Dask topic.
        item : tuple
            What.
        """
        # What is said by an attempt's thread gets onto the stream to the scheduler before Dask's own word
        # of its end.
        self._worker.loop.add_callback(self._send, route, by_topic, [item])

    def remember(self, key: DataKey | BundleKey, item: Item) -> None:
        """Keep for a while what an attempt said that left no value behind.

        Parameters
        ----------
        key : tuple
            Its data key.
        item : tuple
            What it said.
        """
        with self._lock:
            self._said[key] = item
            if len(self._said) > MEMORY:
                self._said.popitem(last=False)

    def recall(self, key: DataKey | BundleKey) -> Item | None:
        """Return what an attempt said, if it is still known.

        Parameters
        ----------
        key : tuple
            Its data key.

        Returns
        -------
        tuple or None
            What was remembered.
        """
        return self._said.get(key)

    def hand_over(self, key: Any, name: Any, slots: Sequence[int]) -> int | None:
        """Take what a bundle has made into this worker's memory while it goes on; called in its loop.

        Parameters
        ----------
        key : tuple
            The bundle.
        name : tuple
            Under which name.
        slots : sequence of int
            Which of it; they have ended.

        Returns
        -------
        int or None
            Its bytes, as Dask counts them; None when the bundle has ended.
        """
        key, name = tuple(key), tuple(name)
        ledger = next((one.ledger for one in list(self._active.values()) if one.key == key), None)
        if ledger is None:
            return None
        wrappers: list[Any] = [None] * len(ledger.names)
        for slot in slots:
            wrappers[slot] = ledger.wrappers[slot]
        taken = self._worker.update_data(data={name: Slots(wrappers)}, stimulus_id=f"{name}-{time.time()}")
        return int(taken["nbytes"][name])

    def interrupt(
        self,
        route: str,
        wanted: Container[DataKey | BundleKey] | None = None,
        dropped: Iterable[DataKey | BundleKey] = (),
    ) -> int:
        """Interrupt the bodies of a flow run, and begin none that waits here; called in the worker's loop.

        Those that are interrupted make room for what waits, and Dask's word that nobody wants it any more may
        come later.

        Parameters
        ----------
        route : str
            Which flow run.
        wanted : container of tuple or None
            The Dask tasks that go on; None calls off the flow run, so that nothing that is sent later begins
            either.
        dropped : iterable of tuple
            Those that do not; the scheduler, which has not heard of it, may send some only now.

        Returns
        -------
        int
            How many.
        """
        if wanted is None:
            self._called_off[route] = None
            if len(self._called_off) > MEMORY:
                self._called_off.popitem(last=False)
        else:
            tasks = self._worker.state.tasks
            self._dropped = {key for key in self._dropped if key in tasks}
            self._dropped.update(dropped)
            self._dropped.update(
                key
                for key, one in tasks.items()
                if is_of(key, route)
                and key not in wanted
                and one.run_spec is not None
                and one.state != "memory"
            )
        return sum(
            active.interrupt()
            for active in list(self._active.values())
            if active.route == route and active.key not in (wanted or ())
        )

    def rest(self) -> None:
        """Stop listening to log records until the next attempt, unless one runs."""
        with self._lock:
            if self._active:
                return
            for level in self._levels:
                installation.release(level)
            self._levels.clear()

    def _send(self, route: str, by_topic: bool, items: Sequence[Item]) -> None:
        if by_topic:
            self._worker.log_event(MARK, (route, items))
        else:
            self._worker.batched_send({"op": SAY, "route": route, "items": items})

    def _rouse(self) -> None:
        with self._lock:
            if self._is_awake:
                return
            self._is_awake = True
        self._worker.loop.add_callback(self._wake)

    def _wake(self) -> None:
        self._worker.loop.call_later(TICK, self._tick)
        if not self._keeps_time:
            self._keep_time()

    def _keep_time(self) -> None:
        """Look after the worker's timers as long as it has anything that somebody waits for."""
        with contextlib.suppress(ReferenceError):  # the worker is gone
            look_after(self._worker.periodic_callbacks.values())
            self._keeps_time = self._is_awake or bool(self._worker.state.tasks)
            if self._keeps_time:
                self._worker.loop.call_later(EVERY, self._keep_time)

    def _tick(self) -> None:
        try:
            now, wall = time.monotonic(), time.time()
            for active in list(self._active.values()):
                items = list(active.news(now, wall, self.address)) if active.is_open else []
                if items:
                    self._send(active.route, active.by_topic, items)
            if self._active:
                self._last = now
            if now - self._last < REST:
                self._worker.loop.call_later(TICK, self._tick)
                return
            self._is_awake = False
            if self._active:
                self._rouse()  # what began just now took this for awake
                return
            self.rest()
        except ReferenceError:
            pass  # the worker is gone


#: What Dask calls a worker that has lost its scheduler, or was told to end.
_ENDED: Final = frozenset({"closing", "closed", "failed"})
_NEVER: Final = memoryview(bytes(4)).cast("i")

_desks: weakref.WeakKeyDictionary[Any, Desk] = weakref.WeakKeyDictionary()
_making = threading.Lock()


def desk_of(worker: Any) -> Desk:
    """Return a worker's desk; it is made at the first call.

    Parameters
    ----------
    worker : distributed.Worker
        The worker.

    Returns
    -------
    Desk
        The only one.
    """
    desk = _desks.get(worker)
    if desk is None:
        with _making:
            desk = _desks.get(worker)
            if desk is None:
                desk = _desks[worker] = Desk(worker)
                # A worker that is gone before it had its rest must not leave its logging behind.
                weakref.finalize(worker, desk.rest)
                logging.getLogger("distributed.worker").addFilter(_is_news)
    return desk


def _is_news(record: logging.LogRecord) -> bool:
    # Dask logs each task that raises as an error. A hold is how an attempt says that it was no plain success;
    # its own report tells why, in words that a user understands.
    arguments = record.args if isinstance(record.args, tuple) else ()
    return "Hold()" not in arguments


def rest_all() -> None:
    """Stop listening to log records on all workers of this process, now instead of after a while."""
    for desk in list(_desks.values()):
        desk.rest()
