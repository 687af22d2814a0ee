"""A workflow engine without a server: flows of Python functions, with rules, on Dask.

The public names are imported when first used, so that a worker process, which needs few of them, starts fast.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from prefectlite import (
        cache_validators,
        errors,
        notifications,
        results,
        schedules,
        serializers,
        signals,
        states,
        tasks,
        triggers,
    )
    from prefectlite.core.annotations import flatten, mapped, unmapped
    from prefectlite.core.attributes import defaults_from_attrs
    from prefectlite.core.base import Task
    from prefectlite.core.callbacks import callback_factory
    from prefectlite.core.collecting import as_task
    from prefectlite.core.context import context, raise_on_exception, tags
    from prefectlite.core.edge import Edge
    from prefectlite.core.loggers import get_logger
    from prefectlite.core.moment_parameter import DateTimeParameter
    from prefectlite.core.parameter import Parameter
    from prefectlite.core.pausing import pause_task
    from prefectlite.core.secrets import EnvVarSecret, Secret, SecretBase
    from prefectlite.core.task import task
    from prefectlite.executors.dask import DaskExecutor, LocalDaskExecutor
    from prefectlite.executors.local import LocalExecutor
    from prefectlite.flow import Flow, flow
    from prefectlite.flow_run import FlowRun
    from prefectlite.lowering.journey import is_serializable
    from prefectlite.settings import config, set_temporary_config
    from prefectlite.tasks.control_flow import FilterTask, apply_map, case, ifelse, merge, switch
    from prefectlite.tasks.resource_manager import ResourceManager, resource_manager

__all__ = [
    "task",
    "Task",
    "Flow",
    "flow",
    "FlowRun",
    "Parameter",
    "DateTimeParameter",
    "Secret",
    "EnvVarSecret",
    "SecretBase",
    "Edge",
    "mapped",
    "unmapped",
    "flatten",
    "callback_factory",
    "context",
    "tags",
    "as_task",
    "defaults_from_attrs",
    "case",
    "switch",
    "ifelse",
    "merge",
    "apply_map",
    "FilterTask",
    "resource_manager",
    "ResourceManager",
    "tasks",
    "config",
    "set_temporary_config",
    "pause_task",
    "raise_on_exception",
    "get_logger",
    "is_serializable",
    "triggers",
    "signals",
    "states",
    "errors",
    "results",
    "serializers",
    "cache_validators",
    "schedules",
    "notifications",
    "testing",
    "DaskExecutor",
    "LocalDaskExecutor",
    "LocalExecutor",
]
__version__ = "0.1.0"

#: The module of each public name.
_HOMES: Final = {
    "task": "core.task",
    "Task": "core.base",
    "Flow": "flow",
    "flow": "flow",
    "FlowRun": "flow_run",
    "Parameter": "core.parameter",
    "DateTimeParameter": "core.moment_parameter",
    "Secret": "core.secrets",
    "EnvVarSecret": "core.secrets",
    "SecretBase": "core.secrets",
    "Edge": "core.edge",
    "as_task": "core.collecting",
    "defaults_from_attrs": "core.attributes",
    "mapped": "core.annotations",
    "unmapped": "core.annotations",
    "flatten": "core.annotations",
    "callback_factory": "core.callbacks",
    "context": "core.context",
    "tags": "core.context",
    "case": "tasks.control_flow",
    "switch": "tasks.control_flow",
    "ifelse": "tasks.control_flow",
    "merge": "tasks.control_flow",
    "apply_map": "tasks.control_flow",
    "FilterTask": "tasks.control_flow",
    "resource_manager": "tasks.resource_manager",
    "ResourceManager": "tasks.resource_manager",
    "config": "settings",
    "set_temporary_config": "settings",
    "raise_on_exception": "core.context",
    "get_logger": "core.loggers",
    "is_serializable": "lowering.journey",
    "pause_task": "core.pausing",
    "DaskExecutor": "executors.dask",
    "LocalDaskExecutor": "executors.dask",
    "LocalExecutor": "executors.local",
}
#: Public names that are modules.
_MODULES: Final = {
    "tasks": "tasks",
    "triggers": "triggers",
    "signals": "signals",
    "states": "states",
    "errors": "errors",
    "results": "results",
    "serializers": "serializers",
    "cache_validators": "cache_validators",
    "schedules": "schedules",
    "notifications": "notifications",
    "testing": "testing",
    # What `import prefect` gave too, as attributes alone.
    "client": "client",
    "core": "core",
    "engine": "engine",
    "exceptions": "exceptions",
    "executors": "executors",
    "utilities": "utilities",
}


def __getattr__(name: str) -> Any:
    """Import a public name."""
    if name in _MODULES:
        found: Any = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    elif name in _HOMES:
        found = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    else:
        raise AttributeError(importlib.import_module(f"{__name__}.absent").lacking(__name__, name, __all__))
    if name != "flow":
        globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Return the public names, imported or not."""
    return sorted({*globals(), *__all__})


class _Absent:
    """The last finder that Python asks for a module: says what there is instead of one of Prefect 1."""

    @staticmethod
    def find_spec(fullname: str, path: object = None, target: object = None) -> None:
        """Find nothing."""
        if fullname.startswith(f"{__name__}.") and _is_import(sys._getframe(1)):
            importlib.import_module(f"{__name__}.absent").refuse(fullname)


def _is_import(asker: types.FrameType) -> bool:
    """Return whether a finder is asked by an import; others only ask whether there is such a module."""
    # `importlib.util.find_spec` asks through the same function of Python's: only who called that tells.
    frames = (asker, asker.f_back)
    return all(one is not None and one.f_globals.get("__name__") == "importlib._bootstrap" for one in frames)


class _Package(types.ModuleType):
    """The package, in which ``flow`` is the decorator, whatever was imported first.

    Python sets a package's attribute to each submodule that it imports, and there is one of the same name.
    """

    @property
    def flow(self) -> Any:
        """The decorator that makes a flow of a function."""
        return __getattr__("flow")

    @flow.setter
    def flow(self, module: types.ModuleType) -> None:
        pass

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by name: a function that goes to a worker may say ``prefectlite.context``."""
        return importlib.import_module, (self.__name__,)


sys.modules[__name__].__class__ = _Package
sys.meta_path.append(_Absent)
