"""Where each run stands: counters and compact arrays, one place per run. Knows no values and no clock."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from prefectlite.engine.events import AttemptCrashed, AttemptFinished, AttemptRefused, Measure
from prefectlite.engine.families import Family
from prefectlite.engine.instructions import NO_PAST, Past
from prefectlite.engine.landings import RAN, Landings
from prefectlite.engine.numbers import number_of
from prefectlite.engine.plan import FlowPlan, PlanEdge, PlanNode
from prefectlite.rules.tally import Tally
from prefectlite.states.children import ChildStates
from prefectlite.states.keys import RunKey
from prefectlite.states.state import Cached, Mapped, Pending, Skipped, State
from prefectlite.states.surroundings import NO_CONTEXT

# The stages of a run. States are for users; a stage says whose move it is.
WAITING: Final = 0  # for upstreams
QUEUED: Final = 1  # for room in the window
FLYING: Final = 2  # with the cluster
ASKING: Final = 3  # for an answer of user code
TIMED: Final = 4  # for a time
PARKED: Final = 5  # for approval
FINAL: Final = 6
STAGES: Final = ("waiting", "queued", "flying", "asking", "timed", "parked", "final")

#: The state of every run at the beginning; one object serves all.
PENDING: Final = Pending("Waiting for its turn.", context=NO_CONTEXT)


@dataclass(slots=True)
class Consumed:
    """Children of a map that a reader needs no more, though it is not final.

    Parameters
    ----------
    node : int
        The map.
    submissions : array of int
        By child, the submission whose value was read; 0 for one that is still needed.
    """

    node: int
    submissions: array[int]


@dataclass(frozen=True, slots=True)
class Loss:
    """A value that is gone.

    Parameters
    ----------
    text : str
        What is known of it, in a sentence.
    reads : tuple of int
        The runs whose values stay for as long as it may have to be made again; none if it may not be.
    """

    text: str
    reads: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Lap:
    """Where a looping run stands.

    Parameters
    ----------
    count : int
        Its iteration, counted from 1.
    looped : State or None
        How the one before ended, with what it hands on; None once the run is final.
    """

    count: int
    looped: State | None


class Board:
    """The engine's books.

    Parameters
    ----------
    plan : FlowPlan
        Whose runs to keep; node numbers are run numbers, children come behind.
    """

    __slots__ = (
        "again",
        "asks",
        "attempt",
        "candidates",
        "consumed",
        "counts",
        "crashes",
        "doubtful",
        "early",
        "failures",
        "families",
        "flying",
        "given",
        "held",
        "holds",
        "keys",
        "landings",
        "laps",
        "live",
        "losses",
        "lost",
        "measures",
        "node",
        "nodes_by_slug",
        "open",
        "plan",
        "readers",
        "resumed",
        "sent",
        "stage",
        "states",
        "submission",
        "timers",
        "unclaimed",
        "unmet",
        "unsent",
    )

    def __init__(self, plan: FlowPlan) -> None:
        n = len(plan.nodes)
        self.plan = plan
        self.node = array("i", range(n))
        self.stage = bytearray(n)
        self.sent = bytearray(n)
        self.states: list[State] = [PENDING] * n
        self.keys: list[RunKey | None] = [None] * n
        self.attempt = array("i", bytes(4 * n))
        self.submission = array("i", bytes(4 * n))
        # The submission that the executor still holds for us; 0 for none.
        self.live = array("i", bytes(4 * n))
        # Upstream things that are not final; upstream things that are neither in flight nor plain successes.
        self.unmet = array("i", [len(node.ins) for node in plan.nodes])
        self.unsent = self.unmet[:]
        self.readers = array("i", bytes(4 * n))
        self.families: dict[int, Family] = {}
        # By reader, while it is not final.
        self.consumed: dict[int, Consumed] = {}
        self.landings = Landings()
        self.measures: dict[int, Measure] = {}
        # Runs that were final and are run again for their value's sake, with those whose values each needs
        # once more; their own readers were told already.
        self.again: dict[int, tuple[int, ...]] = {}
        # Readers of what was lost that may have been let through for a success: they are to be decided anew.
        self.doubtful: set[int] = set()
        # How often idempotent work was lost.
        self.losses: dict[int, int] = {}
        # Successes whose value is gone; nobody has missed it yet.
        self.lost: dict[int, Loss] = {}
        # Whose values need not stay any longer for the sake of what was lost.
        self.unclaimed: list[int] = []
        self.failures: dict[int, int] = {}
        self.crashes: dict[int, int] = {}
        self.early: dict[int, AttemptFinished | AttemptCrashed | AttemptRefused] = {}
        self.held: set[int] = set()
        self.holds: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.timers: dict[int, int] = {}
        # Runs in their second iteration or a later one; runs that a pause of theirs is behind.
        self.laps: dict[int, Lap] = {}
        self.resumed: set[int] = set()
        # Runs that were given a state to begin with; what may make the bodies of some of them needless.
        self.given: set[int] = set()
        self.candidates: dict[int, Cached] = {}
        self.flying = 0
        self.open = n
        tasks = sum(node.kind == "task" for node in plan.nodes)
        self.counts: dict[str, int] = {"Pending": tasks} if tasks else {}
        self.nodes_by_slug: dict[str, int] | None = None

    # What is asked of the board

    def key(self, run: int) -> RunKey:
        """Return the name of a run.

        Parameters
        ----------
        run : int
            Its number.

        Returns
        -------
        RunKey
            The name.
        """
        key = self.keys[run]
        if key is None:
            loop = self.loop(run)
            nodes = self.plan.nodes
            if run < len(nodes):
                key = RunKey(nodes[run].slug, None, loop)
            else:
                node = self.node[run]
                key = RunKey(nodes[node].slug, run - self.families[node].base, loop)
            self.keys[run] = key
        return key

    def loop(self, run: int) -> int:
        """Return a run's iteration.

        Parameters
        ----------
        run : int
            Its number.

        Returns
        -------
        int
            Counted from 1.
        """
        return self.laps[run].count if run in self.laps else 1

    def past(self, run: int) -> Past:
        """Return what a run's user code may know of what went before.

        Parameters
        ----------
        run : int
            Its number.

        Returns
        -------
        Past
            ``NO_PAST`` for a run that neither paused nor looped, and begins with no value of an earlier one.
        """
        if not (self.laps or self.resumed or self.candidates):
            return NO_PAST  # as in most flow runs
        lap, resumed, cached = self.laps.get(run), run in self.resumed, self.candidates.get(run)
        if lap is None and not resumed and cached is None:
            return NO_PAST
        return Past(resumed, None if lap is None else lap.looped, cached)

    def has_past(self, runs: range) -> bool:
        """Return whether one of some runs paused or looped.

        Parameters
        ----------
        runs : range
            Without gaps.

        Returns
        -------
        bool
            False for those that differ in their place alone.
        """
        # Most flow runs have none, and a range may be long.
        laps, resumed = self.laps, self.resumed
        return bool(laps or resumed) and not (laps.keys().isdisjoint(runs) and resumed.isdisjoint(runs))

    def end_lap(self, run: int) -> None:
        """Let go of what was handed to a run's last iteration.

        Parameters
        ----------
        run : int
            A run that has just become final.
        """
        lap = self.laps.get(run)
        if lap is not None:
            self.laps[run] = Lap(lap.count, None)

    def begin_lap(self, run: int, looped: State) -> None:
        """Begin the next iteration of a run: a task run of its own, whose attempts count from the start.

        Parameters
        ----------
        run : int
            Its number.
        looped : State
            How the iteration before ended.
        """
        self.laps[run] = Lap(self.key(run).loop + 1, looped)
        self.keys[run] = None
        self.attempt[run] = 0
        for counts in (self.failures, self.crashes):
            counts.pop(run, None)

    def run_of(self, key: RunKey) -> int | None:
        """Return the number of a run.

        Parameters
        ----------
        key : RunKey
            Its name.

        Returns
        -------
        int or None
            None when there is no such run (yet).
        """
        if self.nodes_by_slug is None:
            self.nodes_by_slug = {node.slug: i for i, node in enumerate(self.plan.nodes)}
        return number_of(key, self.nodes_by_slug, self.children)

    def state(self, run: int) -> State:
        """Return a run's state with its result; on the board, many successes share one without.

        Parameters
        ----------
        run : int
            Its number.

        Returns
        -------
        State
            The state now; that of a map without its children's.
        """
        state = self.states[run]
        return self.landings.of(run).state(run, self.key(run)) if state is RAN else state

    def complete(self, most: int) -> bool:
        """Make states of separate tasks' runs, which somebody will want to see at the end; changes no fact.

        Parameters
        ----------
        most : int
            How many.

        Returns
        -------
        bool
            Whether any was not made before.
        """
        states, landings = self.states, self.landings
        found = landings.take_one()
        if found is None:
            return False
        while found is not None:
            run, arrival = found
            if states[run] is RAN:
                states[run] = arrival.state(run, self.key(run))
            most -= 1
            found = landings.take_one() if most else None
        return True

    def plan_node(self, run: int) -> PlanNode:
        """Return the plan's node of a run.

        Parameters
        ----------
        run : int
            Its number.

        Returns
        -------
        PlanNode
            The node.
        """
        return self.plan.nodes[self.node[run]]

    def children(self, node: int) -> range:
        """Return the runs of a map's children.

        Parameters
        ----------
        node : int
            The mapped node.

        Returns
        -------
        range
            Empty before the map unfolds.
        """
        family = self.families.get(node)
        return range(0) if family is None else range(family.base, family.base + family.width)

    def index(self, run: int) -> int:
        """Return a child's place in its map.

        Parameters
        ----------
        run : int
            Its number.

        Returns
        -------
        int
            Counted from 0; -1 for a run that is no child.
        """
        node = self.node[run]
        return -1 if run == node else run - self.families[node].base

    def upstream_run(self, edge: PlanEdge, run: int) -> int:
        """Return the one run whose state an edge shows to ``run``; a family's parent stands for all of it.

        Parameters
        ----------
        edge : PlanEdge
            An edge into the node of ``run``.
        run : int
            The reader.

        Returns
        -------
        int
            The upstream's run.
        """
        up = edge.upstream
        if edge.mapped and run >= len(self.plan.nodes):
            family = self.families.get(up)
            mine = self.families[self.node[run]]
            if family is not None:
                place = run - mine.base
                return mine.elements[edge].runs[place] if edge.flattened else family.base + place
        return up

    def spreads(self, edge: PlanEdge, run: int) -> bool:
        """Return whether an edge shows all children of a map to ``run``, one by one.

        Parameters
        ----------
        edge : PlanEdge
            An edge into the node of ``run``.
        run : int
            The reader.

        Returns
        -------
        bool
            True for a reduce; for the parent of a map, its mapped edges do not spread.
        """
        return not edge.mapped and edge.upstream in self.families

    def tally(self, run: int) -> Tally:
        """Count the upstream states of a run, children one by one.

        Parameters
        ----------
        run : int
            The reader.

        Returns
        -------
        Tally
            The counts; O(edges).
        """
        tally = Tally()
        for edge in self.plan_node(run).ins:
            if self.spreads(edge, run):
                tally.merge(self.families[edge.upstream].tally)
            else:
                tally.add(self.states[self.upstream_run(edge, run)])
        return tally

    def all_plain(self, run: int) -> bool:
        """Return whether every upstream of a run ended as a plain success.

        Parameters
        ----------
        run : int
            The reader.

        Returns
        -------
        bool
            True also without upstreams; O(edges) where one of them may not be.
        """
        if not (self.unmet[run] or self.unsent[run] or self.again):
            return True  # what is final and counts as sent is a plain success
        states = self.states
        for edge in self.plan_node(run).ins:
            if self.spreads(edge, run):
                family = self.families[edge.upstream]
                if family.open or family.unsent:
                    return False
            elif not states[self.upstream_run(edge, run)].gives_value:
                return False
        return True

    def is_settled(self, run: int) -> bool:
        """Return whether a run has been final, so that its readers need not wait for it.

        Parameters
        ----------
        run : int
            Its number.

        Returns
        -------
        bool
            True also for one that is run again because its value was lost.
        """
        return self.stage[run] == FINAL or run in self.again

    def forget_loss(self, run: int) -> Loss | None:
        """Forget that a value is gone.

        Parameters
        ----------
        run : int
            Whose; it may be there.

        Returns
        -------
        Loss or None
            What was known; what it kept is unclaimed.
        """
        loss = self.lost.pop(run, None)
        if loss is not None:
            self.unclaimed += loss.reads
        return loss

    def first_skipped(self, run: int) -> str | None:
        """Return the name of the first skipped upstream of a run.

        Parameters
        ----------
        run : int
            The reader.

        Returns
        -------
        str or None
            A run key as text; None if none was skipped.
        """
        return next(self.upstreams_like(run, Skipped), None)

    def upstreams_like(self, run: int, cls: type[State]) -> Iterator[str]:
        """Yield the names of the upstream runs in a state of a class, in edge order.

        Parameters
        ----------
        run : int
            The reader.
        cls : type
            The class, subclasses included.

        Yields
        ------
        str
            A run key as text.
        """
        for edge in self.plan_node(run).ins:
            if self.spreads(edge, run):
                for child in self.children(edge.upstream):
                    if isinstance(self.states[child], cls):
                        yield str(self.key(child))
            else:
                up = self.upstream_run(edge, run)
                if isinstance(self.states[up], cls):
                    yield str(self.key(up))

    def shown_state(self, edge: PlanEdge, run: int) -> State:
        """Return the state that an edge shows to ``run``, a map's with its children.

        Parameters
        ----------
        edge : PlanEdge
            An edge into the node of ``run``.
        run : int
            The reader.

        Returns
        -------
        State
            What a custom trigger reads.
        """
        return self.full_state(self.upstream_run(edge, run))

    def full_state(self, run: int) -> State:
        """Return a run's state; that of an unfolded map carries its children's.

        Parameters
        ----------
        run : int
            The run.

        Returns
        -------
        State
            The state now.
        """
        state = self.state(run)
        family = self.families.get(run)
        if family is None or not isinstance(state, Mapped):
            return state
        base = family.base
        children = self.states[base : base + family.width]
        if any(child is RAN for child in children):
            slug, landings = self.plan.nodes[run].slug, self.landings

            def complete(place: int) -> State:
                return landings.of(base + place).state(base + place, RunKey(slug, place))

            states: Sequence[State] = ChildStates(children, RAN, complete)
        else:
            states = children
        return state.replace(map_states=states, n_map_states=family.width)

    def grow(self, node: int, width: int) -> Family:
        """Give a mapped node its children.

        Parameters
        ----------
        node : int
            The node.
        width : int
            How many.

        Returns
        -------
        Family
            The new range, all of it waiting.
        """
        base = len(self.states)
        zeros = bytes(4 * width)
        self.node.extend([node] * width)
        self.stage.extend(bytes(width))
        self.sent.extend(bytes(width))
        self.states.extend([PENDING] * width)
        self.keys.extend([None] * width)
        for column in (self.attempt, self.submission, self.live, self.unmet, self.unsent, self.readers):
            column.frombytes(zeros)
        family = self.families[node] = Family(base, width, open=width, unsent=width)
        self.open += width
        if width and self.plan.nodes[node].kind == "task":
            self.counts["Pending"] = self.counts.get("Pending", 0) + width
        return family

    def story(self, run: int) -> str:
        """Tell where a run stands, for the text of an error.

        Parameters
        ----------
        run : int
            Its number.

        Returns
        -------
        str
            One line.
        """
        return (
            f"{self.key(run)} (run {run}): {self.states[run]!r}, {STAGES[self.stage[run]]}, attempt "
            f"{self.attempt[run]}, submission {self.submission[run]} (held: {self.live[run]}), "
            f"{self.unmet[run]} upstreams open, {self.unsent[run]} unsent, {self.readers[run]} readers"
        )

    # Many runs at once

    def all_in(self, stage: int, runs: range) -> bool:
        """Return whether runs that stand side by side are all at one stage.

        Parameters
        ----------
        stage : int
            Which.
        runs : range
            Without gaps.

        Returns
        -------
        bool
            True also for none.
        """
        return self.stage.count(stage, runs.start, runs.stop) == len(runs)

    def put(self, stage: int, runs: range) -> None:
        """Bring runs that stand side by side to one stage.

        Parameters
        ----------
        stage : int
            Which.
        runs : range
            Without gaps.
        """
        self.stage[runs.start : runs.stop] = bytes((stage,)) * len(runs)
