"""Progress as plain lines every few seconds, for logs and pipes. Knows no terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TextIO

from prefectlite.views.counts import done_and_total, one_line
from prefectlite.views.logs import LoggedLine, log_text
from prefectlite.views.printable import label, lasting
from prefectlite.views.progress import Snapshot
from prefectlite.views.summary import Summary, lay_out, plain

_EVERY: Final = 5.0  # seconds


class LineDisplay:
    """Writes a line when a run begins, one every few seconds if something changed, and its summary.

    Parameters
    ----------
    stream : file
        Where the lines go.
    every : float
        Seconds between two lines at least.
    """

    def __init__(self, stream: TextIO, every: float = _EVERY) -> None:
        self._stream = stream
        self._every = every
        self._has_begun = False
        self._shown_at = 0.0
        self._shown = ""
        self._where: tuple[str, str | None] = ("", None)

    def begin(self, now: Snapshot) -> None:
        """Write that the run begins.

        Parameters
        ----------
        now : Snapshot
            The run.
        """
        if not self._has_begun:  # again, when it was aside for a while
            self._has_begun = True
            self._shown_at, self._shown = 0.0, ""
            self._put(f"{label(now.flow)} begins\n")

    def show(self, now: Snapshot) -> None:
        """Write a line if it is time for one and something changed.

        Parameters
        ----------
        now : Snapshot
            How far the run is.
        """
        text = ""
        where = (now.where, now.dashboard_link)
        if now.where and where != self._where:
            self._where = where
            link = f", dashboard {now.dashboard_link}" if now.dashboard_link else ""
            text = f"{label(now.flow)} runs on {label(now.where)}{link}\n"
        counts = one_line(now.counts)
        if now.elapsed - self._shown_at >= self._every and counts != self._shown:
            self._shown_at, self._shown = now.elapsed, counts
            done, total = done_and_total(now.counts)
            text += f"{label(now.flow)} {lasting(now.elapsed)}: {done:,} of {total:,} done ({counts})\n"
        if text:
            self._put(text)

    def write(self, lines: Sequence[LoggedLine]) -> None:
        """Write log lines.

        Parameters
        ----------
        lines : sequence of LoggedLine
            What task bodies logged and printed.
        """
        self._put("".join(log_text(line) + "\n" for line in lines))

    def end(self, summary: Summary) -> None:
        """Write the summary.

        Parameters
        ----------
        summary : Summary
            What came of the run.
        """
        self._has_begun = False
        self._put(plain(lay_out(summary)))

    def abandon(self) -> None:
        """Do nothing: a line leaves nothing behind."""

    def _put(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class FailureDisplay(LineDisplay):
    """Writes the summary of a run that did not succeed, and nothing else."""

    def begin(self, now: Snapshot) -> None:
        """Do nothing.

        Parameters
        ----------
        now : Snapshot
            Not looked at.
        """

    def show(self, now: Snapshot) -> None:
        """Do nothing.

        Parameters
        ----------
        now : Snapshot
            Not looked at.
        """

    def end(self, summary: Summary) -> None:
        """Write the summary if the run did not succeed.

        Parameters
        ----------
        summary : Summary
            What came of the run.
        """
        if not summary.state.is_successful():
            super().end(summary)
