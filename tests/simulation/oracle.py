"""A naive interpreter of plans: what every run must come to, straight from the rules. Shares no code with the engine.

It walks the plan once in topological order. No windows, no counters, no lowering ahead, no time: each run
looks at how its upstreams ended and at its script. Slow and plain on purpose; SEMANTICS 5 and 6, and sections
9, 10, 12, 15 and 17 of the reference, are written here a second time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import chain, repeat
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from prefectlite.engine.plan import PlanEdge, PlanNode
from tests.simulation.case import (
    BegunKind,
    Case,
    Ending,
    EndingKind,
    Name,
    Shape,
    flattened,
    value_of,
)
from tests.simulation.verdicts import FAILURES, FINISHED, SKIPS, SUCCESSES, cleanup_verdict, trigger_verdict

#: The state that each ending makes of a running attempt.
STATE_OF: Final[dict[EndingKind, str]] = {
    "value": "Success",
    "found": "Cached",
    "failed": "Failed",
    "hopeless": "Failed",
    "checked_failed": "ValidationFailed",
    "timed_out": "TimedOut",
    "exited": "Crashed",
    "signal_trigger_failed": "TriggerFailed",
    "signal_skip": "Skipped",
    "signal_retry": "Retrying",
    "signal_pause": "Paused",
    "signal_pause_until": "Paused",
    "endrun_success": "Success",
    "endrun_failed": "Failed",
    "endrun_skipped": "Skipped",
    "endrun_cancelled": "Cancelled",
    "endrun_cached": "Cached",
    "endrun_own_success": "OwnSuccess",
    "endrun_own_skipped": "OwnSkipped",
    "endrun_pending": "Pending",
    "signal_loop": "Looped",
    "lost": "Crashed",
    "unheard": "Crashed",
    "unreachable": "Crashed",
    "unsent": "Crashed",
    "refused": "Failed",
}
#: Endings that are orders: no retry rule weighs them.
FORCED: Final = frozenset(kind for kind in STATE_OF if kind.startswith("endrun_")) | {
    "signal_retry",
    "refused",
}
#: Endings of attempts whose body never began.
BODILESS: Final[frozenset[EndingKind]] = frozenset({"unheard", "unreachable", "unsent", "refused"})
#: Endings that are no fault of the body.
LOSSES: Final[frozenset[EndingKind]] = frozenset({"lost", "unheard"})
#: The state of a run that was given one which is its last.
KEPT: Final[dict[BegunKind, str]] = {
    "success": "Success",
    "failed": "Failed",
    "skipped": "Skipped",
    "cancelled": "Cancelled",
}
#: The state of one that waits for its upstreams as well.
WAITING: Final[dict[BegunKind, str]] = {
    "retrying": "Retrying",
    "scheduled": "Scheduled",
    "paused": "Resume",
    "paused_until": "Paused",
    "resume": "Resume",
}
#: How often lost work of an idempotent task is done again.
MOST_RECOMPUTED: Final = 3


@dataclass(frozen=True)
class Broken(Exception):  # it is told as a state
    """The value of a run that did not succeed: its exception, whatever that is."""

    name: Name


@dataclass(slots=True)
class End:
    """What a run came to.

    Parameters
    ----------
    cls : str
        The name of its last state's class.
    value : object
        What a reader is given.
    attempts, bodies : int
        How many attempts were allowed, and how many bodies began.
    given : list of dict
        The arguments of each body, in order.
    pasts : list of (int, bool, object)
        What each body knows of what went before: its iteration, whether a pause is over, what was handed on.
    starts : int
        How many attempts were allowed over all iterations; ``attempts`` are those of the last.
    pauses : int
        How often it was paused.
    stays : bool
        Whether it waits for an approval from the beginning, and gets none.
    children : list of End or None
        For a map that unfolded.
    """

    cls: str
    value: Any = None
    attempts: int = 0
    bodies: int = 0
    given: list[dict[str, Any]] = field(default_factory=list)
    pasts: list[tuple[int, bool, Any]] = field(default_factory=list)
    starts: int = 0
    pauses: int = 0
    stays: bool = False
    children: list[End] | None = None

    @property
    def finished(self) -> bool:
        return self.cls in FINISHED and all(child.finished for child in self.children or ())


@dataclass(slots=True)
class _Budget:
    failures: int = 0
    crashes: int = 0
    losses: int = 0


#: What an edge shows: the upstream's end (or one child's), or, for an element of a list, a success with a value.
Shown: TypeAlias = list[End]


class Oracle:
    """Interprets one case; nobody cancels it.

    Parameters
    ----------
    case : Case
        What happens.
    facts : mapping
        How attempts ended that did not end as the case has it, by node, index and start: workers were lost.
    approved : set of (int, int)
        Runs that somebody approved before their pause was over by itself: no time is known here.
    """

    def __init__(
        self,
        case: Case,
        facts: Mapping[tuple[int, int, int], Ending] = MappingProxyType({}),
        approved: Set[Name] = frozenset(),
    ) -> None:
        self.case = case
        self.facts = facts
        self.approved = approved
        self.plan = case.plan
        self.ends: list[End] = []
        self._seen: dict[tuple[int, int, str], int] = {}
        self.began = self._flow_handled("Running")
        for number, node in enumerate(self.plan.nodes):
            self.ends.append(self._node(number, node) if self.began == "Running" else End("Pending"))

    def flow_state(self) -> str:
        """Return the class of the flow's state.

        Prefect 1 asks the terminal tasks whether all is over; a child that waits for an approval, and that a
        shorter map below leaves unread, would be forgotten. So every run is asked.
        """
        if self.began != "Running":
            return self.began
        if not all(end.finished for end in self.ends):
            return "Running"
        reference = [one for number in self.plan.reference for one in _spread(self.ends[number])]
        return self.flow_ends(any(end.cls in FAILURES for end in reference))

    def flow_ends(self, failed: bool) -> str:
        """Return the class of the flow's last state, by whether a reference task failed."""
        return self._flow_handled("Failed" if failed else "Success")

    def alone(self, name: Name, given: Sequence[dict[str, Any]]) -> End:
        """Return what a run comes to that its rules have let through, by what each of its bodies was given."""
        paused = self.case.triggers[name[0]].name == "manual_only"
        end = self._beginning(name)
        end.pauses += int(paused)
        return self._attempts(name, self.plan.nodes[name[0]], chain(given, repeat({})), end)

    def _flow_handled(self, new: str) -> str:
        match self.case.flow_handlers.get(new, "keep"):
            case "keep":
                return new
            case "success":
                return "Success"
            case "skipped":
                return "Skipped"
            case "failed" | "retrying" | "pending" | "nonsense" | "raise":
                return "Failed"  # a flow cannot wait

    # Nodes

    def _node(self, number: int, node: PlanNode) -> End:
        if node.kind == "value":
            return End("Success", self.case.value(number))
        if any(edge.mapped for edge in node.ins):
            return self._map(number, node)
        shown = [(edge, _spread(self.ends[edge.upstream])) for edge in node.ins]
        begins = self._beginning((number, -1))
        if self._stays(begins) or not all(self.ends[edge.upstream].finished for edge in node.ins):
            return begins
        given = {
            edge.key: _flat_if(edge, self.ends[edge.upstream].value)
            for edge in node.ins
            if edge.key is not None
        }
        return self._run((number, -1), node, shown, given, begins)

    def _map(self, number: int, node: PlanNode) -> End:
        name = (number, -1)
        for edge in node.ins:
            up = self.ends[edge.upstream]
            waits_for_children = not edge.mapped or edge.flattened or up.children is None
            if up.cls not in FINISHED or (waits_for_children and not up.finished):
                return End("Pending")
        if node.policy.skip_on_upstream_skip:
            for edge in node.ins:
                up = self.ends[edge.upstream]
                seen = [up] if edge.mapped else _spread(up)
                if any(end.cls in SKIPS for end in seen):
                    return self._settle(name, node, "Skipped")
        columns: list[tuple[PlanEdge, list[tuple[End, Any]]]] = []
        for edge in node.ins:
            if edge.mapped:
                column = self._column(edge)
                if column is None:
                    return self._settle(name, node, "Failed")
                columns.append((edge, column))
        widths = {len(column) for _, column in columns}
        if len(widths) > 1 and node.policy.map_lengths == "equal":
            return self._settle(name, node, "Failed")
        parent = self._settle(name, node, "Mapped")
        if parent.cls != "Mapped":
            return parent
        parent.children = []
        for index in range(min(widths)):
            parent.children.append(self._child(number, node, index, columns))
        parent.value = [child.value for child in parent.children]
        return parent

    def _column(self, edge: PlanEdge) -> list[tuple[End, Any]] | None:
        """Return what an edge has for each child: how it ended and its value; None if it cannot be mapped over."""
        up = self.ends[edge.upstream]
        if up.children is not None:
            if not edge.flattened:
                return [(child, child.value) for child in up.children]
            # The parts are unnested by one level; what failed, was skipped or has no length is one element.
            return [
                (child, value)
                for child in up.children
                for value in (child.value if _is_list(child) else [child.value])
            ]
        node = self.plan.nodes[edge.upstream]
        if not _is_list(up) or node.unmappable is not None:
            return None
        return [(up, value) for value in _flat_if(edge, up.value)]

    def _child(
        self,
        number: int,
        node: PlanNode,
        index: int,
        columns: Sequence[tuple[PlanEdge, list[tuple[End, Any]]]],
    ) -> End:
        own = {id(edge): column[index] for edge, column in columns}
        shown: list[tuple[PlanEdge, Shown]] = []
        given: dict[str, Any] = {}
        for edge in node.ins:
            if edge.mapped:
                up, value = own[id(edge)]
                shown.append((edge, _spread(up)))
            else:
                up = self.ends[edge.upstream]
                value = _flat_if(edge, up.value)
                shown.append((edge, _spread(up)))
            if edge.key is not None:
                given[edge.key] = value
        begins = self._beginning((number, index))
        if self._stays(begins) or not all(end.cls in FINISHED for _, ends in shown for end in ends):
            return begins
        return self._run((number, index), node, shown, given, begins)

    # One run: what it begins with, skip, trigger, then attempts

    def _beginning(self, name: Name) -> End:
        """Return what a run has come to before its upstreams end: this, if it stays with that."""
        one = self.case.begun.get(name)
        if one is None:
            return End("Pending")
        if one.kind in KEPT:
            end = self._close(End("Pending"), name, KEPT[one.kind])
            end.value = value_of(f"g{name}", begun_shape(name)) if one.kind == "success" else end.value
            return end
        end = End(WAITING.get(one.kind, "Pending"))
        end.pauses = int(one.kind in ("paused", "paused_until", "resume"))
        if one.kind == "paused" and not self._is_approved(name, end):
            end.cls = "Paused"
            end.stays = True
        if one.kind == "paused_until" and name in self.approved:
            end.cls = "Resume"
        if one.kind == "retrying":
            end.attempts = one.times + 1
        return end

    def _stays(self, begins: End) -> bool:
        return begins.stays or begins.cls in FINISHED

    def _run(
        self,
        name: Name,
        node: PlanNode,
        shown: list[tuple[PlanEdge, Shown]],
        given: dict[str, Any],
        begins: End,
    ) -> End:
        seen = [end.cls for _, ends in shown for end in ends]
        if node.policy.skip_on_upstream_skip and any(cls in SKIPS for cls in seen):
            return self._without_body(name, node, "Skipped", given)
        spec = self.case.triggers[name[0]]
        if spec.name == "custom" and spec.custom == "cleanup":
            verdict = cleanup_verdict(end.cls for edge, ends in shown if edge.key for end in ends)
        else:
            verdict = trigger_verdict(spec, seen, has_upstreams=bool(node.ins))
        if verdict is not None:
            one = self.case.begun.get(name)
            if verdict == "Paused" and (begins.pauses or (one is not None and one.times)):
                return self._attempts(name, node, repeat(given), begins)
            end = self._without_body(name, node, verdict, given)
            if end.cls != "Paused":
                return end
            end.pauses = 1
            return self._attempts(name, node, repeat(given), end) if self._is_approved(name, end) else end
        if node.kind == "collection":
            return self._without_body(name, node, "Success", given)
        return self._attempts(name, node, repeat(given), begins)

    def _is_approved(self, name: Name, end: End) -> bool:
        return self.case.approval(*name, end.pauses) is not None

    def _without_body(self, name: Name, node: PlanNode, cls: str, given: dict[str, Any]) -> End:
        end = self._settle(name, node, cls)
        end.attempts = self._beginning(name).attempts
        if node.kind == "collection":
            # Its consumers put it together themselves, whatever its own rules said.
            end.value = list(given.values())
        return end

    def _attempts(self, name: Name, node: PlanNode, gifts: Iterator[dict[str, Any]], end: End) -> End:
        """Return what a run comes to; each of its bodies is given the next of some arguments."""
        budget, loop, handed_on = _Budget(), 1, None
        one = self.case.begun.get(name)
        if one is not None and one.kind == "retrying":
            budget.failures = end.attempts = end.starts = one.times
        elif one is not None and one.kind == "looped":
            loop, handed_on = one.times + 1, value_of(f"g{name}", None)
        while True:
            started = self._handled(name, node, "Running")
            if started == "Retrying":
                continue
            if started != "Running":
                return self._close(end, name, started)
            end.attempts += 1
            end.starts += 1
            ending = self.facts.get((*name, end.starts)) or self.case.ending(*name, end.starts)
            made: Any = None
            if ending.kind not in BODILESS:
                given = next(gifts)
                kind, made = self.case.outcome(name[0], ending, value_name(name, end.starts), given)
                ending = replace(ending, kind=kind)
                end.bodies += 1
                end.given.append(given)
                end.pasts.append((loop, end.pauses > 0, handed_on))
            said = STATE_OF[ending.kind]
            became = self._handled(name, node, said)
            if became == "Looped":
                # The next iteration is a task run of its own.
                budget, loop, end.attempts = _Budget(losses=budget.losses), loop + 1, 0
                handed_on = made
                continue
            if became == "Pending":
                became = "raised"  # nothing would follow from it
            end.pauses += became == "Paused"
            waits = became == "Retrying" or (
                became == "Paused" and (ending.kind != "signal_pause" or self._is_approved(name, end))
            )
            if not waits and became in FAILURES:
                became, waits = self._weigh(name, node, became, ending, budget)
            if not waits:
                end.value = made if became == said and became in SUCCESSES - SKIPS else None
                return self._close(end, name, became)

    def _weigh(
        self, name: Name, node: PlanNode, cls: str, ending: Ending, budget: _Budget
    ) -> tuple[str, bool]:
        """Return what a failure becomes, and whether the run is tried again."""
        if ending.kind in FORCED:
            return cls, False
        policy = node.policy
        if cls == "Crashed":
            budget.losses += ending.kind in LOSSES
            if policy.idempotent and ending.kind in LOSSES and budget.losses <= MOST_RECOMPUTED:
                again = True
            else:
                budget.crashes += 1
                again = budget.crashes <= policy.max_crashes
        else:
            budget.failures += 1
            again = budget.failures <= policy.retry.max_retries and ending.kind != "hopeless"
            if again and policy.retry.asks_delay:
                again = self.case.delay(*name, budget.failures) is not None
        if not again:
            return cls, False
        became = self._handled(name, node, "Retrying")
        return became, became == "Retrying"

    def _settle(self, name: Name, node: PlanNode, cls: str) -> End:
        # Where a handler wants to wait and try again, the rules are asked anew, and say the same.
        while (became := self._handled(name, node, cls)) == "Retrying":
            pass
        return self._close(End("Pending"), name, became)

    def _close(self, end: End, name: Name, cls: str) -> End:
        end.cls = "Failed" if cls == "raised" else cls.removeprefix("handler's ")
        if cls == "handler's Success":
            end.value = value_of(f"h{name}", handler_shape(name))
        elif end.cls not in SUCCESSES:
            end.value = Broken(name)
        return end

    def _handled(self, name: Name, node: PlanNode, new: str) -> str:
        if not node.policy.handled:
            return new
        count = self._seen[(*name, new)] = self._seen.get((*name, new), 0) + 1
        match self.case.handling(*name, "", new, count):
            case "keep":
                return new
            case "success":
                return "handler's Success"
            case "failed":
                return "Failed"
            case "skipped":
                return "Skipped"
            case "retrying":
                return "Retrying"
            case "pending" | "nonsense" | "raise":
                return "raised"


def value_name(name: Name, start: int) -> str:
    """Return the name of the value that an attempt makes, counted over all iterations."""
    node, index = name
    return f"n{node}@{start}" if index < 0 else f"n{node}[{index}]@{start}"


def handler_shape(name: Name) -> Shape:
    """Return the shape of the value that a handler puts in a success."""
    return None if name[0] % 3 == 0 else (-1, 1)


def begun_shape(name: Name) -> Shape:
    """Return the shape of the value of a success that a run begins with."""
    return None if name[0] % 4 == 0 else (-1,) * (name[0] % 3)


def _spread(end: End) -> Shown:
    return [end] if end.children is None else end.children


def _is_list(end: End) -> bool:
    return end.cls in SUCCESSES - SKIPS and isinstance(end.value, list)


def _flat_if(edge: PlanEdge, value: Any) -> Any:
    return flattened(value) if edge.flattened and isinstance(value, list) else value


def names_of(ends: Sequence[End]) -> Iterator[tuple[Name, End]]:
    """Yield every run with its name, children behind their parents."""
    for number, end in enumerate(ends):
        yield (number, -1), end
        for index, child in enumerate(end.children or ()):
            yield (number, index), child
