"""The scheduler's ear: collects what attempts say and streams it to the drivers. Decides nothing.

A plain success writes its report into its task's metadata, which rides on Dask's own task-finished message;
all else comes as a message of its own, in order with what the worker says to the scheduler anyhow. Both
leave in one stream per flow run. Nothing goes through Dask's topics: they would keep the last thousand
reports of every run.
"""

from __future__ import annotations

import contextlib
import pickle
import time
from collections.abc import Sequence
from typing import Any, Final

from dask._task_spec import Task
from distributed.diagnostics.plugin import SchedulerPlugin

from prefectlite.worker.bundle import lose_bundle
from prefectlite.worker.entry import run_lost
from prefectlite.worker.marks import Marks
from prefectlite.worker.wire import BUNDLE, ERRED, MARK, PLAIN, SAY, Item

#: How long reports wait for company, in seconds; the first after a silence does not wait.
FLUSH_EVERY: Final = 0.005
#: How long they wait in a crowd, where each delivery costs more than what it carries.
FLUSH_CROWD_EVERY: Final = 0.025
#: How long they wait while what comes next was lowered ahead, so that the work does not wait for the driver.
FLUSH_AHEAD_EVERY: Final = 0.05
#: How many reports in one delivery make a crowd.
CROWD: Final = 8
#: How many reports leave at once at the latest.
FLUSH_AT: Final = 256
#: How Dask's names for the retirement of a worker begin (2024.12 to 2026.8). What such a worker had is not
#: suspicious to Dask, and is begun elsewhere while its thread there goes on.
RETIRED: Final = ("retire-workers", "worker-close-gracefully")


class Route:
    """The stream of one flow run.

    Parameters
    ----------
    name : str
        From ``wire.route_of``.
    client : str
        The identity of the driver's client.
    """

    __slots__ = ("client", "items", "name")

    def __init__(self, name: str, client: str) -> None:
        self.name = name
        self.client = client
        self.items: list[Item] = []


