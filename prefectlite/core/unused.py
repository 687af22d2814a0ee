"""Tasks that are made while a flow is open, and may be forgotten. Knows places; puts nothing into a flow."""

from __future__ import annotations

import warnings

from prefectlite.core.base import Task
from prefectlite.core.inputs import FlowInputs


class UnusedTasks(FlowInputs):
    """What remembers tasks until they are used.

    Parameters
    ----------
    name : str
        What the flow is called.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        # Tasks that were made while the flow was open and have not been used yet.
        self._unused: dict[Task, None] = {}

    def note_made(self, task: Task) -> None:
        """Remember a task that was made while the flow was open.

        Parameters
        ----------
        task : Task
            A task that should find its way into the flow.
        """
        self._unused[task] = None

    def note_used(self, task: Task) -> None:
        """Forget a task that was made while the flow was open, and now was copied; its edges are not copied.

        Parameters
        ----------
        task : Task
            The task.
        """
        if self._unused:
            self._unused.pop(task, None)
        place = self._places.get(task)
        if place is not None and (place.into or place.out):
            warnings.warn(
                f"Task {task.name!r} has edges in flow {self.name!r}, which its copy does not get; "
                "use what its call returned as it is, or give the copy arguments of its own.",
                stacklevel=3,
            )

    def note_copied(self, task: Task, new: Task) -> None:
        """Remember a copy in its original's place.

        Parameters
        ----------
        task : Task
            The original.
        new : Task
            The copy.
        """
        self.note_used(task)
        self.note_made(new)
