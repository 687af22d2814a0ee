"""Why a run is in its state, in plain words from the journal. Knows entries; knows no engine and no tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from prefectlite.engine.transitions import Transition, TransitionEach, TransitionMany
from prefectlite.journal.protocol import Entry, Journal
from prefectlite.states.keys import RunKey
from prefectlite.states.state import Failed, State
from prefectlite.views.printable import hanging

_NAMED: Final = 5  # runs that a sentence names
_FACTS: Final = 8  # facts that a reason shows


def explain(journal: Journal, key: RunKey, flow_name: str = "") -> str:
    """Tell what happened to a run, step by step, and why.

    Parameters
    ----------
    journal : Journal
        Where it is written.
    key : RunKey
        The run's name; an empty slug asks about the flow.
    flow_name : str
        How to call the flow.

    Returns
    -------
    str
        The run's state in the first line, then a line per step with the seconds since the flow run began,
        its reason and the facts that the rule read; then what it points to: upstreams at fault, children,
        failures.
    """
    history = journal.history(key)
    name = str(key) if key.slug else f"Flow {flow_name!r}"
    began = _began(journal)
    lines = [_headline(name, history)]
    lines += [f"  {_moment(entry.time, began)}  {_step(entry)}" for entry in history]
    if not key.slug:
        lines += _overview(journal)
    else:
        found = {one: state for one, state in _last_states(journal).items() if one.slug == key.slug}
        lines += _iterations(found, key)
        lines += _children(found, key)
    lines += _causes(journal, key, history)
    return "\n".join(map(hanging, lines))


def _headline(name: str, history: list[Entry]) -> str:
    last = _last_state(history)
    if last is None:
        return f"{name}: nothing has happened yet." if not history else f"{name} is on its way to a worker."
    return f"{name} is {_named(last)}."


def _named(state: State) -> str:
    said = (state.message or "").strip().rstrip(".")
    return f"{type(state).__name__}: {said}" if said else type(state).__name__


def _last_state(history: Iterable[Entry]) -> State | None:
    state = None
    for entry in history:
        if isinstance(entry, Transition):
            state = entry.new
    return state


def _began(journal: Journal) -> float:
    first = next(iter(journal.entries()), None)
    return 0.0 if first is None else first.time


def _moment(time: float, began: float) -> str:
    return f"{time - began:+10.3f} s"


def _step(entry: Entry) -> str:
    if isinstance(entry, Transition):
        old, new = type(entry.old).__name__, type(entry.new).__name__
        which = f" (attempt {entry.attempt})" if entry.attempt > 1 else ""
        return f"{old} -> {new}{which}. {_told(entry)}"
    how = ", ahead of its upstreams" if entry.ahead else ""
    again = f", submission {entry.submission}" if entry.submission > 1 else ""
    return f"Sent to run (attempt {entry.attempt}{again}{how})."


def _told(change: Transition) -> str:
    why = change.why
    text = f"{why.text.strip()} [rule: {why.rule}"
    if why.read:
        facts = "; ".join(f"{name}: {what}" for name, what in why.read[:_FACTS])
        more = len(why.read) - _FACTS
        text += f"; read: {facts}" + (f"; and {more} more" if more > 0 else "")
    return text + "]"


def _last_states(journal: Journal) -> dict[RunKey, State]:
    found: dict[RunKey, State] = {}
    for record in journal.records():
        if isinstance(record, Transition):
            found[record.key] = record.new
        elif isinstance(record, TransitionEach):
            found.update(dict.fromkeys(record.keys, record.new))
        elif isinstance(record, TransitionMany):
            # Their results, in which the states differ, are not wanted here.
            first, count = record.first, len(record.runs)
            found.update((RunKey(record.slug, index), record.new) for index in range(first, first + count))
    return found


def _counted(states: Iterable[State]) -> str:
    counts: dict[str, int] = {}
    for state in states:
        name = type(state).__name__
        counts[name] = counts.get(name, 0) + 1
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def _failed(found: dict[RunKey, State]) -> Iterator[str]:
    failed = [key for key, state in found.items() if isinstance(state, Failed)]
    for key in failed[:_NAMED]:
        yield f"  {key} is {_named(found[key])}."
    if len(failed) > _NAMED:
        yield f"  and {len(failed) - _NAMED:,} more failed."


def _iterations(found: dict[RunKey, State], key: RunKey) -> list[str]:
    """Tell of the other iterations of a run that looped."""
    laps = sorted(one.loop for one in found if one.index == key.index)
    if laps in ([], [1]):
        return []
    last = key._replace(loop=laps[-1])
    names = [str(key._replace(loop=loop)) for loop in laps]
    if len(names) > _NAMED:
        names[2:-2] = ["..."]
    return [f"It looped: its iterations are {', '.join(names)}. The last is {_named(found[last])}."]


def _children(found: dict[RunKey, State], key: RunKey) -> list[str]:
    """Tell of a map's children, of each as its last iteration is."""
    children: dict[RunKey, State] = {}
    for one in sorted((one for one in found if one.index is not None), key=lambda one: one.loop):
        children[one._replace(loop=1)] = found[one]
    if key.index is not None or not children:
        return []
    return [
        f"Its children so far: {_counted(children.values())}; ask for one as {key}[0].",
        *_failed(children),
    ]


def _overview(journal: Journal) -> list[str]:
    found = {one: state for one, state in _last_states(journal).items() if one.slug}
    return [f"Its task runs so far: {_counted(found.values())}.", *_failed(found)] if found else []


def _causes(journal: Journal, key: RunKey, history: list[Entry]) -> list[str]:
    """Tell how the runs ended that the last reason names."""
    transitions = [entry for entry in history if isinstance(entry, Transition)]
    if not transitions:
        return []
    lines = []
    for name, _ in transitions[-1].why.read:
        other = RunKey.parse(name)
        state = _last_state(journal.history(other)) if other != key and other.slug else None
        if state is not None:
            lines.append(f"It read {other}, which is {_named(state)}.")
    return lines[:_NAMED]
