"""What a task's options may be: each value is checked once, and brought into one form. Knows no task."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal, TypeAlias

from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.kinds import is_truth, shown
from prefectlite.results.location import Location
from prefectlite.results.result import Result
from prefectlite.rules.triggers import all_successful, some_failed, some_successful
from prefectlite.states.signals import FAIL
from prefectlite.states.value import NO_RESULT

#: A delay: seconds, or a timedelta.
Delay: TypeAlias = float | timedelta
#: ``callable(attempt) -> delay``; the first attempt is 1.
DelayFunction: TypeAlias = Callable[[int], Delay]
_RESOURCE_TAG: Final = "dask-resource:"


@dataclass(frozen=True, slots=True)
class Where:
    """Where a value was given, to be named in errors.

    Parameters
    ----------
    task_name : str
        Of which task.
    option : str
        As which option.
    """

    task_name: str
    option: str

    def refuse(self, value: object, mend: str) -> DefinitionError:
        """Return the error for a value that cannot work.

        Parameters
        ----------
        value : object
            What was given.
        mend : str
            What to give instead.

        Returns
        -------
        DefinitionError
            To be raised.
        """
        return DefinitionError(self._text(value, mend))

    def refuse_kind(self, value: object, mend: str) -> DefinitionTypeError:
        """Return the error for a value of the wrong kind.

        Parameters
        ----------
        value : object
            What was given.
        mend : str
            What to give instead.

        Returns
        -------
        DefinitionTypeError
            To be raised.
        """
        return DefinitionTypeError(self._text(value, mend))

    def _text(self, value: object, mend: str) -> str:
        return f"Task {self.task_name!r} has {self.option}={shown(value)}; {mend}"


def _count(place: Where, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise place.refuse_kind(value, "give a whole number.")
    if value < 0:
        raise place.refuse(value, "give 0 or more.")
    return value


def _count_or_none(place: Where, value: Any) -> int | None:
    return None if value is None else _count(place, value)


def _count_or_zero(place: Where, value: Any) -> int:
    return 0 if value is None else _count(place, value)


def _whole(place: Where, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise place.refuse_kind(value, "give a whole number.")
    return value


def _flag(place: Where, value: Any) -> bool:
    # As in Prefect 1; it took any value for a truth, also "no" for True.
    if not (value is None or is_truth(value)):
        raise place.refuse_kind(value, "give True or False.")
    return bool(value)


def _number(place: Where, value: Any, mend: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise place.refuse_kind(value, mend)
    if not (value >= 0 and math.isfinite(value)):
        raise place.refuse(value, mend)
    return value


def _jitter(place: Where, value: Any) -> float:
    return _number(place, value, "give a fraction of the delay, 0 or more (0.1 is 10 %).")


def _delay(place: Where, value: Any) -> Delay:
    mend = "give seconds (0 or more), a timedelta, a sequence of these, or a function of the attempt."
    if isinstance(value, timedelta):
        if value < timedelta(0):
            raise place.refuse(value, mend)
        return value
    return _number(place, value, mend)


def _delays(place: Where, value: Any) -> Delay | tuple[Delay, ...] | DelayFunction | None:
    if value is None or callable(value):
        return value  # type: ignore[no-any-return]  # callable() tells no more than that
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        if not value:
            raise place.refuse(value, "give at least one delay, or leave the option away.")
        return tuple(_delay(place, one) for one in value)
    return _delay(place, value)


def _retry_on(place: Where, value: Any) -> tuple[type[BaseException], ...] | Callable[..., bool] | None:
    if value is None:
        return None
    if callable(value) and not isinstance(value, type):
        return value  # type: ignore[no-any-return]  # as above
    mend = "give exception types (retry_on=(OSError, TimeoutError)), or a function of the exception."
    if isinstance(value, type) or not isinstance(value, Iterable):
        value = (value,)
    kinds = tuple(value)
    if not kinds or not all(isinstance(one, type) and issubclass(one, Exception | FAIL) for one in kinds):
        raise place.refuse_kind(value, mend)
    # In the order given: a set would print in another order each time.
    return tuple(dict.fromkeys(kinds))


def _trigger(place: Where, value: Any) -> Callable[..., Any]:
    if value is None:
        return all_successful
    if not callable(value):
        raise place.refuse_kind(value, "give a function of the upstreams' states, all_finished say.")
    if value is some_failed or value is some_successful:
        raise place.refuse(value, f"it makes a trigger: call it, {value.__name__}(at_least=1) say.")
    return value  # type: ignore[no-any-return]  # as above


def _callback(place: Where, value: Any) -> Callable[..., Any] | None:
    if value is not None and not callable(value):
        raise place.refuse_kind(value, "give a function that takes the task and its state.")
    return value  # type: ignore[no-any-return]  # as above


def _handlers(place: Where, value: Any) -> tuple[Callable[..., Any], ...]:
    if value is None:
        return ()
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(callable(one) for one in value):
        raise place.refuse_kind(value, "give a list of functions of the task, its old and its new state.")
    return tuple(value)


def _timeout(place: Where, value: Any) -> float | None:
    return _time(place, value, "give seconds (more than 0) or a timedelta, or None for no limit.")


def _cache_for(place: Where, value: Any) -> float | None:
    return _time(place, value, "give seconds (more than 0) or a timedelta, or None to keep nothing.")


def _time(place: Where, value: Any, mend: str) -> float | None:
    if value is None:
        return None
    limit = value.total_seconds() if isinstance(value, timedelta) else _number(place, value, mend)
    if not limit > 0:
        raise place.refuse(value, mend)
    return float(limit)


def _validator(place: Where, value: Any) -> Callable[..., bool] | None:
    if value is not None and not callable(value):
        raise place.refuse_kind(
            value, "give one of prefectlite.cache_validators, or a function of state, inputs and parameters."
        )
    return value  # type: ignore[no-any-return]  # as above


def _key(place: Where, value: Any) -> str | None:
    if value is not None and (not isinstance(value, str) or not value):
        raise place.refuse_kind(value, "give a text that is not empty.")
    return value


def _target(place: Where, value: Any) -> Location | None:
    if value is None or callable(value):
        return value  # type: ignore[no-any-return]  # as above
    if not isinstance(value, str) or not value:
        raise place.refuse_kind(
            value, "give a template such as '{task_name}-{x}.pkl', or a function that returns a location."
        )
    return value


def _run_name(place: Where, value: Any) -> Location | None:
    if value is None or callable(value) or (isinstance(value, str) and value):
        return value  # type: ignore[no-any-return]  # as above
    raise place.refuse_kind(value, "give a template such as 'load {x}', or a function that returns a text.")


def _result(place: Where, value: Any) -> Result | None:
    if value is NO_RESULT or not isinstance(value, Result | None):
        raise place.refuse_kind(value, "give a Result, as in result=LocalResult(dir='results').")
    return value


def _flag_or_none(place: Where, value: Any) -> bool | None:
    return None if value is None else _flag(place, value)


def _lengths(place: Where, value: Any) -> Literal["equal", "shortest"]:
    if value not in ("equal", "shortest"):
        raise place.refuse(value, "give 'equal' or 'shortest'.")
    return value  # type: ignore[no-any-return]  # one of the two


def _bundle_size(place: Where, value: Any) -> int | Literal["auto"] | None:
    mend = "give a whole number from 1 on, 'auto', or None for runs that travel alone."
    if value is None or (isinstance(value, str) and value == "auto"):
        return value  # type: ignore[return-value]  # one of the two
    if isinstance(value, bool) or not isinstance(value, int):
        raise place.refuse_kind(value, mend)
    if value < 1:
        raise place.refuse(value, mend)
    return value


def _limit(place: Where, value: Any) -> int | None:
    if value is None:
        return None
    mend = "give a whole number from 1 on, or None for no limit."
    if isinstance(value, bool) or not isinstance(value, int):
        raise place.refuse_kind(value, mend)
    if value < 1:
        raise place.refuse(value, mend)
    return value


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
    place, mend = Where(task_name, option), "give names and amounts, as in resources={'GPU': 1}."
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise place.refuse_kind(value, mend)
    _check_sendable(place, value)
    return {
        name: _number(Where(task_name, f"{option}[{name!r}]"), amount, mend) for name, amount in value.items()
    }


def asked_resources(
    task_name: str, resources: Mapping[str, float] | None, tags: Collection[str]
) -> dict[str, float]:
    """Return what a worker must have free to run a task, by its option and by its tags.

    Parameters
    ----------
    task_name : str
        The task's.
    resources : mapping of str to float, or None
        Its option.
    tags : collection of str
        Its tags, of which ``dask-resource:NAME=AMOUNT`` counts.

    Returns
    -------
    dict of str to float
        Amounts by name.

    Raises
    ------
    DefinitionError
        When a tag asks for no amount.
    """
    asked = dict(resources or ())
    for tag in sorted(tags):
        if tag.startswith(_RESOURCE_TAG):
            name, _, text = tag.removeprefix(_RESOURCE_TAG).partition("=")
            try:
                amount = float(text)
            except ValueError:
                raise DefinitionError(
                    f"Task {task_name!r} has the tag {tag!r}, which asks for no amount of a resource; "
                    f"write '{_RESOURCE_TAG}GPU=1', or give resources={{'GPU': 1}}."
                ) from None
            asked |= as_resources(task_name, "tags", {name: amount})
    return asked


def _resources(place: Where, value: Any) -> Mapping[str, float] | None:
    return None if value is None else as_resources(place.task_name, place.option, value) or None


def _workers(place: Where, value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Iterable) else (value,)
    if not all(isinstance(name, str) for name in names):
        raise place.refuse_kind(value, "give a worker's address or name, or a list of them.")
    _check_sendable(place, names)
    return names or None


def _check_sendable(place: Where, names: Iterable[str]) -> None:
    # The scheduler's connection would be lost over it, and with it every run of that client.
    for name in names:
        if not name.isascii() and name.encode("utf-8", "ignore").decode() != name:
            raise place.refuse(
                name, "a lone surrogate in it cannot be sent to a scheduler; use real characters."
            )


#: By option: takes where a value was given, and the value; returns what is kept of it.
CHECKS: Final[Mapping[str, Callable[[Where, Any], Any]]] = {
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
    "task_run_name": _run_name,
    "keep_result": _flag,
    "timeout": _timeout,
    "isolate": _flag,
    "cache_for": _cache_for,
    "cache_validator": _validator,
    "cache_key": _key,
    "target": _target,
    "result": _result,
    "checkpoint": _flag_or_none,
    "map_lengths": _lengths,
    "associative": _flag,
    "bundle_size": _bundle_size,
    "max_concurrency": _limit,
    "nout": _count_or_none,
    "resources": _resources,
    "priority": _whole,
    "workers": _workers,
}
