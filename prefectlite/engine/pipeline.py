"""The rules before a run, in order; the first that objects decides. Knows the board; knows no user code."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeAlias

from prefectlite.engine.board import Board
from prefectlite.engine.mapping import width_of
from prefectlite.rules.skip import decide_skip
from prefectlite.rules.triggers import all_successful
from prefectlite.rules.verdict import Become, Proceed, Reason, Verdict, Wait
from prefectlite.states.state import Crashed, Failed, Skipped, Success, TriggerFailed
from prefectlite.states.surroundings import NO_CONTEXT

_NAMED: Final = 8  # how many upstreams a reason names
_CONSTANT: Final = Success(context=NO_CONTEXT)

BeforeRule: TypeAlias = Callable[[Board, int], Verdict]


def weigh_skip(board: Board, run: int) -> Verdict:
    """Skip the run if an upstream was skipped and its task did not ask otherwise.

    Parameters
    ----------
    board : Board
        The books.
    run : int
        The run; all its upstreams are final.

    Returns
    -------
    Verdict
        ``Become(Skipped)`` or ``Proceed``.
    """
    policy = board.plan_node(run).policy
    if not policy.skip_on_upstream_skip:
        return decide_skip(False, None)
    return decide_skip(True, board.first_skipped(run))


def weigh_width(board: Board, run: int) -> Verdict:
    """End the parent of a map that has no width; a parent with a width proceeds to unfold.

    Parameters
    ----------
    board : Board
        The books.
    run : int
        The run; all that it maps over is final or unfolded.

    Returns
    -------
    Verdict
        ``Become(Failed)`` or ``Proceed``.
    """
    if run >= len(board.plan.nodes) or not board.plan.nodes[run].is_mapped:
        return _NO_MAP
    width = width_of(board, run)
    return width if isinstance(width, Become) else Wait("children", _unfolds(width), float(width))


def weigh_trigger(board: Board, run: int) -> Verdict:
    """Ask the run's trigger; a user's own one is asked elsewhere, so the run waits for its answer.

    Parameters
    ----------
    board : Board
        The books.
    run : int
        The run; all its upstreams are final.

    Returns
    -------
    Verdict
        ``Proceed``, ``Become`` or ``Wait("answer")``.
    """
    node = board.plan_node(run)
    trigger = all_successful if node.kind == "collection" else node.policy.trigger
    if trigger is None:
        return _CUSTOM
    tally = board.tally(run)
    if not trigger.lowers_ahead:  # else successes change nothing
        tally.add(_CONSTANT, node.constants)
    verdict = trigger.decide(tally)
    if isinstance(verdict, Become) and isinstance(verdict.state, TriggerFailed):
        named = _culprits(board, run)
        if named:
            why = Reason(verdict.why.rule, verdict.why.text, (*verdict.why.read, *named))
            return Become(verdict.state, why)
    return verdict


#: The order is the contract: a skip beats a failure, a map unfolds before its children ask their trigger.
BEFORE: Final[tuple[BeforeRule, ...]] = (weigh_skip, weigh_width, weigh_trigger)


def before(board: Board, run: int) -> Verdict:
    """Weigh whether a run whose upstreams are final may start.

    Parameters
    ----------
    board : Board
        The books.
    run : int
        The run.

    Returns
    -------
    Verdict
        The first objection, or the last rule's ``Proceed``.
    """
    node = board.plan_node(run)
    if run >= len(board.plan.nodes) or not node.is_mapped:
        trigger = node.policy.trigger
        if trigger is not None and trigger.lowers_ahead and board.all_plain(run):
            return plain_sailing(trigger.name, len(node.ins))
    verdict: Verdict = _NO_MAP
    for rule in BEFORE:
        verdict = rule(board, run)
        if not isinstance(verdict, Proceed):
            return verdict
    return verdict


_NO_MAP: Final = Proceed(Reason("width", "The run does not map."))
_CUSTOM: Final = Wait("answer", Reason("trigger", "The task's own trigger is asked on the driver."))


@lru_cache(maxsize=4096)
def plain_sailing(trigger: str, edges: int) -> Proceed:
    """Let a run start whose upstreams are plain successes.

    Parameters
    ----------
    trigger : str
        The name of its trigger, one that passes then.
    edges : int
        How many upstreams it has.

    Returns
    -------
    Proceed
        The verdict.
    """
    text = (
        f"Trigger {trigger} passed: every upstream was successful."
        if edges
        else "It has no upstream to wait for."
    )
    return Proceed(Reason("trigger", text, (("upstream edges", str(edges)),)))


@lru_cache(maxsize=4096)
def _unfolds(width: int) -> Reason:
    return Reason("mapping", f"The map unfolded into {width} children.", (("width", str(width)),))


def _culprits(board: Board, run: int) -> tuple[tuple[str, str], ...]:
    """Return the first few upstreams that a refused run may ask about."""
    named: list[tuple[str, str]] = []
    for cls in (Crashed, Failed, Skipped):
        for name in board.upstreams_like(run, cls):
            if len(named) == _NAMED:
                return tuple(named)
            if all(name != seen for seen, _ in named):
                named.append((name, cls.__name__))
    return tuple(named)
