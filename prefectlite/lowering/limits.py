"""Which tasks of a flow share a concurrency limit. Knows what was declared; the rule itself is in rules/."""

from __future__ import annotations

from collections.abc import Mapping

from prefectlite.core.graph import FlowGraph
from prefectlite.core.task import Task
from prefectlite.rules.limit import Limit


def limits_of(
    graph: FlowGraph, tasks: Mapping[int, Task]
) -> tuple[tuple[Limit, ...], dict[int, tuple[int, ...]]]:
    """Return the limits of a flow and who is under them.

    Parameters
    ----------
    graph : FlowGraph
        Whose limits by flow and tag.
    tasks : mapping of int to Task
        Those whose bodies run, by node.

    Returns
    -------
    limits : tuple of Limit
        The narrowest first; of two alike, the one for fewer tasks.
    under : dict of int to tuple of int
        For each node under a limit, the places of its limits among them, in ascending order.
    """
    by_tag = {tag: Limit(f"tag {tag!r}", most) for tag, most in graph.tag_concurrency.items()}
    whole = None if graph.max_concurrency is None else Limit(f"flow {graph.name!r}", graph.max_concurrency)
    found: dict[int, list[Limit]] = {}
    for number, task in tasks.items():
        mine = [by_tag[tag] for tag in sorted(task.frozen_tags) if tag in by_tag] if by_tag else []
        if task.frozen_options.limit is not None:
            mine.insert(0, task.frozen_options.limit)
        if whole is not None:
            mine.append(whole)
        if mine:
            found[number] = mine
    # A limit is known by its identity, so that each counts once, however many tasks are under it.
    members = dict.fromkeys(limit for mine in found.values() for limit in mine)
    limits = tuple(sorted(members, key=lambda limit: (limit.most, limit is whole)))
    places = {limit: place for place, limit in enumerate(limits)}
    return limits, {number: tuple(sorted(places[one] for one in mine)) for number, mine in found.items()}
