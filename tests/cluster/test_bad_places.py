"""A place that cannot be used is named in one paragraph, with the mend."""

from __future__ import annotations

import http.server
import socket
import threading

import pytest
from distributed import Client, LocalCluster

from prefectlite import DaskExecutor, Flow, task
from prefectlite.errors import DefinitionError, DefinitionTypeError, ExecutorError
from prefectlite.executors import reach
from prefectlite.executors.dask import LocalDaskExecutor

pytestmark = pytest.mark.cluster


def refusal(executor, monkeypatch=None):
    with Flow("never") as flow:
        task(lambda: None, name="idle")()
    with pytest.raises(ExecutorError) as caught:
        flow.run(executor=executor)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(reach, "CONNECT_TIMEOUT", 0.5)


def test_an_address_where_nothing_listens_is_named(quick):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"

        text = refusal(DaskExecutor(address))

    assert address in text
    assert "dask scheduler" in text


def test_a_listener_that_is_no_scheduler_is_named(quick):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"tcp://127.0.0.1:{mute.getsockname()[1]}"

        assert address in refusal(DaskExecutor(address))


def test_a_dashboard_given_as_address_is_recognised(quick):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    server.RequestHandlerClass.log_message = lambda *_: None
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        text = refusal(DaskExecutor(f"tcp://127.0.0.1:{server.server_port}"))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

    assert "dashboard" in text
    assert "8786" in text


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("http://127.0.0.1:8787/status", "dashboard"),
        ("tcp://127.0.0.1", "no host and port"),
        ("tcp://no-such-host.invalid:8786", "not known here"),
        ("/nowhere/scheduler.json", "cannot be read"),
        ("dask_nonsense.SLURMCluster", "cannot be imported"),
        ("distributed.NoSuchCluster", "cannot be imported"),
    ],
)
def test_a_wrong_target_is_explained(quick, target, expected):
    text = refusal(DaskExecutor(target))

    assert target in text
    assert expected in text


def test_a_file_that_is_no_scheduler_file_is_explained(tmp_path):
    file = tmp_path / "s.json"
    file.write_text("[]")

    assert "no scheduler file" in refusal(DaskExecutor(scheduler_file=file))


def test_a_closed_client_is_explained(dask_cluster):
    mine = Client(dask_cluster, set_as_default=False)
    mine.close()

    assert "closed" in refusal(DaskExecutor(mine))


def test_a_closed_cluster_is_explained():
    cluster = LocalCluster(n_workers=0, processes=False, dashboard_address=":0")
    cluster.close()

    assert "closed" in refusal(DaskExecutor(cluster))


def test_a_cluster_that_cannot_start_is_explained():
    text = refusal(DaskExecutor(cluster_kwargs={"n_workers": 1, "no_such_option": 1}))

    assert "no_such_option" in text


def test_a_factory_that_raises_is_explained():
    def factory():
        raise RuntimeError("the queue is closed")

    assert "the queue is closed" in refusal(DaskExecutor(factory))


def test_another_version_on_a_worker_names_host_versions_and_mend(client, monkeypatch):
    def pretend(dask_worker=None):
        import prefectlite

        prefectlite.__version__ = "0.0.1"

    def restore(version):
        import prefectlite

        prefectlite.__version__ = version

    import prefectlite

    ours = prefectlite.__version__
    victim = next(iter(client.scheduler_info()["workers"]))
    client.run(pretend, workers=[victim])
    try:
        text = refusal(DaskExecutor(client))
    finally:
        client.run(restore, ours, workers=[victim])

    assert victim in text
    assert "0.0.1" in text
    assert ours in text
    assert socket.gethostname() in text


@pytest.mark.parametrize("which", ["client", "cluster", "address"])
def test_what_lives_in_the_loop_that_would_be_blocked_is_refused(which):
    import asyncio

    async def main():
        async with (
            LocalCluster(
                n_workers=0, processes=False, protocol="tcp", asynchronous=True, dashboard_address=":0"
            ) as cluster,
            Client(cluster, asynchronous=True, set_as_default=False) as mine,
        ):
            places = {"client": mine, "cluster": cluster, "address": cluster.scheduler_address}
            return refusal(DaskExecutor(places[which]))

    said = asyncio.run(main())
    assert "event loop that this call would block" in said
    assert "asyncio.to_thread(flow.run)" in said


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"target": "tcp://h:1", "scheduler_file": "x.json"}, "target and scheduler_file"),
        ({"target": "tcp://h:1", "n_workers": 2}, "n_workers=2"),
        ({"n_workers": 0}, "n_workers=0"),
        ({"n_workers": True}, "n_workers=True"),
    ],
)
def test_contradictory_arguments_are_refused(arguments, expected):
    with pytest.raises(DefinitionError, match=expected):
        DaskExecutor(**arguments)


def test_targets_and_options_of_wrong_types_are_refused():
    with pytest.raises(DefinitionTypeError, match="int"):
        DaskExecutor(8786)
    with pytest.raises(DefinitionTypeError, match="cluster_kwargs"):
        DaskExecutor(cluster_kwargs=[1])
    with pytest.raises(DefinitionError, match="'threads' or 'processes'"):
        LocalDaskExecutor("fork")
    with pytest.raises(DefinitionError, match="num_workers=0"):
        LocalDaskExecutor(num_workers=0)
