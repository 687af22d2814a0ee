"""The engine's organs one by one: wiring, board, readers, mapping, sources, pipeline, outcome, marks."""

from __future__ import annotations

from typing import Any

import pytest

from prefectlite.engine.ahead import paired_child
from prefectlite.engine.board import FINAL, Board
from prefectlite.engine.events import Measure
from prefectlite.engine.inputs import Argument, FromDriver, FromRun, FromValue
from prefectlite.engine.ledger import Ledger
from prefectlite.engine.mapping import unfold, width_of
from prefectlite.engine.outcome import flow_tally
from prefectlite.engine.pipeline import BEFORE, before, weigh_skip, weigh_trigger, weigh_width
from prefectlite.engine.plan import FlowPlan
from prefectlite.engine.proposal import Proposal
from prefectlite.engine.readers import Readers
from prefectlite.engine.sources import anchors_of, arguments_of
from prefectlite.engine.wiring import Wiring
from prefectlite.rules.tally import Tally
from prefectlite.rules.triggers import any_failed
from prefectlite.rules.verdict import Become, Proceed, Reason, Wait
from prefectlite.states.keys import RunKey
from prefectlite.states.state import Failed, Mapped, Skipped, State, Success, TriggerFailed
from tests.engine.plans import Spec, build, follows, listed, maps, pairs, reads, task, value

WHY = Reason("test", "For the test.")
BOOM = Failed("boom", ValueError("boom"))


def board_of(*specs: Spec, **states: State) -> Board:
    """A board on which some runs are final already."""
    board = Board(build(*specs))
    for slug, state in states.items():
        settle(board, board.run_of(RunKey(slug)), state)
    return board


def settle(board: Board, run: int | None, state: State) -> None:
    assert run is not None
    board.states[run] = state
    board.stage[run] = FINAL
    board.sent[run] = state.__class__ is Success
    family = board.families.get(board.node[run])
    if family is not None and run >= family.base:
        family.open -= 1
        family.unsent -= board.sent[run]
        family.tally.add(state)


def unfolded(board: Board, slug: str, *children: State) -> None:
    """Unfold a map; those children that a state is given for are final."""
    node = board.run_of(RunKey(slug))
    assert node is not None
    width = width_of(board, node)
    assert isinstance(width, int)
    unfold(board, node, width)
    board.states[node] = Mapped(n_map_states=width)
    board.stage[node] = FINAL
    for run, state in zip(board.children(node), children, strict=False):
        settle(board, run, state)


# Wiring


def wired(*specs: Spec, reference: tuple[str, ...] | None = None) -> Wiring:
    return Wiring.of(build(*specs, reference=reference))


def test_who_has_no_downstream_decides_the_flow_or_asks_for_it_keeps_its_value() -> None:
    wiring = wired(
        task("a"), task("b", "a"), task("c", "a", keep_result=True), task("d", "b", "c"), reference=("b",)
    )
    assert list(wiring.keeps) == [0, 1, 1, 1]
    assert wiring.reads == (2, 2, 2, 1)


def test_what_a_kept_list_is_made_of_is_shown_with_it() -> None:
    wiring = wired(task("a"), listed("i", "a"), listed("l", "i"), task("b"), task("c", "b"))
    assert list(wiring.shown) == [1, 1, 1, 0, 1]
    assert list(wiring.keeps) == [0, 0, 1, 0, 1]


def test_only_a_task_drops_its_value_and_only_if_nobody_reads_it() -> None:
    wiring = wired(value("x"), task("a"), task("b"), task("c", follows("x"), follows("a"), "b"))
    assert list(wiring.drops) == [0, 1, 0, 0]


def test_trust_ends_at_state_handlers_and_at_lists_with_a_handled_member() -> None:
    wiring = wired(
        task("a"), task("h", handled=True), listed("l", "a"), listed("lh", "a", "h"), task("z", "l", "lh")
    )
    assert list(wiring.trusted) == [1, 0, 1, 0, 1]


