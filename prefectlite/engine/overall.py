"""The flow run's own state: how it begins and ends, and what the flow's handlers make of that."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from prefectlite.engine.events import Answered
from prefectlite.engine.ledger import Ledger
from prefectlite.engine.plan import FlowPlan
from prefectlite.engine.proposal import handled, objection
from prefectlite.engine.questions import Questions
from prefectlite.rules.verdict import Become, Reason
from prefectlite.states.state import Failed, Finished, Running, State


class _Stage(Enum):
    NEW = auto()
    BEGINNING = auto()  # its handlers are asked whether it may begin
    GOING = auto()
    ENDING = auto()  # its handlers are asked how it ends
    TELLING = auto()  # somebody is told of its failure
    OVER = auto()


#: Asked for after each event, and members of an enumeration are looked up slowly.
_GOING: Final = _Stage.GOING


class Overall:
    """Leads the flow run from its first state to its last, as ``Conduct`` leads the runs in it.

    Parameters
    ----------
    plan : FlowPlan
        Whether the flow has handlers.
    ledger : Ledger
        Where its state changes.
    questions : Questions
        Where its handlers are asked.
    """

    __slots__ = ("_ledger", "_plan", "_proposed", "_questions", "_stage")

    def __init__(self, plan: FlowPlan, ledger: Ledger, questions: Questions) -> None:
        self._plan = plan
        self._ledger = ledger
        self._questions = questions
        self._stage = _Stage.NEW
        self._proposed: Become | None = None

    @property
    def is_going(self) -> bool:
        """Whether the flow's tasks may run."""
        return self._stage is _GOING

    @property
    def is_over(self) -> bool:
        """Whether the flow's state is final, and everybody has been told of it."""
        return self._stage is _Stage.OVER

    def begin(self) -> bool:
        """Begin, if the flow's handlers agree.

        Returns
        -------
        bool
            Whether the flow's tasks may run from now on; False while handlers are asked, and for a flow run
            that has begun already.
        """
        if self._stage is not _Stage.NEW:
            return False
        if isinstance(self._ledger.flow_state, Running):
            self._stage = _Stage.GOING
            return True
        why = Reason("start", "The flow run began.")
        running = Become(Running("The flow run is in progress."), why)
        if self._plan.handled:
            self._stage = _Stage.BEGINNING
            self._ask(running)
        else:
            self._take(running)
        return self.is_going

    def end(self, last: Become) -> None:
        """End, as the flow's handlers will have it; called once more, do not wait for what they say.

        Parameters
        ----------
        last : Become
            How the flow run ends, or is left, by the rules.
        """
        if self._stage is _Stage.GOING and self._plan.handled and last.state.is_finished():
            self._stage = _Stage.ENDING
            self._ask(last)
        elif self._stage is _Stage.TELLING:
            self._stage = _Stage.OVER
        else:
            self._take(last)

    def answered(self, event: Answered) -> None:
        """Go on with what the flow's handlers said.

        Parameters
        ----------
        event : Answered
            Their answer.
        """
        ask = self._questions.take(event)
        if ask.question == "on_failure":
            self._stage = _Stage.OVER
            return
        assert self._proposed is not None
        old, proposed = self._ledger.flow_state, self._proposed
        asked = f"{type(old).__name__} -> {type(proposed.state).__name__}"
        state = event.answer
        wrong = objection(old, asked, state, event.error)
        if wrong is None and not isinstance(state, Finished | type(proposed.state)):
            wrong = Failed(f"A state handler made {type(state).__name__} of {asked}: a flow cannot wait.")
        state = wrong or state
        why = proposed.why
        if state is not proposed.state:
            why = handled(why, state, wrong)
        self._take(Become(state, why))

    def _ask(self, proposed: Become) -> None:
        self._proposed = proposed
        self._questions.ask_flow("handlers", self._ledger.flow_state, proposed.state)

    def _take(self, become: Become) -> None:
        state: State = become.state
        self._ledger.flow_becomes(state, become.why)
        if isinstance(state, Failed) and self._plan.on_failure:
            self._stage = _Stage.TELLING
            self._questions.ask_flow("on_failure", state, state)
        elif isinstance(state, Finished):
            self._stage = _Stage.OVER
        else:
            self._stage = _Stage.GOING
