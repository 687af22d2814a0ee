"""A block of tasks that run only if a value is the expected one. Knows blocks and tasks."""

from __future__ import annotations

from typing import Any

from prefectlite.core.annotations import EdgeAnnotation
from prefectlite.core.base import AnyTask, Task
from prefectlite.core.blocks import Block, enter_block, leave_block
from prefectlite.core.plain import LONGEST_IN_NAME
from prefectlite.errors import DefinitionTypeError
from prefectlite.tasks.control_flow.compare import CompareValue, words


class case:  # noqa: N801  # Prefect 1's name, written like a statement
    """Run the tasks of a ``with`` block only if a task's value is the expected one; else skip them.

    A task of the block that waits for another one of the block is skipped with that one. What a task of the
    block waits for outside runs all the same, and so does a task with ``skip_on_upstream_skip=False``, which
    leaves the decision to its trigger. Blocks may stand inside each other.

    Parameters
    ----------
    task : object
        Whose value decides: a task, a parameter, or a value.
    value : object
        What it must be equal to (``!=`` is asked).

    Raises
    ------
    DefinitionTypeError
        When ``value`` is a task.

    Examples
    --------
    >>> from prefectlite import Flow, LocalExecutor, Parameter, task
    >>> @task
    ... def say(text):
    ...     return text
    >>> with Flow("greeting") as flow:
    ...     language = Parameter("language", default="en")
    ...     with case(language, "en"):
    ...         hello = say("hello")
    ...     with case(language, "nb"):
    ...         hei = say("hei")
    >>> state = flow.run(executor=LocalExecutor(), language="nb")
    >>> state.result[hello].is_skipped(), state.result[hei].result
    (True, 'hei')
    """

    def __init__(self, task: AnyTask, value: Any) -> None:
        if isinstance(value, Task | EdgeAnnotation):
            raise DefinitionTypeError(
                f"case({task!r}, {value!r}) would compare with a task, but the second argument is a value, "
                "known when the flow is built; let a task of your own compare two tasks, and write "
                "case(<that task>, True)."
            )
        self.task = task
        self.value = value
        self._blocks: list[Block] = []

    def __enter__(self) -> None:
        """Begin the block."""
        enter_block("case", earlier=self._blocks)

    def __exit__(self, *exc: object) -> None:
        """End the block; what came into the flow inside is conditional, also after an error."""
        block = leave_block()
        if roots := block.roots():
            # The comparison belongs to the block around this one, so that blocks can be nested.
            compared = CompareValue(self.value, name=f"case({words(self.value, str, LONGEST_IN_NAME)})")
            compared.bind(value=self.task, flow=block.graph)
            for task in roots:
                task.set_upstream(compared, flow=block.graph)
        self._blocks.append(block)

    def __repr__(self) -> str:
        """Return how it was made."""
        return f"case({self.task!r}, {self.value!r})"
