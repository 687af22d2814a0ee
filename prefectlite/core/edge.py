"""One dependency between two tasks. Knows tasks; knows no flow."""

from __future__ import annotations

from dataclasses import dataclass
from keyword import iskeyword

from prefectlite.core.base import Task
from prefectlite.errors import DefinitionError, DefinitionTypeError


@dataclass(frozen=True, slots=True)
class Edge:
    """One task waits for another, and may take its value.

    Parameters
    ----------
    upstream, downstream : Task
        Who comes first, and who waits.
    key : str or None
        The argument of ``downstream`` that takes the value; None takes no value.
    mapped : bool
        Whether ``downstream`` runs once per item of the value.
    flattened : bool
        Whether the value is unnested by one level first.

    Raises
    ------
    DefinitionError
        When a task would wait for itself, or the key cannot be an argument's name.
    DefinitionTypeError
        When an end is no task.
    """

    upstream: Task
    downstream: Task
    key: str | None = None
    mapped: bool = False
    flattened: bool = False

    def __post_init__(self) -> None:
        """Refuse what no flow could hold."""
        ends: tuple[object, object] = (self.upstream, self.downstream)
        for end in ends:
            if not isinstance(end, Task):
                raise DefinitionTypeError(
                    f"An edge joins two tasks, and {end!r} is none; flow.add_edge takes other values too."
                )
        if self.upstream is self.downstream:
            raise DefinitionError(
                f"Task {self.upstream.name!r} would wait for itself; call it once more for a second copy."
            )
        if self.key is not None and (not self.key.isidentifier() or iskeyword(self.key)):
            raise DefinitionError(
                f"The edge from {self.upstream.name!r} to {self.downstream.name!r} has key={self.key!r}, "
                "which cannot be an argument's name; give the name of an argument."
            )

    @property
    def tasks(self) -> frozenset[Task]:
        """Both ends."""
        return frozenset((self.upstream, self.downstream))
