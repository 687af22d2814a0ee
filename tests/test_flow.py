"""What a user does with a flow: parameters, the decorator, handles, Ctrl-C. All in this process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from prefectlite import (
    Flow,
    LocalExecutor,
    Parameter,
    flow,
    raise_on_exception,
    resource_manager,
    task,
)
from prefectlite.driver.echo import Echo
from prefectlite.driver.run import Run
from prefectlite.errors import DefinitionTypeError, ExecutorError, ParameterError
from prefectlite.states import Cancelled, RunKey, Success
from prefectlite.worker.logs import LogLine

HERE = LocalExecutor()


@task
def double(x: Any) -> Any:
    return 2 * x


class TestParameters:
    def flow(self) -> tuple[Flow, Any]:
        with Flow("given") as made:
            doubled = double(Parameter("x", type=int))
        return made, doubled

    def test_they_are_given_by_name_or_in_a_mapping(self) -> None:
        made, doubled = self.flow()

        for state in (
            made.run(x=2, executor=HERE),
            made.run({"x": 2}, executor=HERE),
            made.run(parameters={"x": 2}, executor=HERE),
        ):
            assert state.result[doubled].result == 4

    def test_of_one_that_is_given_twice_the_keyword_wins(self) -> None:
        made, doubled = self.flow()

        assert made.run({"x": 1}, x=2, executor=HERE).result[doubled].result == 4

    def test_a_missing_one_is_refused(self) -> None:
        with pytest.raises(ParameterError, match="x"):
            self.flow()[0].run(executor=HERE)

    def test_one_that_is_named_like_an_option_or_like_self_works(self) -> None:
        with Flow("names") as made:
            first, second = double(Parameter("executor")), double(Parameter("self"))

        state = made.run({"executor": 1}, self=2, executor=HERE)

        assert (state.result[first].result, state.result[second].result) == (2, 4)
        with pytest.raises(DefinitionTypeError, match=r"parameters=\{'executor'"):
            made.run(executor=1)  # type: ignore[arg-type]


class TestPlaces:
    def test_the_flows_own_executor_is_used_unless_another_is_given(self) -> None:
        used: list[str] = []

        class Named(LocalExecutor):
            def __init__(self, name: str) -> None:
                self.name = name

            def open(self, *arguments: Any) -> Any:
                used.append(self.name)
                return super().open(*arguments)

        with Flow("place", executor=Named("own")) as made:
            double(1)

        made.run()
        made.run(executor=Named("given"))
        made.start(executor=Named("started")).wait(30)

        assert used == ["own", "given", "started"]

    def test_by_default_it_is_dask(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys.modules["prefectlite.executors.default"], "DaskExecutor", LocalExecutor)
        with Flow("default") as made:
            double(1)

        assert type(made.run()) is Success

    @pytest.mark.parametrize("executor", [LocalExecutor, "tcp://somewhere:8786", 5])
    def test_what_is_no_executor_is_refused(self, executor: Any) -> None:
        with pytest.raises(DefinitionTypeError, match="is no executor"):
            Flow("none").run(executor=executor)

    def test_a_place_that_cannot_be_reached_raises_from_run_and_start(self) -> None:
        class Unreachable(LocalExecutor):
            def open(self, *arguments: Any) -> Any:
                raise ExecutorError("nobody there")

        for begin in (Flow("gone").run, Flow("gone").start):
            with pytest.raises(ExecutorError, match="nobody there"):
                begin(executor=Unreachable())

    def test_a_place_that_fails_later_raises_from_wait(self) -> None:
        class Session:
            pickles = False
            dashboard_link = None
            description = ""

            def submit(self, lowered: Any) -> None:
                raise ExecutorError("never came up")

            def __getattr__(self, name: str) -> Any:
                return lambda *arguments: None

        class Late(LocalExecutor):
            def open(self, *arguments: Any) -> Any:
                return Session()

        with Flow("late") as made:
            double(1)
        run = made.start(executor=Late())

        for _ in range(2):
            with pytest.raises(ExecutorError, match="never came up"):
                run.wait(30)


def test_a_flow_does_not_run_while_it_is_built() -> None:
    with Flow("outer") as outer, Flow("inner") as inner:
        for made, begin in ((outer, outer.run), (inner, inner.start)):
            with pytest.raises(RuntimeError, match=f"Flow '{made.name}' cannot .* behind the block"):
                begin(executor=HERE)


def test_another_flow_may_run_while_one_is_built_and_inside_a_task() -> None:
    with Flow("helper") as helper:
        four = double(2)

    @task
    def runs() -> int:
        state = helper.run(executor=HERE)
        return int(state.result[four].result)

    with Flow("outer") as outer:
        known = helper.run(executor=HERE).result[four].result
        ran = runs()
        last = double(known)

    state = outer.run(executor=HERE)

    assert state.result[ran].result == 4
    assert state.result[last].result == 8


def test_a_task_that_lacks_an_argument_ends_the_run_before_it_begins() -> None:
    @task
    def half(x: int, by: int = 2) -> float:
        return x / by

    made = Flow("incomplete")
    made.add_task(half)
    with pytest.raises(DefinitionTypeError, match=r"Flow 'incomplete' cannot run.*'x'"):
        made.start(executor=HERE)


class TestDecorator:
    def test_a_signature_becomes_typed_parameters(self) -> None:
        @flow
        def total(x: int, *, y: float = 0.5, z=None):  # type: ignore[no-untyped-def]
            """Sum up."""
            double(x)

        assert isinstance(total, Flow)
        assert total.name == "total"
        assert [parameter.name for parameter in total.parameters()] == ["x", "y", "z"]
        state = total.run(x="3", executor=HERE)
        found = {total.slugs[one]: one_state.result for one, one_state in state.result.items()}
        assert found == {"x": 3, "y": 0.5, "z": None, "double-1": 6}
        with pytest.raises(ParameterError, match="y"):
            total.run(x=1, y="much", executor=HERE)

    def test_it_takes_a_name_and_an_executor(self) -> None:
        @flow(name="other", executor=HERE)
        def made() -> None:
            double(1)

        assert made.name == "other"
        assert type(made.run()) is Success

    def test_names_of_types_are_read_where_the_function_is(self) -> None:
        def made(x: "int | None" = None) -> None: ...  # noqa: UP037

        assert type(flow(made).run(x="3", executor=HERE)) is Success

        def odd(x: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821

        with pytest.raises(DefinitionTypeError, match="Flow 'odd' has an annotation that cannot be read"):
            flow(odd)

    @pytest.mark.parametrize("function", [lambda *args: None, lambda **kw: None, lambda x, /: None])
    def test_arguments_without_one_name_each_are_refused(self, function: Any) -> None:
        with pytest.raises(DefinitionTypeError, match="needs a name of its own"):
            flow(function)

    def test_what_is_no_function_is_refused(self) -> None:
        with pytest.raises(DefinitionTypeError, match="@flow makes a flow of a function"):
            flow(5)  # type: ignore[call-overload]


class TestHandles:
    def test_a_handle_names_its_run(self) -> None:
        with Flow("handle") as made:
            doubled = double(1)
        run = made.start(executor=HERE)
        run.wait(30)

        assert run.flow_name == "handle"
        assert int(run.run_id, 16) >= 0
        assert run.dashboard_link is None
        assert repr(run) == f"<FlowRun 'handle' {run.run_id[:8]}: 1 Success>"
        assert (
            len(run.history(doubled))
            == len(run.history("double-1"))
            == len(run.history(RunKey("double-1")))
            == 3
        )

    def test_what_is_asked_for_wrongly_says_how_to_ask(self) -> None:
        with Flow("asked") as made:
            mapped = double.map([1, 2])
        run = made.start(executor=HERE)
        state = run.wait(30)

        with pytest.raises(KeyError, match="what the call inside the flow returned"):
            state.result[double]
        with pytest.raises(KeyError, match="what the call inside the flow returned"):
            run.states()["double-1"]
        with pytest.raises(KeyError, match="has no child 2; it has 2"):
            run.explain("double-1[2]")
        with pytest.raises(KeyError, match="has no child -1"):
            run.history(RunKey("double-1", -1))
        assert "double-1[1]" in run.explain("double-1[1]")
        assert state.result[mapped].result == [2, 4]

    def test_an_awaited_run_gives_its_state_at_once_when_over(self) -> None:
        async def main() -> Any:
            run = Flow("over").start(executor=HERE)
            return await run, await run

        first, second = asyncio.run(main())

        assert first is second
        assert type(first) is Success

    def test_a_wait_may_end_before_the_run(self) -> None:
        gate = threading.Event()

        @task
        def waits() -> None:
            gate.wait(30)

        with Flow("slow") as made:
            waits()
        run = made.start(executor=HERE)

        with pytest.raises(TimeoutError, match="'slow' is not over"):
            run.wait(0.05)
        assert not run.is_over
        gate.set()
        assert type(run.wait(30)) is Success

    def test_a_thread_that_cannot_start_leaves_no_session(self, monkeypatch: pytest.MonkeyPatch) -> None:
        closed: list[int] = []

        class Watched(LocalExecutor):
            def open(self, *arguments: Any) -> Any:
                session = super().open(*arguments)
                close = session.close
                session.close = lambda keep: (closed.append(1), close(keep))  # type: ignore[method-assign,assignment]
                return session

        def broken(self: Any) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", broken)

        with pytest.raises(RuntimeError, match="new thread"):
            Flow("threadless").start(executor=Watched())
        assert closed == [1]

    def test_the_states_go_into_a_pickle_and_back(self) -> None:
        import pickle

        from prefectlite.states import State

        with Flow("pickled") as made:
            doubled, large = double(4), double(b"x" * 5000)
        state = made.run(executor=HERE)
        copies: list[State] = pickle.loads(pickle.dumps([state.result[doubled], state.result[large]]))

        assert copies[0].result == 8
        assert copies[1].is_successful()


class TestInterrupting:
    @pytest.mark.parametrize("place", ["local"])
    def test_ctrl_c_ends_a_sleeping_body_and_goes_on(self, place: str) -> None:
        ran: list[str] = []

        @task
        def sleeps() -> None:
            ran.append("sleeps")
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
            time.sleep(20)

        @task
        def below(x: Any) -> None:
            ran.append("below")

        with Flow("interrupted") as made:
            below(sleeps())
        began = time.monotonic()

        with pytest.raises(KeyboardInterrupt):
            made.run(executor=HERE)

        assert time.monotonic() - began < 10
        assert ran == ["sleeps"]
        assert type(Flow("next").run(executor=HERE)) is Success

    @pytest.mark.parametrize("times", [1, 3])
    def test_ctrl_c_ends_a_body_that_lost_it_in_a_destructor(self, times: int) -> None:
        hit: list[str] = []

        class Loses:
            def __del__(self) -> None:
                try:
                    if not hit:
                        os.kill(os.getpid(), signal.SIGINT)
                    time.sleep(20)
                finally:
                    hit.append("destructor")

        @task
        def sleeps() -> None:
            for _ in range(times):
                Loses()
            try:
                time.sleep(20)
            finally:
                hit.append("body")
                time.sleep(0.3)  # what has hit the body comes no second time
                hit.append("cleaned")

        run = Run(Flow("lost", tasks=[sleeps]), {}, HERE)
        began = time.monotonic()

        with pytest.raises(KeyboardInterrupt):
            run.drive()

        assert time.monotonic() - began < 10
        assert hit == ["destructor"] * times + ["body", "cleaned"]
        assert {type(one) for one in run.states().values()} == {Cancelled}

    def test_a_body_that_begins_after_a_lost_ctrl_c_is_not_hit_by_it(self) -> None:
        ran: list[str] = []

        class Loses:
            def __del__(self) -> None:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(20)

        @task
        def ends() -> None:
            Loses()

        class Lent:
            def setup(self) -> int:
                return 3

            def cleanup(self, lent: int) -> None:
                time.sleep(0.5)
                ran.append("cleaned")

        with Flow("lost") as made, resource_manager(Lent)():
            ends()

        with pytest.raises(KeyboardInterrupt):
            made.run(executor=HERE)

        assert ran == ["cleaned"]
        assert type(Flow("next").run(executor=HERE)) is Success

    def test_a_script_ends_by_ctrl_c_with_its_states_cancelled(self) -> None:
        script = """
            import logging, sys, time
            from prefectlite import Flow, LocalExecutor, task

            logging.getLogger("prefectlite").setLevel(logging.WARNING)

            @task
            def sleeps():
                print("begun", flush=True)
                time.sleep(60)

            with Flow("script") as flow:
                slept = sleeps()

            run = flow.start(executor=LocalExecutor()) if sys.argv[1] == "start" else None
            try:
                run.wait() if run else flow.run(executor=LocalExecutor())
            except KeyboardInterrupt:
                print("interrupted", flush=True)
        """
        import textwrap

        program = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script), "run"], stdout=subprocess.PIPE, text=True
        )
        assert program.stdout is not None
        assert program.stdout.readline() == "begun\n"
        program.send_signal(signal.SIGINT)

        assert program.communicate(timeout=30)[0] == "interrupted\n"
        assert program.returncode == 0

    def test_a_cancelled_local_run_ends_after_its_running_body(self) -> None:
        begun, gate = threading.Event(), threading.Event()

        @task
        def waits() -> None:
            begun.set()
            gate.wait(30)

        with Flow("cancelled") as made:
            last = double(waits())
        run = made.start(executor=HERE)
        assert begun.wait(30)
        run.cancel()
        gate.set()
        state = run.wait(30)

        assert type(state) is Cancelled
        assert type(state.result[last]) is Cancelled


class TestEcho:
    LINE = LogLine(0.0, 30, "quiet.place", "careful", "etl", "load-1[2]", 3, "tcp://1.2.3.4:5")

    def test_without_any_logging_lines_go_to_standard_output(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        logger = logging.getLogger("quiet.place")
        logger.propagate = False
        try:
            Echo().log([self.LINE])
        finally:
            logger.propagate = True

        said = capsys.readouterr().out
        assert said.endswith("WARNING etl · load-1[2] · attempt 3 | careful\n")

    def test_where_logging_is_set_up_lines_from_elsewhere_are_records(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        from dataclasses import replace

        from prefectlite.worker.logs import this_process

        here = replace(self.LINE, where="local", process=this_process())
        with caplog.at_level(logging.WARNING):
            Echo().log(
                [
                    self.LINE,
                    replace(self.LINE, message="too low", level=10),
                    replace(here, message="handled already"),
                    replace(here, message="handled too", where="tcp://1.2.3.4:5"),
                    replace(here, message="printed", logger="stdout", level=30),
                    replace(here, message="of a process of its own", process="another"),
                    replace(self.LINE, message="broke", exc_text="Traceback: boom"),
                ]
            )

        assert [record.getMessage() for record in caplog.records] == [
            "careful",
            "printed",
            "of a process of its own",
            "broke",
        ]
        record: Any = caplog.records[0]
        assert (record.flow_name, record.task_run, record.attempt, record.where) == (
            "etl",
            "load-1[2]",
            3,
            "tcp://1.2.3.4:5",
        )
        assert "Traceback: boom" in caplog.text

    def test_what_becomes_of_runs_is_told_where_logging_is_set_up(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with Flow("told") as made:
            double.map([1, Parameter("n", default=2)])

        made.run(executor=HERE)
        assert not caplog.records

        with caplog.at_level(logging.INFO):
            made.run(executor=HERE)
        said = [record.getMessage() for record in caplog.records]
        assert said[0].startswith("Flow run told: Running.")
        assert said[-1].startswith("Flow run told: Success. All reference tasks succeeded")
        of_one = [text for text in said if text.startswith("Task run double-1[1]: ")]
        assert of_one[-1] == "Task run double-1[1]: Success. The body returned."
        assert [text for text in of_one if ": Running." in text]
        assert [text for text in said if "run n:" in text] == [
            "Task run n: Success. The value is known to the driver."
        ]
        (record,) = [one for one in caplog.records if one.getMessage() == of_one[-1]]
        assert (record.name, record.levelname) == ("prefectlite.TaskRunner", "INFO")
        assert (record.task_name, record.task_run) == ("double", "double-1[1]")  # type: ignore[attr-defined]

    def test_a_flow_run_says_what_its_bodies_print(self, capsys: pytest.CaptureFixture[str]) -> None:
        @task(log_stdout=True)
        def speaks() -> None:
            print("hello from a body")

        with Flow("speaks") as made:
            speaks()
        with no_logging():
            made.run(executor=HERE)

        assert "speaks · speaks-1 · attempt 1 | hello from a body" in capsys.readouterr().out

    def test_a_flow_run_says_what_failed(
        self, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        with Flow("fails") as made:
            double.map([1, None])

        with no_logging():
            made.run(executor=HERE)
        said = capsys.readouterr().err
        made.start(executor=HERE).wait(30)

        assert said.startswith("fails: Failed  double-1[1]\n  TypeError: unsupported operand type")
        assert "return 2 * x" in said
        [record] = caplog.records
        assert (record.name, record.levelname) == ("prefectlite.FlowRunner", "ERROR")
        assert record.getMessage() == said.removesuffix("\n")
        assert record.flow_name == "fails"  # type: ignore[attr-defined]

    def test_what_failed_is_not_said_twice(
        self, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        with Flow("fails") as made:
            double(None)

        made.run(executor=HERE, progress=True)
        with raise_on_exception(), pytest.raises(TypeError):
            made.run(executor=HERE)

        assert capsys.readouterr().err.count("return 2 * x") == 1
        assert caplog.records == []


@contextlib.contextmanager
def no_logging() -> Iterator[None]:
    """Take away the handlers that pytest gave to logging, as in a script that has set up nothing."""
    root = logging.getLogger()
    handlers, root.handlers = root.handlers, []
    try:
        yield
    finally:
        root.handlers = handlers


def test_progress_shows_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with Flow("progress") as made:
        double(1)

    assert type(made.run(executor=HERE, progress=True)) is Success

    said = capsys.readouterr().err
    assert "progress" in said
    assert "Success" in said
