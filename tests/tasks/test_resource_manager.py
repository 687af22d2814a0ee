"""Resource managers: the tasks and edges that they make, how their class travels, what is refused."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import cloudpickle
import pytest

from prefectlite import Flow, LocalExecutor, ResourceManager, context, resource_manager, task
from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.states import Failed, Skipped, State, Success
from prefectlite.states.signals import SKIP
from prefectlite.tasks.resource_manager import resource_cleanup_trigger


@resource_manager
class Cluster:
    """A cluster of the tests."""

    def __init__(self, size: int) -> None:
        self.size = size

    def setup(self) -> str:
        return f"{self.size} workers"

    def cleanup(self, resource: str) -> None: ...


@task
def use(x: Any = None) -> Any:
    return x


def names(tasks: Any) -> list[str]:
    return sorted(one.name for one in tasks)


def test_a_block_stands_between_setup_and_cleanup() -> None:
    with Flow("edges") as flow:
        outside = use(1)
        with Cluster(3) as cluster:
            reads, waits, listed = use(cluster), use(outside), use([cluster])
            last = use(reads)
    [init] = flow.get_tasks(name="Cluster")
    [cleanup] = flow.get_tasks(name="Cluster.cleanup")

    assert flow.constants[init] == {"size": 3}
    assert [(edge.upstream.name, edge.key) for edge in flow.edges_to(cluster)] == [("Cluster", "mgr")]
    assert names(flow.upstream_tasks(reads)) == ["Cluster.setup"]
    assert names(flow.upstream_tasks(waits)) == ["Cluster.setup", "use"]
    assert names(flow.upstream_tasks(listed)) == ["List"]
    assert names(flow.upstream_tasks(last)) == ["use"]
    assert flow.upstream_tasks(cleanup) == {init, cluster, waits, listed, last}
    assert [edge.key for edge in flow.edges_to(cleanup)][:2] == ["mgr", "resource"]


def test_a_manager_may_be_used_again_and_in_several_flows() -> None:
    with Flow("one") as one:
        with Cluster(1):
            use()
        with Cluster(2):
            use()
    with Flow("two") as two, Cluster(size=3) as cluster:
        used = use(cluster)

    assert len(one.tasks) == 8
    assert two.run(executor=LocalExecutor()).result[used].result == "3 workers"


def test_a_block_that_is_opened_again_goes_on() -> None:
    with Flow("again") as flow:
        block = Cluster(1)
        with block as cluster:
            first = use()
        with block as same:
            second, third = use(first), use()
    [cleanup] = flow.get_tasks(name="Cluster.cleanup")

    assert same is cluster
    assert names(flow.upstream_tasks(second)) == ["use"]
    assert names(flow.upstream_tasks(third)) == ["Cluster.setup"]
    assert {first, second, third} <= flow.upstream_tasks(cleanup)


def test_a_manager_of_a_function_has_a_setup() -> None:
    def make(size: int) -> Any:
        return Cluster.resource_class(size)

    with Flow("function") as flow, ResourceManager(make, name="made")(4) as resource:
        used = use(resource)

    assert names(flow.tasks) == ["made", "made.cleanup", "made.setup", "use"]
    assert flow.run(executor=LocalExecutor()).result[used].result == "4 workers"


def test_a_decorated_class_travels_by_name() -> None:
    with Flow("named"), Cluster(1):
        use()
    manager = Cluster.resource_class(7)

    for dumps in (pickle.dumps, cloudpickle.dumps):
        again = pickle.loads(dumps(manager))
        assert type(again) is type(manager)
        assert again.size == 7
    assert Cluster.__doc__ == "A cluster of the tests."
    assert repr(Cluster) == "<ResourceManager: Cluster>"


def test_blocks_of_threads_do_not_see_each_other() -> None:
    ready, found = threading.Barrier(3), {}

    def build(n: int) -> None:
        with Flow(f"flow-{n}") as flow, Cluster(n):
            ready.wait(30)
            use()
            ready.wait(30)
        found[n] = flow

    threads = [threading.Thread(target=build, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert [len(flow.tasks) for flow in found.values()] == [4, 4, 4]


def test_an_error_in_the_block_leaves_no_block_open_and_its_tasks_between_setup_and_cleanup() -> None:
    with Flow("error") as flow:
        with pytest.raises(RuntimeError), Cluster(1):
            inside = use()
            raise RuntimeError
        after = use()

    assert context.get("block") is None
    assert names(flow.upstream_tasks(inside)) == ["Cluster.setup"]
    assert names(flow.downstream_tasks(inside)) == ["Cluster.cleanup"]
    assert flow.upstream_tasks(after) == set()


def test_a_block_takes_tasks_of_its_flow_only() -> None:
    other = Flow("other")
    with (
        Flow("one"),
        Cluster(1),
        pytest.raises(DefinitionError, match=r"goes into flow 'other'.*holds tasks of flow 'one'"),
    ):
        use(flow=other)


def test_a_flow_may_be_given() -> None:
    flow = Flow("given")
    with Cluster(1, flow=flow):
        use(flow=flow)

    assert len(flow.tasks) == 4


def test_wrong_arguments_are_refused_when_the_flow_is_built() -> None:
    with pytest.raises(DefinitionTypeError, match="the argument 'size' got no value"), Flow("bad"):
        Cluster()
    with pytest.raises(DefinitionTypeError, match="'sise' is no argument"), Flow("bad"):
        Cluster(1, sise=2)


def test_what_is_no_manager_is_refused() -> None:
    with pytest.raises(DefinitionTypeError, match="made from a class, not from 'text'"):
        ResourceManager("text")  # type: ignore[arg-type]
    with pytest.raises(
        DefinitionError, match=r"made from 'Bad', which has no method cleanup\(self, resource\)"
    ):

        @resource_manager
        class Bad:
            def setup(self) -> None: ...

    with pytest.raises(DefinitionError, match="'Cluster' was used outside a flow"):
        Cluster(1)


@pytest.mark.parametrize("bad", [Failed("x"), Skipped("x")])
@pytest.mark.parametrize("key", ["mgr", "resource"])
def test_the_cleanup_trigger_skips_without_a_resource_and_asks_no_other(key: str, bad: State) -> None:
    with Flow("trigger") as flow, Cluster(1):
        use()
    [cleanup] = flow.get_tasks(name="Cluster.cleanup")
    states: dict[Any, State] = {edge: Success() for edge in flow.edges_to(cleanup)}
    by_key = {edge.key: edge for edge in states}

    assert resource_cleanup_trigger({**states, by_key[None]: bad})
    with pytest.raises(SKIP, match="nothing to clean up: Cluster"):
        resource_cleanup_trigger({**states, by_key[key]: bad})


def test_a_copied_flow_knows_what_decides_too() -> None:
    with Flow("copied") as flow, Cluster(1) as cluster:
        used = use(cluster)
    copied = flow.copy()
    with copied:
        other = use()

    assert copied.reference_tasks() == {used, other}
    assert flow.reference_tasks() == {used}
    assert Flow("plain").reference_tasks() == set()


def test_a_class_may_be_given_by_name() -> None:
    assert resource_manager(resource_class=Cluster.resource_class).name == "Cluster"