@pytest.mark.parametrize(
    ("below", "consumed"),
    [
        ([task("b", maps("a"))], {"a"}),
        ([task("b", "a")], set()),  # a reduce
        ([task("b", maps("a"), maps("c"))], {"a", "c"}),
        ([task("b", maps("a"), "c")], {"a"}),  # each child reads all of c
        ([task("b", maps("a", flat=True))], set()),  # several may read parts of one
        ([task("b", pairs("a"))], set()),
        ([task("b", maps("a"), reads("a", "whole"))], set()),
        ([task("b", maps("a"), handled=True)], set()),
        ([task("b", maps("h"))], set()),
        ([task("b", maps("k"))], set()),
        ([task("b", maps("one"))], set()),  # all children read it
        ([listed("b", "a"), task("z", "b")], set()),
        ([task("b", maps("a")), task("z", follows("a"))], set()),  # whose trigger may look at it
    ],
)
def test_what_a_map_made_is_consumed_by_the_one_run_that_has_to_do_with_it(
    below: list[Spec], consumed: set[str]
) -> None:
    above = [
        value("xs", length=3),
        task("one"),
        task("a", maps("xs")),
        task("c", maps("xs")),
        task("h", maps("xs"), handled=True),
        task("k", maps("xs"), keep_result=True),
    ]
    wiring = wired(*above, *below)
    assert wiring.consumes == ({len(above): frozenset(consumed)} if consumed else {})


@pytest.mark.parametrize(
    ("spec", "may"),
    [
        (task("b", "a"), True),
        (task("b", "a", handled=True), False),
        (task("b", "a", trigger=None), False),
        (task("b", "a", trigger=any_failed), False),
        (task("b", "h"), False),
        (task("b", follows("a")), False),  # a's value is read by others
        (task("b", follows("d")), True),  # nobody reads d's
        (task("b", follows("x")), True),
        (task("b", follows("l")), False),
        (listed("b", "a"), True),
        (listed("b", "h"), False),
        (value("b"), False),
    ],
)
def test_who_may_go_ahead(spec: Spec, may: bool) -> None:
    specs = [
        value("x"),
        task("a"),
        task("h", handled=True),
        task("d"),
        listed("l", "a"),
        spec,
        task("z", "a", "h", "l", follows("d")),
    ]
    assert bool(wired(*specs).ahead[5]) is may


@pytest.mark.parametrize(
    ("edge", "measured"),
    [
        (maps("a"), {"a": {"length"}}),
        (maps("a", flat=True), {"a": {"flat"}}),
        (maps("m"), {}),
        (maps("m", flat=True), {"m": {"length"}}),
        (maps("l"), {}),
        (maps("l", flat=True), {"a": {"length"}, "m": {"length"}}),
        (maps("f", flat=True), {"a": {"flat"}, "m": {"length"}}),
        (reads("a", flat=True), {}),
        (pairs("a"), {"a": {"length"}}),
    ],
)
def test_what_must_be_measured(edge: Any, measured: dict[str, set[str]]) -> None:
    specs = [
        value("x", length=1),
        task("a"),
        task("m", maps("x")),
        listed("l", "a", "m"),
        listed("f", reads("a", flat=True), reads("m", flat=True)),
        task("z", edge),
    ]
    wiring = wired(*specs)
    assert {specs[i].slug: set(found) for i, found in enumerate(wiring.measures) if found and i} == measured


# Board


def test_a_board_tells_places_and_shown_states() -> None:
    board = board_of(
        value("x", length=2), task("m", maps("x")), task("r", "m"), task("n", maps("m")), x=Success()
    )
    assert board.index(1) == -1
    unfolded(board, "m", Success(), BOOM)
    unfolded(board, "n")
    assert [board.index(run) for run in board.children(1)] == [0, 1]
    into_r, into_n = board.plan.nodes[2].ins[0], board.plan.nodes[3].ins[0]
    assert board.spreads(into_r, 2) is True
    assert board.spreads(into_n, 3) is False
    assert board.upstream_run(into_n, 7) == 5
    assert board.upstream_run(into_n, 3) == 1
    assert board.shown_state(into_n, 7) is BOOM
    shown = board.shown_state(into_r, 2)
    assert isinstance(shown, Mapped)
    assert shown.map_states == (board.states[4], BOOM)


