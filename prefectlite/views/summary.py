"""What came of a flow run, in lines: failures first, then the counts by state. Knows no terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from prefectlite.states.keys import RunKey
from prefectlite.states.state import Failed, Skipped, State
from prefectlite.views.counts import in_reading_order, style_of
from prefectlite.views.failures import FailureGroup, every_run, group_failures
from prefectlite.views.printable import counted, hanging, label, lasting, printable

#: A line as pieces of text, each with a style of rich's (``"bold"``, ``"#28a745"``, ``""``).
Line: TypeAlias = tuple[tuple[str, str], ...]

_GROUPS: Final = 10
_TASKS: Final = 4
_NOTES: Final = 3


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of a flow run.

    Parameters
    ----------
    flow : str
        The flow's name.
    state : State
        How the flow run ended.
    seconds : float
        How long it took.
    groups : tuple of FailureGroup
        The failures, those alike together.
    counts : mapping of str to (mapping of str to int)
        For each state class, how many runs of each task are in it.
    skipped : tuple of (RunKey, str)
        Runs that were left out, and why.
    """

    flow: str
    state: State
    seconds: float
    groups: tuple[FailureGroup, ...] = ()
    counts: Mapping[str, Mapping[str, int]] | None = None
    skipped: tuple[tuple[RunKey, str], ...] = ()


def summarize(flow: str, state: State, tasks: Iterable[tuple[str, State]], seconds: float) -> Summary:
    """Count and group what came of a flow run.

    Parameters
    ----------
    flow : str
        The flow's name.
    state : State
        How the flow run ended.
    tasks : iterable of (str, State)
        Slugs and states of its tasks; those that only carry values may be left out.
    seconds : float
        How long it took.

    Returns
    -------
    Summary
        To be laid out with ``lay_out``.
    """
    counts: dict[str, dict[str, int]] = {}
    failed: list[tuple[RunKey, State]] = []
    skipped: list[tuple[RunKey, str]] = []
    for run, run_state in every_run(tasks):
        of_class = counts.setdefault(type(run_state).__name__, {})
        of_class[run.slug] = of_class.get(run.slug, 0) + 1
        if isinstance(run_state, Failed):
            failed.append((run, run_state))
        elif isinstance(run_state, Skipped) and len(skipped) < _NOTES:
            skipped.append((run, run_state.message or "skipped"))
    return Summary(flow, state, seconds, tuple(group_failures(failed)), counts, tuple(skipped))


def lay_out(summary: Summary) -> list[Line]:
    """Return the lines that tell what came of a flow run.

    Parameters
    ----------
    summary : Summary
        What to tell.

    Returns
    -------
    list of Line
        The verdict, the failures, the counts by state; an empty tuple is an empty line.
    """
    lines: list[Line] = [_verdict(summary), ()]
    for group in summary.groups[:_GROUPS]:
        lines += [*_failure(group), ()]
    left = summary.groups[_GROUPS:]
    if left:
        runs = sum(group.count for group in left)
        lines += [((f"and {counted(runs, 'task run')} that failed in {len(left)} other ways", ""),), ()]
    lines += _table(summary.counts or {})
    lines += [((f"{label(str(run))} was skipped: {hanging(why)}", "dim"),) for run, why in summary.skipped]
    return lines


def plain(lines: Iterable[Line]) -> str:
    """Return lines without their styles.

    Parameters
    ----------
    lines : iterable of Line
        From ``lay_out``.

    Returns
    -------
    str
        One text, each line ended.
    """
    return "".join("".join(text for text, _ in line).rstrip() + "\n" for line in lines)


def _verdict(summary: Summary) -> Line:
    name = type(summary.state).__name__
    message = f": {hanging(summary.state.message)}" if summary.state.message else "."
    return (
        (label(summary.flow), "bold"),
        (" ended ", ""),
        (name, style_of(name)),
        (f" after {lasting(summary.seconds)}{message}", ""),
    )


def _failure(group: FailureGroup) -> list[Line]:
    lines: list[Line] = [((group.state_name, style_of(group.state_name)), (f"  {label(group.who)}", ""))]
    prefix = f"{label(group.error_type)}: " if group.error_type and not group.is_consequence else ""
    for message in group.messages:
        for place, text in enumerate(printable(message).splitlines() or [""]):
            lines.append(((f"  {prefix if place == 0 else ''}{text}", ""),))
    if not group.is_consequence:
        lines += [((f"  {printable(text)}", "dim"),) for text in group.lines]
    return lines


def _table(counts: Mapping[str, Mapping[str, int]]) -> list[Line]:
    totals = {name: sum(by_task.values()) for name, by_task in counts.items()}
    rows = in_reading_order(totals)
    wide = max((len(f"{total:,}") for _, total in rows), default=0)
    long = max((len(name) for name, _ in rows), default=0)
    return [
        (
            (f"{total:>{wide},} ", "bold"),
            (f"{name:<{long}}", style_of(name)),
            (f"  {label(_tasks(counts[name]))}", "dim"),
        )
        for name, total in rows
    ]


def _tasks(by_task: Mapping[str, int]) -> str:
    most = sorted(by_task.items(), key=lambda pair: -pair[1])
    named = ", ".join(slug if count == 1 else f"{slug} {count:,}" for slug, count in most[:_TASKS])
    rest = len(most) - _TASKS
    return f"{named} and {counted(rest, 'more task')}" if rest > 0 else named
