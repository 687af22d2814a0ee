"""Clusters of real processes: what they listen on, and whom those with certificates let in."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import Client, LocalCluster

from prefectlite import DaskExecutor, Flow, task
from prefectlite.cli.main import main
from prefectlite.errors import ExecutorError, InsecureClusterWarning
from prefectlite.executors import security

pytestmark = pytest.mark.cluster


def add_flow() -> tuple[Flow, Any]:
    with Flow("adds") as flow:
        total = task(lambda x: x + 1, name="add").map([1, 2, 3])
    return flow, total


def runs_on(executor: DaskExecutor) -> bool:
    flow, total = add_flow()
    state = flow.run(executor=executor)
    return [child.result for child in state.result[total].map_states] == [2, 3, 4]


def listeners(root: psutil.Process) -> dict[str, set[str]]:
    """The addresses on which a process and its descendants listen, with who they are."""
    found: dict[str, set[str]] = {}
    for process in (root, *root.children(recursive=True)):
        for connection in process.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                found.setdefault(connection.laddr.ip, set()).add(f"{process.pid}:{connection.laddr.port}")
    return found


@pytest.mark.parametrize(
    "executor",
    [
        DaskExecutor(n_workers=1),
        DaskExecutor(
            cluster_kwargs={
                "n_workers": 1,
                "processes": False,
                "dashboard_address": ":0",
                "worker_dashboard_address": 0,
            }
        ),
    ],
    ids=["processes", "threads"],
)
def test_own_clusters_listen_on_the_loopback_only(executor: DaskExecutor) -> None:
    seen: list[dict[str, set[str]]] = []
    before = listeners(psutil.Process())

    with Flow("looks") as flow:
        # A handler runs beside the cluster while it is up.
        def look(_: Any, __: Any, new: Any) -> Any:
            if new.is_successful():
                seen.append(listeners(psutil.Process()))
            return new

        task(lambda: 1, name="body", timeout=60, state_handlers=[look])()
    assert flow.run(executor=executor).is_successful()

    [during] = seen
    ours = {ip: sockets - before.get(ip, set()) for ip, sockets in during.items()}
    assert {ip for ip, sockets in ours.items() if sockets} == {"127.0.0.1"}
    assert ours["127.0.0.1"], "the dashboard at least"


class Deployed:
    """A cluster that was started with the commands which ``prefectlite tls`` prints."""

    def __init__(self, folder: Path, told: str) -> None:
        self.directory = folder / "tls"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.address = f"tls://127.0.0.1:{self.port}"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.folder = folder
        for command in re.findall(r"^ *(dask \w+ .*)$", told, re.MULTILINE):
            self._start(command.replace(":8787", ":0").replace("8786", str(self.port)))

    def _start(self, command: str) -> None:
        program, role, *rest = shlex.split(command)
        more = ["--nworkers", "1", "--nthreads", "1"] if role == "worker" else []
        log = (self.folder / f"{role}.log").open("wb")
        self.processes.append(
            subprocess.Popen(
                [sys.executable, "-m", program, role, *rest, *more], cwd=self.folder, stdout=log, stderr=log
            )
        )
        log.close()

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in self.folder.glob("*.log"))

    def stop(self) -> None:
        # A nanny's orderly end takes seconds, and nobody needs it here.
        for process in self.processes:
            for one in (*psutil.Process(process.pid).children(recursive=True), process):
                one.kill()
            process.wait()


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("deployed")
    # What a person does: makes certificates, types what is printed.
    made = subprocess.run(
        [sys.executable, "-m", "prefectlite.cli", "tls", str(folder / "tls"), "--host", "127.0.0.1"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    cluster = Deployed(folder, made.stdout)
    assert len(cluster.processes) == 2
    yield cluster
    cluster.stop()


def test_a_flow_runs_on_a_cluster_with_certificates(deployed: Deployed) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert runs_on(DaskExecutor(deployed.address, security=deployed.directory)), deployed.logs()


def test_without_a_certificate_one_is_refused_and_told_the_mend(deployed: Deployed) -> None:
    with pytest.raises(ExecutorError, match=r"takes only clients with a certificate.*security='DIRECTORY'"):
        runs_on(DaskExecutor(deployed.address))
    with pytest.raises(ExecutorError, match=r"started with certificates.*security='DIRECTORY'"):
        runs_on(DaskExecutor(deployed.address.replace("tls", "tcp")))


def test_with_certificates_of_another_authority_one_is_refused_and_told_the_mend(
    deployed: Deployed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tls", str(tmp_path / "other")]) == 0
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for name in ("client-cert.pem", "client-key.pem"):
        (mixed / name).write_bytes((tmp_path / "other" / name).read_bytes())
    (mixed / "ca.pem").write_bytes((deployed.directory / "ca.pem").read_bytes())

    for directory in (tmp_path / "other", mixed):
        with pytest.raises(ExecutorError, match=r"do not accept each other's certificates .*one run of"):
            runs_on(DaskExecutor(deployed.address, security=directory))


def test_the_command_line_runs_there_too(deployed: Deployed, tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text(
        "from prefectlite import Flow, task\nwith Flow('f') as f:\n    task(lambda: 'reached', name='t')()\n"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "prefectlite.cli", "run", "f.py"),
            *("--address", deployed.address, "--security", str(deployed.directory)),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == "reached\n", done.stderr


def test_a_cluster_of_our_own_may_have_certificates(deployed: Deployed) -> None:
    with Flow("own") as flow:
        told = task(lambda: __import__("distributed").get_worker().address, name="t")()
    state = flow.run(executor=DaskExecutor(n_workers=1, security=deployed.directory))

    assert state.result[told].result.startswith("tls://127.0.0.1:")


def test_a_scheduler_that_listens_everywhere_is_warned_of_once_however_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(security, "_looked_at", set())
    with LocalCluster(
        n_workers=1, processes=False, host="tcp://0.0.0.0", dashboard_address="127.0.0.1:0"
    ) as up:
        port = up.scheduler_address.rpartition(":")[2]
        if not security.is_open(up.scheduler_address):
            pytest.skip("this machine has no address but the loopback's")
        file = tmp_path / "scheduler.json"
        file.write_text(json.dumps({"address": f"tcp://127.0.0.1:{port}"}))
        with Client(f"tcp://127.0.0.1:{port}", set_as_default=False) as client:
            for target in (f"tcp://127.0.0.1:{port}", file, client, up):
                security._looked_at.clear()
                with pytest.warns(InsecureClusterWarning, match=f":{port}' is open to the network") as caught:
                    assert [runs_on(DaskExecutor(target)) for _ in range(2)] == [True, True]
                assert len([one for one in caught if one.category is InsecureClusterWarning]) == 1
