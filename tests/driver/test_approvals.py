"""Runs that are left with pauses: who is asked, who waits, and how they go on."""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from prefectlite import Flow, LocalExecutor, pause_task, resource_manager, task, triggers
from prefectlite.driver import approval
from prefectlite.driver.approval import Prompt, is_attended
from prefectlite.driver.run import Run
from prefectlite.engine.events import ResumeRequested
from prefectlite.errors import ExecutorError
from prefectlite.states import Paused, RunKey, State

APPROVE = RunKey("approve-1")
#: The module; the package's own ``flow`` is the decorator.
FLOW = sys.modules[Flow.__module__]


@task
def approve(x: Any = None) -> Any:
    pause_task("look at it")
    return x


@task
def large() -> bytes:
    return bytes(100_000)


def waiting() -> Flow:
    with Flow("approval") as flow:
        approve(large())
    return flow


def left(**options: Any) -> Run:
    """A run that was driven until it was left."""
    run = Run(waiting(), {}, LocalExecutor(), **options)
    assert run.drive().is_running()
    return run


class Counting(LocalExecutor):
    """Counts how often it was opened, and may refuse to be."""

    def __init__(self) -> None:
        self.opened = 0
        self.refuses = False

    def open(self, *args: Any) -> Any:
        if self.refuses:
            raise ExecutorError("no place")
        self.opened += 1
        return super().open(*args)


def result_of(run: Run, name: str) -> Any:
    (found,) = [state for task, state in run.states().items() if task.name == name]
    return found.result


class TestLeaving:
    def test_a_run_that_is_left_says_what_waits(self) -> None:
        run = left()

        assert run.is_over
        assert run.paused() == {APPROVE: Paused("look at it")}
        assert run.wait().message == "The flow run is not over: 1 task runs have not ended."

    def test_it_goes_on_at_another_place_with_the_values_that_it_had(self) -> None:
        run = left()

        assert run.resume(APPROVE)
        assert not run.is_over
        assert run.drive().is_successful()
        assert len(result_of(run, "approve")) == 100_000
        assert len(result_of(run, "large")) == 100_000
        assert run.paused() == {}

    def test_the_journal_goes_on_where_it_was(self) -> None:
        run = left()
        run.resume(APPROVE, "Ada said yes")
        run.drive()

        why = [
            one.why.text
            for one in run.history(APPROVE)
            if type(getattr(one, "new", None)).__name__ == "Resume"
        ]

        assert why == ["The pause is over: Ada said yes."]
        assert len(run.history(RunKey(""))) == 3

    def test_it_can_be_cancelled_without_a_place(self) -> None:
        executor = Counting()
        run = Run(waiting(), {}, executor)
        run.drive()

        run.cancel("not wanted any more")

        state = run.wait()
        assert state.is_cancelled()
        assert [type(one).__name__ for one in state.result.values()] == ["Success", "Cancelled"]
        assert len(result_of(run, "large")) == 100_000
        assert "not wanted any more" in run.history(RunKey("approve-1"))[-1].why.text  # type: ignore[union-attr]
        assert executor.opened == 1
        with pytest.raises(ValueError, match="nothing is paused"):
            run.resume(APPROVE)

    def test_a_cancel_cleans_up_what_was_made_before_it_was_left(self, tmp_path: Path) -> None:
        # A file, since what comes back from the former place is a copy.
        log = str(tmp_path / "log")

        @resource_manager
        class Machine:
            def setup(self) -> str:
                Path(log).write_text("made")
                return "machine"

            def cleanup(self, machine: str) -> None:
                Path(log).write_text(f"{machine} is gone")

        with Flow("resources") as flow, Machine() as machine:
            approve(machine)
        executor = Counting()
        run = flow.start(executor=executor)
        assert run.wait().is_running()

        run.cancel()

        assert run.wait().is_cancelled()
        assert Path(log).read_text() == "machine is gone"
        assert executor.opened == 2

    def test_what_is_resumed_while_the_place_is_closed_is_not_forgotten(self) -> None:
        executor = Counting()
        run: Run

        class Late:
            def started(self, run: Any) -> None: ...
            def turn(self, transitions: Any, counts: Any) -> None: ...
            def log(self, lines: Any) -> None: ...
            def ended(self, state: State) -> None:
                if not state.is_finished():
                    assert not run.resume(APPROVE)

        run = Run(waiting(), {}, executor, observers=[Late()])

        assert run.drive().is_successful()
        assert executor.opened == 2

    def test_what_is_resumed_as_soon_as_it_is_left_is_not_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        has_ended = Run._has_ended

        def resumed(run: Run, state: State) -> bool:
            found = has_ended(run, state)
            if not state.is_finished():
                # As somebody does who waited for that in another thread, before this one goes on.
                assert run.resume(APPROVE)
            return found

        monkeypatch.setattr(Run, "_has_ended", resumed)
        run = left()
        with pytest.raises(TimeoutError):
            run.wait(0)
        run.drive()
        assert run.wait(0).is_successful()

    def test_a_place_that_cannot_be_opened_again_leaves_the_run_as_it_was(self) -> None:
        executor = Counting()
        run = waiting().start(executor=executor)
        run.wait()
        executor.refuses = True

        with pytest.raises(ExecutorError, match="no place"):
            run.resume("approve-1")

        assert run.wait().is_running()
        executor.refuses = False
        run.resume("approve-1")
        assert run.wait().is_successful()
        assert executor.opened == 2

    def test_an_approval_that_was_in_vain_is_not_carried_out_with_the_next(self) -> None:
        with Flow("two") as flow:
            first, second = approve(1), approve(2)
        executor = Counting()
        run = flow.start(executor=executor)
        run.wait()
        executor.refuses = True
        with pytest.raises(ExecutorError, match="no place"):
            run.resume(first)

        executor.refuses = False
        run.resume(second)

        state = run.wait()
        assert state.is_running()
        assert [type(state.result[one]).__name__ for one in (first, second)] == ["Paused", "Success"]


