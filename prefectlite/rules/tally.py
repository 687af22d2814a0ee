"""Counts of upstream states: all that a built-in trigger reads. Knows states only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prefectlite.states.state import Failed, Finished, Mapped, Skipped, State, Success


@dataclass(slots=True)
class Tally:
    """How many upstream runs ended how; children of a map count one by one.

    Parameters
    ----------
    total : int
        All of them.
    finished : int
        Those that ended, in whatever way.
    successful : int
        Those that ended well, skipped ones included.
    failed : int
        Those that ended badly.
    skipped : int
        Those that were left out.
    empty_maps : int
        Upstreams that unfolded into no children; they are in none of the other counts, and only tell a run
        whose upstreams are all empty from one that has none.
    """

    total: int = 0
    finished: int = 0
    successful: int = 0
    failed: int = 0
    skipped: int = 0
    empty_maps: int = 0

    def add(self, state: State, times: int = 1) -> None:
        """Count one state.

        Parameters
        ----------
        state : State
            A ``Mapped`` state that carries its children's states is counted by them; one that does not,
            while it has children, counts as one success: whoever knows the children should add them instead.
        times : int
            How often.
        """
        if isinstance(state, Mapped):
            if state.map_states:
                for child in state.map_states:
                    self.add(child, times)
                return
            if state.n_map_states == 0:
                self.empty_maps += times
                return
        self.total += times
        if isinstance(state, Success):
            self.finished += times
            self.successful += times
            if isinstance(state, Skipped):
                self.skipped += times
        elif isinstance(state, Failed):
            self.finished += times
            self.failed += times
        elif isinstance(state, Finished):
            self.finished += times

    def merge(self, other: Tally) -> None:
        """Add another tally's counts to this one.

        Parameters
        ----------
        other : Tally
            Counts of other runs.
        """
        self.total += other.total
        self.finished += other.finished
        self.successful += other.successful
        self.failed += other.failed
        self.skipped += other.skipped
        self.empty_maps += other.empty_maps

    @classmethod
    def of(cls, states: Iterable[State]) -> Tally:
        """Count states, a ``Mapped`` one by its children.

        Parameters
        ----------
        states : iterable of State
            Upstream states.

        Returns
        -------
        Tally
            Their counts.
        """
        tally = cls()
        for state in states:
            tally.add(state)
        return tally
