"""What is printed: lines with a value, its interval, its target and a verdict. Knows no measuring."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: How sure an interval should be that it holds the true median.
SURE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A median and between which samples the true one lies, with what probability."""

    median: float
    low: float
    high: float
    #: At least 0.95 from six samples on; fewer cannot say so much, whatever they are.
    coverage: float
    samples: int

    @classmethod
    def of(cls, samples: Sequence[float]) -> Interval:
        """Return the distribution-free interval of a median, from order statistics.

        With n samples, the true median lies between the k-th smallest and the k-th largest with probability
        1 - 2 P(B < k), B binomial(n, 1/2): whatever the distribution, as long as samples do not depend on each
        other (Conover, Practical Nonparametric Statistics, section 3.2).
        """
        ordered, n = sorted(samples), len(samples)
        coverages = {}
        tail = 0
        for k in range(1, n // 2 + 1):
            tail += math.comb(n, k - 1)
            coverages[k] = 1 - 2 * tail / 2**n
        k = max((one for one, coverage in coverages.items() if coverage >= SURE), default=1)
        return cls(statistics.median(ordered), ordered[k - 1], ordered[n - k], coverages.get(k, 0.0), n)

    @property
    def words(self) -> str:
        """How far the interval can be believed."""
        if self.samples == 1:
            return "measured once"
        how = "" if self.coverage >= SURE else f", interval only {self.coverage:.0%} sure"
        return f"{self.samples} times{how}"

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Line:
    """One printed comparison: a value, its target, and what stands beside it for the reader."""

    row: str
    what: str
    value: float
    target: float | None
    unit: str = "x"
    detail: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    interval: Interval | None = None
    #: Whether the target is the least that the value may be, and not the most.
    at_least: bool = False
    #: What was measured of ours, and of what it is compared with.
    ours: str = ""
    against: str = ""

    @property
    def measured(self) -> str:
        counted = not self.unit and float(self.value).is_integer()
        return f"{self.value:,.{0 if counted else 2}f}{self.unit}"

    @property
    def between(self) -> str:
        """The interval, if there is one."""
        if self.interval is None or self.interval.samples == 1:
            return ""
        return f"[{self.interval.low:,.2f}, {self.interval.high:,.2f}]"

    @property
    def bound(self) -> str:
        if self.target is None:
            return ""
        return f"at {'least' if self.at_least else 'most'} {self.target:g}{self.unit}"

    @property
    def notes(self) -> str:
        """What stands beside it, and how far the interval can be believed."""
        words = "" if self.interval is None else self.interval.words
        return "; ".join(one for one in (self.detail, words) if one)

    @property
    def verdict(self) -> str:
        if self.target is None:
            return ""
        holds = self.value >= self.target if self.at_least else self.value <= self.target
        word = "ok" if holds else "under" if self.at_least else "over"
        unsure = self.interval is not None and self.interval.samples > 1 and self.target in self.interval
        return f"{word}?" if unsure else word


def said(row: str, text: str, **facts: Any) -> Line:
    """Return a line that tells something and compares nothing."""
    return Line(row, text, math.nan, None, unit="", facts=facts)


def failed(row: str, error: Exception) -> Line:
    """Return the line of a row that could not run; it counts as over."""
    text = str(error).strip() or repr(error)
    return Line(row, "could not run", math.inf, 0, unit="", detail=f"{type(error).__name__}: {text}")


def could_run(line: Line) -> bool:
    return line.what != "could not run"


def head() -> str:
    return _columns("row", "what", "ours", "against", "measured", "target")


def shown(line: Line) -> str:
    """Return the line as it is printed when its row is measured."""
    if math.isnan(line.value):
        return f"{line.row:<11} {line.what}"
    measured = f"{line.measured} {line.between}".rstrip()
    text = _columns(line.row, line.what, line.ours, line.against, measured, line.bound)
    return f"{text}  {line.verdict:<6} {line.notes}".rstrip()


def _columns(row: str, what: str, ours: str, against: str, measured: str, target: str) -> str:
    return f"{row:<11} {what:<50} {ours:>11} {against:>11} {measured:>26} {target:>18}"


def markdown(lines: Sequence[Line]) -> str:
    """Return all lines as one Markdown table, what is said without a figure below it."""
    head = ("row", "what", "ours", "against", "measured", "interval", "target", "", "notes")
    rows = [
        (
            line.row,
            line.what,
            line.ours,
            line.against,
            line.measured,
            line.between,
            line.bound,
            line.verdict,
            line.notes,
        )
        for line in lines
        if not math.isnan(line.value)
    ]
    table = [head, ("---",) * len(head), *rows]
    told = [f"- {line.row}: {line.what}" for line in lines if math.isnan(line.value)]
    return "\n".join(
        [*("| " + " | ".join(map(_in_a_cell, row)) + " |" for row in table), *(["", *told] if told else [])]
    )


def _in_a_cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def plain_data(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(f"{value!r} has no JSON form.")


def as_data(line: Line) -> dict[str, Any]:
    return {**dataclasses.asdict(line), "verdict": line.verdict}
