"""One small run of the program of bundles, so that it cannot rot, and its arithmetic."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.benchmarks import bundles, engine_alone, report
from tests.benchmarks.bundle_rows import Scale, log_normal
from tests.benchmarks.curves import Curve, draw
from tests.benchmarks.meter import Probe, Sample
from tests.benchmarks.metg import Side, crossing
from tests.benchmarks.pace import Pace
from tests.benchmarks.pairs import Contest, Form, heats
from tests.benchmarks.patterns import NAMES, pattern
from tests.benchmarks.table import Interval, Line, markdown, said, shown

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.cluster
@pytest.mark.slow
def test_the_program_measures_every_row(tmp_path: Path) -> None:
    figures, plot = tmp_path / "figures.json", tmp_path / "metg.svg"
    small = ["--tasks=20", "--reps=1", "--steps=4", "--bundle-size=10", "--rows", "all", "--full"]

    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.benchmarks.bundles",
            *small,
            "--plot",
            str(plot),
            "--json",
            str(figures),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
        stdin=subprocess.DEVNULL,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    lines = json.loads(figures.read_text())
    assert {line["row"] for line in lines} == {*bundles.ON_THE_CLUSTER, *bundles.ALONE}
    # What tests the measuring itself holds at any size.
    assert {line["what"]: line["value"] for line in lines if " misses " in line["what"]} == {
        "the probe misses a planted block": 0,
        "the sampler misses a fetched block": 0,
        "the sampler misses an array": 0,
        "the counter misses a block": 0,
    }
    for name in NAMES:
        assert f"{name}, ours" in plot.read_text()
    assert "| map-10k | tasks a second, map over 20 |" in done.stdout


def test_a_row_that_cannot_run_is_named_counts_as_over_and_fails_the_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> list[Line]:
        raise RuntimeError("planted")

    monkeypatch.setitem(bundles.ALONE, "local", broken)

    assert bundles.main(["--rows", "local"]) == 1
    assert "over   RuntimeError: planted" in capsys.readouterr().out


def test_a_ctrl_c_ends_the_program_with_what_was_measured_until_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def first(_: object, scale: Scale) -> Iterator[Line]:
        found = scale.pace.rounds(_interrupted_after(2))
        yield Line("local", "half a row", len(found), 1, "")
        yield Line("local", "the next measurement", len(scale.pace.rounds(lambda number: number)), 1, "")

    def second(*_: object) -> Iterator[Line]:
        yield Line("engine", "the next row", 1, 1, "")

    monkeypatch.setitem(bundles.ALONE, "local", first)
    monkeypatch.setitem(bundles.ALONE, "engine", second)
    figures = tmp_path / "figures.json"

    assert bundles.main(["--rows", "local", "engine", "--json", str(figures)]) == report.INTERRUPTED
    assert [line["what"] for line in json.loads(figures.read_text())] == ["half a row"]
    printed = capsys.readouterr().out
    assert "| local | half a row |  |  | 2 |" in printed
    assert "next" not in printed


def _interrupted_after(rounds: int) -> Callable[[int], int]:
    def once(number: int) -> int:
        if number == rounds:
            raise KeyboardInterrupt
        return number

    return once


def test_a_row_takes_as_many_rounds_as_its_time_allows_but_a_least_number_of_them() -> None:
    assert Pace(15).rounds(lambda number: number) == list(range(15))
    assert Pace(15, seconds=0, least=6).rounds(lambda number: number) == list(range(6))
    assert Pace(2, seconds=0, least=6).rounds(lambda number: number) == [0, 1]
    assert Pace(15).rounds(lambda number: number, most=3) == [0, 1, 2]
    assert Pace(15).rounds(lambda number: number, seconds=0, least=1) == [0]


def test_a_ctrl_c_in_the_first_round_leaves_nothing() -> None:
    with pytest.raises(KeyboardInterrupt):
        Pace(15).rounds(_interrupted_after(0))


def test_the_ways_of_dask_run_against_each_other_once_a_shape_and_the_slow_ones_once_in_all() -> None:
    class Recording:
        def __init__(self) -> None:
            self.qualified: dict[str, dict[str, float]] = {}
            self.measured: list[str] = []

        def measure(self, work: Any, _saturation: float) -> Sample:
            name, wall = work
            self.measured.append(name)
            return Sample(wall, 0.0, 0.0)

    def form(name: str, wall: float) -> Form:
        return Form(10, 1.1, lambda: (name, wall))  # type: ignore[arg-type, return-value]

    forms = {"slow": form("slow", 3.0), "fast": form("fast", 1.0), "near": form("near", 1.1)}
    bench: Any = Recording()

    for _ in range(2):
        assert list(heats(bench, "wide", forms)) == ["fast", "near", "slow"]

    assert Counter(bench.measured) == {"slow": 1, "fast": 3, "near": 3}


def test_the_last_table_is_markdown_whatever_a_line_says() -> None:
    interval = Interval.of([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    lines = [
        said("chain", "told"),
        Line("chain", "a | b", 3.5, 2, detail="two\nlines", interval=interval, ours="1 us", against="3 us"),
    ]

    assert markdown(lines).splitlines()[2:] == [
        "| chain | a \\| b | 1 us | 3 us | 3.50x | [1.00, 6.00] | at most 2x | over? | two lines; 6 times |",
        "",
        "- chain: told",
    ]


@pytest.mark.parametrize(
    ("samples", "low", "high", "coverage"),
    [(15, 4, 12, 0.9648), (6, 1, 6, 0.9688), (5, 1, 5, 0.9375), (1, 1, 1, 0.0)],
)
def test_an_interval_lies_between_the_order_statistics_of_the_binomial(
    samples: int, low: float, high: float, coverage: float
) -> None:
    found = Interval.of([float(one) for one in range(samples, 0, -1)])

    assert (found.low, found.high, found.median) == (low, high, (samples + 1) / 2)
    assert found.coverage == pytest.approx(coverage, abs=1e-4)


@pytest.mark.parametrize(
    ("value", "at_least", "interval", "verdict"),
    [
        (21, True, None, "ok"),
        (19, True, None, "under"),
        (19, True, (18, 20.5), "under?"),
        (21, True, (20.5, 22), "ok"),
        (19, False, (18, 20.5), "ok?"),
        (21, False, (20.5, 22), "over"),
    ],
)
def test_a_verdict_doubts_itself_when_the_target_lies_inside_the_interval(
    value: float, at_least: bool, interval: tuple[float, float] | None, verdict: str
) -> None:
    between = None if interval is None else Interval(value, *interval, 0.96, 15)

    assert Line("chain", "speed", value, 20, interval=between, at_least=at_least).verdict == verdict


def test_a_line_says_how_far_few_samples_can_be_believed() -> None:
    few = Interval.of([1.0, 2.0, 3.0])

    assert "3 times, interval only 75% sure" in shown(Line("chain", "speed", 2.0, 20, interval=few))


def test_a_contest_compares_by_the_task_when_the_sides_differ_in_width() -> None:
    form = Form(100_000, 1.1, lambda: lambda: None)
    dask = Form(10_000, 1.1, lambda: lambda: None)

    found = Contest(form, dask, "graph", [Sample(2.0, 1.0, 1.0)], [Sample(10.0, 8.0, 8.0)], {}, 1)

    assert found.speedup.median == pytest.approx(50)
    assert found.slowdown.median == pytest.approx(1 / 50)
    assert found.cpu_saving.median == pytest.approx(80)


@pytest.mark.parametrize("name", NAMES)
def test_every_task_of_a_pattern_is_read_or_counted_at_the_end(name: str) -> None:
    found = pattern(name, 4, 5)
    read = sum(len({j for points in reads for j in points}) for reads in found.steps)

    assert read + sum(map(len, found.unread)) == found.tasks
    assert found.expected == sum((step + 1) * len(points) for step, points in enumerate(found.unread))


def test_a_tree_doubles_up_to_its_width_and_a_stencil_reads_its_neighbours() -> None:
    assert [len(points) for points in pattern("tree", 4, 4).steps] == [1, 2, 4, 4]
    assert pattern("stencil", 3, 2).steps[1] == [(0, 1), (0, 1, 2), (1, 2)]


def test_the_bracket_of_a_known_overhead_encloses_it() -> None:
    # Each task costs 100 us beside its body, on two workers: half the time is bodies at a body of 100 us.
    class Known:
        def measure(self, work: Any, _saturation: float) -> Sample:
            return Sample(1_000 * (work + 100) * 1e-6 / 2, 0.0, 0.0)

    def make(micros: float) -> Form:
        return Form(1_000, 1.1, lambda: micros)  # type: ignore[arg-type, return-value]

    bench: Any = Known()
    for start in (1.0, 64.0, 4096.0):
        side = Side(make, 1_000)
        bracket = side.bracket(bench, start)
        assert bracket is not None
        shorter, longer = bracket
        assert shorter <= 100 <= longer == 2 * shorter
        at = side.curve()
        assert crossing(shorter, longer, at[shorter], at[longer]) == pytest.approx(100, rel=0.02)


def test_a_side_that_never_reaches_a_half_has_no_bracket() -> None:
    class Hopeless:
        def measure(self, work: Any, _saturation: float) -> Sample:
            return Sample(work * 10.0, 0.0, 0.0)

    hopeless: Any = Hopeless()
    side = Side(lambda micros: Form(10, 1.1, lambda: micros), 10)  # type: ignore[arg-type, return-value]

    assert side.bracket(hopeless, 64.0) is None


def test_the_probe_sees_a_block_from_its_first_moment() -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        with Probe(loop) as idle:
            time.sleep(0.05)
        with Probe(loop) as blocked:
            loop.call_soon_threadsafe(time.sleep, 0.5)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    assert blocked.longest > 0.4
    assert idle.longest < blocked.longest


def test_the_engine_ends_what_the_program_drives_whichever_way_it_travels() -> None:
    assert engine_alone.seconds_of(engine_alone.calls(10), 10, "alone") > 0
    assert engine_alone.seconds_of(engine_alone.children(10), 10, "alone") > 0
    assert engine_alone.seconds_of(engine_alone.children(2_500), 2_500, "bundled") > 0


def test_the_engine_that_gives_no_leave_to_bundle_is_said_to() -> None:
    with pytest.raises(engine_alone.NoBundlesError):
        engine_alone.seconds_of(engine_alone.calls(10), 10, "bundled")


def test_drawn_durations_are_the_same_each_time_and_within_their_bounds() -> None:
    durations = log_normal(200)

    assert durations == log_normal(200)
    assert 0.001 <= min(durations) < 0.01 < 1 < max(durations) <= 3


def test_a_picture_is_well_formed_and_names_every_curve() -> None:
    found = draw(
        [
            Curve("stencil", "ours", ((8.0, 0.2), (16.0, 0.6)), 14.0),
            Curve("stencil", "Dask", ((1024.0, 0.4), (2048.0, 0.7))),
        ]
    )

    root = ET.fromstring(found)
    texts = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"stencil, ours: 14 us", "stencil, Dask"} <= set(texts)


@pytest.mark.parametrize(("text", "size"), [("auto", "auto"), ("none", None), ("7", 7)])
def test_a_bundle_size_is_read_as_the_executor_takes_it(text: str, size: Any) -> None:
    assert bundles.options(["--bundle-size", text]).bundle_size == size


def test_without_a_bundle_size_ours_is_told_nothing() -> None:
    assert Scale(bundle_size=bundles.options([]).bundle_size).options == {}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--bundle-size", "0"],
        ["--reps", "0"],
        ["--least", "0"],
        ["--plot", "x.png"],
        ["--rows", "chain", "--plot", "x.svg"],
    ],
)
def test_arguments_that_cannot_work_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        bundles.options(arguments)


def test_all_rows_are_chosen_by_their_name_and_by_default() -> None:
    every = [*bundles.ON_THE_CLUSTER, *bundles.ALONE]

    assert bundles.options([]).rows == bundles.options(["--rows", "all"]).rows == every
    assert bundles.options(["--plot"]).plot == Path("metg.svg")
