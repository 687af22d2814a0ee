"""Values that are gone: a success without one becomes a crash when a run that must start needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prefectlite.engine.ahead import Ahead, paired_child
from prefectlite.engine.board import FINAL, WAITING, Board, Loss
from prefectlite.engine.frontier import Frontier
from prefectlite.engine.ledger import Ledger
from prefectlite.engine.proposal import with_exception
from prefectlite.engine.readers import Readers
from prefectlite.engine.sources import upstreams_of
from prefectlite.rules.verdict import Reason
from prefectlite.states.state import Crashed, State, Success

#: Why a run whose value was lost is not run again, though its task allows it.
GONE: Final = "Its value was lost, and it cannot be computed again: its own inputs have been let go of."

_MEMBER: Final = "The value of one of its members was lost."


class Losses:
    """Notes whose values are gone, and looks at what each submission would read.

    A value that nobody misses changes no state; as long as somebody may miss it, what it was made of stays.
    What its rules run again was final before and is settled: whoever reads it waits here, and nobody else is
    told twice.

    Parameters
    ----------
    board : Board
        The books.
    ledger : Ledger
        Where states change.
    ahead : Ahead
        Who is marked as a success in the making.
    readers : Readers
        Who still reads a value.
    frontier : Frontier
        Where readers come up that wait no longer.
    """

    __slots__ = ("_ahead", "_awaited", "_board", "_frontier", "_ledger", "_readers", "_waiting")

    def __init__(
        self,
        board: Board,
        ledger: Ledger,
        ahead: Ahead,
        readers: Readers,
        frontier: Frontier,
    ) -> None:
        self._board = board
        self._ledger = ledger
        self._ahead = ahead
        self._readers = readers
        self._frontier = frontier
        # By what is made again: who waits for it. By who waits: for how many.
        self._waiting: dict[int, dict[int, None]] = {}
        self._awaited: dict[int, int] = {}

    def note(self, run: int, submission: int, text: str) -> None:
        """Note that a value is gone; one of which there is a copy is none.

        Parameters
        ----------
        run, submission : int
            Whose.
        text : str
            What is known of it, in a sentence.
        """
        if self._board.live[run] != submission:
            return
        self._board.holds.clear()  # they may have had this cause
        if self._has_copy(run):
            self._ledger.free(run)  # whoever reads it from now on gets the copy, through the driver
        elif run not in self._board.lost:
            reads = self._needed_for(run)
            self._readers.claim(reads)
            self._board.lost[run] = Loss(text, reads)

    def clear(self, run: int) -> None:
        """Take in how a run ended whose value was lost before: where there is a copy, it was not after all.

        Parameters
        ----------
        run : int
            A run that has just become final.
        """
        board = self._board
        if self._has_copy(run):
            self._ledger.free(run)
            # Those who would have gone ahead, had it not been lost.
            readers = [
                one for one in self._readers_of(run) if board.stage[one] == WAITING and board.unmet[one]
            ]
            self._frontier.push(readers)

    def _needed_for(self, run: int) -> tuple[int, ...]:
        """Return whose values must stay for what was lost: none if it will not be missed, or made again."""
        if not self._readers.is_read(run) or not self.may_be_made_again(run) or self._lacks_input(run):
            return ()
        return self._read_again(run)

    def may_be_made_again(self, run: int) -> bool:
        """Return whether a run may crash once more and start again, by the rules of its task.

        Parameters
        ----------
        run : int
            Any run.

        Returns
        -------
        bool
            True for idempotent work, however often it was lost before.
        """
        policy = self._board.plan_node(run).policy
        return policy.idempotent or self._board.crashes.get(run, 0) < policy.max_crashes

    def give_back(self) -> None:
        """Take back the claims of losses that nobody will miss any more."""
        unclaimed = self._board.unclaimed
        while unclaimed:
            self._readers.give_back((unclaimed.pop(),))

    def forget(self) -> None:
        """Take in that all runs are final, so that nobody will miss anything."""
        for run in list(self._board.lost):
            self._board.forget_loss(run)
        self.give_back()

    def _has_copy(self, run: int) -> bool:
        """Return whether a value was stored, or came with its report."""
        ref = self._board.state(run).result_ref
        return ref is not None and (ref.location is not None or ref.inline is not None)

    @property
    def are_none(self) -> bool:
        """Whether nothing was lost that anybody might read: as in most flow runs."""
        board = self._board
        return not (board.lost or board.again or board.doubtful)

    def hit(self, run: int, weigh: Callable[[int, Crashed], None]) -> bool:
        """Let the successes crash whose values a run would read and that are gone.

        Parameters
        ----------
        run : int
            A run that is about to be submitted.
        weigh : callable
            Takes a run that has crashed and its state, and says by its rules what follows.

        Returns
        -------
        bool
            Whether there were any; the run waits then, and comes up again when they are final.
        """
        board = self._board
        missing = self._missing(run)
        if not missing and run not in board.doubtful:
            return False
        board.stage[run] = WAITING
        board.holds.pop(run, None)
        for up in missing:
            loss = board.forget_loss(up)
            if loss is not None:
                weigh(up, self._crash(up, loss.text))
        if not self._wait(run, missing):
            board.doubtful.discard(run)
            self._frontier.push((run,))
        return True

    def holds_up(self, run: int) -> bool:
        """Let a run wait whose rules would read the state of what is being made again.

        Parameters
        ----------
        run : int
            A run that is about to be decided.

        Returns
        -------
        bool
            Whether it waits; it comes up again when all that it waits for is final.
        """
        return run in self._awaited or bool(self._board.again and self._wait(run, self._above(run)))

    def _wait(self, run: int, ups: Iterable[int]) -> bool:
        """Let a run come up again when the last of these is back that are made again, if any is."""
        for up in ups:
            if up in self._board.again:
                waiting = self._waiting.setdefault(up, {})
                if run not in waiting:
                    waiting[run] = None
                    self._awaited[run] = self._awaited.get(run, 0) + 1
        return run in self._awaited

    def _called(self, run: int) -> Iterator[int]:
        """Yield the runs that waited for this one, and now for none."""
        for one in self._waiting.pop(run, ()):
            self._awaited[one] -= 1
            if not self._awaited[one]:
                del self._awaited[one]
                yield one

    def _above(self, run: int) -> Iterator[int]:
        """Yield the runs that a run waits for, those in maps and collections one by one."""
        for edge in self._board.plan_node(run).ins:
            yield from self._singly(self._board.upstream_run(edge, run))

    def _singly(self, run: int) -> Iterator[int]:
        board = self._board
        if run in board.families:
            for child in board.children(run):
                yield from self._singly(child)
        elif board.plan_node(run).kind == "collection":
            yield from self._above(run)
        else:
            yield run

    def lacks_some(self, run: int) -> bool:
        """Return whether a value that a run would read is gone, or is being made again.

        Parameters
        ----------
        run : int
            A run that would be submitted ahead of its upstreams; whether it must run is not known yet.

        Returns
        -------
        bool
            A loss that nobody misses changes no state, so such a run must wait.
        """
        return not self.are_none and bool(self._missing(run))

    def _missing(self, run: int) -> list[int]:
        """Return whose values are gone that a run would read, or are being made again."""
        board = self._board
        ups = dict.fromkeys(upstreams_of(board, run))
        return [up for up in ups if up in board.lost or up in board.again]

    def _crash(self, run: int, text: str) -> Crashed:
        board = self._board
        why = Reason("result-lost", text, (("cause", "result-lost"),))
        crashed = with_exception(Crashed(text, cause="result-lost"))
        assert isinstance(crashed, Crashed)
        self._ledger.free(run)
        self._count(run, board.states[run], -1)
        # Its state handlers cannot make good what is gone; they hear of what follows.
        self._ledger.commit(run, crashed, why, self._ledger.now)
        board.again[run] = self._read_again(run)
        self._readers.claim(board.again[run])
        if not board.all_plain(run):
            board.doubtful.add(run)
        board.stage[run] = WAITING
        board.open += 1
        return crashed

    def _read_again(self, run: int) -> tuple[int, ...]:
        """Return whose values a run that is made again reads, also those that are made again themselves."""
        board = self._board
        return tuple([up for up in upstreams_of(board, run) if board.live[up] or up in board.again])

    def _count(self, run: int, state: State, times: int) -> None:
        node = self._board.node[run]
        if run != node:
            self._board.families[node].tally.add(state, times)

    def lacks_input(self, run: int) -> bool:
        """Return whether a run that is run again would read a value that is no longer there.

        Parameters
        ----------
        run : int
            A run that is about to be submitted.

        Returns
        -------
        bool
            False for a run that has never been final.
        """
        return run in self._board.again and self._lacks_input(run)

    def _lacks_input(self, run: int) -> bool:
        board = self._board
        return any(
            not board.live[up] and board.state(up).result_ref is not None and not self._has_copy(up)
            for up in upstreams_of(board, run)
        )

    def settle(self, run: int) -> None:
        """Take in that a run which was run again is final once more.

        Parameters
        ----------
        run : int
            Which.
        """
        board = self._board
        state = board.states[run]
        self._readers.give_back(board.again.pop(run))
        self._count(run, state, 1)
        if state.gives_value:
            if not board.readers[run]:
                self._ledger.free(run)
        else:
            self._ledger.free(run)
            self._ahead.forfeit(run)
            # They may have been let through for a success.
            board.doubtful.update(one for one in self._readers_of(run) if board.stage[one] != FINAL)
            self._take_lists_along(run)
        self._frontier.push(list(self._called(run)))

    def _take_lists_along(self, run: int) -> None:
        """Let the lists crash, with those over them, that by their rules are no successes any more."""
        board = self._board
        state = board.states[run]
        for one in self._below(run):
            node, old = board.plan_node(one), board.states[one]
            bears_it = state.is_successful() and not (
                state.is_skipped() and node.policy.skip_on_upstream_skip
            )
            if node.kind == "collection" and old.__class__ is Success and not bears_it:
                crashed = with_exception(Crashed(_MEMBER, cause="result-lost"))
                self._ledger.commit(one, crashed, Reason("result-lost", _MEMBER), self._ledger.now)
                self._count(one, old, -1)
                self._count(one, crashed, 1)
                self._ahead.forfeit(one)
                self._take_lists_along(one)

    def _readers_of(self, run: int) -> Iterator[int]:
        """Yield the runs that read a run's value, through collections too."""
        for one in self._below(run):
            if self._board.plan_node(one).kind == "collection":
                yield from self._readers_of(one)
            else:
                yield one

    def _below(self, run: int) -> Iterator[int]:
        """Yield the runs that take a run's value; where each child takes an element of it, all of them."""
        board = self._board
        node = board.node[run]
        for edge in board.plan.nodes[node].outs:
            if edge.key is None:
                continue
            pair = None if run == node else paired_child(board, edge, run - board.families[node].base)
            if pair is not None:
                yield pair
            else:
                yield from board.children(edge.downstream) or (edge.downstream,)
