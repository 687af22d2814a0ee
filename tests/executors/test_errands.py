"""Executors with start, submit and wait: who is called when, what ends how, and what goes to another process."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from typing import Any

import cloudpickle
import pytest

from prefectlite import (
    DaskExecutor,
    Flow,
    LocalExecutor,
    SecretBase,
    context,
    set_temporary_config,
    signals,
    task,
    unmapped,
)
from prefectlite.errors import DefinitionTypeError, ExecutorError, SerializationError
from prefectlite.executors import Executor
from prefectlite.executors.default import default_executor
from prefectlite.executors.protocol import Executor as Place
from prefectlite.executors.submitting import as_place
from prefectlite.states import Cancelled, Crashed, Failed, Skipped, Success
from prefectlite.worker.errand import Brought


class Calls(Executor):
    """Calls a function in the thread that submits it, and notes what it was asked."""

    def __init__(self, call: Callable[..., Any] = lambda fn, *args: fn(*args)) -> None:
        self.call = call
        self.log: list[Any] = []

    @contextmanager
    def start(self) -> Iterator[None]:
        self.log.append("started")
        try:
            yield
        except BaseException as error:
            self.log.append(f"left by {type(error).__mro__[1].__name__}")
            raise
        self.log.append("left")

    def submit(self, fn: Any, *args: Any, extra_context: Any = None, **kwargs: Any) -> Any:
        self.log.append(extra_context)
        return self.call(fn, *args, **kwargs)

    def wait(self, futures: Any) -> Any:
        return futures


class Promise:
    """A future of a pool's that can be asked whether it is done, or only be waited for."""

    def __init__(self, future: Any, has_done: bool) -> None:
        self.future = future
        if has_done:
            self.done = future.done


class Pool(Executor):
    """Calls functions in threads; its futures can do what the test says."""

    def __init__(self, kind: str = "calls back", count: int = 2) -> None:
        self.kind, self.count = kind, count
        self.waited: list[Any] = []
        self.made: list[Any] = []

    @contextmanager
    def start(self) -> Iterator[None]:
        with ThreadPoolExecutor(self.count) as self.pool:
            yield

    def submit(self, fn: Any, *args: Any, extra_context: Any = None, **kwargs: Any) -> Any:
        future = self.pool.submit(fn, *args, **kwargs)
        self.made.append(future)
        return future if self.kind == "calls back" else Promise(future, self.kind == "is asked")

    def wait(self, futures: Any) -> Any:
        self.waited += futures
        return [(one.future if isinstance(one, Promise) else one).result() for one in futures]


@task(tags=["db"])
def inc(x: Any) -> Any:
    return x + 1


def test_a_class_of_prefect_1_is_called_as_prefect_1_called_it() -> None:
    executor = Calls()
    with Flow("called") as flow:
        one = inc(1)
        many = inc.map([one, 5])
    flow.executor = executor

    result = flow.run().result

    assert (result[one].result, result[many].result) == (2, [3, 6])
    told = {"task_name": "inc", "task_tags": {"db"}}
    # The list of the two is made by the driver.
    assert executor.log == ["started", told, *({**told, "task_index": n} for n in range(2)), "left"]


def test_nothing_is_started_for_a_flow_that_runs_nothing() -> None:
    executor = Calls()

    Flow("empty").run(executor=executor)

    assert executor.log == []


def test_whatever_has_the_three_methods_is_an_executor_and_a_class_is_none() -> None:
    class Own:
        start = Executor.start
        submit = staticmethod(lambda fn, *args, extra_context: fn(*args))
        wait = staticmethod(tuple)

    with Flow("own") as flow:
        made = inc(1)

    assert flow.run(executor=Own()).result[made].result == 2
    assert as_place(Own) is None
    assert as_place(ThreadPoolExecutor(1)) is None
    assert repr(as_place(Calls())) == "<Executor: Calls>"
    assert isinstance(as_place(Own()), Place)
    local = LocalExecutor()
    assert as_place(local) is local
    with pytest.raises(TypeError, match="submit"):
        Executor()  # type: ignore[abstract]


def test_in_this_process_values_stay_what_they_are_and_bodies_run_in_the_drivers_thread() -> None:
    lock = threading.Lock()
    seen: list[Any] = []

    @task
    def looks(x: Any) -> Any:
        seen.append(threading.get_ident())
        return x

    with Flow("values") as flow:
        made = looks(looks(lock))

    assert flow.run(executor=Calls()).result[made].result is lock
    assert seen == [threading.get_ident()] * 2


