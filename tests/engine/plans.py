"""What the engine's tests stand on: plans in few words, and a bench that feeds events and reads instructions.

A turn of the engine reads as sentences: ``submit b ahead``, ``a Pending > Running``, ``release a.1``. The
bench performs nothing and believes nothing: it counts the audit's pass after every event as part of the test.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from prefectlite.engine.board import PENDING, Board
from prefectlite.engine.engine import Engine
from prefectlite.engine.events import (
    Answered,
    AttemptCrashed,
    AttemptFinished,
    AttemptHeld,
    AttemptRefused,
    AttemptStarted,
    CancelRequested,
    Event,
    Measure,
    ResultLost,
    ResumeRequested,
    RunStarted,
    TimerFired,
)
from prefectlite.engine.given import Given
from prefectlite.engine.inputs import FromCollection, FromDriver, FromMany, FromRun, FromValue, Source
from prefectlite.engine.instructions import (
    Ask,
    AwaitApproval,
    CancelAll,
    EndRun,
    Instruction,
    Release,
    SetTimer,
    StopReleased,
    Submit,
    one_by_one,
)
from prefectlite.engine.ledger import FLOW
from prefectlite.engine.plan import FlowPlan, NodeKind, PlanEdge, PlanNode, Policy
from prefectlite.engine.transitions import Transition
from prefectlite.rules.limit import Limit
from prefectlite.rules.triggers import all_successful
from prefectlite.rules.verdict import Reason
from prefectlite.states.keys import RunKey
from prefectlite.states.report import Report, ValueSource
from prefectlite.states.state import Failed, Mapped, State

# Plans


@dataclass(frozen=True)
class In:
    """One edge to be: whose value or state, and how."""

    upstream: str
    key: str | None
    mapped: bool = False
    flattened: bool = False


@dataclass(frozen=True)
class Spec:
    """One node to be."""

    slug: str
    kind: NodeKind
    ins: tuple[In, ...]
    policy: Policy
    facts: Mapping[str, Any] = field(default_factory=dict)


def reads(upstream: str, key: str | None = None, *, flat: bool = False) -> In:
    """An edge that moves the whole value; its argument is named after the upstream unless told."""
    return In(upstream, key or upstream, flattened=flat)


def follows(upstream: str) -> In:
    """An edge that moves no value."""
    return In(upstream, None)


def maps(upstream: str, key: str | None = None, *, flat: bool = False) -> In:
    """An edge that gives each child one element."""
    return In(upstream, key or upstream, mapped=True, flattened=flat)


def pairs(upstream: str) -> In:
    """An edge that gives each child the state of one child above, and no value."""
    return In(upstream, None, mapped=True)


def task(slug: str, *ins: In | str, limits: tuple[int, ...] = (), **policy: Any) -> Spec:
    """A task; a bare name is an upstream whose value it reads."""
    policy.setdefault("trigger", all_successful)
    return Spec(slug, "task", _edges(ins), Policy(**policy), {"limits": limits})


def value(slug: str, **facts: Any) -> Spec:
    """A constant or parameter, with its lengths."""
    return Spec(slug, "value", (), Policy(all_successful), facts)


def listed(slug: str, *ins: In | str, skip_on_upstream_skip: bool = True, **facts: Any) -> Spec:
    """A list of tasks; it maps over its members."""
    policy = Policy(all_successful, skip_on_upstream_skip=skip_on_upstream_skip)
    facts.setdefault("length", len(ins))
    return Spec(slug, "collection", _edges(ins), policy, facts)


def _edges(ins: tuple[In | str, ...]) -> tuple[In, ...]:
    return tuple(reads(one) if isinstance(one, str) else one for one in ins)


def build(*specs: Spec, reference: tuple[str, ...] | None = None, **facts: Any) -> FlowPlan:
    """Freeze specs into a plan; without ``reference`` the terminal tasks decide the flow."""
    number = {spec.slug: i for i, spec in enumerate(specs)}
    ins = [
        tuple(
            PlanEdge(number[one.upstream], i, one.key, one.mapped, one.flattened, (one.upstream, spec.slug))
            for one in spec.ins
        )
        for i, spec in enumerate(specs)
    ]
    outs: list[list[PlanEdge]] = [[] for _ in specs]
    for edges in ins:
        for edge in edges:
            outs[edge.upstream].append(edge)
    nodes = tuple(
        PlanNode(spec.slug, spec.policy, spec.kind, ins[i], tuple(outs[i]), **spec.facts)
        for i, spec in enumerate(specs)
    )
    terminal = frozenset(i for i, edges in enumerate(outs) if not edges)
    decides = terminal if reference is None else frozenset(number[slug] for slug in reference)
    return FlowPlan("test", nodes, decides, terminal, **facts)


# Turns


class Turn(list[Instruction]):
    """The instructions that one event brought; ``engine`` names the runs."""

    def __init__(self, engine: Engine, instructions: Iterable[Instruction] = ()) -> None:
        super().__init__(instructions)
        self.engine = engine

    @property
    def words(self) -> list[str]:
        """All of them as sentences."""
        return [said(one, self.engine) for one in self]

    @property
    def acts(self) -> list[str]:
        """What is to be done: all but the transitions."""
        return [said(one, self.engine) for one in self if not isinstance(one, Transition)]

    @property
    def moves(self) -> list[str]:
        """What changed: the transitions."""
        return [said(one, self.engine) for one in self if isinstance(one, Transition)]

    def submit(self, name: str) -> Submit:
        """The one submission of a run."""
        (found,) = [one for one in self if isinstance(one, Submit) and str(one.key) == name]
        return found

    def move(self, name: str, new: str) -> Transition:
        """The one transition of a run into a state of a class."""
        (found,) = [one for one in self if _moves(one, name, new)]
        assert isinstance(found, Transition)
        return found

    def why(self, name: str, new: str) -> Reason:
        """The reason of that transition."""
        return self.move(name, new).why

    def ask(self, question: str) -> Ask:
        """The one question of a kind."""
        (found,) = [one for one in self if isinstance(one, Ask) and one.question == question]
        return found


def _moves(one: Instruction, name: str, new: str) -> bool:
    return isinstance(one, Transition) and _name(one.key) == name and type(one.new).__name__ == new


def _name(key: RunKey) -> str:
    return str(key) or "flow"


def said(one: Instruction, engine: Engine) -> str:
    """An instruction as a sentence; attempt and submission are told when they are not both the first."""
    match one:
        case Submit():
            text = f"submit {one.key}" + " ahead" * one.ahead
            again = (one.attempt, one.submission) != (1, 1)
            return f"{text} #{one.attempt}.{one.submission}" if again else text
        case Transition():
            return f"{_name(one.key)} {type(one.old).__name__} > {type(one.new).__name__}"
        case SetTimer():
            return f"timer {engine.key(one.run)} at {one.at:g}"
        case Ask():
            told = f"ask {_name(engine.key(one.run))} {one.question}"
            if one.question == "handlers":
                return f"{told} {type(one.old).__name__} > {type(one.new).__name__}"
            return told
        case Release():
            return f"release {engine.key(one.run)}.{one.submission}"
        case CancelAll():
            return "cancel all"
        case StopReleased():
            return "stop what was released"
        case AwaitApproval():
            return f"await {type(one.state).__name__}"
        case EndRun():
            return f"end {type(one.state).__name__}"


def told(source: Source, engine: Engine) -> str:
    """Where a value comes from, in short: ``a.1``, ``flat(a.1)[2]``, ``driver a``, ``x[0]``, ``l(a.1, b.1)``."""
    match source:
        case FromRun():
            text = f"{engine.key(source.run)}.{source.submission}"
        case FromDriver():
            text = f"driver {engine.key(source.run)}"
        case FromValue():
            text = str(engine.key(source.node))
        case FromMany():
            text = f"[{', '.join(told(one, engine) for one in source.singly())}]"
            return f"flat({text})" if source.flat else text
        case FromCollection():
            text = f"{engine.key(source.node)}({', '.join(told(one, engine) for one in source.items)})"
    text = f"flat({text})" if source.flat else text
    return text if source.item is None else f"{text}[{source.item}]"


# The bench


class Bench:
    """An engine on the bench: one event at a time, a second between events, an audit after each."""

    def __init__(
        self,
        *specs: Spec,
        reference: tuple[str, ...] | None = None,
        window: int = 4096,
        values: ValueSource | None = None,
        run_id: str = "",
        limits: tuple[int, ...] = (),
        state: State = PENDING,
        given: Mapping[str, State] | None = None,
        measures: Mapping[str, Measure] | None = None,
        **facts: Any,
    ) -> None:
        facts["limits"] = tuple(Limit(f"kind {place}", most) for place, most in enumerate(limits))
        plan = build(*specs, reference=reference, **facts)
        begins = {
            number: _given(given[spec.slug], (measures or {}).get(spec.slug))
            for number, spec in enumerate(specs)
            if given and spec.slug in given
        }
        self.engine = Engine(plan, run_id=run_id, window=window, values=values, state=state, given=begins)
        self.now = 0.0
        self.turn = Turn(self.engine)
        #: All instructions so far.
        self.log = Turn(self.engine)

    def handle(self, event: Event) -> Turn:
        """Feed any event."""
        self.turn = Turn(self.engine, one_by_one(self.engine.handle(event)))
        self.log.extend(self.turn)
        self.engine.audit()
        return self.turn

    def _later(self) -> float:
        self.now += 1
        return self.now

    # What is asked

    def run(self, name: str) -> int:
        """The number of a run; ``flow`` is the flow's own."""
        if name == "flow":
            return FLOW
        run = self.engine.run_of(RunKey.parse(name))
        assert run is not None, f"there is no {name}"
        return run

    def state(self, name: str) -> State:
        """A run's state."""
        return self.engine.state(self.run(name))

    def states(self, *names: str) -> list[str]:
        """The names of some runs' state classes; of all runs without an argument."""
        runs = [self.run(name) for name in names] if names else list(self.engine.runs())
        return [type(self.engine.state(run)).__name__ for run in runs]

    def live(self) -> list[str]:
        """What the executor still holds, as ``name.submission``."""
        return [f"{self.engine.key(run)}.{one}" for run, one in self.engine.live_submissions()]

    def last(self, name: str) -> int:
        """A run's latest submission."""
        return self.engine.board.submission[self.run(name)]

    def sources(self, name: str, key: str | None = None) -> str:
        """Where the one argument of a run's latest submission came from; ``key`` tells which of several."""
        sent = [one for one in self.log if isinstance(one, Submit) and str(one.key) == name][-1]
        (source,) = [one.source for one in sent.arguments if key in (None, one.key)]
        return told(source, self.engine)

    def open_asks(self) -> dict[int, int]:
        """Questions without an answer, and their runs."""
        return dict(self.engine.board.asks)

    # What is told

    def start(self) -> Turn:
        """The flow run begins."""
        return self.handle(RunStarted(self.now))

    def report(self, name: str, state: State | None, *, submission: int = 0, **facts: Any) -> Turn:
        """A worker's report on the latest submission, unless another one is named."""
        ended = self._later()
        report = Report(state, facts.pop("started", ended - 0.5), ended, **facts)
        return self.handle(AttemptFinished(ended, self.run(name), submission or self.last(name), report))

    def succeed(self, name: str, **facts: Any) -> Turn:
        """A plain success."""
        return self.report(name, None, **facts)

    def fail(self, name: str, text: str = "boom", **facts: Any) -> Turn:
        """The body raised ``ValueError(text)``."""
        return self.report(name, Failed(text, ValueError(text)), **facts)

    def approve(self, name: str, why: str = "approved by the user") -> Turn:
        """Somebody approved a paused run."""
        return self.handle(ResumeRequested(self._later(), self.run(name), why))

    def observe(self, name: str, submission: int = 0) -> Turn:
        """A worker was seen to run it."""
        return self.handle(AttemptStarted(self._later(), self.run(name), submission or self.last(name), "w1"))

    def hold(self, name: str, submission: int = 0) -> Turn:
        """It stopped before its body."""
        return self.handle(AttemptHeld(self._later(), self.run(name), submission or self.last(name)))

    def crash(self, name: str, cause: str = "worker-lost", submission: int = 0) -> Turn:
        """It ended without a word."""
        text = f"The worker was lost ({cause})."
        number = submission or self.last(name)
        return self.handle(AttemptCrashed(self._later(), self.run(name), number, cause, text))

    def lose(self, name: str, text: str = "Its worker ended.") -> Turn:
        """Its value is gone."""
        return self.handle(ResultLost(self._later(), self.run(name), self.last(name), text))

    def refuse(self, name: str, error: BaseException) -> Turn:
        """It could not be sent."""
        return self.handle(AttemptRefused(self._later(), self.run(name), self.last(name), error))

    def fire(self, name: str) -> Turn:
        """The time that a run waits for has come."""
        run = self.run(name)
        (timer,) = [one for one, of in self.engine.board.timers.items() if of == run]
        (at,) = [one.at for one in self.log if isinstance(one, SetTimer) and one.timer == timer]
        self.now = max(self.now, at)
        return self.handle(TimerFired(self.now, run, timer))

    def answer(
        self,
        name: str,
        answer: Any = None,
        *,
        error: BaseException | None = None,
        measure: Measure | None = None,
    ) -> Turn:
        """User code's word on a run's one open question."""
        run = self.run(name)
        (ask,) = [one for one, of in self.engine.board.asks.items() if of == run]
        return self.handle(Answered(self._later(), run, ask, answer, error, measure))

    def agree(self, name: str) -> Turn:
        """State handlers leave the new state as it is."""
        run = self.run(name)
        (ask,) = [one for one, of in self.engine.board.asks.items() if of == run]
        (asked,) = [one for one in self.log if isinstance(one, Ask) and one.ask == ask]
        return self.handle(Answered(self._later(), run, ask, asked.new))

    def cancel(self, why: str = "cancelled by the user", remark: str = "") -> Turn:
        """Somebody calls the flow run off."""
        return self.handle(CancelRequested(self._later(), why, remark))

    # A whole run

    def drive(
        self,
        outcomes: Mapping[str, State] | None = None,
        facts: Mapping[str, Mapping[str, Any]] | None = None,
        answers: Callable[[Ask], Answered] | None = None,
    ) -> Turn:
        """Go to the end: first sent, first done; user code agrees with everything; time passes when idle.

        ``outcomes`` tells how a run ends, by ``name`` or, for one attempt, ``name#attempt``; who is not in it
        succeeds. ``facts`` adds to a run's reports by its slug.
        """
        outcomes, facts = outcomes or {}, facts or {}
        answers = answers or _agreeable
        waiting: deque[Instruction] = deque(self.start() if not self.log else self.turn)
        timers: list[SetTimer] = []
        while waiting or timers:
            if not waiting:
                timers.sort(key=lambda one: one.at)
                one: Instruction = timers.pop(0)
                assert isinstance(one, SetTimer)
                self.now = max(self.now, one.at)
                waiting.extend(self.handle(TimerFired(self.now, one.run, one.timer)))
                continue
            match one := waiting.popleft():
                case Submit():
                    name = str(one.key)
                    state = outcomes.get(f"{name}#{one.attempt}", outcomes.get(name))
                    extra = facts.get(one.key.slug, {})
                    waiting.extend(self.report(name, state, submission=one.submission, **extra))
                case SetTimer():
                    timers.append(one)
                case Ask():
                    waiting.extend(self.handle(answers(one)))
                case _:
                    pass
        return self.log


def _given(state: State, measure: Measure | None) -> Given:
    children = state.map_states if isinstance(state, Mapped) else ()
    return Given(state, measure, [None if type(one) is State else Given(one) for one in children])


def _agreeable(ask: Ask) -> Answered:
    match ask.question:
        case "handlers":
            return Answered(0.0, ask.run, ask.ask, ask.new)
        case "trigger":
            return Answered(0.0, ask.run, ask.ask, True)
        case "delay":
            return Answered(0.0, ask.run, ask.ask, 0)
        case "on_failure":
            return Answered(0.0, ask.run, ask.ask)


def at(seconds: float) -> datetime:
    """A time as states carry it."""
    return datetime.fromtimestamp(seconds, tz=UTC)


def books(engine: Engine) -> dict[str, Any]:
    """A copy of all that the board knows, but for what it keeps to answer faster."""
    left_out = ("plan", "keys", "nodes_by_slug")
    return {
        name: copy.deepcopy(getattr(engine.board, name)) for name in Board.__slots__ if name not in left_out
    }
