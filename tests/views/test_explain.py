"""What explain says: the state first, then each step with its reason, then what it points to."""

from __future__ import annotations

from array import array

from prefectlite.engine.transitions import Transition, TransitionMany
from prefectlite.journal.memory import MemoryJournal
from prefectlite.journal.protocol import Record, Submitted, SubmittedMany
from prefectlite.rules.verdict import Reason
from prefectlite.states import Failed, Mapped, Pending, RunKey, Running, State, Success, TriggerFailed
from prefectlite.views.explain import explain

FLOW, LOAD, USE, MAP = RunKey(""), RunKey("load-1"), RunKey("use-1"), RunKey("each-1")


def change(time: float, key: RunKey, old: State, new: State, why: Reason, attempt: int = 1) -> Transition:
    return Transition(time, 0, key, attempt, old, new, why)


def journal_of(*entries: Record) -> MemoryJournal:
    journal = MemoryJournal()
    journal.record(entries)
    journal.commit()
    return journal


BEGAN = change(
    100.0, FLOW, Pending(), Running("The flow run is in progress."), Reason("start", "The flow run began.")
)


def test_nothing_is_said_of_what_has_not_happened() -> None:
    assert explain(journal_of(), USE) == "use-1: nothing has happened yet."
    assert explain(journal_of(), FLOW, "etl") == "Flow 'etl': nothing has happened yet."


def test_a_run_that_was_sent_is_on_its_way() -> None:
    said = explain(journal_of(BEGAN, Submitted(100.25, 1, USE, 1, 2, ahead=True)), USE)

    assert said.splitlines() == [
        "use-1 is on its way to a worker.",
        "      +0.250 s  Sent to run (attempt 1, submission 2, ahead of its upstreams).",
    ]


def test_every_step_has_its_time_its_reason_and_what_was_read() -> None:
    read = (("failed", "1"), ("load-1", "Failed"))
    journal = journal_of(
        BEGAN,
        Submitted(100.0, 0, LOAD, 1, 1),
        change(100.5, LOAD, Running(), Failed("It broke."), Reason("outcome", "It broke."), attempt=2),
        change(
            101.0,
            USE,
            Pending(),
            TriggerFailed("Refused."),
            Reason("trigger", "Trigger refused it.", read),
            0,
        ),
    )

    assert explain(journal, USE).splitlines() == [
        "use-1 is TriggerFailed: Refused.",
        "      +1.000 s  Pending -> TriggerFailed. Trigger refused it. [rule: trigger; read: failed: 1; load-1: Failed]",
        "It read load-1, which is Failed: It broke.",
    ]
    assert explain(journal, LOAD).splitlines() == [
        "load-1 is Failed: It broke.",
        "      +0.000 s  Sent to run (attempt 1).",
        "      +0.500 s  Running -> Failed (attempt 2). It broke. [rule: outcome]",
    ]


def test_a_reason_with_many_facts_is_cut() -> None:
    facts = tuple((f"fact {n}", str(n)) for n in range(10))
    said = explain(journal_of(change(1.0, USE, Pending(), Success(), Reason("r", "t", facts))), USE)

    assert "use-1 is Success." in said
    assert "fact 7: 7; and 2 more]" in said


def test_a_map_is_told_with_its_children_and_a_flow_with_its_runs() -> None:
    why = Reason("outcome", "So it was.")
    children = [
        change(102.0, RunKey("each-1", n), Running(), Failed(f"No {n}.") if n else Success("Fine."), why)
        for n in range(8)
    ]
    journal = journal_of(
        BEGAN, change(101.0, MAP, Pending(), Mapped("Unfolded."), Reason("mapping", "Unfolded.")), *children
    )

    said = explain(journal, MAP).splitlines()
    assert said[0] == "each-1 is Mapped: Unfolded."
    assert "Its children so far: 1 Success, 7 Failed; ask for one as each-1[0]." in said
    assert "  each-1[1] is Failed: No 1." in said
    assert said[-1] == "  and 2 more failed."

    said = explain(journal, FLOW, "etl").splitlines()
    assert said[0] == "Flow 'etl' is Running: The flow run is in progress."
    assert "Its task runs so far: 1 Mapped, 1 Success, 7 Failed." in said

    assert explain(journal, RunKey("each-1", 3)).splitlines()[0] == "each-1[3] is Failed: No 3."


def test_children_that_went_together_are_counted_and_each_has_its_story() -> None:
    class Unwanted:
        """Only their class is read of most of them."""

        def __init__(self) -> None:
            self.asked: list[RunKey] = []

        def state(self, run: int, key: RunKey) -> State:
            self.asked.append(key)
            return Success("done", run)

    runs, times, details = range(10, 13), array("d", [101.0, 102.0, 103.0]), Unwanted()
    why = Reason("outcome", "The body returned.", (("worker", "w1"),))
    mapped = change(
        100.0, MAP, Pending(), Mapped("3 children", n_map_states=3), Reason("map", "It is wide."), 0
    )
    journal = journal_of(
        BEGAN,
        mapped,
        SubmittedMany(100.5, runs, MAP.slug, 0, 1, 1),
        TransitionMany(times, runs, MAP.slug, 0, 1, Pending(), Running("A worker runs it."), why),
        TransitionMany(times, runs, MAP.slug, 0, 1, Running(), Success("done"), why, details),
        change(105.0, RunKey(MAP.slug, 1), Success(), Failed("It broke."), why),
    )

    told = explain(journal, MAP)
    assert "Its children so far: 2 Success, 1 Failed; ask for one as each-1[0]." in told.splitlines()[-2]
    assert told.splitlines()[-1].strip().startswith("each-1[1] is ")
    assert details.asked == []
    child = explain(journal, RunKey(MAP.slug, 2))
    assert child.splitlines()[0].startswith("each-1[2]")
    assert "+3.000 s" in child
    assert "Sent to run" in child
    assert details.asked == [RunKey(MAP.slug, 2)]
