"""Runs flows of hostile names and values; by ``test_hostile_runs.py``, in a process and a folder of its own.

    python -m tests.security.hostile_flow local|dask

Prints a line of JSON for each flow: what it is about, and what came of it. Its log lines go to standard error,
as where nobody set up logging.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefectlite import DaskExecutor, Flow, LocalExecutor, Parameter, context, task, triggers
from prefectlite.errors import PrefectliteError
from tests.security.hostile import NAMES, VALUES

_written: set[str] = set()


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Note which files this process writes, makes or moves to."""
    if event == "open" and isinstance(arguments[0], str) and arguments[2]:
        if arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            _written.add(arguments[0])
    elif event in ("os.mkdir", "os.rename", "os.symlink", "os.link"):
        _written.update(str(one) for one in arguments[:2] if isinstance(one, str))


def of_names(name: str) -> Flow:
    """A flow in which all has that name: it succeeds, fails and logs."""

    @task(name=name, tags=[name], log_stdout=True)
    def says(x: Any) -> Any:
        print("printed", name)
        logging.getLogger(f"log.{name}").warning("logged %s", name)
        context.logger.warning("logged by its own logger")
        return x

    @task(name=f"raises {name}")
    def raises(x: Any) -> None:
        raise ValueError(name)

    @task(trigger=triggers.all_finished)
    def counts(xs: Any, failed: Any) -> int:
        return len(xs)

    with Flow(name) as flow:
        given = Parameter(name, default=name)
        counts(says.map([name, name, given]), raises(given))
    return flow


def of_values(make: Callable[[], Any]) -> Flow:
    """A flow in which a value is a constant, a default, a map's input and a result."""

    @task
    def takes(x: Any) -> int:
        return 1

    @task
    def makes() -> Any:
        return make()

    @task(trigger=triggers.all_finished)
    def counts(*, a: Any, b: Any, c: Any, d: Any) -> int:
        return 4

    with Flow("values") as flow:
        counts(
            a=takes(make()),
            b=takes(Parameter("p", default=make())),
            c=takes.map([make(), 1]),
            d=takes(makes()),
        )
    return flow


@contextmanager
def place(name: str) -> Iterator[Any]:
    if name == "local":
        yield LocalExecutor()
        return
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield DaskExecutor(client)


def run(about: str, build: Callable[[], Flow], executor: Any) -> dict[str, Any]:
    """What came of a flow: states by slug, or the typed error that refused it."""
    try:
        flow = build()
        state = flow.run(executor=executor)
    except PrefectliteError as error:
        return {"about": about, "refused": f"{type(error).__name__}: {error}"}
    states = {flow.slugs[one]: [type(held).__name__, held.message] for one, held in state.result.items()}
    return {"about": about, "flow": type(state).__name__, "states": states}


def main() -> None:
    root = Path(os.environ["HOSTILE_ROOT"])
    with place(sys.argv[1]) as executor:
        sys.addaudithook(watch)
        for name in NAMES:
            print(json.dumps(run(name, lambda name=name: of_names(name), executor)))  # type: ignore[misc]
        for about, make in VALUES.items():
            print(json.dumps(run(about, lambda make=make: of_values(make), executor)))  # type: ignore[misc]
    outside = [one for one in _written if not Path(one).resolve().is_relative_to(root) and one != os.devnull]
    print(json.dumps({"outside": [one for one in outside if "__pycache__" not in one]}))


if __name__ == "__main__":
    main()
