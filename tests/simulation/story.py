"""A simulated run told for a person: the plan, then event by event what the engine said."""

from __future__ import annotations

from prefectlite.engine.events import Event
from prefectlite.engine.instructions import Instruction, Submit
from prefectlite.engine.transitions import Transition
from tests.simulation.case import Case


def describe(case: Case) -> list[str]:
    """Return a plan as lines of text."""
    faults = case.faults
    lines = [
        f"window {case.window}, {case.slots} slots, cancel at {case.cancel_at}, {faults}",
        f"reference {sorted(case.plan.reference)}, terminal {sorted(case.plan.terminal)}",
    ]
    for i, node in enumerate(case.plan.nodes):
        policy, spec = node.policy, case.triggers[i]
        facts = [node.kind, spec.custom if spec.name == "custom" else str(policy.trigger)]
        facts += [] if policy.skip_on_upstream_skip else ["runs after skips"]
        facts += [f"{policy.retry}"] if policy.retry.max_retries else []
        facts += [f"{policy.max_crashes} crashes"] if policy.max_crashes else []
        facts += [name for name in ("handled", "on_failure", "keep_result") if getattr(policy, name)]
        facts += ["shortest"] if policy.map_lengths == "shortest" else []
        shape = case.shapes.get(i) if node.kind == "value" else case.value_shapes.get(i)
        facts.append(f"shape {'ragged' if i in case.ragged else shape}")
        ins = [
            f"{edge.key or '-'}={'mapped ' if edge.mapped else ''}{'flat ' if edge.flattened else ''}{edge.upstream}"
            for edge in node.ins
        ]
        begun = {place: one for (number, place), one in case.begun.items() if number == i}
        facts += [f"begins with {begun}"] if begun else []
        lines.append(f"{i:3} {node.slug}({', '.join(ins)}): {', '.join(facts)}; {case.menus.get(i, '')}")
    return lines


def tell(one: Event | Instruction) -> str:
    match one:
        case Transition(run=run, key=key, attempt=attempt, old=old, new=new, why=why):
            names = f"{type(old).__name__} > {type(new).__name__}"
            return f"{key if run >= 0 else 'flow'} (run {run}, attempt {attempt}): {names}, {why.rule}: {why.text}"
        case Submit(key=key, run=run, attempt=attempt, submission=submission, ahead=ahead):
            named = ", ".join(f"{argument.key}={argument.source}" for argument in one.arguments)
            ways = f"{' ahead' if ahead else ''}{' drops' if one.drop_value else ''} {set(one.measure) or ''}"
            return f"Submit {key} (run {run}) attempt {attempt} submission {submission}{ways} ({named}) after {one.after}"
        case _:
            return str(one)
