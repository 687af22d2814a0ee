"""A task that drops some of a list's values. Knows values only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Unpack

from prefectlite.core.base import Task
from prefectlite.core.options import TaskArgs
from prefectlite.errors import DefinitionTypeError
from prefectlite.rules.triggers import all_finished


class FilterTask(Task):
    """Keeps the values of a list that a function approves of; by default, those of runs that succeeded.

    It runs however its upstreams ended: a failed child of a map stands in the list as its exception and a
    skipped one as None, and both are dropped.

    Parameters
    ----------
    filter_func : callable or None
        Takes a value and says whether to keep it; by default, None and exceptions are dropped.
    log_func : callable or None
        Takes the list of the kept values; what it returns is logged.
    **options : TaskArgs
        Name, retries, tags and the like; the trigger is ``all_finished`` and ``skip_on_upstream_skip``
        False unless others are given.

    Raises
    ------
    DefinitionTypeError
        When one of the functions is none.

    Examples
    --------
    >>> from prefectlite import Flow, LocalExecutor, task
    >>> @task
    ... def inverse(x):
    ...     return 1 / x
    >>> succeeded = FilterTask()
    >>> with Flow("inverses") as flow:
    ...     kept = succeeded(inverse.map([1, 0, 4]))
    >>> flow.run(executor=LocalExecutor()).result[kept].result
    [1.0, 0.25]
    """

    def __init__(
        self,
        filter_func: Callable[[Any], bool] | None = None,
        log_func: Callable[[list[Any]], object] | None = None,
        **options: Unpack[TaskArgs],
    ) -> None:
        options.setdefault("skip_on_upstream_skip", False)
        options.setdefault("trigger", all_finished)
        for name, given in (("filter_func", filter_func), ("log_func", log_func)):
            if given is not None and not callable(given):
                raise DefinitionTypeError(
                    f"A FilterTask has {name}={given!r}, which cannot be called; give a function of one "
                    "argument."
                )
        self.filter_func = _is_value if filter_func is None else filter_func
        self.log_func = log_func
        super().__init__(**options)

    def run(self, task_results: Iterable[Any]) -> list[Any]:
        """Filter.

        Parameters
        ----------
        task_results : iterable
            Values.

        Returns
        -------
        list
            Those that were kept, in order.
        """
        kept = [value for value in task_results if self.filter_func(value)]
        if self.log_func is not None:
            self.logger.info("%s", self.log_func(kept))
        return kept


def _is_value(value: Any) -> bool:
    # A signal is a BaseException and no Exception, and no value either.
    return value is not None and not isinstance(value, BaseException)
