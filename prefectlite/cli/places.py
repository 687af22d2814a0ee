"""Turns the options of the command line into a place to run. Knows executors by name only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from prefectlite.executors.dask import DaskExecutor
from prefectlite.executors.local import LocalExecutor
from prefectlite.executors.protocol import Executor


@dataclass(frozen=True, slots=True)
class Place:
    """Where a person wants a flow to run.

    Parameters
    ----------
    address : str or None
        A Dask scheduler's address.
    scheduler_file : Path or None
        The file in which a scheduler wrote its address.
    workers : int or None
        How many worker processes a cluster of our own has.
    local : bool
        Whether to run in this process.
    """

    address: str | None = None
    scheduler_file: Path | None = None
    workers: int | None = None
    local: bool = False

    def check(self) -> None:
        """Refuse options that exclude each other.

        Raises
        ------
        click.UsageError
            When two of them say different places.
        """
        given = [
            name
            for name, value in (
                ("--address", self.address),
                ("--scheduler-file", self.scheduler_file),
                ("--workers", self.workers),
                ("--local", self.local or None),
            )
            if value is not None
        ]
        if len(given) > 1:
            raise click.UsageError(
                f"{' and '.join(given)} exclude each other: --address and --scheduler-file name a cluster "
                "that runs already, --workers starts one, --local uses none; give one of them."
            )

    def executor(self) -> Executor | None:
        """Return the place to run.

        Returns
        -------
        Executor or None
            None when nothing was asked for: the flow's own executor, or a local cluster.

        Raises
        ------
        ExecutorError
            When what was given cannot be the address of a scheduler.
        """
        if self.local:
            return LocalExecutor()
        if self.address is None and self.scheduler_file is None and self.workers is None:
            return None
        if self.workers is not None:
            return DaskExecutor(
                cluster_class="distributed.LocalCluster",
                cluster_kwargs={"n_workers": self.workers, "threads_per_worker": 1},
            )
        return DaskExecutor(self.address or self.scheduler_file)
