"""Triggers: may a run start, given how its upstreams ended? Knows counts of states, never values or runs.

The table is Prefect 1's, with two mends: upstreams are counted one by one (never through a set), and whether
a bound is a count or a fraction is told by its type.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from numbers import Integral, Real
from typing import Any, Final, Literal, TypeAlias, assert_never

from prefectlite.errors import DefinitionError, DefinitionTypeError, TaskError
from prefectlite.kinds import shown
from prefectlite.rules.tally import Tally
from prefectlite.rules.verdict import Become, Proceed, Reason
from prefectlite.states.signals import signal_from_state
from prefectlite.states.state import Paused, Skipped, State, TriggerFailed

Counted: TypeAlias = Literal["successful", "failed", "finished"]


@dataclass(frozen=True, slots=True)
class Trigger(ABC):
    """A rule that says from upstream states whether a run may start.

    It is asked once all upstreams have ended. A trigger is a value: it can be compared, hashed and pickled.
    Called with a mapping whose values are states, it answers as Prefect 1's trigger functions do.

    Parameters
    ----------
    name : str
        The name that users know it by.
    lowers_ahead : bool
        Whether a run may be submitted before its upstreams have ended: plain successes are sure to pass.
    """

    name: str
    lowers_ahead: bool = False

    @abstractmethod
    def decide(self, tally: Tally) -> Proceed | Become:
        """Return whether the run may start.

        Parameters
        ----------
        tally : Tally
            How the upstreams ended.

        Returns
        -------
        Proceed or Become
            ``Become`` holds a ``TriggerFailed``, ``Skipped`` or ``Paused`` state.
        """

    def __call__(self, upstream_states: Mapping[Any, State]) -> bool:
        """Return True, or raise the signal of the state that the run should take.

        Parameters
        ----------
        upstream_states : mapping
            Its values are the states of the direct upstreams; ``Mapped`` ones are counted by their children.

        Returns
        -------
        bool
            True: the run may start.

        Raises
        ------
        Signal
            ``TRIGGERFAIL``, ``SKIP`` or ``PAUSE``.
        DefinitionTypeError
            When it is called with something else.

        Examples
        --------
        >>> from prefectlite.states.state import Failed, Success
        >>> any_failed({"left": Success(), "right": Failed()})
        True
        """
        given: object = upstream_states
        if not isinstance(given, Mapping) or not all(isinstance(one, State) for one in given.values()):
            raise DefinitionTypeError(
                f"The trigger {self.name} was called with {shown(given)}; give the upstreams' states by "
                "edge or name: {'load': Success()}."
            )
        verdict = self.decide(Tally.of(upstream_states.values()))
        if isinstance(verdict, Proceed):
            return True
        raise signal_from_state(verdict.state)(verdict.state.message)

    @property
    def __name__(self) -> str:
        """The trigger's name: in Prefect 1, triggers are functions."""
        return self.name

    def __repr__(self) -> str:
        """Return the trigger's name."""
        return self.name


@dataclass(frozen=True, slots=True, repr=False)
class _Counting(Trigger):
    """Pass when the number of upstreams that ended in one way lies within bounds."""

    counted: Counted = "successful"
    at_least: int | float | None = None
    at_most: int | float | None = None

    def decide(self, tally: Tally) -> Proceed | Become:
        """Compare the count with the bounds; a run without upstreams passes."""
        count = self._count(tally)
        total = tally.total
        if (total == 0 and tally.empty_maps == 0) or (
            (self.at_least is None or count >= _number(self.at_least, total))
            and (self.at_most is None or count <= _number(self.at_most, total))
        ):
            return _proceed(self.name, *_counts(tally))
        text = f"Trigger {self.name} asks that {self._wish()}, but {_told(*_counts(tally))}."
        return _refuse(text, tally)

    def _count(self, tally: Tally) -> int:
        match self.counted:
            case "successful":
                return tally.successful
            case "failed":
                return tally.failed
            case "finished":
                return tally.finished
            case _:
                assert_never(self.counted)

    def _wish(self) -> str:
        verb = {"successful": "succeed", "failed": "fail", "finished": "finish"}[self.counted]
        if self.at_least == 1 and isinstance(self.at_least, float):
            return f"all upstreams {verb}"
        bounds = [
            f"{side} {bound if isinstance(bound, int) else f'{100 * bound:g} %'}"
            for side, bound in (("at least", self.at_least), ("at most", self.at_most))
            if bound is not None
        ]
        return f"{' and '.join(bounds)} of the upstreams {verb}"


