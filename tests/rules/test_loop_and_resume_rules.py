"""What follows an iteration, and an approval."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from prefectlite.rules.loop import decide_loop
from prefectlite.rules.resume import decide_resume
from prefectlite.rules.verdict import Become, Proceed
from prefectlite.states import Paused, Pending, Resume, Running, Scheduled, State, Success


class Approval(Paused):
    """A user's own kind of pause."""

    __slots__ = ()


def test_an_iteration_is_followed_by_the_next() -> None:
    verdict = decide_loop(3)

    assert type(verdict.state) is Pending
    assert verdict.state.message == "Iteration 3 raised LOOP; iteration 4 follows."
    assert (verdict.why.rule, verdict.why.read) == ("loop", (("loop_count", "3"),))


@pytest.mark.parametrize("state", [Paused("look"), Approval("look")])
def test_a_paused_run_goes_on_when_it_is_approved(state: State) -> None:
    verdict = decide_resume(state, "Ada said yes", 60.0)

    assert isinstance(verdict, Become)
    assert type(verdict.state) is Resume
    assert verdict.state.start_time == datetime(1970, 1, 1, 0, 1, tzinfo=UTC)
    assert verdict.state.message == "The pause is over: Ada said yes."
    assert verdict.why.rule == "resume"


@pytest.mark.parametrize("state", [Pending(), Scheduled(), Running(), Success()])
def test_an_approval_means_nothing_to_a_run_that_is_not_paused(state: State) -> None:
    verdict = decide_resume(state, "Ada said yes", 0.0)

    assert isinstance(verdict, Proceed)
    assert verdict.why.read == (("state", type(state).__name__),)
