from __future__ import annotations

import io
import threading
from dataclasses import dataclass, field
from typing import Any

import pytest

from prefectlite.core.constants import Constant
from prefectlite.core.parameter import Parameter
from prefectlite.core.task import Task
from prefectlite.states.state import Failed, Success
from prefectlite.views.lines import LineDisplay
from prefectlite.views.live import LiveDisplay, picture
from prefectlite.views.logs import log_text
from prefectlite.views.progress import Progress, Snapshot
from prefectlite.views.summary import summarize
from prefectlite.views.terminal import display_for, terminal_progress
from prefectlite.worker.logs import LogLine


class Load(Task):
    """A task."""

    def run(self):
        """Do nothing."""


@dataclass
class Run:
    """What progress asks of a run."""

    flow_name: str = "etl"
    slugs: dict[Any, str] = field(default_factory=dict)
    description: str = ""
    dashboard_link: str | None = None


class Recorder:
    """A display that keeps what it is told, and says when it was told something."""

    def __init__(self):
        self.told = []
        self.snapshots = []
        self.lines = []
        self.shown = threading.Event()
        self.written = threading.Event()

    def begin(self, now):
        self.told.append("begin")

    def show(self, now):
        self.snapshots.append(now)
        self.shown.set()

    def write(self, lines):
        self.lines.extend(lines)
        self.written.set()

    def end(self, summary):
        self.told.append("end")
        self.summary = summary

    def abandon(self):
        self.told.append("abandon")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def line(message="hello", **others):
    facts = {"time": 0.0, "level": 30, "logger": "etl", "flow": "etl", "run": "load[3]", "attempt": 2}
    return LogLine(message=message, **{**facts, **others})


def test_counts_show_from_a_thread_of_their_own_and_the_end_brings_the_summary():
    display, load = Recorder(), Load()
    run = Run(slugs={load: "load-1", Parameter("x"): "x", Constant(3): "3"})
    with Progress(display, clock=lambda: 7.0) as progress:
        progress.started(run)
        counts = {"Running": 1}
        progress.turn([], counts)
        counts["Running"] = 99  # the loop's own mapping goes on changing
        while not (display.snapshots and display.snapshots[-1].counts):
            assert display.shown.wait(5)
            display.shown.clear()
        progress.ended(Success("done", {task: Success() for task in run.slugs}))
    assert display.snapshots[-1] == Snapshot("etl", 0.0, {"Running": 1})
    assert display.told == ["begin", "end", "abandon"]
    assert display.summary.counts == {"Success": {"load-1": 1}}
    assert not [one for one in threading.enumerate() if one.name == "prefectlite-progress"]


def test_log_lines_show_in_order_and_none_is_lost_at_the_end():
    display = Recorder()
    progress = Progress(display)
    progress.started(Run())
    progress.log([line("one"), line("two")])
    assert display.written.wait(5)
    progress.log([line("three")])
    progress.ended(Success(result=None))
    assert [one.message for one in display.lines] == ["one", "two", "three"]
    progress.close()


def test_a_run_that_breaks_off_leaves_the_display_in_order_once():
    display = Recorder()
    progress = Progress(display)
    progress.started(Run())
    progress.log([line("last words")])
    progress.close()
    progress.close()
    assert display.told == ["begin", "abandon"]
    assert [one.message for one in display.lines] == ["last words"]
    progress.ended(Success())
    assert display.told == ["begin", "abandon"]


def test_progress_that_never_began_has_nothing_to_end():
    display = Recorder()
    with Progress(display) as progress:
        progress.ended(Success())
    assert display.told == []


@pytest.mark.parametrize("error", [BrokenPipeError, ValueError])
def test_a_stream_that_goes_away_is_left_alone(error):
    display = Recorder()

    def breaks(now):
        raise error("gone")

    display.begin = breaks
    with Progress(display) as progress:
        progress.started(Run())
        progress.ended(Success())
    assert display.told == []


def test_a_log_line_names_flow_task_run_and_attempt():
    text = log_text(line("bad row", exc_text="Traceback\nValueError: 3"))
    assert text[8:] == " WARNING etl · load[3] · attempt 2 | bad row\n    Traceback\n    ValueError: 3"
    assert log_text(line("a", logger="stdout", level=20))[8:].startswith(" stdout  etl · ")


