"""Where a flow run goes on: at one place, or at several in turn. Knows sessions; drives nothing."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from prefectlite.driver.inbox import Inbox
from prefectlite.driver.values import Values
from prefectlite.executors.protocol import Executor, RunBrief, Session, Span

_logger = logging.getLogger(__name__)


class Places:
    """The places of one flow run, of which one at most is open.

    Parameters
    ----------
    executor : Executor
        Opens them.
    brief : RunBrief
        The flow run.
    inbox : Inbox
        Where what they tell comes in.
    values : Values
        Who reads what is kept there.
    """

    def __init__(self, executor: Executor, brief: RunBrief, inbox: Inbox, values: Values) -> None:
        self._executor = executor
        self._brief = brief
        self._inbox = inbox
        self._values = values
        # The latest; one that is closed still says what it was.
        self._session: Session | None = None
        #: How many were opened.
        self.count = 0
        #: Whether the latest is open.
        self.is_open = False

    @property
    def description(self) -> str:
        """Where the work runs, in a few words; empty before there is a place."""
        return "" if self._session is None else self._session.description

    @property
    def dashboard_link(self) -> str | None:
        """The address of the place's own page, once it is known."""
        return None if self._session is None else self._session.dashboard_link

    @property
    def leaves_behind(self) -> str:
        """What a cancel cannot end there, in words."""
        # A place of somebody else's making need not have a word in this.
        return getattr(self._session, "leaves_behind", "")

    def waiting_for(self, run: int) -> str:
        """Return what a task run in flight waits for in its place.

        Parameters
        ----------
        run : int
            Its number.

        Returns
        -------
        str
            In words; empty when it waits for nothing known.
        """
        return "" if self._session is None else self._session.waiting_for(run)

    def hold(self) -> None:
        """Begin no further body in the driver's thread, before it has read what was asked of it."""
        if self._session is not None:
            self._session.hold()

    def open(self) -> Session:
        """Open the next one, unless one is open; it may take its time to start behind our back.

        Returns
        -------
        Session
            The flow run there.

        Raises
        ------
        ExecutorError
            When it cannot be reached.
        """
        if self._session is None or not self.is_open:
            # The session gets hold of the inbox and of nothing else: see values.py.
            session = self._executor.open(self._brief, self._inbox.deliver, self._inbox.deliver_logs)
            self._values.read_from(session)
            self._session, self.is_open = session, True
            self.count += 1
        return self._session

    def interrupt(self) -> None:
        """Interrupt the body that runs in the driver's own thread, if one does (called by Ctrl-C)."""
        assert self._session is not None
        self._session.interrupt()

    def interrupt_again(self) -> None:
        """Do so once more, if that body runs on: Python lost what ``interrupt`` raised."""
        assert self._session is not None
        self._session.interrupt_again()

    def cancel(self, why: str) -> None:
        """Stop what is in flight; a place that cannot is told to the log.

        Parameters
        ----------
        why : str
            For its logs.
        """
        assert self._session is not None
        try:
            self._session.cancel(why)
        except Exception:
            _logger.exception("What was in flight could not be stopped.")

    def close(self, keep: Sequence[Span] = ()) -> None:
        """Close the open one; a place that cannot be closed in order is told to the log.

        Parameters
        ----------
        keep : sequence of (int, int, int)
            First run, submission and count of values that stay readable.
        """
        if self._session is None or not self.is_open:
            return
        self.is_open = False
        try:
            self._session.close(keep)
        except Exception:
            _logger.exception(
                "The place where flow %r ran could not be closed in order.", self._brief.flow_name
            )
