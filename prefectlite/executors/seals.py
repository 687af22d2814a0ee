"""What keeps a body from running twice when workers leave. Knows the scheduler's tasks; knows no report.

Dask makes up for what it loses by doing it again. A task of ours that may have begun is sealed instead: what
it would run is replaced by what tells that it was lost, or what it had come to.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from dask._task_spec import Task

from prefectlite.executors.exits import Exits
from prefectlite.executors.relics import Relics
from prefectlite.executors.restrictions import lift
from prefectlite.executors.retiring import BY_ITSELF, HEARING, Retirement, install, stays
from prefectlite.lowering.wrappers import open_shelf
from prefectlite.worker.losses import Loss, lose_bundle, run_lost
from prefectlite.worker.wire import MARK, route_of

#: How Dask's names for the retirement of a worker begin (2024.12 to 2026.8). What such a worker had is not
#: suspicious to Dask, and is begun elsewhere while its thread there goes on.
RETIRED: Final = ("retire-workers", BY_ITSELF)


class Seals:
    """What is known of workers that leave, and what is done about it.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        Whose workers.
    is_ours : callable
        Whether a key is one of ours.
    ask_back : callable
        Lets other workers have what some workers, by address, have not begun, but for some keys.
    """

    def __init__(
        self,
        scheduler: Any,
        is_ours: Callable[[Any], bool],
        ask_back: Callable[[Mapping[str, Any], Sequence[Any]], int],
    ) -> None:
        self._scheduler = scheduler
        self.is_ours = is_ours
        self._ask_back = ask_back
        self.relics = Relics()
        self.exits = Exits(scheduler)
        self._retirements: dict[str, Retirement] = {}
        #: The addresses of workers that leave by themselves.
        self.leaving: set[str] = set()
        install()

    def watch(self, worker: Any) -> None:
        """Provide for the end of a worker.

        Parameters
        ----------
        worker : distributed.scheduler.WorkerState
            The worker.
        """
        self.relics.provide(worker.address, worker.local_directory, worker.nthreads, self._scheduler.address)
        self.exits.expect(worker.address, worker.nanny)

    def forget(self, worker: str) -> None:
        """Forget a worker that is gone; what it had was seen to before.

        Parameters
        ----------
        worker : str
            Its address.
        """
        self.relics.forget(worker)
        self._retirements.pop(worker, None)
        self.leaving.discard(worker)

    def retirement(self, policy: Any) -> Retirement:
        """Return what is known of a retirement; one that was broken off counts anew.

        Parameters
        ----------
        policy : distributed.active_memory_manager.RetireWorker
            Dask's word for it.

        Returns
        -------
        Retirement
            The worker's.
        """
        found = self._retirements.get(policy.address)
        if found is None or found.policy is not policy:
            found = Retirement(policy, policy.address in self.leaving)
            self._retirements[policy.address] = found
        return found

    def must_stay(self, found: Retirement) -> bool:
        """Return whether a worker that is retired should stay for what it has begun.

        Parameters
        ----------
        found : Retirement
            Its retirement.

        Returns
        -------
        bool
            As of ``stays``. What it has not begun is asked back as soon as there are others.
        """
        address, others = found.policy.address, self._scheduler.running
        worker = self._scheduler.workers[address]
        sent = {task.key: task for task in worker.processing if self.is_ours(task.key)}
        if found.is_settled:
            found.begun = [key for key in found.begun if key in sent]
        else:
            self._look(found, worker, sent)
        if sent and others and not found.has_asked_back:
            found.has_asked_back = True
            self._ask_back({address: worker}, found.begun)
        running = bool(found.begun) or (bool(sent) and not found.is_settled)
        return stays(found.age, running, bool(others) or found.is_by_itself)

    def _look(self, found: Retirement, worker: Any, sent: Mapping[Any, Any]) -> None:
        """Look at what a worker has begun, and whether it has heard that it should begin nothing more."""
        begun = self.relics.begun_by(worker.address, sent)
        if begun is not None:
            found.begun, found.is_settled = begun, found.age > HEARING
        else:
            # What a worker elsewhere runs is told by its heartbeats.
            found.begun = [key for key, task in sent.items() if task in worker.executing]
            # The first may have been under way when it heard of its retirement, the second was not.
            if worker.last_seen > time.time() - found.age + HEARING:
                found.heartbeat = found.heartbeat or worker.last_seen
                found.is_settled = worker.last_seen > found.heartbeat

    def seal(self, task: Any, start: str, stimulus: str, shares_disk: bool) -> Loss | None:
        """Keep a body from running twice under one attempt, whatever Dask would do to make up for a loss.

        Parameters
        ----------
        task : distributed.scheduler.TaskState
            A task of ours that was just released.
        start : str
            In which state it was.
        stimulus : str
            Dask's name for what brought that about.
        shares_disk : bool
            Whether what its flow run begins is noted where it can be read here.

        Returns
        -------
        Loss or None
            What was lost, if that is news.
        """
        key = task.key
        if _may_run_again(task):
            return None
        now = time.time()
        if start == "memory":
            # Let go by whoever held it, as values are; or lost, and still wanted.
            if not task.who_wants and not task.waiters:
                return None
            text = "The worker that held the result ended before its last reader."
            record = self.relics.record_of_ended(key, self._scheduler.workers)
            return self._replace(task, Loss("result-lost", text, now, record))
        if not task.suspicious and not stimulus.startswith(RETIRED):
            return None
        # "Suspicious" is Dask's own word for a task whose worker ended while it had it.
        # A run that began before there were marks has left none.
        lost = self.relics.of_the_gone(self._scheduler.workers) if shares_disk else None
        has_begun = any(one.has_begun(key) for one in lost) if lost else not self._was_left_behind(key)
        if not has_begun:
            task.suspicious = 0  # it had not begun, so it may begin elsewhere
            return None
        record = None
        if lost is not None:
            record = next((found for one in lost if (found := one.record(key)) is not None), None)
        if task.suspicious:
            text = (
                "The worker process that had the attempt ended: a body ended it (os._exit, a crash in "
                "C code), the system did (memory ran out), or its machine is gone."
            )
            return self._replace(task, Loss("worker-lost", text, now, record, *self.relics.who_had(key)))
        text = (
            "The worker that had the attempt was retired (by an adaptive cluster, a scale-down, or "
            "somebody's hand) before the attempt ended."
        )
        return self._replace(task, Loss("worker-lost", text, now, record))

    def keep(self, route: str, client: str) -> None:
        """Keep what stays of a flow run that is over from being made again.

        Parameters
        ----------
        route : str
            Which flow run.
        client : str
            The identity of the client that holds it.
        """
        text = "The worker that held the result ended after the flow run."
        loss = Loss("result-lost", text, time.time())
        for task in list(self._scheduler.clients[client].wants_what):
            is_its_own = self.is_ours(task.key) and route_of(task.key) == route
            if is_its_own and task.state == "memory" and not _may_run_again(task):
                self._replace(task, loss)

    def _replace(self, task: Any, loss: Loss) -> Loss | None:
        """Have something else run in place of a task; return what was lost, unless that was done before."""
        # What stands in for it reads nothing; what it had read and is there goes when it has run.
        self._detach(
            task, [one for one in task.dependencies if loss.cause == "result-lost" or not one.who_has]
        )
        spec = task.run_spec
        if type(spec) is Task and (spec.func is run_lost or spec.func is lose_bundle):
            return None
        # What stands in for it may be run by any worker: the one that it asked for may never come again.
        lift(task)
        if len(task.key) == 5:
            task.run_spec = Task(task.key, run_lost, *loss)
        else:
            task.run_spec = Task(task.key, lose_bundle, spec.args[0], *loss)
        return loss

    def _detach(self, task: Any, lost: Sequence[Any]) -> None:
        """Let a task need some others no more, which nobody has.

        Dask would make it again, or, where that cannot be, take the task for one that never ran.
        """
        needless = [one for one in lost if one.dependents == {task}]
        for one in lost:
            one.dependents.discard(task)
            if one.waiters:
                one.waiters.discard(task)
        task.dependencies.difference_update(lost)
        if needless:
            self._scheduler.loop.add_callback(self._forget, needless)

    def _forget(self, tasks: Sequence[Any]) -> None:
        """Let the scheduler forget tasks, as it does when their last reader is forgotten."""
        known = self._scheduler.tasks
        gone = {
            one.key: "forgotten"
            for one in tasks
            if one.state in ("released", "erred", "waiting", "queued", "no-worker")
            and known.get(one.key) is one
            and not (one.dependents or one.who_wants or one.waiters)
        }
        self._scheduler.transitions(gone, stimulus_id=f"{MARK}-forget-{time.time()}")

    def _was_left_behind(self, key: Any) -> bool:
        """Return whether a worker that was retired had a task to the end and had not begun it."""
        return any(
            one.is_settled and key not in one.begun
            for address, one in self._retirements.items()
            if address not in self._scheduler.workers
        )


def _may_run_again(task: Any) -> bool:
    """Return whether a task of ours runs no body: constants, and values on a shelf, come from their spec."""
    key = task.key
    return len(key) < 5 or not key[4] or getattr(task.run_spec, "func", None) is open_shelf
