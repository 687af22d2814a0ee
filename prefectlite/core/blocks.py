"""Blocks of a flow's building that hear of each task put into the flow. Knows the graph's doors only.

``with case(...)`` and ``with resource(...)`` are such blocks. What is open lives in the context, so threads
that build flows at the same time do not see each other's blocks, and one object may open several.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, TypeAlias

from prefectlite.core.base import Task
from prefectlite.core.layers import current_layer, pop, push_block
from prefectlite.errors import DefinitionError

if TYPE_CHECKING:
    from prefectlite.core.graph import FlowGraph

Kind: TypeAlias = Literal["case", "resource"]


class Block:
    """The tasks that were put into a flow while a ``with`` statement was open.

    Parameters
    ----------
    kind : {"case", "resource"}
        What opened it: of several of a kind, the innermost hears of a task.
    outer : Block or None
        The block around it.
    graph : FlowGraph or None
        The flow; None leaves it to the first task.
    earlier : sequence of Block
        Those that the same object opened before.
    """

    __slots__ = ("earlier", "graph", "kind", "outer", "tasks")

    def __init__(
        self,
        kind: Kind,
        outer: Block | None = None,
        graph: FlowGraph | None = None,
        earlier: Sequence[Block] = (),
    ) -> None:
        self.kind = kind
        self.outer = outer
        self.graph = graph
        self.earlier = earlier
        #: The tasks, in the order in which they came.
        self.tasks: dict[Task, None] = {}

    def take(self, task: Task, graph: FlowGraph) -> None:
        """Note a task here, and in the innermost block of another kind around.

        Parameters
        ----------
        task : Task
            A task that is new in the flow.
        graph : FlowGraph
            The flow.

        Raises
        ------
        DefinitionError
            When the block belongs to another flow.
        """
        around = list(self._around())
        for block in around:
            if block.graph is not None and block.graph is not graph:
                raise DefinitionError(
                    f"Task {task.name!r} goes into flow {graph.name!r}, but the `with` block around it holds "
                    f"tasks of flow {block.graph.name!r}; open a block per flow, inside `with Flow(...):`."
                )
        heard: set[Kind] = set()
        for block in around:
            block.graph = graph
            if block.kind not in heard:
                heard.add(block.kind)
                block.tasks[task] = None

    def roots(self) -> list[Task]:
        """Return the tasks that wait for no other task of the block, nor for one of an earlier block.

        Returns
        -------
        list of Task
            In the order in which they came.
        """
        inside = self._inside()
        return [task for task in self.tasks if inside.isdisjoint(self.upstreams(task))]

    def leaves(self) -> list[Task]:
        """Return the tasks that no other task of the block waits for, nor one of an earlier block.

        Returns
        -------
        list of Task
            In the order in which they came.
        """
        inside = self._inside()
        return [task for task in self.tasks if inside.isdisjoint(self.downstreams(task))]

    def upstreams(self, task: Task) -> Set[Task]:
        """Return the tasks that a task waits for.

        Parameters
        ----------
        task : Task
            A task of the block.

        Returns
        -------
        set of Task
            The members of a list or the like are among them.
        """
        assert self.graph is not None  # it has a task
        return through_collections(task, self.graph.upstream_tasks)

    def downstreams(self, task: Task) -> Set[Task]:
        """Return the tasks that wait for a task.

        Parameters
        ----------
        task : Task
            A task of the block.

        Returns
        -------
        set of Task
            Those that read it in a list or the like are among them.
        """
        assert self.graph is not None  # as above
        return through_collections(task, self.graph.downstream_tasks)

    def _inside(self) -> set[Task]:
        # An object may open blocks in several flows, and a task may be in several.
        blocks = (self, *(block for block in self.earlier if block.graph is self.graph))
        return {task for block in blocks for task in block.tasks}

    def _around(self) -> Iterator[Block]:
        block: Block | None = self
        while block is not None:
            yield block
            block = block.outer


def enter_block(kind: Kind, graph: FlowGraph | None = None, earlier: Sequence[Block] = ()) -> None:
    """Open a block; tasks are noted in it until ``leave_block``.

    Parameters
    ----------
    kind : {"case", "resource"}
        What opens it.
    graph : FlowGraph or None
        The flow; None leaves it to the first task.
    earlier : sequence of Block
        Those that the same object opened before.
    """
    push_block(Block(kind, current_layer().block, graph, earlier))


def leave_block() -> Block:
    """Close the innermost block.

    Returns
    -------
    Block
        What it has heard.
    """
    block = current_layer().block
    assert isinstance(block, Block)  # it was entered
    pop()
    return block


@contextmanager
def no_block() -> Iterator[None]:
    """Let no block hear of the tasks that are put into a flow inside.

    Yields
    ------
    None
        Nothing.
    """
    push_block(None)
    try:
        yield
    finally:
        pop()


def through_collections(task: Task, beside: Callable[[Task], Iterable[Task]]) -> set[Task]:
    """Return a task's neighbours, and behind those that are lists and the like, the next ones.

    Parameters
    ----------
    task : Task
        Where to begin.
    beside : callable
        Returns the neighbours of a task, on one side of it.

    Returns
    -------
    set of Task
        Lists and the like included.
    """
    found: set[Task] = set()
    waiting = [task]
    while waiting:
        for one in beside(waiting.pop()):
            if one not in found:
                found.add(one)
                if one.is_collection:
                    waiting.append(one)
    return found