@pytest.mark.parametrize("kind", ["calls back", "is asked"])
def test_what_is_done_first_is_taken_first(kind: str) -> None:
    free = threading.Event()

    @task
    def slow() -> bool:
        return free.wait(30)

    @task
    def frees(x: int) -> None:
        free.set()

    with Flow("branches") as flow:
        waits = slow()
        frees(inc(inc(1)))

    assert flow.run(executor=Pool(kind)).result[waits].result is True


def test_what_can_only_be_waited_for_is_waited_for_in_order() -> None:
    executor = Pool("is silent")
    with Flow("silent") as flow:
        a, b = inc(1), inc(2)
        c = inc(a)

    result = flow.run(executor=executor).result

    assert [result[one].result for one in (a, b, c)] == [2, 3, 3]
    assert [one.future for one in executor.waited] == executor.made


def test_a_function_that_is_called_when_it_is_waited_for_runs() -> None:
    class Lazy(Calls):
        def submit(self, fn: Any, *args: Any, extra_context: Any = None, **kwargs: Any) -> Any:
            return lambda: fn(*args, **kwargs)

        def wait(self, futures: Any) -> Any:
            return [one() for one in futures]

    with Flow("lazy") as flow:
        made = inc.map(inc.map([1, 2]))

    assert flow.run(executor=Lazy()).result[made].result == [3, 4]


def test_a_future_of_an_event_loop_that_runs_in_wait_alone_is_waited_for() -> None:
    class Looping(Executor):
        @contextmanager
        def start(self) -> Iterator[None]:
            with asyncio.Runner() as self.runner:
                yield

        def submit(self, fn: Any, *args: Any, extra_context: Any = None, **kwargs: Any) -> Any:
            return self.runner.get_loop().create_task(asyncio.to_thread(fn, *args))

        def wait(self, futures: Any) -> Any:
            async def all_of_them() -> Any:
                return await asyncio.gather(*futures)

            return self.runner.run(all_of_them())

    with Flow("loop") as flow:
        made = inc(inc(1))

    assert flow.run(executor=Looping()).result[made].result == 3


@pytest.mark.parametrize("method", ["submit", "wait"])
def test_what_the_executor_raises_is_a_crash_of_its_attempt_alone(method: str) -> None:
    executor = Calls()
    before = getattr(executor, method)
    left: list[BaseException | None] = [None, OSError("the line is down"), asyncio.CancelledError()]

    def raises(*args: Any, **kwargs: Any) -> Any:
        if left and (error := left.pop(0)) is not None:
            raise error
        return before(*args, **kwargs)

    with Flow("crashes") as flow:
        good = inc(1)
        bad = inc(good, task_args={"name": "bad"})
        again = inc(good, task_args={"name": "again", "max_crashes": 1})
    setattr(executor, method, raises)

    result = flow.run(executor=executor).result

    assert result[good].result == 2
    assert type(result[bad]) is Crashed
    assert result[bad].cause == "worker-lost"
    assert result[bad].message == f"Calls.{method} raised OSError: the line is down"
    assert result[again].result == 3


@pytest.mark.parametrize("came", [5, [], [7], ["a", "b"], None])
def test_a_wait_that_returns_something_else_is_a_crash(came: Any) -> None:
    executor = Calls()
    executor.wait = lambda futures: came  # type: ignore[method-assign]
    with Flow("odd") as flow:
        made = inc(1)

    state = flow.run(executor=executor).result[made]

    assert type(state) is Crashed
    assert state.message == (
        f"Calls.wait([future]) returned {came!r}, not a list with what the function returned."
    )


def test_an_executor_that_cannot_start_says_so() -> None:
    class Broken(Calls):
        def start(self) -> Any:
            raise OSError("no licence")

    with Flow("broken") as flow:
        inc(1)

    with pytest.raises(
        ExecutorError, match=r"Broken could not start: its start\(\) raised OSError: no licence"
    ):
        flow.run(executor=Broken())