@dataclass(frozen=True, slots=True, repr=False)
class _NotAllSkipped(Trigger):
    """Pass when all upstreams succeeded and at least one of them was not skipped."""

    def decide(self, tally: Tally) -> Proceed | Become:
        """Skip the run when nothing but skipped upstreams is there, also when there are none at all."""
        if tally.skipped == tally.total:
            text = (
                f"Trigger {self.name} skips the run: all of its {tally.total} upstreams were skipped."
                if tally.total
                else f"Trigger {self.name} skips the run: it has no upstreams."
            )
            return Become(Skipped(text), Reason("trigger", text, _read(*_counts(tally))))
        if tally.successful == tally.total:
            return _proceed(self.name, *_counts(tally))
        text = f"Trigger {self.name} asks that all upstreams succeed, but {_told(*_counts(tally))}."
        return _refuse(text, tally)


@dataclass(frozen=True, slots=True, repr=False)
class _ManualOnly(Trigger):
    """Pause the run until somebody approves it."""

    def decide(self, tally: Tally) -> Proceed | Become:
        """Pause; after the approval the trigger is not asked again."""
        text = f"Trigger {self.name} waits for approval."
        return Become(Paused(text), Reason("trigger", text, _read(*_counts(tally))))


#: Pass when all upstreams succeeded (skipped ones count as successes); the default trigger.
all_successful: Final[Trigger] = _Counting("all_successful", True, "successful", at_least=1.0)
#: Pass when all upstreams failed.
all_failed: Final[Trigger] = _Counting("all_failed", False, "failed", at_least=1.0)
#: Pass however the upstreams ended.
all_finished: Final[Trigger] = _Counting("all_finished", False, "finished", at_least=1.0)
#: Another name of ``all_finished``.
always_run: Final[Trigger] = all_finished
#: Pass when at least one upstream succeeded.
any_successful: Final[Trigger] = _Counting("any_successful", False, "successful", at_least=1)
#: Pass when at least one upstream failed.
any_failed: Final[Trigger] = _Counting("any_failed", False, "failed", at_least=1)
#: Pass when all upstreams succeeded and not all were skipped; skip the run when all were.
not_all_skipped: Final[Trigger] = _NotAllSkipped("not_all_skipped")
#: Pause the run until somebody approves it.
manual_only: Final[Trigger] = _ManualOnly("manual_only")


def some_failed(at_least: int | float | None = None, at_most: int | float | None = None) -> Trigger:
    """Return a trigger that passes when the number of failed upstreams lies within bounds.

    Parameters
    ----------
    at_least, at_most : int, float or None
        An int counts upstreams; a float in [0, 1] is a fraction of them, so ``1`` is one and ``1.0`` is all.
        None sets no bound.

    Returns
    -------
    Trigger
        To be given to a task as ``trigger=``.

    Raises
    ------
    DefinitionError
        When a bound is out of its range, or the lower one above the upper one.
    DefinitionTypeError
        When a bound is no number.

    Examples
    --------
    >>> some_failed(at_least=1, at_most=0.5)
    some_failed(at_least=1, at_most=0.5)
    """
    return _some("some_failed", "failed", at_least, at_most)


