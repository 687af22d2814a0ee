"""How a task is run: its options, checked once and shared by all its calls. Knows rules; knows no flows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from difflib import get_close_matches
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, TypedDict

from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.rules.limit import Limit
from prefectlite.rules.retry import RetryPolicy
from prefectlite.rules.triggers import Trigger, all_successful
from prefectlite.settings import TaskSettings, current
from prefectlite.states.signals import FAIL

#: A delay: seconds, or a timedelta.
Delay: TypeAlias = float | timedelta
#: ``callable(attempt) -> delay``; the first attempt is 1.
DelayFunction: TypeAlias = Callable[[int], Delay]
#: What ``retry_on`` may be.
RetryOn: TypeAlias = (
    type[BaseException] | Iterable[type[BaseException]] | Callable[[BaseException], bool] | None
)
_NO_RETRIES: Final = RetryPolicy()
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


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
    map_lengths : {"equal", "shortest"}
        What a map over inputs of unequal length does: fail, or stop at the shortest.
    associative : bool
        Whether the task may be called on lists of its own outputs: ``f([f([a, b]), f([c, d])])`` is
        ``f([a, b, c, d])``, as for a sum. Over a whole map, or a list of tasks, it then goes as a tree:
        parts of the list are reduced where they lie while others are made, so that the values are never all
        in memory, nor in one place. Each call counts as a part of the one attempt, and should do nothing but
        return its value. Only the one argument that takes the list may come from other tasks; else, and in
        this process, it is called as usual.
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
    keep_result: bool
    timeout: Delay | None
    isolate: bool
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
    state_handlers, on_failure, log_stdout, keep_result
        As in ``OptionArgs``.
    timeout : float or None
        As in ``OptionArgs``, in seconds.
    isolate, map_lengths, associative, bundle_size
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
    keep_result: bool = False
    timeout: float | None = None
    isolate: bool = False
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

    def changed(self, task_name: str, given: Mapping[str, Any]) -> TaskOptions:
        """Return options that differ in what is given.

        Parameters
        ----------
        task_name : str
            For error texts.
        given : mapping of str to object
            Some of ``OptionArgs``, without ``slug`` and ``tags``.

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
            check = _CHECKS.get(option)
            if check is None:
                raise DefinitionTypeError(unknown_option(task_name, option))
            changes[option] = check(_Place(task_name, option), value)
        if "max_concurrency" in changes:
            most = changes["max_concurrency"]
            changes["limit"] = None if most is None else Limit(f"task {task_name!r}", most)
        retries: int = changes.get("max_retries", self.max_retries)
        if retries == 0:
            _need_retries(task_name, changes)
        crashes: int | None = changes.pop("max_crashes", self.max_crashes if self.gave_crashes else None)
        changed = replace(
            self,
            **changes,
            gave_crashes=crashes is not None,
            max_crashes=retries if crashes is None else crashes,
        )
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


#: Options of Prefect 1 that are still to come.
_NOT_YET: Final = frozenset(
    {"cache_for", "cache_validator", "cache_key", "checkpoint", "result", "target"} | {"task_run_name"}
)


def unknown_option(task_name: str, option: str) -> str:
    """Return the error text for an option that does not exist.

    Parameters
    ----------
    task_name : str
        Whose.
    option : str
        What was given.

    Returns
    -------
    str
        What, where, and the mend.
    """
    names = ["name", "slug", "tags", *_CHECKS]
    if option in _NOT_YET:
        return (
            f"Task {task_name!r} is given the option {option!r}, which this version does not have yet; leave "
            "it out until it does."
        )
    close = get_close_matches(option, names, n=1)
    mend = f"did you mean {close[0]!r}?" if close else f"remove it. The options are {', '.join(names)}."
    return f"Task {task_name!r} is given the option {option!r}, which does not exist; {mend}"


