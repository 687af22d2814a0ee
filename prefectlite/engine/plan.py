"""The frozen DAG that the engine drives. Knows rules; knows neither tasks, Dask nor values."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from prefectlite.rules.limit import Limit
from prefectlite.rules.retry import RetryPolicy
from prefectlite.rules.triggers import Trigger

#: ``task`` runs on a worker; ``value`` (a constant or parameter) succeeds at once, its value is known
#: to the lowering; ``collection`` (list, tuple, set, dict of tasks) is decided on the driver from its
#: members and put together where its consumer runs.
NodeKind: TypeAlias = Literal["task", "value", "collection"]


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of a task; tasks with the same options share one.

    Parameters
    ----------
    trigger : Trigger or None
        A built-in trigger; None for a user's own, which is asked on the driver.
    skip_on_upstream_skip : bool
        Whether a skipped upstream skips the run before its trigger is asked.
    retry : RetryPolicy
        When a failure is tried again.
    max_crashes : int
        How often an attempt that infrastructure ended is run again.
    idempotent : bool
        Whether lost work is simply done again.
    map_lengths : {"equal", "shortest"}
        What a map over inputs of unequal length does.
    handled : bool
        Whether state handlers must be asked about each transition.
    on_failure : bool
        Whether somebody wants to be told of a final failure.
    keep_result : bool or None
        Whether the value stays as long as the flow run's state; None when it must not, whoever asks for it.
    cleans_up : bool
        Whether the task cleans up what the upstreams that it reads have made, also after a cancel.
    """

    trigger: Trigger | None
    skip_on_upstream_skip: bool = True
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    max_crashes: int = 0
    idempotent: bool = False
    map_lengths: Literal["equal", "shortest"] = "equal"
    handled: bool = False
    on_failure: bool = False
    keep_result: bool | None = False
    cleans_up: bool = False


class PlanEdge(NamedTuple):
    """One dependency between two nodes.

    Parameters
    ----------
    upstream, downstream : int
        Node numbers; the upstream's is the smaller.
    key : str or None
        The argument that takes the upstream's value; None for an edge that moves no value.
    mapped : bool
        Whether the downstream maps over the upstream.
    flattened : bool
        Whether the upstream's value is unnested by one level first.
    token : object
        What a trigger of the user's own is shown in the edge's place, opaque here.
    """

    upstream: int
    downstream: int
    key: str | None = None
    mapped: bool = False
    flattened: bool = False
    token: Hashable = None


class PlanNode(NamedTuple):
    """One task of the plan.

    Parameters
    ----------
    slug : str
        The task's name in run keys.
    policy : Policy
        Its rules.
    kind : {"task", "value", "collection"}
        Who brings about its outcome.
    ins : tuple of PlanEdge
        Edges to it, in argument order.
    outs : tuple of PlanEdge
        Edges from it.
    length : int or None
        ``len`` of a ``value`` node's value when it can be mapped over.
    flat_length : int or None
        The same after one level of unnesting.
    unmappable : str or None
        Why a ``value`` node's value cannot be mapped over, if it cannot.
    limits : tuple of int
        The places in the plan's ``limits`` of those that its runs are under, in ascending order.
    constants : int
        How many values are bound to its arguments: to its trigger each is an upstream that succeeded.
    """

    slug: str
    policy: Policy
    kind: NodeKind = "task"
    ins: tuple[PlanEdge, ...] = ()
    outs: tuple[PlanEdge, ...] = ()
    length: int | None = None
    flat_length: int | None = None
    unmappable: str | None = None
    limits: tuple[int, ...] = ()
    constants: int = 0

    @property
    def is_mapped(self) -> bool:
        """Whether the node unfolds into children."""
        for edge in self.ins:  # noqa: SIM110  # asked for every run, and most have no upstream: twice as fast
            if edge.mapped:
                return True
        return False

    @property
    def is_lone(self) -> bool:
        """Whether each of its runs must be looked at by itself before it starts."""
        return self.policy.handled or bool(self.limits)


@dataclass(frozen=True, slots=True)
class FlowPlan:
    """A flow compiled for one run; nodes stand in topological order.

    Parameters
    ----------
    name : str
        The flow's name.
    nodes : tuple of PlanNode
        Every task; its number is its place here.
    reference : frozenset of int
        The nodes that decide the flow's outcome.
    terminal : frozenset of int
        The nodes without a downstream.
    limits : tuple of Limit
        How many runs of a kind may run at once, the narrowest first.
    handled : bool
        Whether the flow's own handlers must be asked how it begins and ends.
    on_failure : bool
        Whether somebody wants to be told of the flow's failure.
    """

    name: str
    nodes: tuple[PlanNode, ...]
    reference: frozenset[int] = frozenset()
    terminal: frozenset[int] = frozenset()
    limits: tuple[Limit, ...] = ()
    handled: bool = False
    on_failure: bool = False
