"""What is stored of a flow run's values, as it was when the run began. Keeps no plan and no engine alive."""

from __future__ import annotations

from prefectlite.core.keeping import Keeping, keeping_of
from prefectlite.lowering.compile import Compiled


class Keepings:
    """What is stored of the values of each task of a flow run, by slug.

    Parameters
    ----------
    compiled : Compiled
        The flow.
    folder : str or None
        Where values are stored of tasks that do not say where.
    """

    def __init__(self, compiled: Compiled, folder: str | None) -> None:
        self._tasks, self._options, self._result = compiled.tasks, compiled.options, compiled.result
        self._numbers = {node.slug: number for number, node in enumerate(compiled.plan.nodes)}
        self._folder = folder

    def of(self, slug: str) -> Keeping | None:
        """Return what is stored of a task's values.

        Parameters
        ----------
        slug : str
            The task's.

        Returns
        -------
        Keeping or None
            None when nothing is.
        """
        number = self._numbers[slug]
        return keeping_of(self._tasks[number], self._options[number], self._result, self._folder)

    def is_secret(self, slug: str) -> bool:
        """Return whether a task's values are secrets.

        Parameters
        ----------
        slug : str
            The task's.

        Returns
        -------
        bool
            Whether nobody but its readers sees them.
        """
        return self._tasks[self._numbers[slug]].is_secret
