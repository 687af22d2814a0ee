"""Branches as functions: ``switch``, ``ifelse``, and ``merge``, which brings them together again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

from prefectlite.core.annotations import EdgeAnnotation
from prefectlite.core.base import AnyTask, Task
from prefectlite.core.collecting import holds_tasks
from prefectlite.core.constants import Collection, Constant
from prefectlite.core.context import tags
from prefectlite.core.options import TaskArgs
from prefectlite.core.parameter import Parameter
from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.rules.triggers import all_successful, not_all_skipped
from prefectlite.tasks.control_flow.compare import CompareValue

if TYPE_CHECKING:
    from prefectlite.core.graph import FlowGraph

_ARGUMENT = "task_"


class AsBool(Task):
    """Turns a value into True or False, as ``if`` does."""

    def run(self, x: Any) -> bool:
        """Decide.

        Parameters
        ----------
        x : object
            Any value.

        Returns
        -------
        bool
            Its truth.
        """
        return bool(x)


class Merge(Task):
    """Returns the value of the first of its inputs that was not skipped and is not None.

    Parameters
    ----------
    **options : TaskArgs
        Name, retries, tags and the like; the trigger is ``not_all_skipped`` unless another is given.

    Raises
    ------
    DefinitionError
        When it is to be skipped with its upstreams.
    """

    def __init__(self, **options: Unpack[TaskArgs]) -> None:
        if options.setdefault("skip_on_upstream_skip", False):
            raise DefinitionError(
                "A Merge has skip_on_upstream_skip=True, so it would be skipped with the first of its "
                "branches; leave the option away."
            )
        options.setdefault("trigger", not_all_skipped)
        super().__init__(**options)

    def run(self, **task_results: Any) -> Any:
        """Choose.

        Parameters
        ----------
        **task_results : object
            The branches' values, ``task_1``, ``task_2`` and so on; that of a skipped one is None.

        Returns
        -------
        object
            One of them, or None.
        """
        ranked = sorted(task_results.items(), key=lambda item: int(item[0].removeprefix(_ARGUMENT)))
        return next((value for _, value in ranked if value is not None), None)


def switch(condition: AnyTask, cases: Mapping[Any, AnyTask], mapped: bool = False) -> None:
    """Run the task that belongs to the condition's value, and skip the others.

    What a branch's task waits for runs whichever branch is taken; ``with case(...)`` makes more than one
    task conditional.

    Parameters
    ----------
    condition : object
        Whose value decides: a task, a parameter, or a value.
    cases : mapping of object to Task
        The branches' tasks, by the value that each of them belongs to.
    mapped : bool
        Whether condition and tasks are mapped, so that each child has its own condition.

    Raises
    ------
    DefinitionError
        When no flow is being built.
    DefinitionTypeError
        When ``cases`` is no mapping, or a branch is no task that could be skipped.

    Examples
    --------
    >>> from prefectlite import Flow, LocalExecutor, task
    >>> @task
    ... def weather():
    ...     return "rain"
    >>> @task
    ... def take(thing):
    ...     return thing
    >>> with Flow("walk") as flow:
    ...     umbrella, hat = take("umbrella"), take("hat")
    ...     switch(weather(), {"rain": umbrella, "sun": hat})
    >>> state = flow.run(executor=LocalExecutor())
    >>> state.result[umbrella].result, state.result[hat].is_skipped()
    ('umbrella', True)
    """
    given: object = cases
    if not isinstance(given, Mapping):
        raise DefinitionTypeError(
            f"switch was given cases={cases!r}, which is no mapping; give the tasks by the values that they "
            "belong to: switch(condition, {'a': task_a, 'b': task_b})."
        )
    for value, task in cases.items():
        _check_branch(value, task)
    with tags("switch"):
        for value, task in cases.items():
            compared = CompareValue(value).bind(value=condition, mapped=mapped)
            task.set_upstream(compared, mapped=mapped)


def ifelse(
    condition: AnyTask, true_task: AnyTask | None, false_task: AnyTask | None, mapped: bool = False
) -> None:
    """Run one task if the condition's value is true, else another, and skip the one that is not run.

    Parameters
    ----------
    condition : object
        Whose value decides, as ``bool`` sees it: a task, a parameter, or a value.
    true_task : Task or None
        What runs if it is true; None for nothing.
    false_task : Task or None
        What runs if it is false; None for nothing.
    mapped : bool
        Whether condition and tasks are mapped, so that each child has its own condition.

    Raises
    ------
    DefinitionError
        When no flow is being built.
    DefinitionTypeError
        When a branch is no task that could be skipped.
    """
    cases = {value: task for value, task in ((True, true_task), (False, false_task)) if task is not None}
    for value, task in cases.items():
        _check_branch(value, task)
    if cases:
        switch(AsBool(name="as_bool").bind(x=condition, mapped=mapped), cases, mapped)


def merge(
    *tasks: AnyTask, flow: FlowGraph | None = None, mapped: bool = False, **options: Unpack[TaskArgs]
) -> AnyTask:
    """Bring branches together: the value of the first that was not skipped and whose value is not None.

    The merge is skipped if all branches were, and refused by its trigger if one of them failed.

    Parameters
    ----------
    *tasks : object
        The branches' last tasks, in order of preference; values may stand among them.
    flow : FlowGraph or None
        The flow; by default, the one that is being built.
    mapped : bool
        Whether the branches are mapped, so that they are merged child by child.
    **options : TaskArgs
        Name, retries, tags and the like of the new task; see ``Merge``.

    Returns
    -------
    Task
        Its value is None if no branch has one.

    Raises
    ------
    DefinitionError
        When no flow is being built, or the merge is to be skipped with its branches.
    DefinitionTypeError
        When an option does not exist.

    Examples
    --------
    >>> from prefectlite import Flow, LocalExecutor, case, task
    >>> @task
    ... def half(x):
    ...     return x // 2
    >>> @task
    ... def is_even(x):
    ...     return x % 2 == 0
    >>> with Flow("halve") as flow:
    ...     with case(is_even(7), True):
    ...         halved = half(7)
    ...     result = merge(halved, 7)
    >>> flow.run(executor=LocalExecutor()).result[result].result
    7
    """
    if any(_is_known(task) for task in tasks):
        # A value is never skipped, but no edge tells the trigger of it.
        options.setdefault("trigger", all_successful)
    branches = {f"{_ARGUMENT}{number}": task for number, task in enumerate(tasks, start=1)}
    return Merge(**options).bind(flow=flow, mapped=mapped, **branches)


def _is_known(branch: Any) -> bool:
    value = branch.value if isinstance(branch, EdgeAnnotation) else branch
    return isinstance(value, Constant) or not (isinstance(value, Task) or holds_tasks(value))


def _check_branch(value: Any, task: object) -> None:
    if not isinstance(task, Task) or isinstance(task, Parameter | Constant | Collection):
        raise DefinitionTypeError(
            f"The branch for {value!r} is {task!r}, which no switch can skip; give what the call of a task "
            "returned, or put the branch's tasks into `with case(...):`."
        )
