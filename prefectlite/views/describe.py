"""What a flow consists of, as data and as lines: tasks, edges and more. Knows the graph; runs nothing."""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Iterable
from importlib import metadata
from typing import Any, Final

from prefectlite.core.edge import Edge
from prefectlite.core.graph import FlowGraph
from prefectlite.core.options import DEFAULTS, OPTION_NAMES
from prefectlite.core.task import Task
from prefectlite.views.printable import counted, label

_LIBRARIES: Final = ("prefectlite", "dask", "distributed", "cloudpickle", "pydantic")


def description(flow: FlowGraph) -> dict[str, Any]:
    """Return what a flow consists of, in a form that JSON takes.

    Parameters
    ----------
    flow : FlowGraph
        The flow.

    Returns
    -------
    dict
        ``flow`` (the name), ``parameters`` (a JSON schema), ``tasks`` (in an order in which they may run,
        each with the options that differ from the defaults), ``edges`` and ``reference_tasks``, by slugs, and
        ``schedule``, as text or None. Constants are left out: they may be large, or secret.
    """
    slugs = flow.slugs
    return {
        "flow": flow.name,
        "parameters": flow.parameter_schema(),
        "tasks": [_task(flow, task) for task in flow],
        "edges": [
            {
                "upstream": slugs[edge.upstream],
                "downstream": slugs[edge.downstream],
                "key": edge.key,
                "mapped": edge.mapped,
                "flattened": edge.flattened,
            }
            for edge in _edges(flow)
        ],
        "reference_tasks": [slugs[task] for task in flow.reference_tasks()],
        "schedule": None if flow.schedule is None else repr(flow.schedule),
    }


def description_lines(flow: FlowGraph) -> list[str]:
    """Return what a flow consists of, for people.

    Parameters
    ----------
    flow : FlowGraph
        The flow.

    Returns
    -------
    list of str
        Lines of text.
    """
    told = description(flow)
    tasks, edges, schema = told["tasks"], told["edges"], told["parameters"]
    properties: dict[str, Any] = schema["properties"]
    counts = (counted(len(tasks), "task"), counted(len(edges), "edge"), counted(len(properties), "parameter"))
    lines = [f"Flow {flow.name!r}: {', '.join(counts)}"]
    if flow.schedule is not None:
        lines += ["", "Schedule", f"  {told['schedule']}"]
    if properties:
        needed = set(schema["required"])
        rows = [
            (name, "required" if name in needed else "optional", json.dumps(one))
            for name, one in properties.items()
        ]
        lines += ["", "Parameters", *_table(rows)]
        if "$defs" in schema:
            lines += [
                "  where",
                *_table((f"#/$defs/{name}", json.dumps(one)) for name, one in schema["$defs"].items()),
            ]
    if tasks:
        ends = dict.fromkeys(told["reference_tasks"], "; decides how a run ends")
        shown = ((one["slug"], _shown(one) + ends.get(one["slug"], "")) for one in tasks)
        lines += ["", "Tasks", *_table(shown)]
    if edges:
        lines += [
            "",
            "Edges",
            *_table((one["upstream"], f"-> {one['downstream']}", _how(one)) for one in edges),
        ]
    return [label(line) for line in lines]


def diagnostics(flow: FlowGraph, include_secret_names: bool = False) -> str:
    """Return what a report of a bug should say of a flow and of this machine, without names and values.

    Parameters
    ----------
    flow : FlowGraph
        The flow.
    include_secret_names : bool
        Whether the names of its secrets are told all the same.

    Returns
    -------
    str
        JSON: versions, platform, and counts of the flow's parts.
    """
    told = description(flow)
    found = {
        **machine(),
        "flow": {
            "class": type(flow).__name__,
            "executor": type(flow.executor).__name__,
            "tasks": dict(Counter(one["class"] for one in told["tasks"])),
            "edges": len(told["edges"]),
            "maps": sum(one["mapped"] for one in told["tasks"]),
            "options": dict(Counter(name for one in told["tasks"] for name in one["options"])),
            "parameters": len(told["parameters"]["properties"]),
            "has_reference_tasks": flow.reference_tasks() != flow.terminal_tasks(),
        },
    }
    if include_secret_names:
        found["secrets"] = [task.name for task in flow.tasks if task.is_secret]
    return json.dumps(found, indent=2)


def machine() -> dict[str, Any]:
    """Return what runs here in which version, without names of machine or user.

    Returns
    -------
    dict
        ``versions`` by library and ``platform``.
    """
    return {
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in _LIBRARIES}},
        "platform": platform.platform(),
    }


def _task(flow: FlowGraph, task: Task) -> dict[str, Any]:
    return {
        "slug": flow.slugs[task],
        "name": task.name,
        "class": type(task).__name__,
        "tags": sorted(task.tags),
        "mapped": flow.is_mapped(task),
        "options": {
            name: _plain(getattr(task.frozen_options, name))
            for name in OPTION_NAMES
            if getattr(task.frozen_options, name) != getattr(DEFAULTS, name)
            and (name != "max_crashes" or task.frozen_options.gave_crashes)
        },
    }


def _edges(flow: FlowGraph) -> Iterable[Edge]:
    return (edge for task in flow for edge in flow.edges_to(task))


def _plain(value: Any) -> Any:
    """Return an option's value as JSON has it: functions and types by name."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return getattr(value, "__name__", None) or str(value)


def _shown(task: dict[str, Any]) -> str:
    parts = [task["class"]]
    parts += ["mapped"] if task["mapped"] else []
    parts += [f"tags={','.join(task['tags'])}"] if task["tags"] else []
    parts += [f"{name}={value}" for name, value in task["options"].items()]
    return ", ".join(parts)


def _how(edge: dict[str, Any]) -> str:
    parts = [edge["key"] or "only the order"]
    parts += [name for name in ("mapped", "flattened") if edge[name]]
    return ", ".join(parts)


def _table(rows: Iterable[tuple[str, ...]]) -> list[str]:
    found = list(rows)
    widths = [max(map(len, column)) for column in zip(*found, strict=True)]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in found
    ]


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None
