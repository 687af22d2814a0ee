"""Modules that Prefect 1 had and this package has not: what there is instead. Knows no other room."""

from __future__ import annotations

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

#: The rest of a sentence after the module's name, by what follows the package's.
_WHY: Final = {
    **dict.fromkeys(("api", "backend", "models", "plugins", "serialization", "engine.cloud"), _TALKS),
    **dict.fromkeys(("tasks.prefect", "utilities.backend", "utilities.graphql", "utilities.plugins"), _TALKS),
    **dict.fromkeys(("agent", "run_configs", "storage", "utilities.agent"), _DEPLOYS),
    **dict.fromkeys(("utilities.filesystems", "utilities.git", "utilities.storage"), _DEPLOYS),
    "artifacts": "a server showed them, and there is none; flow.visualize(state) draws a run",
    **dict.fromkeys(("engine.flow_runner", "engine.task_runner", "utilities.executors"), _RUNS),
    "tasks.notifications": "use a notifier of prefectlite.notifications; for more, a @task around smtplib",
    **dict.fromkeys(("utilities.aws", "utilities.gcp", "utilities.kubernetes"), _VENDOR),
}


def refuse(name: str) -> None:
    """Refuse to import a module that only Prefect 1 had; of any other, say nothing.

    Parameters
    ----------
    name : str
        The module's full name.

    Raises
    ------
    ModuleNotFoundError
        Which says what there is instead.
    """
    inside = name.partition(".")[2]
    # Prefect 1 had tasks for some fifty vendors.
    why = _WHY.get(inside, _VENDOR if inside.startswith("tasks.") else None)
    if why is not None:
        raise ModuleNotFoundError(f"No module named {name!r}: {why}.", name=name)