class ReportPlugin(SchedulerPlugin):  # type: ignore[misc, unused-ignore]
    """Stream reports of attempts to the clients that drive them."""

    name = MARK
    idempotent = True

    def __init__(self) -> None:
        self._routes: dict[str, Route] = {}
        self._scheduler: Any = None
        self._timer: Any = None
        self._last_flush = 0.0
        self._due = 0.0
        self._patience = FLUSH_EVERY
        self._shares_disk = False
        self._marks: dict[str, Marks] = {}

    def __reduce__(self) -> tuple[type[ReportPlugin], tuple[()]]:
        """Pickle as a plugin without routes."""
        return ReportPlugin, ()

    async def start(self, scheduler: Any) -> None:
        """Begin to listen.

        Parameters
        ----------
        scheduler : distributed.Scheduler
            Whom to listen to.
        """
        self._scheduler = scheduler
        scheduler.handlers["prefectlite_open"] = self.open
        scheduler.handlers["prefectlite_close"] = self.shut
        # This one outlives us: a worker's late message without a handler would cut the worker off.
        scheduler.stream_handlers[SAY] = self.say

    def open(self, client: str, route: str, shares_disk: bool = False) -> str:
        """Begin to stream a flow run's reports to a client.

        Parameters
        ----------
        client : str
            The client's identity.
        route : str
            From ``wire.route_of``.
        shares_disk : bool
            Whether all workers are on this machine, so that what they had begun can be read after their
            death.

        Returns
        -------
        str
            ``"taken"`` if another run streams there, else ``"open"``.
        """
        if route in self._routes:
            return "taken"
        self._routes[route] = Route(route, client)
        if shares_disk and not self._shares_disk:
            self._shares_disk = True
            for worker in self._scheduler.workers:
                self.add_worker(self._scheduler, worker)
        if self.name not in self._scheduler.plugins:
            self._scheduler.add_plugin(self, name=self.name)
        return "open"

    def shut(self, route: str) -> None:
        """End a flow run's stream; without streams, stop looking at the scheduler's transitions.

        Parameters
        ----------
        route : str
            As it was opened.
        """
        self._routes.pop(route, None)
        if not self._routes and self._scheduler.plugins.get(self.name) is self:
            self._scheduler.remove_plugin(name=self.name)

    def transition(
        self, key: Any, start: str, finish: str, *args: Any, stimulus_id: str = "", **facts: Any
    ) -> None:
        """Look at a transition; called for all tasks of all users, so it is short.

        Parameters
        ----------
        key : tuple or str
            Whose.
        start, finish : str
            From what to what.
        *args : object
            Not read.
        stimulus_id : str
            Dask's name for what brought it about.
        **facts : object
            What came with it; of these, ``metadata`` and ``worker`` are read.
        """
        if finish == "memory":
            metadata = facts.get("metadata")
            if metadata and (said := metadata.get(MARK)) is not None:
                self._take(key, facts.get("worker", ""), said)
        elif type(key) is not tuple or type(key[0]) is not str:
            return
        elif finish == "released":
            if (start == "processing" or start == "memory") and key[0][-8:] in self._routes:
                self._seal(key, start, stimulus_id)
        elif finish == "erred" and start == "processing":
            route = self._routes.get(key[0][-8:])
            # A held attempt has said why; the others have nobody else to speak for them.
            if route is not None and facts.get("exception_text") != "Hold()":
                self._post(route, [(ERRED, key)])

    def _seal(self, key: Any, start: str, stimulus: str) -> None:
        """Keep a body from running twice under one attempt, whatever Dask would do to make up for a loss."""
        task = self._scheduler.tasks.get(key)
        if task is None or len(key) < 5 or not key[4]:
            return  # shared constants may be made again
        if start == "memory":
            # Let go by whoever held it, as values are; or lost, and still wanted.
            if task.who_wants or task.waiters:
                self._replace(
                    task, "result-lost", "The worker that held the result ended before its last reader."
                )
        elif task.suspicious or stimulus.startswith(RETIRED):
            # "Suspicious" is Dask's own word for a task whose worker ended while it had it.
            if self._marks and not any(self._has_begun(one) for one in _attempts(task)):
                task.suspicious = 0  # it had not begun, so it may begin elsewhere
            elif not task.suspicious:
                self._replace(
                    task,
                    "worker-lost",
                    "The worker that had the attempt was retired (by an adaptive cluster, a scale-down, or "
                    "somebody's hand) before the attempt ended.",
                )
            else:
                self._replace(
                    task,
                    "worker-lost",
                    "The worker process that had the attempt ended: a body ended it (os._exit, a crash in "
                    "C code), the system did (memory ran out), or its machine is gone.",
                )

    def _has_begun(self, key: Any) -> bool:
        return any(key in marks for marks in self._marks.values())

    def _replace(self, task: Any, cause: str, text: str) -> None:
        spec = task.run_spec
        if type(spec) is Task and (spec.func is run_lost or spec.func is lose_bundle):
            return
        if len(task.key) == 5:
            task.run_spec = Task(task.key, run_lost, cause, text, time.time())
            return
        begun = [
            slot
            for slot, one in enumerate(_attempts(task))
            if cause == "result-lost" or not self._marks or self._has_begun(one)
        ]
        task.run_spec = Task(task.key, lose_bundle, cause, text, time.time(), spec.args[2], tuple(begun))

    def add_worker(self, scheduler: Any, worker: str) -> None:
        """Provide a new worker with a place for its marks, if they can be read here.

        Parameters
        ----------
        scheduler : distributed.Scheduler
            Who knows the worker.
        worker : str
            The worker's address.
        """
        if self._shares_disk and worker not in self._marks:
            with contextlib.suppress(OSError):
                self._marks[worker] = Marks(scheduler.workers[worker].local_directory, create=True)

    def _take(self, key: Any, worker: str, said: Any) -> None:
        task = self._scheduler.tasks.get(key)
        if task is not None and task.metadata:
            # The scheduler would keep it, results that ride along included, as long as the value lives.
            task.metadata.pop(MARK, None)
        route = self._routes.get(key[0][-8:])
        if route is not None:
            # The driver has nothing to add where a reader is waiting for the value already.
            is_urgent = task is None or not task.dependents
            if isinstance(said[0], float):  # a plain success: its time
                self._post(route, [(PLAIN, key, worker, said)], is_urgent)
            else:
                self._post(route, [said], is_urgent or said[0] != BUNDLE)

    def say(self, route: str, items: Sequence[Item], worker: str = "", **_: Any) -> None:
        """Pass on what a worker says.

        Parameters
        ----------
        route : str
            For which flow run.
        items : sequence of tuple
            What to pass on, in order.
        worker : str
            Who says it.
        """
        found = self._routes.get(route)
        if found is not None:
            self._post(found, items)

    def remove_client(self, scheduler: Any, client: str) -> None:
        """Forget the streams of a client that went away.

        Parameters
        ----------
        scheduler : distributed.Scheduler
            Not read.
        client : str
            The client's identity.
        """
        for route in [name for name, found in self._routes.items() if found.client == client]:
            self.shut(route)

    def _post(self, route: Route, items: Sequence[Item], is_urgent: bool = True) -> None:
        route.items.extend(items)
        if len(route.items) >= FLUSH_AT:
            self._send(route)
            return
        due = self._last_flush + (self._patience if is_urgent else FLUSH_AHEAD_EVERY)
        if self._timer is not None:
            if due >= self._due:
                return
            self._timer.cancel()
        loop = self._scheduler.loop.asyncio_loop
        self._due = due
        self._timer = loop.call_later(max(due - loop.time(), 0.0), self._flush)

    def _flush(self) -> None:
        self._timer = None
        self._last_flush = self._scheduler.loop.asyncio_loop.time()
        count = 0
        for route in self._routes.values():
            if route.items:
                count += len(route.items)
                self._send(route)
        self._patience = FLUSH_CROWD_EVERY if count >= CROWD else FLUSH_EVERY

    def _send(self, route: Route) -> None:
        items, route.items = route.items, []
        event = (0.0, (route.name, items))
        self._scheduler.report({"op": "event", "topic": MARK, "event": event}, client=route.client)


def _attempts(task: Any) -> list[Any]:
    """Return the data keys of the attempts that a Dask task of ours stands for."""
    if len(task.key) == 5:
        return [task.key]
    # Ours alone: keys, places, and the user's things as bytes.
    return [key for key, _, _ in pickle.loads(task.run_spec.args[2])]
