"""The retry rule: is a failed attempt tried again, and when? Knows states; knows neither clock nor chance.

The time comes in as an argument, and jitter is a hash of the run's name: the same run waits the same time
again.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final, TypeAlias

from prefectlite.errors import DefinitionError
from prefectlite.rules.verdict import Become, Proceed, Reason, Verdict, Wait
from prefectlite.states.state import Crashed, Failed, Retrying

_Facts: TypeAlias = tuple[tuple[str, str], ...]
#: The last moment that a datetime can hold, less a day; who waits longer than that waits until then.
_END_OF_TIME: Final = datetime(9999, 12, 30, tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a failed attempt is tried again.

    Parameters
    ----------
    max_retries : int
        How many attempts may follow the first one.
    delays : tuple of float
        Seconds to wait before each further attempt; the last one repeats, and none means at once.
    asks_delay : bool
        Whether the user's own function says how long to wait; ``delays`` is not read then.
    jitter : float
        The fraction of the delay by which it may grow: a delay becomes ``delay * (1 + jitter * u)``, with
        ``u`` in [0, 1) a hash of the run and its attempt.

    Examples
    --------
    >>> RetryPolicy(max_retries=3, delays=(1.0, 5.0)).delay_after(3)
    5.0
    """

    max_retries: int = 0
    delays: tuple[float, ...] = ()
    asks_delay: bool = False
    jitter: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no clock could follow."""
        if self.max_retries < 0:
            raise DefinitionError(f"max_retries={self.max_retries!r} is negative; give 0 for no retries.")
        for delay in self.delays:
            if not _is_duration(delay):
                raise DefinitionError(
                    f"retry_delay={delay!r} is no time to wait; give finite seconds, 0 or more."
                )
        if not _is_duration(self.jitter):
            raise DefinitionError(
                f"retry_jitter={self.jitter!r} is no fraction; give a finite number, 0 or more."
            )

    def delay_after(self, failures: int) -> float:
        """Return how long to wait before the next attempt, without jitter.

        Parameters
        ----------
        failures : int
            How many attempts have failed, 1 or more.

        Returns
        -------
        float
            Seconds, from ``delays``.
        """
        return self.delays[min(failures, len(self.delays)) - 1] if self.delays else 0.0

    def decide(
        self,
        failures: int,
        state: Failed,
        retryable: bool,
        now: float,
        seed: str,
        asked: float | None = None,
    ) -> Verdict:
        """Return whether a failed attempt is tried again.

        Parameters
        ----------
        failures : int
            How many attempts failed so far in this iteration of the loop, this one included.
        state : Failed
            How the attempt ended.
        retryable : bool
            Whether the task's ``retry_on`` accepts the failure.
        now : float
            Seconds since the epoch.
        seed : str
            The run's name, which the jitter is a hash of.
        asked : float or None
            Seconds to wait, as the user's function said; None if it has not been asked yet.

        Returns
        -------
        Proceed, Become or Wait
            ``Proceed``: the run stays failed. ``Become``: it is ``Retrying`` with a start time.
            ``Wait("answer")``: the user's function must be asked how long to wait.
        """
        name = type(state).__name__
        read: _Facts = (("state", name), ("failures", str(failures)), ("max_retries", str(self.max_retries)))
        if isinstance(state, Crashed):
            return _stays("A crash draws on max_crashes alone, not on max_retries.", read)
        if self.max_retries == 0:
            return _stays("The task has no retries.", read)
        if not retryable:
            read = (*read, ("retryable", "False"))
            return _stays("The task's retry_on does not accept this failure.", read)
        if failures > self.max_retries:
            return _stays(f"All {self.max_retries} retries are used up.", read)
        delay = self.delay_after(failures)
        if self.asks_delay:
            if asked is None:
                text = "The task's retry_delay must be asked how long to wait."
                return Wait("answer", Reason("retry", text, read))
            if not _is_duration(asked):
                text = f"The task's retry_delay answered {_told(asked)}, which is no time to wait in seconds."
                return _stays(text, read)
            delay = float(asked)
        if self.jitter:
            delay *= 1 + self.jitter * _chance(f"{seed}#{failures}")
        message = f"Failure {failures} ({name}): retry {failures} of {self.max_retries} in {delay:g} s."
        start = moment(now + delay)
        retrying = Retrying(message, context=state.context, start_time=start, run_count=failures)
        return Become(retrying, Reason("retry", message, (*read, ("delay", f"{delay:g}"))))


def moment(time: float) -> datetime:
    """Return a time as states carry it.

    Parameters
    ----------
    time : float
        Seconds since the epoch.

    Returns
    -------
    datetime
        The moment in UTC; one after the year 9999 becomes that year's end.
    """
    return datetime.fromtimestamp(min(time, _END_OF_TIME), tz=UTC)


def _stays(text: str, read: _Facts) -> Proceed:
    return Proceed(Reason("retry", text, read))


def _is_duration(value: object) -> bool:
    # The user's function may answer with anything at all, an int that no float can hold included.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= sys.float_info.max


def _told(value: object) -> str:
    # A repr is user code, and that of a huge int raises.
    small = isinstance(value, float) or (type(value) is int and abs(value) <= sys.float_info.max)
    return f"{value:g}" if small else f"an object of type {type(value).__name__}"


def _chance(seed: str) -> float:
    # 53 bits: floats of even spacing in [0, 1), never 1 itself.
    digest = blake2b(seed.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) / 2**53