def test_a_board_counts_a_maps_children_for_a_reduce_and_their_pair_for_a_child() -> None:
    board = board_of(
        value("x", length=2), task("m", maps("x")), task("r", "m"), task("n", maps("m")), x=Success()
    )
    unfolded(board, "m", Success(), BOOM)
    unfolded(board, "n")
    assert board.tally(2) == Tally(total=2, finished=2, successful=1, failed=1)
    assert board.tally(6) == Tally(total=1, finished=1, successful=1)
    assert board.tally(7) == Tally(total=1, finished=1, failed=1)
    assert [board.all_plain(run) for run in (2, 6, 7)] == [False, True, False]
    assert list(board.upstreams_like(2, Failed)) == ["m[1]"]
    assert board.first_skipped(2) is None


def test_a_board_finds_the_first_skipped_in_edge_order() -> None:
    board = board_of(task("a"), task("b"), task("c", "b", "a"), a=Skipped(), b=Skipped())
    assert board.first_skipped(2) == "b"


def test_all_is_plain_when_a_whole_map_is() -> None:
    board = board_of(value("x", length=1), task("m", maps("x")), task("r", "m"), x=Success())
    unfolded(board, "m")
    assert board.all_plain(2) is False
    settle(board, 3, Success())
    assert board.all_plain(2) is True


def test_a_story_tells_all_that_is_known_of_a_run() -> None:
    board = board_of(task("a"), task("b", "a"))
    assert board.story(1) == (
        'b (run 1): <Pending: "Waiting for its turn.">, waiting, attempt 0, submission 0 (held: 0), '
        "1 upstreams open, 1 unsent, 0 readers"
    )


# Readers


def test_readers_count_edges_and_keeping_and_let_go_at_zero() -> None:
    plan = build(task("a"), task("b", "a"), task("c", "a"))
    board = Board(plan)
    gone: list[int] = []
    readers = Readers(board, Wiring.of(plan), gone.append, gone.extend)
    assert list(board.readers) == [2, 1, 1]
    settle(board, 0, Success())
    readers.node_settled(1)
    assert gone == []
    readers.node_settled(2)
    assert gone == [0]
    assert list(board.readers) == [0, 1, 1]


def test_a_value_that_is_not_there_yet_is_not_let_go() -> None:
    plan = build(task("a"), task("b", "a"))
    board = Board(plan)
    gone: list[int] = []
    Readers(board, Wiring.of(plan), gone.append, gone.extend).node_settled(1)
    assert gone == []
    assert board.readers[0] == 0


# Marks


def test_a_child_is_paired_with_the_child_below_in_its_own_place() -> None:
    board = board_of(
        value("x", length=2),
        value("y", length=1),
        task("m", maps("x")),
        task("n", maps("m"), maps("y"), map_lengths="shortest"),
        task("r", "m"),
        task("f", maps("m", flat=True)),
        x=Success(),
        y=Success(),
    )
    to_n, to_r, to_f = board.plan.nodes[2].outs
    assert paired_child(board, to_n, 0) is None  # it has not unfolded
    unfolded(board, "m")
    unfolded(board, "n")
    assert [paired_child(board, to_n, place) for place in (0, 1)] == [board.children(3)[0], None]
    assert paired_child(board, to_r, 0) is None
    assert paired_child(board, to_f, 0) is None


# Mapping


def test_the_width_of_a_map_is_read_from_what_is_known_of_its_inputs() -> None:
    board = board_of(
        value("x", length=2), task("a"), task("m", maps("x"), maps("a")), x=Success(), a=Success()
    )
    verdict = width_of(board, 2)
    assert isinstance(verdict, Become)
    assert "its length is not known" in str(verdict.state.message)
    board.measures[1] = Measure(2)
    assert width_of(board, 2) == 2
    board.measures[1] = Measure(3)
    assert isinstance(width_of(board, 2), Become)


def test_unfolded_children_wait_for_their_own_part_of_the_map_above() -> None:
    board = board_of(value("x", length=3), task("m", maps("x")), task("n", maps("m")), x=Success())
    unfolded(board, "m", Success(), BOOM)
    unfolded(board, "n")
    children = board.children(2)
    assert [board.unmet[run] for run in children] == [0, 0, 1]
    assert [board.unsent[run] for run in children] == [0, 1, 1]