class TestResuming:
    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("large-1", "'approval' is Success, not paused, so it cannot be resumed; paused are approve-1"),
            ("approve-1[2]", "has not begun, so it is not paused"),
        ],
    )
    def test_what_is_not_paused_cannot_be_resumed(self, name: str, said: str) -> None:
        with pytest.raises(ValueError, match=said):
            left().resume(RunKey.parse(name))

    def test_a_run_that_has_not_begun_has_nothing_to_resume(self) -> None:
        with pytest.raises(ValueError, match="has not begun"):
            Run(waiting(), {}, LocalExecutor()).resume(APPROVE)

    def test_a_run_that_is_over_has_nothing_to_resume(self) -> None:
        run = left()
        run.resume(APPROVE)
        run.drive()

        with pytest.raises(ValueError, match="nothing is paused"):
            run.resume(APPROVE)

    def test_the_handle_knows_tasks_and_names_them_in_its_errors(self) -> None:
        run = waiting().start(executor=LocalExecutor())
        run.wait()

        with pytest.raises(KeyError, match="no task run 'deploy-1'"):
            run.resume("deploy-1")


class TestWaiting:
    def test_a_run_that_waits_can_be_resumed_and_says_that_it_waits(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        executor = Counting()
        run = waiting().start(executor=executor, wait_for_approval=True)
        while "waits for run.resume(...) of what is paused: approve-1." not in caplog.text:
            with pytest.raises(TimeoutError):
                run.wait(0.01)

        run.resume("approve-1")

        assert run.wait(30).is_successful()
        assert executor.opened == 1

    def test_a_run_that_waits_can_be_cancelled(self) -> None:
        run = waiting().start(executor=LocalExecutor(), wait_for_approval=True)
        while not run.paused():
            pass

        run.cancel()

        assert run.wait(30).is_cancelled()


class TestAsking:
    def asked(
        self, answer: Callable[[Mapping[RunKey, State]], Any], *observers: Any
    ) -> tuple[Run, list[list[str]]]:
        seen: list[list[str]] = []

        def ask(flow_name: str, paused: Mapping[RunKey, State]) -> Any:
            assert flow_name == "approval"
            seen.append([str(key) for key in paused])
            return answer(paused)

        return Run(waiting(), {}, LocalExecutor(), observers=observers, ask=ask), seen

    def test_who_is_asked_and_approves_lets_the_run_go_on(self) -> None:
        run, seen = self.asked(list)

        assert run.drive().is_successful()
        assert seen == [["approve-1"]]
        (move,) = [
            one for one in run.history(APPROVE) if type(getattr(one, "new", None)).__name__ == "Resume"
        ]
        assert move.why.text == "The pause is over: approved at the prompt."

    def test_who_approves_nothing_leaves_the_run(self) -> None:
        run, seen = self.asked(lambda paused: ())

        assert run.drive().is_running()
        assert seen == [["approve-1"]]

    def test_ctrl_c_in_the_answer_cancels_the_run(self) -> None:
        def interrupt(paused: Any) -> Any:
            raise KeyboardInterrupt

        run, _ = self.asked(interrupt)

        assert run.drive().is_cancelled()

    def test_what_went_on_meanwhile_is_not_resumed_twice(self) -> None:
        def answer(paused: Mapping[RunKey, State]) -> Any:
            return [*paused, RunKey("large-1")]

        run, _ = self.asked(answer)

        assert run.drive().is_successful()

    def test_an_approval_from_elsewhere_comes_before_the_question(self) -> None:
        class Other:
            def started(self, run: Any) -> None: ...
            def log(self, lines: Any) -> None: ...
            def ended(self, state: State) -> None: ...
            def turn(self, transitions: Any, counts: Any) -> None:
                if counts.get("Paused"):
                    run._inbox.deliver([ResumeRequested(0.0, 1)])

        run, seen = self.asked(list, Other())

        assert run.drive().is_successful()
        assert seen == []


class TestPrompt:
    PAUSED = {
        APPROVE: Paused("look at it"),
        RunKey("map-1", 0): Paused(None),
        RunKey("map-1", 1): Paused("and this"),
    }

    def answers(self, *typed: str) -> tuple[list[str], list[str]]:
        """What is approved, and what was asked."""
        questions: list[str] = []
        words = iter(typed)

        def read(question: str) -> str:
            questions.append(question)
            word = next(words)
            if word == "EOF":
                raise EOFError
            return word

        return [str(key) for key in Prompt(read)("etl", self.PAUSED)], questions

    def test_each_is_asked_about(self) -> None:
        approved, questions = self.answers("y", "", " Yes ")

        assert approved == ["approve-1", "map-1[1]"]
        assert questions == [
            "Flow 'etl': approve-1 is paused: look at it Resume it? [y]es, [a]ll 3, [n]o: ",
            "Flow 'etl': map-1[0] is paused. Resume it? [y]es, [a]ll 2, [n]o: ",
            "Flow 'etl': map-1[1] is paused: and this Resume it? [y]es, [n]o: ",
        ]

    def test_all_that_are_left_can_be_approved_at_once(self) -> None:
        assert self.answers("n", "a")[0] == ["map-1[0]", "map-1[1]"]
        assert self.answers("n", "n", "all")[0] == []

    def test_where_nobody_answers_the_rest_stays_paused(self) -> None:
        assert self.answers("y", "EOF")[0] == ["approve-1"]

    def test_what_shows_at_the_terminal_moves_aside_while_it_asks(self) -> None:
        log: list[str] = []

        @contextmanager
        def aside() -> Iterator[None]:
            log.append("aside")
            yield
            log.append("back")

        def read(question: str) -> str:
            log.append("asks")
            return "a"

        Prompt(read, aside)("etl", self.PAUSED)

        assert log == ["aside", "asks", "back"]


class TestAttended:
    def test_a_terminal_is_attended(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(isatty=lambda: True))
        assert is_attended()

    def test_a_pipe_and_a_closed_or_missing_input_are_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def closed() -> bool:
            raise ValueError("I/O operation on closed file")

        for stdin in (
            None,
            types.SimpleNamespace(isatty=lambda: False),
            types.SimpleNamespace(isatty=closed),
        ):
            monkeypatch.setattr(sys, "stdin", stdin)
            assert not is_attended()

    @pytest.mark.parametrize(("shell", "expected"), [(types.SimpleNamespace(kernel=1), True), (None, False)])
    def test_a_notebook_is(self, monkeypatch: pytest.MonkeyPatch, shell: Any, expected: bool) -> None:
        monkeypatch.setattr(sys, "stdin", None)
        monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
        assert is_attended() is expected

    def test_flow_run_asks_where_it_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(FLOW, "is_attended", lambda: True)
        monkeypatch.setattr(FLOW, "Prompt", lambda aside: lambda name, paused: list(paused))

        assert waiting().run(executor=LocalExecutor()).is_successful()
        assert waiting().run(executor=LocalExecutor(), wait_for_approval=False).is_running()

    def test_flow_run_returns_where_it_is_not(self) -> None:
        assert waiting().run(executor=LocalExecutor()).is_running()
        # Whoever asks for waiting where nobody can answer gets the state all the same.
        assert waiting().run(executor=LocalExecutor(), wait_for_approval=True).is_running()

    def test_flow_start_waits_where_it_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(FLOW, "is_attended", lambda: True)
        run = waiting().start(executor=LocalExecutor())
        while not run.paused():
            pass
        with pytest.raises(TimeoutError):
            run.wait(0.01)
        run.resume("approve-1")
        assert run.wait(30).is_successful()

    def test_a_run_does_not_outlive_the_program_that_could_resume_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gone = types.SimpleNamespace(is_alive=lambda: False)
        monkeypatch.setattr(threading, "main_thread", lambda: gone)

        assert Run(waiting(), {}, LocalExecutor(), waits=True).drive().is_running()


def test_a_manual_task_of_a_map_is_asked_about_child_by_child() -> None:
    @task(trigger=triggers.manual_only)
    def deploy(x: int) -> int:
        return x

    with Flow("manual") as flow:
        deployed = deploy.map([0, 1, 2])

    def ask(flow_name: str, paused: Mapping[RunKey, State]) -> Any:
        return list(paused)[:1]

    run = Run(flow, {}, LocalExecutor(), ask=ask)

    assert run.drive().is_successful()
    assert run.states()[deployed].result == [0, 1, 2]


def test_the_default_prompt_reads_a_line() -> None:
    assert approval.Prompt()._read is input
