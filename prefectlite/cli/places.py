"""Turns the options of the command line into a place to run. Knows executors by name only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from prefectlite.errors import ExecutorError
from prefectlite.executors.dask import DaskExecutor
from prefectlite.executors.local import LocalExecutor
from prefectlite.executors.protocol import Executor
from prefectlite.executors.reach import is_address


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
    security : Path or None
        The directory with certificates.
    """

    address: str | None = None
    scheduler_file: Path | None = None
    workers: int | None = None
    local: bool = False
    security: Path | None = None

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
        if self.local and self.security is not None:
            raise click.UsageError("--local and --security exclude each other: no cluster, no connection.")
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
        if self.workers is not None:
            return DaskExecutor(n_workers=self.workers, security=self.security)
        if self.scheduler_file is not None:
            return DaskExecutor(scheduler_file=self.scheduler_file, security=self.security)
        if self.address is None:
            return None if self.security is None else DaskExecutor(security=self.security)
        if not is_address(self.address):
            raise ExecutorError(
                f"--address {self.address!r} is no scheduler's address; write it with its port, "
                "as `dask scheduler` shows it: tcp://host:8786."
            )
        return DaskExecutor(self.address, security=self.security)