def test_ctrl_c_gets_through_to_wait_and_start_is_left_by_it() -> None:
    executor = Calls(lambda *args: object())
    heard: list[str] = []

    def wait(futures: Any) -> Any:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            threading.Event().wait(30)
        except KeyboardInterrupt:
            heard.append("heard")
            raise

    executor.wait = wait  # type: ignore[method-assign]
    with Flow("interrupted") as flow:
        inc(1)

    with pytest.raises(KeyboardInterrupt):
        flow.run(executor=executor)

    assert heard == ["heard"]
    assert executor.log[0] == "started"
    assert executor.log[-1] == "left by KeyboardInterrupt"


def test_ctrl_c_that_is_lost_in_a_destructor_of_wait_gets_through_to_it_all_the_same() -> None:
    executor = Calls(lambda *args: object())
    heard: list[str] = []

    class Loses:
        def __del__(self) -> None:
            try:
                os.kill(os.getpid(), signal.SIGINT)
                threading.Event().wait(30)
            finally:
                heard.append("lost")

    def wait(futures: Any) -> Any:
        Loses()
        try:
            threading.Event().wait(30)
        finally:
            heard.append("heard")

    executor.wait = wait  # type: ignore[method-assign]
    with Flow("interrupted") as flow:
        inc(1)

    with pytest.raises(KeyboardInterrupt):
        flow.run(executor=executor)

    assert heard == ["lost", "heard"]
    assert executor.log[-1] == "left by KeyboardInterrupt"


def test_ctrl_c_that_is_lost_in_a_destructor_of_a_body_in_the_drivers_thread_ends_the_body() -> None:
    heard: list[str] = []

    class Loses:
        def __del__(self) -> None:
            try:
                os.kill(os.getpid(), signal.SIGINT)
                threading.Event().wait(30)
            finally:
                heard.append("lost")

    @task
    def loops() -> None:
        Loses()
        try:
            while True:
                threading.Event().wait(0.01)
        finally:
            heard.append("heard")

    executor = Calls()
    with pytest.raises(KeyboardInterrupt):
        Flow("loops", tasks=[loops]).run(executor=executor)

    assert heard == ["lost", "heard"]
    assert executor.log[-1] == "left by KeyboardInterrupt"


def test_ctrl_c_in_a_body_in_the_drivers_thread_ends_it_and_no_other_begins() -> None:
    begun: list[int] = []

    @task
    def loops(x: int) -> None:
        begun.append(x)
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            threading.Event().wait(0.01)

    with Flow("loops") as flow:
        loops(1)
        loops(2)
    executor = Calls()

    with pytest.raises(KeyboardInterrupt):
        flow.run(executor=executor)

    assert begun == [1]
    assert executor.log[-1] == "left by KeyboardInterrupt"


def test_a_cancelled_run_calls_its_futures_off_and_ends_bodies_in_this_process() -> None:
    begun = threading.Event()

    @task
    def loops() -> None:
        begun.set()
        while True:
            threading.Event().wait(0.01)

    with Flow("cancelled") as flow:
        first, second = loops(), loops()
    executor = Pool(count=1)
    run = flow.start(executor=executor)
    assert begun.wait(30)
    while len(executor.made) < 2:
        threading.Event().wait(0.01)
    run.cancel()

    result = run.wait(30).result

    assert {type(result[one]) for one in (first, second)} == {Cancelled}
    assert sorted(one.cancelled() for one in executor.made) == [False, True]
    assert "may run on until Pool ends it" in result[first].message


def test_runs_at_the_same_time_do_not_share_what_start_sets() -> None:
    both = threading.Barrier(2)

    @task
    def meets() -> int:
        return both.wait(30)

    with Flow("twice") as flow:
        met = meets()
    executor = Pool()
    runs = [flow.start(executor=executor) for _ in range(2)]

    assert sorted(run.wait(30).result[met].result for run in runs) == [0, 1]

    class Single(Pool):
        def __copy__(self) -> Any:
            raise TypeError("there is one")

        start = Executor.start

    shared = Single()
    with ThreadPoolExecutor(2) as shared.pool:
        runs = [flow.start(executor=shared) for _ in range(2)]
        assert sorted(run.wait(30).result[met].result for run in runs) == [0, 1]
    assert len(shared.made) == 2


def test_a_function_that_is_called_twice_here_runs_its_body_once() -> None:
    ran: list[int] = []

    @task
    def counts() -> int:
        ran.append(1)
        return len(ran)

    with Flow("once") as flow:
        made = counts()

    state = flow.run(executor=Calls(lambda fn, *args: [fn(*args), fn(*args)][1])).result[made]

    assert (state.result, ran) == (1, [1])


