"""Progress that moves in a terminal, with rich. Knows no run, only snapshots of one.

Rich is imported when something is drawn: ``import prefectlite`` must not wait for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TextIO

from prefectlite.views.counts import done_and_total, in_reading_order, style_of
from prefectlite.views.logs import LoggedLine, log_text
from prefectlite.views.printable import label, lasting
from prefectlite.views.progress import Snapshot
from prefectlite.views.summary import Line, Summary, lay_out

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

_BAR: Final = 40  # columns


class LiveDisplay:
    """Shows a bar and the counts by state at the terminal's foot; log lines scroll above it.

    Parameters
    ----------
    stream : file
        The terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console

        self._console: Console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._live: Live | None = None

    def begin(self, now: Snapshot) -> None:
        """Show the bar.

        Parameters
        ----------
        now : Snapshot
            The run.
        """
        from rich.live import Live

        # Only our own thread refreshes: rich's would be a second one.
        self._live = Live(
            picture(now),
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start(refresh=True)

    def show(self, now: Snapshot) -> None:
        """Move the bar.

        Parameters
        ----------
        now : Snapshot
            How far the run is.
        """
        if self._live is not None:
            self._live.update(picture(now), refresh=True)

    def write(self, lines: Sequence[LoggedLine]) -> None:
        """Write log lines above the bar.

        Parameters
        ----------
        lines : sequence of LoggedLine
            What task bodies logged and printed.
        """
        from rich.text import Text

        self._console.print(Text("\n".join(log_text(line) for line in lines)), soft_wrap=True)

    def end(self, summary: Summary) -> None:
        """Put the summary in the bar's place.

        Parameters
        ----------
        summary : Summary
            What came of the run.
        """
        self.abandon()
        self._console.print(styled(lay_out(summary)), soft_wrap=True)

    def abandon(self) -> None:
        """Take the bar away and give the cursor back."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()


def picture(now: Snapshot) -> Group:
    """Return what the terminal shows of a moment.

    Parameters
    ----------
    now : Snapshot
        How far the run is.

    Returns
    -------
    rich.console.Group
        A bar, the counts by state, and the dashboard's address while it lives.
    """
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    done, total = done_and_total(now.counts)
    bar = Table.grid(padding=(0, 1))
    bar.add_row(
        Text(label(now.flow), style="bold"),
        ProgressBar(total=max(total, 1), completed=done, width=_BAR),
        Text(f"{done:,}/{total:,}"),
        Text(lasting(now.elapsed), style="dim"),
    )
    counts = Text("  ")
    for name, count in in_reading_order(now.counts):
        counts.append(f"{name} ", style=style_of(name))
        counts.append(f"{count:,}  ")
    if not now.counts:
        counts.append("starting", style="dim")
    where = "  ".join(part for part in (now.where, now.dashboard_link) if part)
    if not where:
        return Group(bar, counts)
    return Group(bar, counts, Text(f"  {label(where)}", style="dim"))


def styled(lines: Sequence[Line]) -> Text:
    """Return lines as one styled text.

    Parameters
    ----------
    lines : sequence of Line
        From ``summary.lay_out``.

    Returns
    -------
    rich.text.Text
        The text; markup in what users wrote is not read as such.
    """
    from rich.text import Text

    return Text("\n").join(Text.assemble(*line) for line in lines)