def test_lines_come_when_something_changed_and_some_time_went_by():
    out = io.StringIO()
    display = LineDisplay(out, every=5)
    display.begin(Snapshot("etl", 0))
    place = ("LocalCluster, 2 workers", "http://127.0.0.1:1/status")
    display.show(Snapshot("etl", 1, {}, "a Dask cluster that is starting"))
    display.show(Snapshot("etl", 2, {"Running": 1}, *place))
    display.show(Snapshot("etl", 6, {"Running": 1, "Success": 3}, *place))
    display.show(Snapshot("etl", 12, {"Running": 1, "Success": 3}, *place))
    display.show(Snapshot("etl", 13, {"Success": 4}, *place))
    display.show(Snapshot("etl", 14, {"Success": 5}, *place))
    display.abandon()
    assert out.getvalue() == (
        "etl begins\n"
        "etl runs on a Dask cluster that is starting\n"
        "etl runs on LocalCluster, 2 workers, dashboard http://127.0.0.1:1/status\n"
        "etl 6.00 s: 3 of 4 done (1 Running, 3 Success)\n"
        "etl 13.0 s: 4 of 4 done (4 Success)\n"
    )


def test_a_place_without_a_dashboard_is_named_alone():
    out = io.StringIO()
    LineDisplay(out).show(Snapshot("etl", 1, {}, "this process"))
    assert out.getvalue() == "etl runs on this process\n"


def test_lines_hold_logs_and_the_summary():
    out = io.StringIO()
    display = LineDisplay(out)
    display.write([line("one"), line("two")])
    display.end(summarize("etl", Success("All well."), [], 1.0))
    assert out.getvalue().splitlines()[0].endswith("| one")
    assert "etl ended Success after 1.00 s: All well.\n" in out.getvalue()


def drawn(now):
    from rich.console import Console

    console = Console(file=io.StringIO(), width=100, force_terminal=False)
    console.print(picture(now))
    return console.file.getvalue()


def test_the_picture_shows_counts_by_state_time_and_dashboard():
    text = drawn(
        Snapshot("etl", 75, {"Running": 2, "Success": 1200}, "2 workers", "http://127.0.0.1:1/status")
    )
    assert "1,200/1,202" in text
    assert "1:15" in text
    assert "Running 2  Success 1,200" in text
    assert "2 workers  http://127.0.0.1:1/status" in text


def test_the_picture_of_a_run_that_just_began_says_so():
    assert "starting" in drawn(Snapshot("etl", 0))


def test_the_terminal_gives_the_bars_place_to_the_summary_and_its_cursor_back():
    out = Terminal()
    display = LiveDisplay(out)
    display.begin(Snapshot("etl", 0))
    display.show(Snapshot("etl", 1, {"Running": 1}))
    display.write([line("[bold]one[/bold]")])
    display.end(summarize("etl", Failed("No."), [("load-1", Failed("x", ValueError("[red]")))], 1.0))
    display.abandon()
    display.show(Snapshot("etl", 2))
    text = out.getvalue()
    assert "[bold]one[/bold]" in text
    assert "ValueError: [red]" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1
    assert "load-1" in text.splitlines()[-1]


def test_what_is_no_terminal_gets_lines(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(display_for(Terminal()), LiveDisplay)
    assert isinstance(display_for(io.StringIO()), LineDisplay)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(display_for(Terminal()), LineDisplay)


def test_the_default_stream_is_standard_error(capsys):
    with terminal_progress() as progress:
        progress.started(Run())
        progress.ended(Success())
    assert "etl ended Success" in capsys.readouterr().err


def test_it_moves_aside_for_who_needs_the_terminal_and_comes_back():
    display = Recorder()
    with Progress(display) as progress:
        progress.started(Run())
        progress.log([line("before")])
        with progress.aside():
            assert display.told == ["begin", "abandon"]
            assert [one.message for one in display.lines] == ["before"]
            assert not [one for one in threading.enumerate() if one.name == "prefectlite-progress"]
        assert display.told == ["begin", "abandon", "begin"]
        display.shown.clear()
        assert display.shown.wait(5)


def test_who_is_not_watching_has_nothing_to_move_aside():
    display = Recorder()
    with Progress(display).aside():
        pass
    assert display.told == ["abandon"]


def test_lines_say_once_that_a_run_begins():
    stream = io.StringIO()
    with Progress(LineDisplay(stream)) as progress:
        progress.started(Run())
        with progress.aside():
            pass
    assert stream.getvalue().count("etl begins") == 1
