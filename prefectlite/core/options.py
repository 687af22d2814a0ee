"""How a task is run: its options, checked once and shared by all its calls. Knows rules; knows no flows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, TypedDict

from prefectlite.core.option_checks import CHECKS, Delay, DelayFunction, Where
from prefectlite.errors import DefinitionError, DefinitionTypeError, unknown_option
from prefectlite.results.location import Location
from prefectlite.results.result import Result
from prefectlite.rules.caching import all_inputs, never_use
from prefectlite.rules.limit import Limit
from prefectlite.rules.retry import RetryPolicy
from prefectlite.rules.triggers import Trigger, all_successful
from prefectlite.settings import TaskSettings, current

#: What ``retry_on`` may be.
RetryOn: TypeAlias = (
    type[BaseException] | Iterable[type[BaseException]] | Callable[[BaseException], bool] | None
)
_NO_RETRIES: Final = RetryPolicy()
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
# The order of Prefect 1; what it did not have is given by name.
_PLACES: Final = (
    "slug",
    "tags",
    "max_retries",
    "retry_delay",
    "retry_on",
    "timeout",
    "trigger",
    "skip_on_upstream_skip",
    "cache_for",
    "cache_validator",
    "cache_key",
    "checkpoint",
    "state_handlers",
    "on_failure",
    "log_stdout",
    "result",
    "target",
    "task_run_name",
    "nout",
)


class OptionArgs(TypedDict, total=False):
    """The options that say how a task is run, as keyword arguments.

    Parameters
    ----------
    slug : str or None
        The task's name in its flow, keys, journal and reports; by default, its name and a number.
    tags : iterable of str
        Free labels; ``dask-resource:GPU=1`` asks for a worker's resource, like ``resources``.
    max_retries : int
        How many attempts may follow a failed first one.
    retry_delay : float, timedelta, sequence of them, or callable
        How long to wait before the next attempt (seconds); the last of a sequence repeats; a callable takes
        the number of the attempt that failed.
    retry_jitter : float
        The fraction of the delay by which it may grow at random.
    retry_on : exception type, iterable of them, or callable
        The failures that are tried again; a callable takes the exception and answers True or False.
    max_crashes : int or None
        How often an attempt that infrastructure ended is run again; by default, ``max_retries``.
    idempotent : bool
        Whether running the body again is harmless. Work and results that a worker took with it are then
        simply computed again, up to three times, where the inputs are still there, and no crash is counted.
    trigger : callable
        Says from the upstreams' states whether the task runs; by default, all must have succeeded.
    skip_on_upstream_skip : bool
        Whether the task is skipped when an upstream was, before its trigger is asked.
    state_handlers : sequence of callable
        Each is called with task, old and new state at every transition, and may return another new state.
    on_failure : callable or None
        Called with task and state when a failure is final.
    log_stdout : bool
        Whether what the body prints is logged.
    task_run_name : str, callable or None
        What ``context.task_run_name`` is in the body: a template (``"load {x}"``) or a function, as of
        ``target``. Keys, states and reports name the run by its slug all the same.
    keep_result : bool
        Whether the value stays readable as long as the flow run's state.
    timeout : float, timedelta or None
        After how long the body is ended (seconds), whatever it does, and the processes that it started with
        it; the run is then ``TimedOut``. At the limit the body is interrupted, and has half a second for its
        ``finally`` blocks. It runs in a process of its own, which a worker's thread keeps for the next such
        run, so arguments and value are pickled, and nothing else that it changes comes back; ``pdb`` and
        Dask's ``get_client`` do not work there. Measured on two cores: the first run in a thread, and the
        first after one that was ended, take 0.2 s more and import their modules, later ones 0.4 ms, and each
        MB that crosses 1 to 2 ms. All that is not counted: the time is the body's.
    isolate : bool
        Whether the body runs in such a process also without a limit, so that a cancel always ends it, and
        what ends the process ends nothing else.
    cache_for : float, timedelta or None
        For how long the value of a run (seconds) may be used in place of another run's body: of this task, or
        of one with the same ``cache_key``, in whatever process. The run is then ``Cached``; where nothing
        kept could be used, its message and log say why. Values are kept in the store of the task's or the
        flow's ``result``, else in the folder of the setting ``results.dir``.
    cache_validator : callable or None
        Which kept values may be used: one of ``prefectlite.cache_validators``, or a function of the kept
        state (``Cached``, with ``hashed_inputs`` and ``cached_parameters``), the inputs and the flow's
        parameters. By default ``all_inputs``: for the same
        arguments and the same code, and for the same parameters where the code names ``parameters``.
    cache_key : str or None
        Tasks with the same one share what is kept, whatever their names and code; by default, the task's
        name and code.
    target : str, callable or None
        A template of a location, as of ``Result``, or a function: if a value lies there, it is used in place
        of the body, and the run is ``Cached``; else, what the body returns is stored there.
    result : Result or None
        Where and how the value is stored; by default, as the flow says.
    checkpoint : bool or None
        False stores nothing, whatever ``result``, ``target`` and ``cache_for`` say; they are still looked at.
    map_lengths : {"equal", "shortest"}
        What a map over inputs of unequal length does: fail, or stop at the shortest.
    associative : bool
        Whether the task may be called on lists of its own outputs: ``f([f([a, b]), f([c, d])])`` is
        ``f([a, b, c, d])``, as for a sum. Over a whole map, or a list of tasks, it then goes as a tree:
        parts of the list are reduced where they lie while others are made, so that the values are never all
        in memory, nor in one place. Each call counts as a part of the one attempt, and should do nothing but
        return its value. Only the one argument that takes the list may come from other tasks; else, and in
        this process, and for a task whose values are stored, it is called as usual.
    bundle_size : int, "auto" or None
        How many of the task's runs may travel as one Dask task; by default, the executor decides. A number
        is kept however long they take, None lets each travel alone; where the executor's is None, all do.
    max_concurrency : int or None
        How many runs of the task may run at once in a flow run, over all its calls and children; each travels
        alone then. Who waits longest starts next.
    nout : int or None
        How many values the task returns.
    resources : mapping of str to float
        What a worker must have free to run it (``{"GPU": 1}``).
    priority : int
        A higher one goes first where the scheduler has a choice.
    workers : str, sequence of str, or None
        Addresses or names of the only workers that may run it.
    """

    slug: str | None
    tags: Iterable[str] | None
    max_retries: int | None
    retry_delay: Delay | Sequence[Delay] | DelayFunction | None
    retry_jitter: float
    retry_on: RetryOn
    max_crashes: int | None
    idempotent: bool
    trigger: Callable[..., Any] | None
    skip_on_upstream_skip: bool
    state_handlers: Sequence[Callable[..., Any]] | None
    on_failure: Callable[..., Any] | None
    log_stdout: bool
    task_run_name: Location | None
    keep_result: bool
    timeout: Delay | None
    isolate: bool
    cache_for: Delay | None
    cache_validator: Callable[..., bool] | None
    cache_key: str | None
    target: Location | None
    result: Result | None
    checkpoint: bool | None
    map_lengths: Literal["equal", "shortest"]
    associative: bool
    bundle_size: int | Literal["auto"] | None
    max_concurrency: int | None
    nout: int | None
    resources: Mapping[str, float] | None
    priority: int
    workers: str | Sequence[str] | None


class TaskArgs(OptionArgs, total=False):
    """The options of a task and its name, as keyword arguments of ``task`` and of ``task_args=``.

    Parameters
    ----------
    name : str or None
        What the task is called; by default, its function's or class's name.
    """

    name: str | None


@dataclass(frozen=True, slots=True, eq=False)
class TaskOptions:
    """How a task is run. All copies of a task share one of these, so it can be compared with ``is``.

    Parameters
    ----------
    max_retries, retry_delay, retry_jitter, retry_on, idempotent, trigger, skip_on_upstream_skip
        As in ``OptionArgs``; ``retry_on`` is a tuple of types, a callable or None.
    state_handlers, on_failure, log_stdout, task_run_name, keep_result
        As in ``OptionArgs``.
    timeout : float or None
        As in ``OptionArgs``, in seconds.
    isolate : bool
        As in ``OptionArgs``.
    cache_for : float or None
        As in ``OptionArgs``, in seconds.
    cache_validator, cache_key, target, result, checkpoint
        As in ``OptionArgs``; the validator is ``never_use`` for tasks without ``cache_for``.
    map_lengths, associative, bundle_size
        As in ``OptionArgs``.
    max_concurrency, nout, resources, priority
        As in ``OptionArgs``.
    workers : tuple of str or None
        As in ``OptionArgs``.
    retry : RetryPolicy
        The retry options as the retry rule reads them.
    max_crashes : int
        As in ``OptionArgs``, resolved.
    gave_crashes : bool
        Whether ``max_crashes`` was given, and does not follow ``max_retries``.
    limit : Limit or None
        ``max_concurrency`` as the rule reads it; copies that it was not given to anew share one.
    """

    max_retries: int = 0
    retry_delay: Delay | tuple[Delay, ...] | DelayFunction | None = None
    retry_jitter: float = 0.0
    retry_on: tuple[type[BaseException], ...] | Callable[[BaseException], bool] | None = None
    idempotent: bool = False
    trigger: Trigger | Callable[..., Any] = all_successful
    skip_on_upstream_skip: bool = True
    state_handlers: tuple[Callable[..., Any], ...] = ()
    on_failure: Callable[..., Any] | None = None
    log_stdout: bool = False
    task_run_name: Location | None = None
    keep_result: bool = False
    timeout: float | None = None
    isolate: bool = False
    cache_for: float | None = None
    cache_validator: Callable[..., bool] = never_use
    cache_key: str | None = None
    target: Location | None = None
    result: Result | None = None
    checkpoint: bool | None = None
    map_lengths: Literal["equal", "shortest"] = "equal"
    associative: bool = False
    bundle_size: int | Literal["auto"] | None = "auto"
    max_concurrency: int | None = None
    nout: int | None = None
    resources: Mapping[str, float] | None = None
    priority: int = 0
    workers: tuple[str, ...] | None = None
    retry: RetryPolicy = _NO_RETRIES
    max_crashes: int = 0
    gave_crashes: bool = False
    limit: Limit | None = None

    def changed(self, task_name: str, given: Mapping[str, Any], *, alone: bool = False) -> TaskOptions:
        """Return options that differ in what is given.

        Parameters
        ----------
        task_name : str
            For error texts.
        given : mapping of str to object
            Some of ``OptionArgs``, without ``slug`` and ``tags``.
        alone : bool
            Whether what they need beside them may be given later: they are set one by one.

        Returns
        -------
        TaskOptions
            These options themselves when nothing is given.

        Raises
        ------
        DefinitionError
            When a value cannot work, or not together with another.
        DefinitionTypeError
            When a value is of the wrong kind, or there is no such option.
        """
        if not given:
            return self
        changes: dict[str, Any] = {}
        for option, value in given.items():
            check = CHECKS.get(option)
            if check is None:
                names = ["name", "slug", "tags", *CHECKS]
                raise DefinitionTypeError(unknown_option(f"Task {task_name!r}", option, names, _NOTHING))
            changes[option] = check(Where(task_name, option), value)
        if "max_concurrency" in changes:
            most = changes["max_concurrency"]
            changes["limit"] = None if most is None else Limit(f"task {task_name!r}", most)
        retries: int = changes.get("max_retries", self.max_retries)
        if retries == 0 and not alone:
            _need_retries(task_name, changes)
        if changes.get("cache_validator", self) is None:
            changes["cache_validator"] = (
                never_use if changes.get("cache_for", self.cache_for) is None else all_inputs
            )
        elif (
            changes.get("cache_for") is not None
            and self.cache_for is None
            and self.cache_validator is never_use
        ):
            changes.setdefault("cache_validator", all_inputs)
        crashes: int | None = changes.pop("max_crashes", self.max_crashes if self.gave_crashes else None)
        changed = replace(
            self,
            **changes,
            gave_crashes=crashes is not None,
            max_crashes=retries if crashes is None else crashes,
        )
        if not alone:
            _warn_of_odd(task_name, changed, changes)
        policy = RetryPolicy(
            max_retries=retries,
            delays=_seconds(changed.retry_delay),
            asks_delay=callable(changed.retry_delay),
            jitter=changed.retry_jitter,
        )
        return replace(changed, retry=policy)

    @property
    def runs_apart(self) -> bool:
        """Whether the body runs in a process of its own."""
        return self.isolate or self.timeout is not None

    def for_worker(self) -> TaskOptions:
        """Return the options without what only the driver reads.

        Handlers, triggers and delay functions are user code that stays where the driver is, so it need not be
        picklable, and what it refers to need not travel.

        Returns
        -------
        TaskOptions
            Options for the task's travelling copy.
        """
        delay = None if callable(self.retry_delay) else self.retry_delay
        return replace(
            self,
            retry_delay=delay,
            trigger=all_successful,
            state_handlers=(),
            on_failure=None,
            retry=_NO_RETRIES,
            limit=None,
            cache_validator=never_use,
            target=None,
            task_run_name=None,
            result=None,
        )


def default_options(given: Mapping[str, Any] = _NOTHING) -> TaskOptions:
    """Return the options of a task that says none, as the settings have them.

    Parameters
    ----------
    given : mapping of str to object
        The options that it does say; its retries decide whether the settings' delay is for it.

    Returns
    -------
    TaskOptions
        The same object for all such tasks.

    Raises
    ------
    ConfigError
        When the settings cannot be read.
    """
    settings = current().tasks
    return _defaults(settings, bool(given.get("max_retries", settings.max_retries)))


@lru_cache(maxsize=8)
def _defaults(settings: TaskSettings, retries: bool) -> TaskOptions:
    changes: dict[str, Any] = {}
    if settings.map_lengths != DEFAULTS.map_lengths:
        changes["map_lengths"] = settings.map_lengths
    if settings.timeout is not None:
        changes["timeout"] = settings.timeout
    if settings.max_retries:
        changes["max_retries"] = settings.max_retries
    if retries and settings.retry_delay is not None:
        # A delay needs retries; how many there are, the task says next.
        changes.update(retry_delay=settings.retry_delay, max_retries=settings.max_retries or 1)
    return DEFAULTS.changed("of the settings", changes)


def seconds(delay: Delay) -> float:
    """Return a delay as a number.

    Parameters
    ----------
    delay : float or timedelta
        A number means seconds.

    Returns
    -------
    float
        Seconds.
    """
    return delay.total_seconds() if isinstance(delay, timedelta) else float(delay)


def _seconds(delay: Delay | tuple[Delay, ...] | DelayFunction | None) -> tuple[float, ...]:
    if delay is None or callable(delay):
        return ()
    return tuple(seconds(one) for one in delay) if isinstance(delay, tuple) else (seconds(delay),)


def _need_retries(task_name: str, changes: Mapping[str, Any]) -> None:
    # Only what is given now: a call may switch off the retries of its task, delays and all.
    for option in ("retry_delay", "retry_on", "retry_jitter"):
        # A delay of no time is one, too.
        if changes.get(option) or (option == "retry_delay" and changes.get(option) is not None):
            raise DefinitionError(
                f"Task {task_name!r} has {option}={changes[option]!r}, but no retries that it could apply "
                f"to; give max_retries=3, say, or remove {option}."
            )


def _warn_of_odd(task_name: str, options: TaskOptions, changes: Mapping[str, Any]) -> None:
    if options.cache_for is None and changes.get("cache_validator", never_use) is not never_use:
        warnings.warn(
            f"Task {task_name!r} has a cache_validator and no cache_for, so nothing is kept that it could "
            "look at; give cache_for=timedelta(days=1), say.",
            stacklevel=2,
        )
    result, target = options.result, options.target
    if (
        result is not None
        and target is not None
        and ("result" in changes or "target" in changes)
        and result.location not in (None, target)
    ):
        warnings.warn(
            f"Task {task_name!r} has target={target!r} and a result with location={result.location!r}; its "
            "value is stored at the target.",
            stacklevel=2,
        )


def options_by_place(
    task_name: str, by_place: Sequence[Any], options: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return options by name, of which some were given by position.

    Parameters
    ----------
    task_name : str
        For error texts.
    by_place : sequence
        What follows the name, in the order that it has in Prefect 1.
    options : mapping of str to object
        The others, by name.

    Returns
    -------
    mapping of str to object
        All of them.

    Raises
    ------
    DefinitionTypeError
        When there are more than have a position, or one is given twice.
    """
    if len(by_place) > len(_PLACES):
        raise DefinitionTypeError(
            f"Task {task_name!r} is given {len(by_place)} options by position, but only {len(_PLACES)} have "
            "one; give them by name: max_retries=2."
        )
    placed = dict(zip(_PLACES, by_place, strict=False))
    for option in placed:
        if option in options:
            raise DefinitionTypeError(
                f"Task {task_name!r} is given the option {option!r} both by position and by name; leave out "
                "one of the two."
            )
    return {**placed, **options}


#: The options that a task shares with its copies.
OPTION_NAMES: Final = tuple(CHECKS)
DEFAULTS: Final = TaskOptions()
assert set(OPTION_NAMES) <= {field.name for field in fields(TaskOptions)}
