"""What follows from the plan alone: who may go ahead, whose value nobody reads, what must be measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from prefectlite.engine.plan import FlowPlan, PlanNode

_NOTHING: Final[frozenset[Literal["length", "flat"]]] = frozenset()
#: What nodes consume that are not in the books.
NO_ARGUMENTS: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Wiring:
    """Facts per node, computed once in O(nodes + edges).

    Parameters
    ----------
    trusted : bytearray
        Whether a submitted run of the node may be taken for a success in the making: no state handler
        could replace its outcome.
    ahead : bytearray
        Whether runs of the node may be submitted before their upstreams are final.
    keeps : bytearray
        Whether the value stays as long as the flow run's state: terminal, reference and ``keep_result``,
        where the policy does not forbid it.
    shown : bytearray
        Whether the value can be seen in the flow run's state: it is kept, or part of a collection that is.
    drops : bytearray
        Whether nobody reads the value, so that it need not outlive the report.
    reads : tuple of int
        How many edges read the value, keeping counted as one.
    measures : tuple of frozenset
        What maps downstream must know of the value.
    maps : bytearray
        Whether the node unfolds into children.
    plain : bytearray
        Whether the node is one run of a task, by rules that are known to pass when all went well, and reads
        nothing but such runs, constants and parameters.
    consumes : dict of int to frozenset
        By map, the arguments that take the values of another's children, each of which nobody but the child
        that takes it has to do with: a value is not needed any more as soon as that child has succeeded.
    """

    trusted: bytearray
    ahead: bytearray
    keeps: bytearray
    shown: bytearray
    drops: bytearray
    reads: tuple[int, ...]
    measures: tuple[frozenset[Literal["length", "flat"]], ...]
    maps: bytearray
    plain: bytearray
    consumes: dict[int, frozenset[str]]

    @classmethod
    def of(cls, plan: FlowPlan) -> Wiring:
        """Read the plan.

        Parameters
        ----------
        plan : FlowPlan
            Nodes in topological order.

        Returns
        -------
        Wiring
            Its facts.
        """
        nodes = plan.nodes
        trusted, ahead, keeps, drops, maps, plain = (bytearray(len(nodes)) for _ in range(6))
        reads: list[int] = []
        collections: list[int] = []
        for i, node in enumerate(nodes):
            keep = node.policy.keep_result
            keeps[i] = keep is not None and (keep or i in plan.terminal or i in plan.reference)
            count = keeps[i]
            for edge in node.outs:
                if edge.key is not None:
                    count += 1
            reads.append(count)
            maps[i] = node.is_mapped
            if node.kind == "collection":
                collections.append(i)
                trusted[i] = ahead[i] = all(trusted[edge.upstream] for edge in node.ins)
                continue
            trusted[i] = not node.policy.handled
            if node.kind == "task":
                drops[i] = not count
                ahead[i] = _may_go_ahead(node, plan, trusted, drops)
                plain[i] = ahead[i] and not maps[i] and _reads_runs(node, plan, maps)
        shown = keeps[:]
        for i in reversed(collections):
            if shown[i]:
                for edge in nodes[i].ins:
                    shown[edge.upstream] = 1
        measures = _measures(plan, maps)
        for i, wanted in enumerate(measures):
            if wanted:
                plain[i] = 0
        consumes = _consumes(plan, maps, keeps, trusted)
        return cls(trusted, ahead, keeps, shown, drops, tuple(reads), measures, maps, plain, consumes)


def _reads_runs(node: PlanNode, plan: FlowPlan, maps: bytearray) -> bool:
    """Return whether each upstream is a single run, or known from the start."""
    for edge in node.ins:
        if maps[edge.upstream] or plan.nodes[edge.upstream].kind == "collection":
            return False
    return True


def _may_go_ahead(node: PlanNode, plan: FlowPlan, trusted: bytearray, drops: bytearray) -> bool:
    """Return whether a task's runs may be submitted early; of what it reads, all is known."""
    trigger = node.policy.trigger
    if node.is_lone or trigger is None or not trigger.lowers_ahead:
        return False
    for edge in node.ins:
        up = plan.nodes[edge.upstream]
        if not trusted[edge.upstream]:
            return False
        # A Dask dependency moves the upstream's value to the reader. An edge without a key must move nothing,
        # so it may only become a dependency when there is no value to move.
        if edge.key is None and up.kind != "value" and not drops[edge.upstream]:
            return False
    return True


def _consumes(
    plan: FlowPlan, maps: bytearray, keeps: bytearray, trusted: bytearray
) -> dict[int, frozenset[str]]:
    found: dict[int, frozenset[str]] = {}
    up = maps.find(1)
    while up >= 0:
        outs = plan.nodes[up].outs
        # One with handlers may be shown the value, or be made to read its inputs once more.
        if len(outs) == 1 and trusted[up] and not keeps[up]:
            down, key = outs[0].downstream, outs[0].key
            # A reduce is none: it may be sent anew while parts of it run.
            are_pairs = outs[0].mapped and not outs[0].flattened
            are_tasks = plan.nodes[up].kind == plan.nodes[down].kind == "task"
            if key is not None and are_pairs and are_tasks and trusted[down]:
                found[down] = found.get(down, NO_ARGUMENTS) | {key}
        up = maps.find(1, up + 1)
    return found


def _measures(plan: FlowPlan, maps: bytearray) -> tuple[frozenset[Literal["length", "flat"]], ...]:
    if 1 not in maps:
        return (_NOTHING,) * len(maps)
    wanted: dict[int, set[Literal["length", "flat"]]] = {}
    for i, node in enumerate(plan.nodes):
        # The parts of a map, and of a list of tasks, are measured one by one.
        for edge in node.outs:
            if edge.mapped and edge.flattened and node.kind == "collection" and not maps[i]:
                _want_members(plan, node, maps, wanted)
            elif edge.mapped and edge.flattened:
                wanted.setdefault(i, set()).add("length" if maps[i] else "flat")
            elif edge.mapped and not maps[i] and node.kind != "collection":
                wanted.setdefault(i, set()).add("length")
    return tuple(frozenset(wanted[i]) if i in wanted else _NOTHING for i in range(len(plan.nodes)))


def _want_members(
    plan: FlowPlan, node: PlanNode, maps: bytearray, wanted: dict[int, set[Literal["length", "flat"]]]
) -> None:
    """Ask for what it takes to unnest each member of a list by one level."""
    for member in node.ins:
        up = plan.nodes[member.upstream]
        if up.kind == "collection" and member.flattened:
            _want_members(plan, up, maps, wanted)
        elif up.kind != "collection":
            whole = member.flattened and not maps[member.upstream]
            wanted.setdefault(member.upstream, set()).add("flat" if whole else "length")
