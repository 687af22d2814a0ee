"""The public names are frozen: to add one is a decision, to remove one breaks somebody's program."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import prefectlite

NAMES = {
    "DaskExecutor",
    "DateTimeParameter",
    "Edge",
    "FilterTask",
    "EnvVarSecret",
    "Flow",
    "FlowRun",
    "LocalDaskExecutor",
    "LocalExecutor",
    "Parameter",
    "ResourceManager",
    "Secret",
    "SecretBase",
    "Task",
    "apply_map",
    "as_task",
    "cache_validators",
    "callback_factory",
    "case",
    "config",
    "context",
    "defaults_from_attrs",
    "errors",
    "flatten",
    "flow",
    "get_logger",
    "ifelse",
    "is_serializable",
    "mapped",
    "merge",
    "notifications",
    "resource_manager",
    "results",
    "schedules",
    "serializers",
    "set_temporary_config",
    "pause_task",
    "raise_on_exception",
    "signals",
    "states",
    "switch",
    "tags",
    "task",
    "tasks",
    "testing",
    "triggers",
    "unmapped",
}
MEMBERS = {
    "Flow": {"diagnostics", "run", "serve", "start", "visualize"},
    "FlowRun": {
        "cancel",
        "counts",
        "dashboard_link",
        "explain",
        "flow_name",
        "history",
        "is_over",
        "paused",
        "resume",
        "run_id",
        "states",
        "wait",
    },
}


def test_the_public_names_are_these() -> None:
    assert set(prefectlite.__all__) == NAMES
    assert len(prefectlite.__all__) == len(NAMES)
    assert set(dir(prefectlite)) >= NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_public_name_is_there_and_documented(name: str) -> None:
    found = getattr(prefectlite, name)

    assert inspect.getdoc(found)
    assert getattr(prefectlite, name) is found


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_the_members_of_flows_and_their_runs_are_these(name: str) -> None:
    assert {member for member in vars(getattr(prefectlite, name)) if not member.startswith("_")} == MEMBERS[
        name
    ]


def test_an_unknown_name_says_which_there_are() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'Flo'; its names are .*Flow"):
        _ = prefectlite.Flo  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "first",
    ["from prefectlite.flow import Flow", "import prefectlite.flow", "from prefectlite import Flow", ""],
)
def test_flow_is_the_decorator_whatever_was_imported_first(first: str) -> None:
    code = f"{first}\nfrom prefectlite import flow\nimport prefectlite\n"
    code += "assert flow is prefectlite.flow and flow.__name__ == 'flow' and callable(flow), flow"

    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("first", ["import prefectlite.triggers, prefectlite.signals", ""])
def test_triggers_and_signals_are_modules_to_import_from(first: str) -> None:
    code = f"{first}\nfrom prefectlite.triggers import all_finished\nfrom prefectlite.signals import SKIP\n"
    code += (
        "import prefectlite\nfrom prefectlite.rules import triggers\nfrom prefectlite.states import signals\n"
    )
    code += "assert prefectlite.triggers is triggers and prefectlite.signals is signals"

    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


def test_what_was_an_attribute_in_prefect_1_is_one() -> None:
    code = """
import prefectlite as prefect

found = prefect.engine.signals.SKIP, prefect.engine.state.Success, prefect.utilities.logging.get_logger
found += prefect.executors.LocalExecutor, prefect.tasks.shell.ShellTask, prefect.tasks.core.constants.Constant
found += prefect.core.flow.Flow, prefect.core.task.Task, prefect.core.edge.Edge, prefect.core.parameter.Parameter
found += prefect.executors.dask.DaskExecutor, prefect.executors.local.LocalExecutor, prefect.executors.base.Executor
found += prefect.engine.result.base.Result, prefect.engine.results.local_result.LocalResult
assert all(map(callable, (*found, prefect.client.Secret)))
assert prefect.core.Flow is prefect.Flow and prefect.exceptions.PrefectSignal is prefect.signals.Signal
from prefectlite.core.parameter import DateTimeParameter
assert DateTimeParameter is prefect.DateTimeParameter
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


def test_the_package_imports_nothing_of_its_own_until_asked() -> None:
    code = "import sys, prefectlite; print([name for name in sys.modules if name.startswith('prefectlite.')])"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )

    assert done.stdout.strip() == "[]"
