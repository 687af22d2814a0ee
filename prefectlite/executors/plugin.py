"""The scheduler's ear: collects what attempts say and streams it to the drivers. Decides nothing.

A plain success writes its report into its task's metadata, which rides on Dask's own task-finished message;
all else comes as a message of its own, in order with what the worker says to the scheduler anyhow. Both
leave in one stream per flow run. Nothing goes through Dask's topics: they would keep the last thousand
reports of every run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

from distributed.diagnostics.plugin import SchedulerPlugin

from prefectlite.executors.early import Hatch
from prefectlite.executors.restrictions import is_restricted, restrictions_of
from prefectlite.executors.retiring import BY_ITSELF
from prefectlite.executors.seals import Seals
from prefectlite.executors.sharing import Sharing
from prefectlite.executors.stalls import look_for_stalls
from prefectlite.executors.streams import Route, Streams
from prefectlite.executors.verdicts import Verdicts
from prefectlite.worker.timers import look_after
from prefectlite.worker.wire import BUNDLE, EARLY, ERRED, MARK, PLAIN, SAY, UNPLACED, WORKER, Item, is_of

#: Over how many bytes a value that waits for a report to be let go of is worth a hurry.
LARGE: Final = 1024 * 1024
#: So many of what a task reads are looked at.
LOOK_AT: Final = 16


class ReportPlugin(SchedulerPlugin):  # type: ignore[misc, unused-ignore]
    """Stream reports of attempts to the clients that drive them."""

    name = MARK
    idempotent = True

    def __init__(self) -> None:
        self._routes: dict[str, Route] = {}
        self._scheduler: Any = None
        self._shares_disk = False
        self._streams: Streams
        self.seals: Seals
        self._verdicts: Verdicts
        self._sharing: Sharing

    def __reduce__(self) -> tuple[type[ReportPlugin], tuple[()]]:
        """Pickle as a plugin without routes."""
        return ReportPlugin, ()

    async def start(self, scheduler: Any) -> None:
        """Begin to listen, in the place of the one before with all that it knows, if there was one.

        Parameters
        ----------
        scheduler : distributed.Scheduler
            Whom to listen to.
        """
        before = getattr(scheduler.handlers.get("prefectlite_open"), "__self__", None)
        if isinstance(before, ReportPlugin):
            # It seals what earlier runs keep, and Dask never lets go of what has handled a message.
            self.__dict__ = before.__dict__
        else:
            self._scheduler = scheduler
            self._streams = Streams(scheduler, self._routes)
            self.seals = Seals(scheduler, self.is_ours, self._ask_back)
            self._verdicts = Verdicts(scheduler, self.seals.exits, self.say)
            self._sharing = Sharing(scheduler, self.is_ours)
        scheduler.handlers["prefectlite_open"] = self._open_ready
        scheduler.handlers["prefectlite_close"] = self.end
        scheduler.handlers["prefectlite_recall"] = self.recall
        scheduler.handlers["prefectlite_relieve"] = self.relieve
        scheduler.handlers[EARLY] = Hatch(scheduler).hand_over
        scheduler.handlers["prefectlite_stalls"] = self.stalls
        scheduler.handlers["prefectlite_ttl"] = lambda: scheduler.worker_ttl
        scheduler.handlers["prefectlite_workers"] = lambda: {
            address: worker.server_id for address, worker in scheduler.workers.items()
        }
        scheduler.handlers["retire_workers"] = self._retire
        scheduler.handlers["prefectlite_exited"] = self.seals.exits.note
        scheduler.handlers["prefectlite_exit_of"] = self.seals.exits.of
        # Torn down when the scheduler ends, when this plugin may have been taken out.
        scheduler.extensions[MARK] = self.seals.relics
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
            Whether workers of the scheduler's machine get a place where they note what they begin, so that
            it can be read after their death.

        Returns
        -------
        str
            ``"taken"`` if another run streams there, else ``"open"``.
        """
        if route in self._routes:
            return "taken"
        self._routes[route] = Route(route, client, shares_disk)
        if shares_disk:
            self._shares_disk = True
            self.seals.relics.keep_only(self._scheduler.workers)  # some may have gone while nobody listened
            for worker in self._scheduler.workers:
                self._provide(worker)
        if self.name not in self._scheduler.plugins:
            self._scheduler.add_plugin(self, name=self.name)
        return "open"

    async def _open_ready(self, client: str, route: str, shares_disk: bool = False) -> str:
        """Open a stream, and wait until who is to tell of the workers' ends listens to them."""
        answer = self.open(client, route, shares_disk)
        await self.seals.exits.ready()
        return answer

    async def close(self) -> None:
        """Leave the rest unsaid; called when the scheduler ends."""
        self._verdicts.stop()

    def end(self, route: str, keeps: bool = False) -> None:
        """End a flow run's stream; without streams, stop looking at the scheduler's transitions.

        Parameters
        ----------
        route : str
            As it was opened.
        keeps : bool
            Whether values of it stay, which Dask must not make again either.
        """
        found = self._routes.get(route)
        if found is not None and keeps:
            self.seals.keep(route, found.client)
        self._routes.pop(route, None)
        if not self._routes and self._scheduler.plugins.get(self.name) is self:
            self._scheduler.remove_plugin(name=self.name)

    def stalls(self, route: str, timeout: float) -> list[tuple[Any, str]]:
        """Look for attempts of a flow run that never get their inputs.

        Parameters
        ----------
        route : str
            Which flow run.
        timeout : float
            For how many seconds one may lack small inputs while its worker has a thread for it.

        Returns
        -------
        list of (tuple, str)
            Those that no other worker can have either, and what they lack, in words.
        """
        look_after(self._scheduler.periodic_callbacks.values())
        found = self._routes.get(route)
        if found is None:
            return []
        return look_for_stalls(self._scheduler, found.waits, lambda key: is_of(key, route), timeout)

    async def _retire(self, workers: Sequence[Any] | None = None, **options: Any) -> Any:
        """Retire workers; where addresses are meant, Dask's clusters give names, and none would be found."""
        if workers is not None and options.get("stimulus_id", "").startswith(BY_ITSELF):
            self.seals.leaving.update(workers)
        if workers is not None and self._routes:
            workers = [self._scheduler.aliases.get(one, one) for one in workers]
        return await self._scheduler.retire_workers(workers=workers, **options)

    def recall(self, client: str, keys: Sequence[Any], sent: Sequence[Any] = ()) -> list[Any] | None:
        """Take tasks that wait for others off the scheduler, and all that waits for them.

        No time passes in here, so what is taken off has not begun anywhere and never will.

        Parameters
        ----------
        client : str
            The client that wants them.
        keys : sequence of tuple
            Its tasks; those that wait for nothing any more are left alone.
        sent : sequence of tuple
            One task of each graph that the client has sent and that may not be here yet: a graph goes
            another way than this call, and one that needs what was taken off meanwhile would be refused.

        Returns
        -------
        list of tuple or None
            What was taken off; None when a graph is on its way.
        """
        known = self._scheduler.tasks
        if any(tuple(key) not in known for key in sent):
            return None
        cone: dict[Any, None] = {}
        stack = [known.get(tuple(key)) for key in keys]
        while stack:
            task = stack.pop()
            if task is not None and task.state == "waiting" and task.key not in cone:
                cone[task.key] = None
                stack += task.dependents
        self._scheduler.client_releases_keys(keys=list(cone), client=client)
        return [key for key in cone if key not in known]

    def relieve(self, keys: Sequence[Any]) -> int:
        """Let other workers have what waits behind tasks that go on for long.

        Dask moves no task that it takes for short, however long the worker's thread is busy. A task is asked
        back from its worker as Dask does it when it balances loads: one that has begun stays.

        Parameters
        ----------
        keys : sequence of tuple
            The long ones.

        Returns
        -------
        int
            How many tasks were asked back.
        """
        victims = {}
        for key in keys:
            task = self._scheduler.tasks.get(tuple(key))
            if task is not None and task.processing_on is not None:
                victims[task.processing_on.address] = task.processing_on
        return self._ask_back(victims, keys)

    def _ask_back(self, victims: Mapping[str, Any], keys: Sequence[Any]) -> int:
        """Ask workers for all tasks of ours but some; return how many were asked for."""
        stealing = self._scheduler.extensions.get("stealing")
        others = [one for one in self._scheduler.running if one.address not in victims]
        if stealing is None or not others:
            return 0
        loads = {one: len(one.processing) / one.nthreads for one in others}
        count = 0
        for victim in victims.values():
            for task in list(victim.processing):
                if not self.is_ours(task.key) or task.key in keys or is_restricted(task):
                    continue
                thief = min(loads, key=loads.__getitem__)
                stealing.move_task_request(task, victim, thief)
                loads[thief] += 1 / thief.nthreads
                count += 1
        return count

    def is_ours(self, key: Any) -> bool:
        """Return whether a task belongs to a flow run that streams here.

        Parameters
        ----------
        key : tuple or str
            Its data key.

        Returns
        -------
        bool
            False for the tasks of other users.
        """
        return type(key) is tuple and type(key[0]) is str and key[0][-8:] in self._routes

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
        elif finish == "processing" or finish == "waiting":
            if key[0][-8:] in self._routes:
                self._sharing.saw(self._scheduler.tasks[key])
        elif finish == "released":
            if (start == "processing" or start == "memory") and key[0][-8:] in self._routes:
                task = self._scheduler.tasks.get(key)
                if task is not None:
                    shares_disk = self._routes[key[0][-8:]].shares_disk
                    loss = self.seals.seal(task, start, stimulus_id, shares_disk)
                    if loss is not None:
                        self._verdicts.tell(key, loss)
        elif finish == "erred" and start == "processing":
            route = self._routes.get(key[0][-8:])
            # A held attempt has said why; the others have nobody else to speak for them.
            if route is not None and facts.get("exception_text") != "Hold()":
                self._streams.post(route, [(ERRED, key)])
        elif finish == "no-worker" or start == "no-worker":
            self._say_placed(key, finish != "no-worker")

    def _say_placed(self, key: Any, is_placed: bool) -> None:
        """Say that no worker can take a task, or that one can again."""
        route, task = self._routes.get(key[0][-8:]), self._scheduler.tasks.get(key)
        asked = "" if route is None or task is None else restrictions_of(task)
        if route is not None and asked:  # else it waits for any worker, as one does while they start
            self._streams.post(route, [(UNPLACED, key, "" if is_placed else asked)])

    def add_worker(self, scheduler: Any, worker: str) -> None:
        """Provide a new worker with a place for its marks, if they can be read here, and tell of it.

        Parameters
        ----------
        scheduler : distributed.Scheduler
            Not read.
        worker : str
            The worker's address.
        """
        self._provide(worker)
        self._verdicts.worker_came()
        self._tell_all((WORKER, worker, True))

    def _provide(self, worker: str) -> None:
        if self._shares_disk:
            self.seals.watch(self._scheduler.workers[worker])

    def remove_worker(self, scheduler: Any, worker: str, **_: Any) -> None:
        """Forget the marks of a worker that is gone, and tell of it; what it had was seen to before.

        Parameters
        ----------
        scheduler : distributed.Scheduler
            Not read.
        worker : str
            The worker's address.
        """
        self.seals.forget(worker)
        self._tell_all((WORKER, worker, False))

    def _tell_all(self, item: Item) -> None:
        for route in self._routes.values():
            self._streams.post(route, [item], is_urgent=False)

    def _take(self, key: Any, worker: str, said: Any) -> None:
        task = self._scheduler.tasks.get(key)
        if task is not None:
            if task.metadata:
                # The scheduler would keep it, results that ride along included, as long as the value lives.
                task.metadata.pop(MARK, None)
            self._sharing.came(task)
        self._sharing.freed(self._scheduler.workers.get(worker))
        route = self._routes.get(key[0][-8:])
        if route is not None:
            # The driver has nothing to add where a reader is waiting for the value already.
            is_urgent = task is None or not task.dependents or _frees_much(task)
            if isinstance(said[0], float):  # a plain success: its time
                self._streams.post(route, [(PLAIN, key, worker, said)], is_urgent)
            elif said[0] == BUNDLE:
                self._streams.post(route, [said], is_urgent and not self._has_queue(worker))
            else:
                self._streams.post(route, [said])

    def _has_queue(self, worker: str) -> bool:
        """Return whether a worker has more to do than it can begin, so that it needs no news to go on."""
        state = self._scheduler.workers.get(worker)
        return state is not None and len(state.processing) > state.nthreads

    def say(self, route: str, items: Sequence[Item], worker: str = "", **_: Any) -> None:
        """Pass on what a worker says, or what is said of lost ones.

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
            self._streams.post(found, items)

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
            self.end(route)


def _frees_much(task: Any) -> bool:
    """Return whether a task that has ended read something large, which nobody may need any more."""
    return any(one.nbytes > LARGE for one in islice(task.dependencies, LOOK_AT))
