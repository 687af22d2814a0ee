"""What is stored of a task's values, and what is looked for before its body: the options, put together.

Knows options and results; runs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from prefectlite.core.base import Task
from prefectlite.core.options import TaskOptions
from prefectlite.errors import ResultUnavailable
from prefectlite.results.formats import Serializer
from prefectlite.results.kept import is_kept, unpack
from prefectlite.results.result import LocalResult, Result, digest_in, found_by, store_of
from prefectlite.results.store import Store, digest_of
from prefectlite.rules.caching import CacheValidator, never_use

_SHARED: Final = "put {map_index} or {flow_run_id} into the location, so that each run has its own"
_EXPIRED: Final = "give the task keep_result=True, to read its value after cache_for is over"


@dataclass(frozen=True, slots=True)
class Caching:
    """How a task's values are kept for later runs.

    Parameters
    ----------
    seconds : float
        How long a value may be used.
    validator : callable
        Says whether it may.
    key : str
        What tasks that share values have in common.
    store : Store
        Where values are kept.
    serializer : Serializer
        In what form.
    is_named : bool
        Whether the key was given, so that the task's code does not count.
    version : str
        The version of the task's code; empty where it does not count.
    reads_parameters : bool
        Whether the body may read the flow's parameters from the context.
    """

    seconds: float
    validator: CacheValidator
    key: str
    store: Store
    serializer: Serializer
    is_named: bool
    version: str = ""
    reads_parameters: bool = False


@dataclass(frozen=True, slots=True)
class Keeping:
    """What is stored of a task's values, and what is looked for before its body.

    Parameters
    ----------
    result : Result or None
        Where the value is stored under a name of the user's; None when it is not.
    has_target : bool
        Whether a value that lies there is used in place of the body.
    writes : bool
        Whether anything is written.
    caching : Caching or None
        How values are kept for later runs, if they are.
    """

    result: Result | None
    has_target: bool
    writes: bool
    caching: Caching | None

    def read(self, location: str, digest: str | None = None) -> Any:
        """Return a value that was stored.

        Parameters
        ----------
        location : str
            As a report says it.
        digest : str or None
            That of the bytes that were stored, as a report says it; None where nobody knows.

        Returns
        -------
        object
            The value.

        Raises
        ------
        ResultUnavailable
            When something else lies there.
        Exception
            When it cannot be read any more.
        """
        if is_kept(location):
            assert self.caching is not None  # who kept it
            _, payload = unpack(self.caching.store.read(location), location)
            _check_same(location, digest, digest_of(payload), _EXPIRED)
            return self.caching.serializer.deserialize(payload)
        assert self.result is not None  # who stored it
        found = found_by(self.result, location)
        _check_same(location, digest, digest_in(found), _SHARED)
        return found.value


def keeping_of(
    task: Task, options: TaskOptions, flow_result: Result | None, folder: str | None
) -> Keeping | None:
    """Return what is stored of a task's values.

    Parameters
    ----------
    task : Task
        The task.
    options : TaskOptions
        Its options, as they were when the run began.
    flow_result : Result or None
        That of its flow, for tasks that have none of their own.
    folder : str or None
        Where values are stored of tasks that have neither; None for ``~/.prefectlite/results``.

    Returns
    -------
    Keeping or None
        None when nothing is; so always for secrets, and for what the framework made unless it was asked.
    """
    result = options.result
    if task.is_secret:
        return None
    if result is None and (options.checkpoint or not _is_by_the_way(task)):
        result = flow_result
    caching = None
    if options.cache_for is not None and options.cache_validator is not never_use:
        caching = _caching(task, options, LocalResult(folder) if result is None else result, folder)
    has_target, writes = options.target is not None, options.checkpoint is not False
    if has_target:
        result = LocalResult(folder) if result is None else result.copy()
        result.location = options.target
    elif not writes:
        result = None  # it would be neither read nor written
    if result is None and caching is None:
        return None
    return Keeping(result, has_target, writes, caching)


def _check_same(location: str, told: str | None, found: str | None, mend: str) -> None:
    if told is not None and found is not None and told != found:
        raise ResultUnavailable(f"What lies at {location!r} was stored by another run since; {mend}.")


def _is_by_the_way(task: Task) -> bool:
    return task.is_stand_in or task.resource_role in ("setup", "cleanup")


def _caching(task: Task, options: TaskOptions, result: Result, folder: str | None) -> Caching:
    assert options.cache_for is not None
    # A class of the user's may store whole values under names, and no bytes.
    store = store_of(result)
    if store is None:
        store = store_of(LocalResult(folder))
    assert store is not None
    return Caching(
        options.cache_for,
        options.cache_validator,
        options.cache_key or task.name,
        store,
        result.serializer,
        options.cache_key is not None,
    )