def some_successful(at_least: int | float | None = None, at_most: int | float | None = None) -> Trigger:
    """Return a trigger that passes when the number of successful upstreams lies within bounds.

    Parameters
    ----------
    at_least, at_most : int, float or None
        An int counts upstreams; a float in [0, 1] is a fraction of them, so ``1`` is one and ``1.0`` is all.
        None sets no bound.

    Returns
    -------
    Trigger
        To be given to a task as ``trigger=``.

    Raises
    ------
    DefinitionError
        When a bound is out of its range, or the lower one above the upper one.
    DefinitionTypeError
        When a bound is no number.
    """
    return _some("some_successful", "successful", at_least, at_most)


def _some(name: str, counted: Counted, at_least: object, at_most: object) -> Trigger:
    low = _bound(name, "at_least", at_least)
    high = _bound(name, "at_most", at_most)
    if low is not None and high is not None and type(low) is type(high) and low > high:
        raise DefinitionError(
            f"{name}(at_least={low!r}, at_most={high!r}) can never pass; give at_least <= at_most."
        )
    given = [f"{key}={bound!r}" for key, bound in (("at_least", low), ("at_most", high)) if bound is not None]
    return _Counting(f"{name}({', '.join(given)})", False, counted, at_least=low, at_most=high)


def _bound(name: str, key: str, bound: object) -> int | float | None:
    if bound is None:
        return None
    if isinstance(bound, bool) or not isinstance(bound, Real):
        raise DefinitionTypeError(
            f"{name}({key}={bound!r}): a bound is an int (a count), a float in [0, 1] (a fraction) or None, "
            f"not a {type(bound).__name__}."
        )
    if isinstance(bound, Integral):
        number = int(bound)
        if number < 0:
            raise DefinitionError(f"{name}({key}={bound!r}): a count cannot be negative; give 0 or more.")
        return number
    fraction = float(bound)
    if not 0 <= fraction <= 1:
        mend = f"; for a count, give the int {int(fraction)}" if 1 < fraction < math.inf else ""
        raise DefinitionError(f"{name}({key}={bound!r}): a float is a fraction and lies in [0, 1]{mend}.")
    return fraction


def _number(bound: int | float, total: int) -> int | Fraction:
    # 0.29 of 100 is 29 to whoever wrote it, while 0.29 * 100 < 29 in binary: fractions are taken as written.
    if isinstance(bound, int):
        return bound
    return total if bound == 1 else Fraction(repr(bound)) * total


def _counts(tally: Tally) -> tuple[int, int, int, int, int]:
    return tally.total, tally.finished, tally.successful, tally.failed, tally.skipped


# Most runs of a flow pass with the same few counts: they share a verdict.
@lru_cache(maxsize=4096)
def _proceed(name: str, total: int, finished: int, successful: int, failed: int, skipped: int) -> Proceed:
    text = f"Trigger {name} passed: {_told(total, finished, successful, failed, skipped)}."
    return Proceed(Reason("trigger", text, _read(total, finished, successful, failed, skipped)))


def _refuse(text: str, tally: Tally) -> Become:
    # The result is an exception, since a downstream that runs all the same is given it as data.
    state = TriggerFailed(text, result=TaskError("TriggerFailed", text))
    return Become(state, Reason("trigger", text, _read(*_counts(tally))))


def _told(total: int, finished: int, successful: int, failed: int, skipped: int) -> str:
    if total == 0:
        return "there are none"
    parts = [f"{successful} succeeded" + (f" ({skipped} of them skipped)" if skipped else "")]
    if failed:
        parts.append(f"{failed} failed")
    if finished > successful + failed:
        parts.append(f"{finished - successful - failed} ended otherwise")
    if total > finished:
        parts.append(f"{total - finished} did not end")
    return f"of {total}: {', '.join(parts)}"


def _read(
    total: int, finished: int, successful: int, failed: int, skipped: int
) -> tuple[tuple[str, str], ...]:
    counts = (
        ("upstreams", total),
        ("finished", finished),
        ("successful", successful),
        ("failed", failed),
        ("skipped", skipped),
    )
    return tuple((name, str(count)) for name, count in counts)