# What goes to another process; here it is pickled, and opened in this one.


def by_pickle(fn: Any, *args: Any) -> Any:
    fn, args = pickle.loads(pickle.dumps((fn, args)))
    return pickle.loads(pickle.dumps(fn(*args)))


def by_cloudpickle(fn: Any, *args: Any) -> Any:
    fn, args = pickle.loads(cloudpickle.dumps((fn, args)))
    # Whoever passes it on must be able to pickle it again.
    return pickle.loads(cloudpickle.dumps(pickle.loads(pickle.dumps(fn(*pickle.loads(pickle.dumps(args)))))))


@pytest.mark.parametrize("travel", [by_pickle, by_cloudpickle])
def test_pickled_attempts_say_what_they_come_to(
    travel: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    @task(log_stdout=True)
    def body(x: int, parameter: Any) -> Any:
        logging.getLogger("etl").warning("at %s", context.task_full_name)
        print("printed", x)
        if x == 1:
            raise signals.SKIP("one")
        if x == 2:
            raise ValueError(x)
        return x, parameter, context.map_index, sorted(context.upstream_states)

    caplog.set_level(logging.INFO)
    with Flow("alike") as flow:
        given = inc(6)
        many = body.map(inc.map([-1, 0, 1, 2]), unmapped(given))

    found = [flow.run(executor=one).result[many].map_states for one in (LocalExecutor(), Calls(travel))]

    assert [type(one) for one in found[1]] == [Success, Skipped, Failed, Success]
    assert [str(one) for one in found[1]] == [str(one) for one in found[0]]
    assert [found[1][n].result for n in (0, 3)] == [found[0][n].result for n in (0, 3)]
    assert repr(found[1][2].result) == "ValueError(2)"
    told = {(record.name, record.message) for record in caplog.records}
    assert {(name, said) for name, said in told if name == "etl" or "printed" in said} == {
        said
        for n in range(4)
        for said in (("etl", f"at body[{n}]"), ("prefectlite.TaskRunner", f"printed {n}"))
    }


def test_secrets_that_an_attempt_reads_go_with_it() -> None:
    sent: list[bytes] = []

    def notes(fn: Any, *args: Any) -> Any:
        sent.append(pickle.dumps(args))
        return fn(*pickle.loads(sent[-1]))

    class Vault(SecretBase):
        def run(self) -> int:
            return 47114711

    with Flow("secret") as flow:
        pin = Vault()
        inc(pin)
        inc.map([pin, 5])
    flow.run(executor=Calls(notes))

    # As a number it would not be found in what is pickled.
    assert [payload.count(b"47114711") for payload in sent] == [0, 1, 1, 0]


def test_an_argument_that_cannot_go_fails_its_task_by_name_and_no_other() -> None:
    @task(max_retries=1)
    def names(thing: Any) -> str:
        return type(thing).__name__

    with Flow("unsendable") as flow:
        bad, good = names(threading.Lock()), names(1)

    result = flow.run(executor=Calls(by_pickle)).result

    assert result[good].result == "int"
    assert type(result[bad]) is Failed
    assert "argument 'thing' cannot be pickled to get there" in result[bad].message
    assert isinstance(result[bad].result, SerializationError)


def test_a_function_that_cannot_go_fails_its_task_by_name() -> None:
    lock = threading.Lock()
    with Flow("closed") as flow:
        bad = task(lambda: lock.locked(), name="locks")()

    state = flow.run(executor=Calls(by_pickle)).result[bad]

    assert type(state) is Failed
    assert "Task 'locks' cannot be sent to a worker" in state.message


def test_an_argument_that_cannot_be_made_fails_its_task_as_everywhere() -> None:
    class Odd(list[int]):
        def __getitem__(self, place: Any) -> Any:
            raise RuntimeError("no access")

    with Flow("odd") as flow:
        many = inc.map(inc.map(task(lambda: Odd([1]), name="odd")()))

    states = [flow.run(executor=one).result[many] for one in (LocalExecutor(), Calls(by_pickle))]

    assert str(states[1].map_states) == str(states[0].map_states)


@pytest.mark.parametrize("value", [lambda: threading.Lock(), lambda: (n for n in range(3))])
def test_a_value_that_cannot_come_back_fails_its_task(value: Callable[[], Any]) -> None:
    with Flow("unpicklable") as flow:
        bad = task(value, name="makes", keep_result=True)()
        task(lambda x: x, name="reads")(bad)

    state = flow.run(executor=Calls(by_pickle)).result[bad]

    assert type(state) is Failed
    assert "cannot be pickled" in state.message


class Trap:
    """Pickles well, and cannot be made again."""

    def __reduce__(self) -> Any:
        return int, ("no number",)


class Mute(Exception):
    """Has nothing to say."""

    def __str__(self) -> str:
        raise RuntimeError("nothing")


def stay_mute() -> None:
    raise Mute


class DeepTrap:
    """As above, and it is not said why."""

    def __reduce__(self) -> Any:
        return stay_mute, ()


@pytest.mark.parametrize("trap", [Trap(), DeepTrap()])
def test_what_came_back_and_cannot_be_opened_here_fails_its_task(trap: Any) -> None:
    with Flow("trap") as flow:
        bad = inc(1)

    state = flow.run(executor=Calls(lambda fn, *args: Brought(pickle.dumps(trap)))).result[bad]

    assert type(state) is Failed
    assert "cannot be unpickled" in state.message


def test_what_cannot_be_opened_there_fails_its_task() -> None:
    with Flow("trap") as flow:
        bad = inc([Trap()])

    state = flow.run(executor=Calls(by_pickle)).result[bad]

    assert type(state) is Failed
    assert "cannot be opened at process" in state.message


@pytest.mark.slow
def test_a_process_that_is_gone_is_a_crash_that_is_tried_again() -> None:
    class Processes(Calls):
        @contextmanager
        def start(self) -> Iterator[None]:
            with ExitStack() as self.pools:
                yield

        def submit(self, fn: Any, *args: Any, extra_context: Any = None, **kwargs: Any) -> Any:
            pool = ProcessPoolExecutor(1, mp_context=get_context("forkserver"))
            return self.pools.enter_context(pool).submit(fn, *args, **kwargs)

        def wait(self, futures: Any) -> Any:
            return [future.result() for future in futures]

    @task(max_crashes=1)
    def dies() -> int:
        if context.attempt == 1:
            os._exit(3)
        return os.getpid()

    with Flow("dies") as flow:
        lives = dies()

    state = flow.run(executor=Processes()).result[lives]

    assert state.result not in (None, os.getpid())


# The setting


class Named(Calls):
    """An executor that a setting can name."""


class Demanding(Calls):
    """One that cannot be made without an argument."""

    def __init__(self, count: int) -> None:
        raise NotImplementedError


def test_a_setting_names_the_class_of_an_executor() -> None:
    def chosen(name: str) -> Any:
        with set_temporary_config({"executor": name}):
            return default_executor()

    assert repr(chosen(f"{__name__}.Named")) == "<Executor: Named>"
    assert isinstance(chosen("prefectlite.executors.LocalExecutor"), LocalExecutor)
    assert isinstance(chosen("prefectlite.executors:DaskExecutor"), DaskExecutor)
    assert repr(chosen("distributed.LocalCluster")) == "DaskExecutor('distributed.LocalCluster')"
    with pytest.raises(ExecutorError, match=r"Demanding', a class that cannot be made without arguments"):
        chosen(f"{__name__}:Demanding")


def test_the_names_of_prefect_1s_module_come_when_they_are_asked_for() -> None:
    import prefectlite.executors

    assert {name for name in prefectlite.executors.__all__ if getattr(prefectlite.executors, name)} == {
        "DaskExecutor",
        "Executor",
        "LocalDaskExecutor",
        "LocalExecutor",
    }
    with pytest.raises(AttributeError, match="its names are DaskExecutor, Executor"):
        _ = prefectlite.executors.DaskExecuter  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["start", "submit", "wait"])
def test_what_builds_on_an_executor_of_ours_by_a_method_that_nobody_calls_is_refused(name: str) -> None:
    kind = type("Mine", (LocalExecutor,), {name: lambda self: None})
    with Flow("idle") as flow:
        inc(1)
    with pytest.raises(DefinitionTypeError, match=f"whose {name} nobody would call: LocalExecutor runs"):
        flow.run(executor=kind())
    assert flow.run(executor=type("Mine", (LocalExecutor,), {})()).is_successful()