def test_unfolded_children_count_whole_upstreams_that_are_no_plain_success() -> None:
    board = board_of(
        value("x", length=1),
        task("a"),
        task("m", maps("x")),
        task("n", maps("x"), "a", "m"),
        x=Success(),
        a=BOOM,
    )
    unfolded(board, "m", BOOM)
    unfolded(board, "n")
    (child,) = board.children(3)
    assert (board.unmet[child], board.unsent[child]) == (0, 2)


# Sources


def test_arguments_and_anchors_of_a_run_that_goes_ahead() -> None:
    plan = build(value("x"), task("a"), task("d"), task("b", "x", "a", follows("d")))
    board = Board(plan)
    assert arguments_of(board, 3) == (Argument("x", FromValue(0)), Argument("a", FromDriver(1)))
    assert anchors_of(board, Wiring.of(plan), 3) == ()
    board.live[1], board.live[2] = 4, 2
    assert arguments_of(board, 3)[1] == Argument("a", FromRun(1, 4))
    assert anchors_of(board, Wiring.of(plan), 3) == (FromRun(2, 2),)


# Pipeline


def test_the_rules_before_a_run_stand_in_the_order_that_is_the_contract() -> None:
    assert (weigh_skip, weigh_width, weigh_trigger) == BEFORE


def test_each_rule_says_what_it_read() -> None:
    board = board_of(task("a"), task("b", "a"), task("c", "a", skip_on_upstream_skip=False), a=Skipped())
    skip = weigh_skip(board, 1)
    assert isinstance(skip, Become)
    assert skip.why.read[0] == ("skipped", "a")
    assert isinstance(weigh_skip(board, 2), Proceed)
    assert weigh_width(board, 1).why.text == "The run does not map."
    trigger = weigh_trigger(board, 2)
    assert isinstance(trigger, Proceed)
    assert ("skipped", "1") in trigger.why.read


def test_plain_sailing_asks_no_rule_and_says_the_same() -> None:
    board = board_of(task("a"), task("b", "a"), a=Success())
    short, long = before(board, 1), weigh_trigger(board, 1)
    assert isinstance(short, Proceed)
    assert isinstance(long, Proceed)
    assert short.why.rule == long.why.rule == "trigger"


def test_a_list_is_weighed_by_the_default_trigger_whatever_its_policy() -> None:
    board = board_of(task("a"), listed("l", "a"), a=BOOM)
    verdict = weigh_trigger(board, 1)
    assert isinstance(verdict, Become)
    assert isinstance(verdict.state, TriggerFailed)


def test_a_users_own_trigger_waits_for_its_answer() -> None:
    board = board_of(task("a", trigger=None))
    verdict = before(board, 0)
    assert isinstance(verdict, Wait)
    assert verdict.what == "answer"


def test_a_map_with_a_width_waits_for_its_children() -> None:
    board = board_of(value("x", length=2), task("m", maps("x")), x=Success())
    verdict = before(board, 1)
    assert isinstance(verdict, Wait)
    assert (verdict.what, verdict.seconds) == ("children", 2.0)


# Outcome, proposals, ledger


def test_the_flow_counts_maps_by_their_children() -> None:
    board = board_of(value("x", length=2), task("m", maps("x")), task("a"), x=Success(), a=Success())
    unfolded(board, "m", BOOM, Success())
    assert flow_tally(board) == Tally(total=3, finished=3, successful=2, failed=1)


def test_a_proposal_is_named_after_its_state() -> None:
    assert Proposal(Skipped(), WHY, "end", 0.0).name == "Skipped"


def test_the_ledger_moves_the_counts_and_tells_of_it() -> None:
    ledger = Ledger(Board(FlowPlan("two", build(task("a"), value("x")).nodes)))
    ledger.commit(0, Skipped("no"), WHY, 3.0)
    ledger.commit(1, Success(), WHY, 3.0)
    assert ledger.board.counts == {"Pending": 0, "Skipped": 1}
    assert [one.key for one in ledger.out if hasattr(one, "key")] == [RunKey("a"), RunKey("x")]
    ledger.free(0)
    assert len(ledger.out) == 2  # nothing was held