def as_resources(task_name: str, option: str, value: Any) -> dict[str, float]:
    """Return what a worker must have free to run a task.

    Parameters
    ----------
    task_name : str
        The task's.
    option : str
        Where it was given, for the error.
    value : mapping of str to float
        Amounts by name.

    Returns
    -------
    dict of str to float
        The same.

    Raises
    ------
    DefinitionError, DefinitionTypeError
        When it is something else, or an amount is none.
    """
    place, mend = _Place(task_name, option), "give names and amounts, as in resources={'GPU': 1}."
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise place.refuse_kind(value, mend)
    _check_sendable(place, value)
    return {name: _number(place, amount, mend) for name, amount in value.items()}


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
        if changes.get(option):
            raise DefinitionError(
                f"Task {task_name!r} has {option}={changes[option]!r}, but no retries that it could apply "
                f"to; give max_retries=3, say, or remove {option}."
            )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a value was given, to be named in errors."""

    task_name: str
    option: str

    def refuse(self, value: object, mend: str) -> DefinitionError:
        return DefinitionError(self._text(value, mend))

    def refuse_kind(self, value: object, mend: str) -> DefinitionTypeError:
        return DefinitionTypeError(self._text(value, mend))

    def _text(self, value: object, mend: str) -> str:
        return f"Task {self.task_name!r} has {self.option}={value!r}; {mend}"


def _count(place: _Place, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise place.refuse_kind(value, "give a whole number.")
    if value < 0:
        raise place.refuse(value, "give 0 or more.")
    return value


def _count_or_none(place: _Place, value: Any) -> int | None:
    return None if value is None else _count(place, value)


def _count_or_zero(place: _Place, value: Any) -> int:
    return 0 if value is None else _count(place, value)


def _whole(place: _Place, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise place.refuse_kind(value, "give a whole number.")
    return value


def _flag(place: _Place, value: Any) -> bool:
    if not isinstance(value, bool):
        raise place.refuse_kind(value, "give True or False.")
    return value


def _number(place: _Place, value: Any, mend: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise place.refuse_kind(value, mend)
    if not (value >= 0 and math.isfinite(value)):
        raise place.refuse(value, mend)
    return value


def _jitter(place: _Place, value: Any) -> float:
    return _number(place, value, "give a fraction of the delay, 0 or more (0.1 is 10 %).")


def _delay(place: _Place, value: Any) -> Delay:
    mend = "give seconds (0 or more), a timedelta, a sequence of these, or a function of the attempt."
    if isinstance(value, timedelta):
        if value < timedelta(0):
            raise place.refuse(value, mend)
        return value
    return _number(place, value, mend)


def _delays(place: _Place, value: Any) -> Delay | tuple[Delay, ...] | DelayFunction | None:
    if value is None or callable(value):
        return value  # type: ignore[no-any-return]  # callable() tells no more than that
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        if not value:
            raise place.refuse(value, "give at least one delay, or leave the option away.")
        return tuple(_delay(place, one) for one in value)
    return _delay(place, value)


def _retry_on(place: _Place, value: Any) -> tuple[type[BaseException], ...] | Callable[..., bool] | None:
    if value is None:
        return None
    if callable(value) and not isinstance(value, type):
        return value  # type: ignore[no-any-return]  # as above
    mend = "give exception types (retry_on=(OSError, TimeoutError)), or a function of the exception."
    if isinstance(value, type) or not isinstance(value, Iterable):
        value = (value,)
    # In the order given: a set would print in another order each time.
    kinds = tuple(dict.fromkeys(value))
    if not kinds or not all(isinstance(one, type) and issubclass(one, Exception | FAIL) for one in kinds):
        raise place.refuse_kind(value, mend)
    return kinds


def _trigger(place: _Place, value: Any) -> Callable[..., Any]:
    if value is None:
        return all_successful
    if not callable(value):
        raise place.refuse_kind(value, "give a function of the upstreams' states, all_finished say.")
    return value  # type: ignore[no-any-return]  # as above


def _callback(place: _Place, value: Any) -> Callable[..., Any] | None:
    if value is not None and not callable(value):
        raise place.refuse_kind(value, "give a function that takes the task and its state.")
    return value  # type: ignore[no-any-return]  # as above


def _handlers(place: _Place, value: Any) -> tuple[Callable[..., Any], ...]:
    if value is None:
        return ()
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(callable(one) for one in value):
        raise place.refuse_kind(value, "give a list of functions of the task, its old and its new state.")
    return tuple(value)


def _timeout(place: _Place, value: Any) -> float | None:
    if value is None:
        return None
    mend = "give seconds (more than 0) or a timedelta, or None for no limit."
    limit = value.total_seconds() if isinstance(value, timedelta) else _number(place, value, mend)
    if not limit > 0:
        raise place.refuse(value, mend)
    return float(limit)


def _lengths(place: _Place, value: Any) -> Literal["equal", "shortest"]:
    if value not in ("equal", "shortest"):
        raise place.refuse(value, "give 'equal' or 'shortest'.")
    return value  # type: ignore[no-any-return]  # one of the two


def _bundle_size(place: _Place, value: Any) -> int | Literal["auto"] | None:
    mend = "give a whole number from 1 on, 'auto', or None for runs that travel alone."
    if value is None or (isinstance(value, str) and value == "auto"):
        return value  # type: ignore[return-value]  # one of the two
    if isinstance(value, bool) or not isinstance(value, int):
        raise place.refuse_kind(value, mend)
    if value < 1:
        raise place.refuse(value, mend)
    return value


def _limit(place: _Place, value: Any) -> int | None:
    if value is None:
        return None
    mend = "give a whole number from 1 on, or None for no limit."
    if isinstance(value, bool) or not isinstance(value, int):
        raise place.refuse_kind(value, mend)
    if value < 1:
        raise place.refuse(value, mend)
    return value


def _resources(place: _Place, value: Any) -> Mapping[str, float] | None:
    return None if value is None else as_resources(place.task_name, place.option, value) or None


def _workers(place: _Place, value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Iterable) else (value,)
    if not all(isinstance(name, str) for name in names):
        raise place.refuse_kind(value, "give a worker's address or name, or a list of them.")
    _check_sendable(place, names)
    return names or None


def _check_sendable(place: _Place, names: Iterable[str]) -> None:
    # The scheduler's connection would be lost over it, and with it every run of that client.
    for name in names:
        if not name.isascii() and name.encode("utf-8", "ignore").decode() != name:
            raise place.refuse(
                name, "a lone surrogate in it cannot be sent to a scheduler; use real characters."
            )


_CHECKS: Final[Mapping[str, Callable[[_Place, Any], Any]]] = {
    "max_retries": _count_or_zero,
    "retry_delay": _delays,
    "retry_jitter": _jitter,
    "retry_on": _retry_on,
    "max_crashes": _count_or_none,
    "idempotent": _flag,
    "trigger": _trigger,
    "skip_on_upstream_skip": _flag,
    "state_handlers": _handlers,
    "on_failure": _callback,
    "log_stdout": _flag,
    "keep_result": _flag,
    "timeout": _timeout,
    "isolate": _flag,
    "map_lengths": _lengths,
    "associative": _flag,
    "bundle_size": _bundle_size,
    "max_concurrency": _limit,
    "nout": _count_or_none,
    "resources": _resources,
    "priority": _whole,
    "workers": _workers,
}
#: The options that a task shares with its copies.
OPTION_NAMES: Final = tuple(_CHECKS)
DEFAULTS: Final = TaskOptions()
assert set(OPTION_NAMES) <= {field.name for field in fields(TaskOptions)}
