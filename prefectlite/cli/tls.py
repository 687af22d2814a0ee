"""The command ``prefectlite tls``: certificates for a cluster, and how to use them. Knows no task."""

from __future__ import annotations

import shlex
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import click

from prefectlite.cli.certificates import make_certificates, write_private
from prefectlite.cli.mending import mended
from prefectlite.executors.security import CA_FILE, role_files

_PORT: Final = 8786
_DASHBOARD: Final = "127.0.0.1:8787"

HELP: Final = """Make certificates for a Dask cluster that only their holders can use.

    DIRECTORY gets a certificate authority (ca.pem) and a certificate with its key for the scheduler, the
    workers and the clients. Scheduler, workers and clients then encrypt all that they say, and refuse
    whoever has no certificate of this authority. Without that, whoever can reach a scheduler can run code
    there. What is printed are the commands that start such a cluster, and the line of Python that uses it.

    A key file is a password: only you can read the files, and so it must stay where they are copied to.
    A cluster that prefectlite starts on this machine is not open to the network and needs none of this.

    \b
    Examples:
      prefectlite tls ~/cluster-tls                              a scheduler on this host
      prefectlite tls ~/cluster-tls --host 10.0.0.5 --host head  a scheduler there
      prefectlite tls ~/cluster-tls --days 30 --force            new ones for old ones
    """


@click.command("tls", help=HELP)
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), metavar="DIRECTORY")
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="A name or IP address of the scheduler's host, written into the certificates; by default, this "
    "host's name. May be repeated; the first stands in the printed commands.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=365,
    show_default=True,
    metavar="N",
    help="How long they are good.",
)
@click.option("--force", is_flag=True, help="Replace the files of DIRECTORY that are there already.")
def tls_command(directory: Path, hosts: tuple[str, ...], days: int, force: bool) -> None:
    """Make the files, and say how to use them."""
    directory = directory.expanduser().absolute()
    hosts = hosts or (socket.gethostname(),)
    begin = datetime.now(UTC)
    end = begin + timedelta(days=days)
    with mended():
        write_private(
            directory, make_certificates((*hosts, "localhost", "127.0.0.1", "::1"), begin, end), force
        )
    click.echo(instructions(directory, hosts[0], end))


def instructions(directory: Path, host: str, end: datetime) -> str:
    """Return how to use certificates.

    Parameters
    ----------
    directory : Path
        Where they are.
    host : str
        Where the scheduler is to run.
    end : datetime
        Until when they are good.

    Returns
    -------
    str
        Commands and Python, for people.
    """
    address = f"tls://{f'[{host}]' if ':' in host else host}:{_PORT}"
    scheduler = f"--protocol tls --port {_PORT} --dashboard-address {_DASHBOARD}"
    worker = f"{address} --dashboard-address 127.0.0.1:0"
    return f"""\
Certificates for a Dask cluster are in {directory}, good until {end:%Y-%m-%d}.
Keep the keys (*-key.pem) secret: whoever has one can run code on the cluster.

1. Start the scheduler on {host}; its dashboard is only seen from there:
   dask scheduler {scheduler} {_options(directory, "scheduler")}

2. Start workers, on any host that has {_named("worker")} in such a directory:
   dask worker {worker} {_options(directory, "worker")}

3. Run flows, where {_named("client")} are:
   DaskExecutor({address!r}, security={str(directory)!r})
   prefectlite run FILE --address {address} --security {shlex.quote(str(directory))}"""


def _options(directory: Path, role: str) -> str:
    certificate, key = (shlex.quote(str(directory / name)) for name in role_files(role))
    return f"--tls-ca-file {shlex.quote(str(directory / CA_FILE))} --tls-cert {certificate} --tls-key {key}"


def _named(role: str) -> str:
    certificate, key = role_files(role)
    return f"{CA_FILE}, {certificate} and {key}"
