"""Names that Prefect 1 had and this package has not: what there is instead. Knows no other room."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_TALKS: Final = "it talked to a server, and there is none; flow.start() returns a handle on a run"
_DEPLOYS: Final = (
    "it deployed flows to a server, and there is none; `prefectlite run FILE.py` and `prefectlite serve "
    "FILE.py` run the flow of a file, executor=DaskExecutor(...) says where"
)
_RUNS: Final = (
    "one engine applies the rules here; give tasks and flows triggers, state_handlers and executors of "
    "your own"
)
_VENDOR: Final = (
    "what was about one vendor is left out; a @task around the vendor's own library, or ShellTask, does it"
)
_TELLS: Final = "use a notifier of prefectlite.notifications; for more, a @task around smtplib"
_STORES: Final = (
    "results lie wherever fsspec writes; give Result(store=FsspecStore('s3://bucket/results')), or the like"
)

#: The rest of a sentence after the name, by what follows the package's.
_WHY: Final = {
    **dict.fromkeys(("Client", "client.Client", "client.client"), _TALKS),
    **dict.fromkeys(("api", "backend", "models", "plugins", "serialization", "engine.cloud"), _TALKS),
    **dict.fromkeys(("tasks.prefect", "utilities.backend", "utilities.graphql", "utilities.plugins"), _TALKS),
    **dict.fromkeys(("agent", "run_configs", "storage", "utilities.agent"), _DEPLOYS),
    **dict.fromkeys(("utilities.filesystems", "utilities.git", "utilities.storage"), _DEPLOYS),
    "artifacts": "a server showed them, and there is none; flow.visualize(state) draws a run",
    **dict.fromkeys(("engine.flow_runner", "engine.task_runner", "utilities.executors"), _RUNS),
    **dict.fromkeys(("engine.FlowRunner", "engine.TaskRunner"), _RUNS),
    **dict.fromkeys(("tasks.notifications", "utilities.notifications.jira_notifier"), _TELLS),
    **dict.fromkeys((f"engine.results.{name}Result" for name in ("S3", "GCS", "Azure")), _STORES),
    **dict.fromkeys(("utilities.aws", "utilities.gcp", "utilities.kubernetes"), _VENDOR),
}


def lacking(module: str, name: str, names: Iterable[str]) -> str:
    """Return what is said of a name that a module has not.

    Parameters
    ----------
    module : str
        The module's full name.
    name : str
        The name.
    names : iterable of str
        Those that it has.

    Returns
    -------
    str
        A sentence, with what there is instead of what only Prefect 1 had.
    """
    why = _instead_of(f"{module}.{name}")
    said = "" if why is None else f": {why}"
    return f"module {module!r} has no attribute {name!r}{said}; its names are {', '.join(names)}"


def refuse(name: str) -> None:
    """Refuse to import what only Prefect 1 had; of any other name, say nothing.

    Parameters
    ----------
    name : str
        The full name.

    Raises
    ------
    ModuleNotFoundError
        Which says what there is instead.
    """
    why = _instead_of(name)
    if why is not None:
        # If the error had the name, `from prefectlite import ...` would say that it cannot, and no more.
        raise ModuleNotFoundError(f"No module named {name!r}: {why}.")


def _instead_of(name: str) -> str | None:
    inside = name.partition(".")[2]
    room, _, thing = inside.rpartition(".")
    # Prefect 1 had tasks for some fifty vendors, a module for each.
    return _WHY.get(inside, _VENDOR if room == "tasks" and thing.islower() else None)
