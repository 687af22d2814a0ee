"""How a flow is changed that was built: what it consists of goes out again, or gives way. Knows places."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self
from weakref import ref

from prefectlite.core.attributes import as_slug
from prefectlite.core.base import AnyTask, Task
from prefectlite.core.binding import as_list
from prefectlite.core.building import FlowBuilder
from prefectlite.core.constants import Collection, Constant
from prefectlite.core.contents import Constants, FlowEdges, FlowTasks, Slugs
from prefectlite.core.edge import Edge, put_flow, rewrite
from prefectlite.core.parameter import Parameter
from prefectlite.core.places import Place
from prefectlite.core.sets import OrderedSet
from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.kinds import check_kind, shown


class ChangeableFlow(FlowBuilder):
    """What shows the contents of a flow and lets them be changed.

    Parameters
    ----------
    name : str
        What the flow is called.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._me = ref(self)

    @property
    def tasks(self) -> FlowTasks:
        """All tasks, in the order in which they came: a live set.

        ``flow.tasks.add(task)`` does what ``add_task`` does. A task that is removed takes its edges and
        constants along, and its part in the outcome. Others may be set, in any iterable.
        """
        return FlowTasks(self)

    @tasks.setter
    def tasks(self, tasks: Iterable[AnyTask]) -> None:
        if isinstance(tasks, FlowTasks) and tasks.flow is self:
            return  # what `flow.tasks |= ...` hands back is here already
        wanted = OrderedSet(map(self._as_task, as_list(f"Flow {self.name!r}", "tasks", tasks)))

        def change(draft: Self) -> None:
            draft.tasks.intersection_update(wanted)
            draft.tasks.update(wanted)

        self._change(change)

    @property
    def edges(self) -> FlowEdges:
        """All edges, by downstream task: a live set.

        ``flow.edges.add(edge)`` does what ``add_edge`` does. Others may be set, in any iterable.
        """
        return FlowEdges(self)

    @edges.setter
    def edges(self, edges: Iterable[Edge]) -> None:
        if isinstance(edges, FlowEdges) and edges.flow is self:
            return
        wanted = OrderedSet(map(self._as_edge, as_list(f"Flow {self.name!r}", "edges", edges)))

        def change(draft: Self) -> None:
            draft.edges.intersection_update(wanted)
            draft.edges.update(wanted)

        self._change(change)

    @property
    def constants(self) -> Constants:
        """Constants by task and argument name: a live view, ``flow.constants[task]["x"] = 3`` sets one."""
        return Constants(self)

    @constants.setter
    def constants(self, constants: Mapping[AnyTask, Mapping[str, Any]]) -> None:
        mend = "give constants by task and argument: {task: {'x': 3}}."
        check_kind(f"Flow {self.name!r}", "constants", constants, Mapping, mend)
        wanted = {task: dict(held) for task, held in constants.items()}

        def change(draft: Self) -> None:
            draft.constants.clear()
            draft.constants.update(wanted)

        self._change(change)

    @property
    def slugs(self) -> Slugs:
        """Slugs by task: a live view, ``flow.slugs[task] = "load"`` gives a task another one."""
        return Slugs(self)

    @slugs.setter
    def slugs(self, slugs: Mapping[AnyTask, str]) -> None:
        self.rename(slugs)

    @property
    def places(self) -> Mapping[Task, Place]:
        """What the flow holds of each task, as it is kept; not to be changed."""
        return self._places

    @abstractmethod
    def _draft(self) -> Self:
        """Return a copy for ``_become``, which has the same edges."""

    @abstractmethod
    def _become(self, draft: Self) -> None:
        """Take over what a changed copy holds."""

    def _change(self, change: Callable[[Self], None]) -> None:
        """Change a copy and take it over; what raises leaves the flow as it was."""
        draft = self._draft()
        change(draft)
        self._become(draft)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle all but who is asked."""
        return {name: value for name, value in vars(self).items() if name != "_me"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Be asked when an edge is changed."""
        vars(self).update(state)
        self._me = ref(self)
        for edge in self.edges:
            put_flow(edge, self._me)

    def draw(self, edge: Edge) -> None:
        """Draw an edge that was made elsewhere, unless it is here already; its tasks are taken in.

        Parameters
        ----------
        edge : Edge
            The edge.

        Raises
        ------
        DefinitionError
            When the argument has a value already, the edge would close a cycle, or its downstream takes no
            input.
        DefinitionTypeError
            When it is no edge, or its downstream has no such argument.
        """
        if self._as_edge(edge) in self.edges:
            return
        if isinstance(edge.upstream, Constant):
            # Most of them need no task.
            self.add_edge(edge.upstream, edge.downstream, edge.key, edge.mapped, edge.flattened)
            return
        place = self._take_ends(edge)
        if edge.key is not None:
            self._check_free(edge.downstream, place, edge.key)
        self._insert(self._own(edge))

    def holds(self, edge: Edge) -> bool:
        """Return whether an edge is in the flow, itself and not one that is equal to it.

        Parameters
        ----------
        edge : Edge
            Any edge.

        Returns
        -------
        bool
            Whether it is this flow's to change.
        """
        place = self._places.get(edge.downstream)
        return place is not None and place.held(edge) is edge

    def redraw(self, edge: Edge, new: Edge) -> None:
        """Let an edge of the flow say something else; changing the edge does this by itself.

        Parameters
        ----------
        edge : Edge
            An edge of the flow. If there is one already that says the same then, it leaves.
        new : Edge
            What it is to say; its tasks are taken in.

        Raises
        ------
        DefinitionError
            As of ``draw``. The flow is as it was then.
        DefinitionTypeError
            As of ``draw``.
        """
        if new == edge:
            return
        place, there = self._places[edge.downstream], self._take_ends(new)
        if new.key is not None and (there is not place or new.key != edge.key):
            self._check_free(new.downstream, there, new.key)
        self._admit(new)
        is_double = there.held(new) is not None
        stays = (
            there is place and new.upstream is edge.upstream and not isinstance(new.downstream, Collection)
        )
        if stays and not is_double:
            if edge.key not in (None, new.key):
                self._incomplete[edge.downstream] = None
            place.rewrite(edge, new)
            return
        self.erase([edge])
        rewrite(edge, new)
        if not is_double:
            self._insert(edge)

    def _take_ends(self, edge: Edge) -> Place:
        """Take the tasks of an edge in, if it may be drawn, and return its downstream's place."""
        self._waiting(edge.downstream, edge.upstream, edge.key)
        self.add_task(edge.upstream)
        return self._places[self.add_task(edge.downstream)]

    def erase(self, edges: Iterable[object]) -> None:
        """Take edges out; a task that took an argument from one misses that then.

        Parameters
        ----------
        edges : iterable
            What is none of the flow's edges is left out.
        """
        gone: dict[int, Edge] = {}
        for edge in edges:
            if isinstance(edge, Edge) and edge.downstream in self._places:
                held = self._places[edge.downstream].held(edge)
                if held is not None:
                    gone[id(held)] = held
        for task in dict.fromkeys(edge.downstream for edge in gone.values()):
            if self._places[task].drop_into(gone):
                self._roots.put_back(task, self._places[task].number)
        for task in dict.fromkeys(edge.upstream for edge in gone.values()):
            if self._places[task].drop_out(gone):
                self._terminals.put_back(task, self._places[task].number)
        self._incomplete.update(
            dict.fromkeys(edge.downstream for edge in gone.values() if edge.key is not None)
        )
        self._sorted = None

    def take_out(self, tasks: Iterable[object]) -> None:
        """Take tasks out, with their edges and constants, and their part in the outcome.

        Parameters
        ----------
        tasks : iterable
            What is none of the flow's tasks is left out.
        """
        gone = {task: self._places[task] for task in tasks if isinstance(task, Task) and task in self._places}
        # No edge is left without an end: Prefect 1 kept such ones, and then refused to run.
        self.erase([edge for place in gone.values() for edge in (*place.into, *place.out)])
        for task, place in gone.items():
            del self._places[task]
            self._slug_book.release(place.slug)
            self._roots.discard(task)
            self._terminals.discard(task)
            self._incomplete.pop(task, None)
            if isinstance(task, Parameter):
                del self._parameters[place.slug]
        self._reference = tuple(task for task in self._reference if task not in gone)

    def set_constant(self, task: AnyTask, key: str, value: Any) -> None:
        """Give an argument of a task a constant, perhaps in another one's place.

        Parameters
        ----------
        task : Task
            A task of the flow.
        key : str
            The argument's name.
        value : object
            The constant.

        Raises
        ------
        DefinitionError
            When the argument takes the value of another task, or the task takes no input.
        DefinitionTypeError
            When the task has no such argument.
        """
        place = self._place(self._waiting(task, value, key))
        if key not in (place.constants or ()):
            self._check_free(task, place, key)
        # A run that has begun keeps what it began with.
        place.constants = {**(place.constants or {}), key: value}

    def drop_constant(self, task: AnyTask, key: str) -> None:
        """Take an argument of a task its constant.

        Parameters
        ----------
        task : Task
            A task of the flow.
        key : str
            The argument's name.

        Raises
        ------
        KeyError
            When it has none.
        """
        place = self._place(task)
        left = dict(place.constants or ())
        del left[key]
        place.constants = left or None
        self._incomplete[task] = None

    def rename(self, slugs: Mapping[AnyTask, str]) -> None:
        """Give tasks other slugs, all or none.

        Parameters
        ----------
        slugs : mapping of Task to str
            Slugs by task.

        Raises
        ------
        DefinitionError
            When a slug cannot be one, is taken, or a task is not in the flow, or a parameter, whose slug is
            its name.
        DefinitionTypeError
            When ``slugs`` is no mapping.
        """
        me = f"Flow {self.name!r}"
        check_kind(me, "slugs", slugs, Mapping, "give slugs by task: {task: 'load'}.")
        others = {task: slug for task, slug in slugs.items() if self._place(task).slug != slug}
        taken: set[str] = set()
        for task, slug in others.items():
            as_slug(slug, f"Task {task.name!r}")
            if isinstance(task, Parameter):
                raise DefinitionError(
                    f"Parameter {task.name!r} in flow {self.name!r} was to have slug={slug!r}, but its "
                    "slug is its name; make another one with copy(name=...), and replace it."
                )
            owner = self._slug_book.owner(slug)
            if slug in taken or not (owner is None or owner in others):
                raise DefinitionError(
                    f"{me} has a task with slug {slug!r} already; give {task.name!r} another one."
                )
            taken.add(slug)
        for task in others:
            self._slug_book.release(self._places[task].slug)
        for task, slug in others.items():
            self._slug_book.claim(slug, task)
            self._places[task].slug = slug

    def _as_task(self, task: object) -> Task:
        if not isinstance(task, Task):
            raise self._no_task(task)
        return task

    def _as_edge(self, edge: object) -> Edge:
        if not isinstance(edge, Edge):
            raise DefinitionTypeError(
                f"Flow {self.name!r} has {shown(edge)} among its edges, which is no edge; write "
                "Edge(upstream, downstream)."
            )
        return edge
