"""What a report of a bug should say, in the parts that Prefect 1 had: versions, names, counts; no values."""

from __future__ import annotations

import json
import os
from typing import Any

from prefectlite.core.graph import FlowGraph
from prefectlite.settings import told
from prefectlite.utilities.collections import CompoundKey, flatdict_to_dict
from prefectlite.views.describe import diagnostics, machine

__all__ = [
    "config_overrides",
    "diagnostic_info",
    "environment_variables",
    "flow_information",
    "system_information",
]

_SECRETS = "context.secrets"


def system_information() -> dict[str, Any]:
    """Return what runs here in which version, as ``system_information``."""
    return {"system_information": machine()}


def config_overrides(include_secret_names: bool = False) -> dict[str, Any]:
    """Return which settings somebody has made, as ``config_overrides``.

    Parameters
    ----------
    include_secret_names : bool
        Whether secrets are told by name.

    Returns
    -------
    dict
        True by name, in sections; False for secrets whose names are not told.
    """
    made = {}
    for setting in told():
        if setting.source != "default":
            hidden = setting.key.startswith(f"{_SECRETS}.") and not include_secret_names
            made[CompoundKey((_SECRETS if hidden else setting.key).split("."))] = not hidden
    return {"config_overrides": flatdict_to_dict(made)}


def environment_variables() -> dict[str, Any]:
    """Return the names of the environment variables that hold settings, as ``env_vars``."""
    return {"env_vars": [name for name in os.environ if name.startswith("PREFECTLITE_")]}


def flow_information(flow: FlowGraph) -> dict[str, Any]:
    """Return how much of what a flow consists of, as ``flow_information``.

    Parameters
    ----------
    flow : Flow
        The flow.

    Returns
    -------
    dict
        Counts by kind.
    """
    return {"flow_information": json.loads(diagnostics(flow))["flow"]}


def diagnostic_info(flow: FlowGraph | None = None, include_secret_names: bool = False) -> str:
    """Return all of these parts.

    Parameters
    ----------
    flow : Flow or None
        The flow that the report is about.
    include_secret_names : bool
        Whether secrets are told by name.

    Returns
    -------
    str
        JSON.
    """
    parts = {**system_information(), **config_overrides(include_secret_names), **environment_variables()}
    if flow is not None:
        parts |= flow_information(flow)
    return json.dumps(parts, indent=2, sort_keys=True)
