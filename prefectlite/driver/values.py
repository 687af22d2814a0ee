"""Where results are read from: small ones that came with reports, others at the place that ran them.

Knows sessions and run numbers; knows no rule. Everything that holds a result's reference holds this object,
and it holds neither engine nor loop: so the moment when nobody can ask any more is seen at once, not when a
garbage collector comes by.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from prefectlite.driver.keepings import Keepings
from prefectlite.engine.events import AttemptFinished, CallsFinished, RangeFinished
from prefectlite.errors import ResultUnavailable
from prefectlite.executors.protocol import Parcel, Session
from prefectlite.results.kept import is_kept
from prefectlite.results.result import Result
from prefectlite.states.keys import RunKey
from prefectlite.states.report import ResultRef, Results, open_inline

#: Pickled results up to this many bytes stay inside their states: they weigh no more than the state does.
RIDES_ALONG: Final = 512
#: All other results that came with reports may take so many bytes in a run; the oldest go first.
INLINE_BUDGET: Final = 64 * 1024 * 1024


class Values:
    """Hand out the results of one flow run, from any thread.

    Parameters
    ----------
    budget : int
        How many bytes of results that came with their reports to keep.
    """

    def __init__(self, budget: int = INLINE_BUDGET) -> None:
        self._sessions: list[Session] = []
        self._budget = budget
        # What came alone by its parcel, what came with neighbours by that of the first.
        self._inline: OrderedDict[Parcel, bytes | Results] = OrderedDict()
        self._nbytes = 0
        self._lock = threading.Lock()
        self._number_of: Callable[[RunKey], int | None] = _unknown
        self._keepings: Keepings | None = None

    def read_from(self, session: Session) -> None:
        """Read what is made from now on at this place; what former ones kept stays there.

        Parameters
        ----------
        session : Session
            The place that runs the flow.
        """
        self._sessions.append(session)
        weakref.finalize(self, session.drop)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as None: a reference that left this process has no source."""
        return _nobody, ()

    def number_by(self, number_of: Callable[[RunKey], int | None]) -> None:
        """Say how run keys translate into run numbers.

        Parameters
        ----------
        number_of : callable
            Takes a ``RunKey``, returns the run's number or None; it must not refer to the engine strongly.
        """
        self._number_of = number_of

    def keep_by(self, keepings: Keepings) -> None:
        """Say what is stored, and which results are secrets.

        Parameters
        ----------
        keepings : Keepings
            Those of the flow run.
        """
        self._keepings = keepings

    def take(self, event: AttemptFinished) -> AttemptFinished:
        """Take a larger result out of its report, into a store of bounded size.

        Parameters
        ----------
        event : AttemptFinished
            A report that may carry its result.

        Returns
        -------
        AttemptFinished
            The same, or a copy without the result.
        """
        inline = event.report.inline
        if inline is None or len(inline) <= RIDES_ALONG:
            return event
        with self._lock:
            parcel = (event.run, event.submission)
            # A report may come twice.
            old = self._inline.get(parcel, b"")
            if isinstance(old, bytes):
                self._inline.pop(parcel, None)
                self._nbytes += len(inline) - len(old)
                self._inline[parcel] = inline
                self._shrink()
        return event._replace(report=event.report._replace(inline=None))

    def take_many(self, event: RangeFinished | CallsFinished) -> None:
        """Take note of results that came together, so that they are let go of when there are too many.

        Parameters
        ----------
        event : RangeFinished or CallsFinished
            Reports that carry their results; small ones stay there for good.
        """
        results = event.reports.results
        if results.nbytes <= RIDES_ALONG * len(results):
            return
        if isinstance(event, CallsFinished):
            parcel = (event.runs[0], event.submissions[0])
        else:
            parcel = (event.run, event.submission)
        with self._lock:
            if parcel not in self._inline:  # a report may come twice
                self._nbytes += results.nbytes
                self._inline[parcel] = results
                self._shrink()

    def _shrink(self) -> None:
        while self._nbytes > self._budget:
            _, oldest = self._inline.popitem(last=False)
            if isinstance(oldest, Results):
                self._nbytes -= oldest.nbytes
                oldest.drop()
            else:
                self._nbytes -= len(oldest)

    def fetch(self, ref: ResultRef) -> Any:
        """Return a result.

        Parameters
        ----------
        ref : ResultRef
            Which.

        Returns
        -------
        object
            The value.

        Raises
        ------
        ResultUnavailable
            When it is gone; the text says when, why, and what to set to keep it.
        """
        number = self._number_of(ref.run)
        if number is None:
            raise ResultUnavailable(
                f"There is no task run {ref.run} in this flow run, so it has no result to read."
            )
        with self._lock:
            inline = self._inline.get((number, ref.submission))
        if isinstance(inline, bytes):
            return open_inline(ref.run, inline)
        why = ""
        for session in reversed(self._sessions):
            try:
                return session.fetch(number, ref.submission)
            except ResultUnavailable as error:
                why = str(error)  # not the error: its traceback holds this frame, and so this object
        keepings = self._keepings
        if keepings is not None and ref.location is not None:
            try:
                keeping = keepings.of(ref.run.slug)
                assert keeping is not None  # it did store something
                return keeping.read(ref.location, ref.digest)
            except Exception as error:
                why = f"{why} What was stored of it cannot be read: {error}"
        if keepings is not None and keepings.is_secret(ref.run.slug):
            raise ResultUnavailable(
                f"Task run {ref.run} is a secret, whose value was let go of when its last reader was done; "
                "take it as an argument of the task that needs it."
            )
        raise ResultUnavailable(f"Task run {ref.run}: {why}")

    def result_for(self, ref: ResultRef) -> Result | None:
        """Return where and how a result was stored.

        Parameters
        ----------
        ref : ResultRef
            Which.

        Returns
        -------
        Result or None
            That of its task; None if it was not stored by one.
        """
        if self._keepings is None or ref.location is None or is_kept(ref.location):
            return None
        keeping = self._keepings.of(ref.run.slug)
        return None if keeping is None else keeping.result


def _unknown(_: RunKey) -> None:
    return None


def _nobody() -> None:
    return None
