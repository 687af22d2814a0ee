"""Random flows on a virtual cluster in virtual time; what they come to must be what the rules say."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from itertools import chain
from pathlib import Path

import pytest

from prefectlite.engine.instructions import Release, Submit
from prefectlite.engine.transitions import Transition
from tests.simulation import corners
from tests.simulation.case import Begun
from tests.simulation.generate import generate
from tests.simulation.kinds import KINDS
from tests.simulation.simulate import Simulation, play
from tests.simulation.sketch import Sketch

ROOT = Path(__file__).parents[2]
#: How many seeds run when nobody says otherwise, and in how many tests.
DEFAULT_COUNT = 2000
BATCHES = 24
#: By kind: how many seeds of other kinds run each time; among the slow tests, so many of each.
FEW = {
    "random, beset": 100,
    "random, begun": 60,
    "branches": 80,
    "branches, beset": 80,
    "branches, cancelled": 50,
    "branches, beset, cancelled": 50,
}
MANY = 300
#: Seeds that found a real bug once.
REGRESSIONS = [
    int(line.split("#")[0])
    for line in (Path(__file__).parent / "seeds.txt").read_text(encoding="utf-8").splitlines()
    if line.split("#")[0].strip()
]


@pytest.mark.parametrize("batch", range(BATCHES))
def test_every_seed_ends_as_the_rules_say(batch: int, request: pytest.FixtureRequest) -> None:
    for seed in range(batch, count_of(request, DEFAULT_COUNT), BATCHES):
        play(generate(seed))


def count_of(request: pytest.FixtureRequest, default: int) -> int:
    """Return how many seeds somebody wants, unless one alone."""
    if request.config.getoption("sim_seed", default=None) is not None:
        pytest.skip("one seed is replayed")
    return request.config.getoption("sim_count", default=None) or default


@pytest.mark.parametrize("kind", FEW)
def test_some_seeds_of_each_kind_end_as_the_rules_say(kind: str, request: pytest.FixtureRequest) -> None:
    for seed in range(count_of(request, FEW[kind])):
        play(KINDS[kind](seed))


@pytest.mark.slow
@pytest.mark.parametrize("kind", FEW)
def test_many_seeds_of_each_kind_end_as_the_rules_say(kind: str) -> None:
    for seed in range(FEW[kind], MANY):
        play(KINDS[kind](seed))


@pytest.mark.parametrize("seed", REGRESSIONS)
def test_a_seed_that_found_a_bug_finds_it_no_more(seed: int) -> None:
    play(generate(seed))


def test_every_corner_ends_as_the_rules_say() -> None:
    for case in corners.cases():
        play(case)


def test_a_pause_that_runs_begin_with_is_approved_before_its_time_or_after_that() -> None:
    flow = Sketch()
    above = flow.task(ends=["signal_pause"])
    alone = flow.task(above)
    late = flow.task(shape=(-1,) * 4, lasts=1.0)
    many = flow.task((late, "mapped"), ends={child: ["signal_pause"] for child in range(4)})
    below = flow.task((many, "mapped"))
    begun = {(below, child): Begun("paused_until", delay=0.4 * (child + 1)) for child in range(4)}
    begun[alone, -1] = Begun("paused_until", delay=0.5)
    met: set[tuple[bool, str]] = set()
    for seed in range(20):
        simulation = play(flow.case(seed, begun=begun, approved=0.6))
        for run in simulation.engine.runs():
            number, index = simulation.name_of(run)
            if (number, index) in begun:
                met.add((index < 0, type(simulation.state_of(run)).__name__))
    assert met == {(is_alone, cls) for is_alone in (True, False) for cls in ("Paused", "Resume", "Success")}


def test_replay_of_one_seed(request: pytest.FixtureRequest) -> None:
    seed = request.config.getoption("sim_seed", default=None)
    if seed is None:
        pytest.skip("give --sim-seed to replay one")
    print(play(KINDS[request.config.getoption("sim_kind")](seed)).story())


def test_the_same_seed_brings_the_same_instructions() -> None:
    for seed in range(40):
        assert fingerprint([seed]) == fingerprint([seed]), f"seed {seed} went two ways"


def test_instructions_do_not_hang_on_the_order_of_sets() -> None:
    program = "from tests.simulation.test_simulation import fingerprint\nprint(fingerprint(range(40)))"
    told = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert told == {fingerprint(range(40)) + "\n"}


@pytest.mark.slow
def test_the_seeds_reach_every_corner() -> None:
    """A simulation that never meets what it should check would pass as well."""
    seen: Counter[str] = Counter()
    for case in chain(map(generate, range(400)), corners.cases()):
        simulation = play(case, audit=False)
        seen.update(met_by(simulation))
    wanted = [
        *("Submit", "ahead", "after", "drops", "again", "Release", "SetTimer", "CancelAll"),
        *("ask trigger", "ask handlers", "ask delay", "ask on_failure"),
        *("AttemptStarted", "AttemptFinished", "AttemptHeld", "AttemptCrashed", "AttemptRefused"),
        *("SubmitMany", "SubmitMany again", "TransitionMany", "ReleaseMany", "RangeFinished"),
        *("CallsFinished", "TransitionEach"),
        *("released ahead", "stale", "children", "grandchildren", "empty map", "flat map", "reduce"),
        *("Pending > Skipped", "Pending > TriggerFailed", "Pending > Mapped", "Pending > Failed"),
        *("Failed > Retrying", "Crashed > Retrying", "Running > Paused", "Running > Retrying"),
        *("Running > Looped", "Looped > Pending", "Paused > Resume", "AwaitApproval", "ResumeRequested"),
        *("Running > Skipped", "Running > Cancelled", "Pending > Cancelled", "Pending > Paused"),
        *(
            "ResultLost",
            "Success > Crashed",
            "Running > TimedOut",
            "Running > Cached",
            "list of lists",
            "ask of the flow",
        ),
        *("flow Success", "flow Failed", "flow Skipped", "flow Running", "flow Cancelled"),
    ]
    missing = [corner for corner in wanted if seen[corner] < 3]
    assert not missing, f"hardly ever met: {missing}; met: {dict(seen)}"


def met_by(simulation: Simulation) -> set[str]:
    """Return what a played case has met."""
    met = {f"flow {type(simulation.ended).__name__}", *simulation.together}
    plan = simulation.case.plan
    for event, found in simulation.trace:
        met.add(type(event).__name__)
        if not found and type(event).__name__ in ("AttemptFinished", "AttemptCrashed"):
            met.add("stale")
        for one in found:
            met.add(type(one).__name__)
            match one:
                case Transition():
                    met.add(f"{type(one.old).__name__} > {type(one.new).__name__}")
                    if type(one.new).__name__ == "Mapped" and not simulation.engine.children(one.run):
                        met.add("empty map")
                case Submit():
                    met.update(name for name in ("ahead", "after") if getattr(one, name))
                    met.update(["drops"] if one.drop_value else [])
                    met.update(["again"] if one.submission > 1 else [])
                case Release():
                    status = simulation.cluster.parcels[one.run, one.submission].status
                    never = (one.run, simulation.cluster.parcels[one.run, one.submission].start)
                    if status == "over" and never not in simulation.cluster.bodies:
                        met.add("released ahead")
            if hasattr(one, "question"):
                met.add(f"ask {one.question}" if one.run >= 0 else "ask of the flow")
    for edge in (edge for node in plan.nodes for edge in node.ins):
        above, below = simulation.engine.children(edge.upstream), simulation.engine.children(edge.downstream)
        if below:
            met.update(["list of lists"] if plan.nodes[edge.downstream].kind == "collection" else [])
            met.add("children")
            met.update(["grandchildren"] if above and edge.mapped else [])
            met.update(["flat map"] if edge.mapped and edge.flattened else [])
        elif above and not edge.mapped:
            met.add("reduce")
    return met


def fingerprint(seeds: range | list[int]) -> str:
    """Return a hash of all that the engine said in the runs of some seeds."""
    digest = hashlib.sha256()
    for seed in seeds:
        for event, found in play(generate(seed), audit=False).trace:
            # A set is equal to itself in whatever order it is shown.
            told = repr(found).replace("{'length', 'flat'}", "{'flat', 'length'}")
            digest.update(f"{event!r} {told}\n".encode())
    return digest.hexdigest()
