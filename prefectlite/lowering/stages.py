"""Attempts cut by stages: each asks whether it should join what it reads. Knows needs and durations.

The law: every item stands at a *stage*: at that of the highest item that it reads, if it joins the pieces of
all that it reads there, else one above. So a need leads inside one piece or to a lower stage, and whatever
pieces of one stage are put together, no circle can close.

What pays: a piece may grow while its members, one after another, are done no later than if each were a Dask
task of its own on as many threads as it likes; or while pieces enough of its width remain for all threads.
Chains and trees end as few pieces, pairs of a map of a map as many small ones, and a stencil is cut as in
loop tiling, in diamonds (Bandishti, Pananilath, Bondhugula: "Tiling stencil computations to maximize
parallelism", SC'12).

Where a user says how many travel together, of all tasks or of one, that is counted and no time is looked at;
what is counted and what is timed share a piece only where time allows it, too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import cached_property
from math import ceil, inf
from typing import Any, Final, NamedTuple, TypeAlias

from prefectlite.lowering.depths import heirs, survey
from prefectlite.lowering.forecast import LATENCY
from prefectlite.lowering.pace import AIM, FIRST, SHARES

#: What nobody has timed yet is taken to last this long, in seconds.
GUESS: Final = 0.0002
#: What a member costs beside its body, in seconds.
TOLL: Final = 0.00001
#: Work shorter than this, in seconds, is not worth a second Dask task, which costs 0.0007.
LEAST: Final = 0.003
#: A bundle is full at a load of 1; the rest is what sums of fractions are off by.
FULL: Final = 1 + 1e-9


class Item(NamedTuple):
    """What is known of an attempt before it is sent.

    Parameters
    ----------
    needs : sequence of int
        The places, in the turn's list, of what it reads there; all of them before its own.
    kind : hashable
        Attempts of one task share a kind.
    seconds : float or None, optional
        How long such an attempt takes; None while nobody knows.
    annotations : hashable, optional
        Only items with equal ones share a bundle.
    alone : bool, optional
        True for what never shares a bundle, such as a large value.
    most : int or None, optional
        How many attempts of its kind a bundle holds, whatever is known of them; None leaves that to the rest.
    """

    needs: Sequence[int]
    kind: Hashable
    seconds: float | None = None
    annotations: Hashable = None
    alone: bool = False
    most: int | None = None


#: What pieces have in common that may be put together: stage, annotations, kind of the last item, and about
#: when they can start, to a factor of 2.
_Row: TypeAlias = tuple[int, Hashable, Hashable, int]


#: How long an item takes, in seconds; which part of a bundle it fills; how many fill one whatever is known.
_Weight: TypeAlias = tuple[float, float, int | None]
#: How many items there are of each kind that says how many a bundle holds; by kind and that number.
_Given: TypeAlias = dict[tuple[Hashable, int], int]
_NONE: Final[_Given] = {}


class _Piece:
    """Items at one stage that needs connect.

    Times are estimates, in seconds from the start of the turn: ``begins`` when a first member could run,
    ``starts`` when all is there that it reads from outside. ``blind``: nobody knows how long some take;
    ``measured``: whether some share a bundle by how long they take.
    """

    __slots__ = (
        *("annotations", "kind", "stage", "open", "members", "into"),
        *("begins", "starts", "seconds", "load", "given", "blind", "measured", "widest"),
    )

    def __init__(
        self, place: int, item: Item, stage: int, starts: float, weight: _Weight, given: _Given, width: int
    ) -> None:
        _, self.kind, known, self.annotations, _, _ = item
        self.stage = stage
        self.open = True  # closed: never shares a bundle
        self.members = [place]
        self.into: _Piece | None = None
        self.begins = self.starts = starts
        self.seconds, self.load, limit = weight
        self.given = given
        self.blind = known is None
        self.measured = limit is None
        self.widest = width

    def root(self) -> _Piece:
        """Return the piece that this one went into."""
        piece = self
        while piece.into is not None:
            if piece.into.into is not None:
                piece.into = piece.into.into
            piece = piece.into
        return piece

    def swallow(self, other: _Piece) -> None:
        """Take in the members of another piece; the rest is summed up by who decides."""
        other.into = self
        if len(other.members) > len(self.members):
            self.members, other.members = other.members, self.members
        self.members += other.members


#: What an item finds: its stage; a piece that it reads there, if any, and the others; when all else that it
#: reads is there; of the longest way to it through the pieces, its seconds, with a latency for each need, and
#: its items; and how many items at most want one value at the same time, this item among them.
_Meeting: TypeAlias = tuple[int, _Piece | None, dict[_Piece, None], float, float, int, int]
_NOBODY: Final[dict[_Piece, None]] = {}


class Stages:
    """Cuts one turn into pieces, and puts pieces of one stage together.

    Parameters
    ----------
    items : sequence of Item
        The turn's attempts, each behind those that it needs.
    needs : sequence of sequence of int
        What each needs, as the items say.
    threads : int
        How many worker threads there are.
    size : int or None
        How many attempts that do not say it themselves a bundle holds; None decides by what is known.
    most : int
        The most attempts in one bundle where that is decided by what is known.
    """

    def __init__(
        self,
        items: Sequence[Item],
        needs: Sequence[Sequence[int]],
        threads: int,
        size: int | None,
        most: int,
    ) -> None:
        self._items = items
        self._threads = max(threads, 1)
        self._shares = SHARES * self._threads
        self._size = size
        self._most = max(1, most if size is None else size)
        given = {item.most for item in items if item.most is not None}
        self._has_given = bool(given)
        # What reads more is not looked at: it will not find room.
        self._reach = max([self._most, *given])
        # Of each item: its piece, and the longest way in the piece to its end.
        self._pieces: list[Any] = [None] * len(items)
        self._seconds = [0.0] * len(items)
        self._counts = [0] * len(items)
        #: How deep each item lies.
        self.depths, self._widths, self._rivals = survey(needs)
        #: Whether values are wanted by several at once, though by no more than there is room for.
        self.is_woven = 1 < max(self._rivals, default=0) <= self._shares
        self._needs = needs

    def cuts(self) -> Iterator[list[list[int]]]:
        """Yield the one cut that there is.

        Yields
        ------
        list of list of int
            As of ``bundles``.
        """
        yield self.bundles()

    def bundles(self) -> list[list[int]]:
        """Return the bundles.

        Returns
        -------
        list of list of int
            Places, each once, in no order.
        """
        rows: dict[_Row, list[_Piece]] = {}
        bundles: list[list[int]] = []
        for piece in self._cut():
            if not piece.open:
                bundles.append(piece.members)
            elif piece.into is None:
                wait = int(piece.starts / AIM).bit_length() if piece.measured else -1
                row = piece.stage, piece.annotations, piece.kind, wait
                found = rows.get(row)
                if found is None:
                    rows[row] = [piece]
                else:
                    found.append(piece)
        for pieces in rows.values():
            bundles.extend(self._share_out(pieces))
        return bundles

    def _cut(self) -> list[_Piece]:
        made: list[_Piece] = []
        pieces, ways, counts = self._pieces, self._seconds, self._counts
        widths, depths = self._widths, self.depths
        weights: dict[int | None, dict[float | None, _Weight]] = defaultdict(dict)
        # Level by level, however the turn came together: what is cut deep first leaves slanted rests.
        for place in sorted(range(len(depths)), key=depths.__getitem__):
            item = self._items[place]
            needs, kind, known, _, alone, most = item
            weight = weights[most].get(known)
            if weight is None:
                weight = weights[most][known] = self._weigh(known, most)
            seconds, load, limit = weight
            if limit == 1 or (load > 0.5 and limit is None):
                alone = True
            given = _NONE if most is None else {(kind, most): 1}
            width = widths[depths[place]]
            stage, starts, way, count, piece = 0, 0.0, seconds + LATENCY, 1, None
            if needs:
                met = self._meet(place, item)
                stage, piece, others, starts, before, above, _ = met
                if piece is not None:
                    if not alone and self._joins(met, piece, weight, given, known is None, width):
                        piece.members.append(place)
                        piece.kind = kind
                        way += before
                        count += above
                    else:
                        stage, starts, piece = stage + 1, _later(starts, piece, others), None
            if piece is None:
                piece = _Piece(place, item, stage, starts, weight, given, width)
                piece.open = not alone
                made.append(piece)
            pieces[place], ways[place], counts[place] = piece, way, count
        return made

    def _weigh(self, known: float | None, most: int | None) -> _Weight:
        """Weigh an item; one with a number of its own takes no room from those that share a number."""
        seconds = GUESS if known is None else max(known, 0.0) + TOLL
        if self._size is not None:
            return seconds, 1 / self._most if most is None else 0.0, most or self._size
        return seconds, max(1 / self._most, 1 / FIRST if known is None else known / AIM), most

    def _room(self, measured: bool) -> float:
        """Return the load of a full bundle; where all its members are counted, there is no such load."""
        return FULL if measured or self._size is not None else inf

    def _meet(self, place: int, item: Item) -> _Meeting:
        needs, _, _, annotations, _, _ = item
        pieces, ways, counts, rivals = self._pieces, self._seconds, self._counts, self._rivals
        heirs = self._heirs
        if len(needs) > self._reach:
            roots = dict.fromkeys([pieces[need].root() for need in needs])
            return max([root.stage for root in roots]) + 1, None, _NOBODY, _later(0.0, None, roots), 0.0, 0, 0
        stage, first, others, starts, way, count, rival = 0, None, _NOBODY, 0.0, 0.0, 0, 0
        for need in needs:
            piece = pieces[need]
            if piece.into is not None:
                pieces[need] = piece = piece.root()
            least = piece.stage
            joins = piece.open and piece.annotations == annotations
            if not joins:
                least += 1
            if least > stage:
                if first is not None:
                    starts = _later(starts, first, others)
                stage, first, others, way, count, rival = least, None, _NOBODY, 0.0, 0, 0
            if not joins or least < stage:
                end = piece.starts + piece.seconds + LATENCY
                if end > starts:
                    starts = end
                continue
            if first is None:
                first = piece
            elif piece is not first:
                others = others or {}
                others[piece] = None
            if ways[need] > way:
                way = ways[need]
            if counts[need] > count:
                count = counts[need]
            # The others wait for their own sake when what has most to come goes first.
            wanted = 1 if heirs[need] == place else rivals[need]
            if wanted > rival:
                rival = wanted
        return stage, first, others, starts, way, count, rival

    def _joins(
        self, met: _Meeting, piece: _Piece, weight: _Weight, given: _Given, blind: bool, width: int
    ) -> bool:
        """Make one piece of those that an item meets, if it may join them; return whether it may."""
        _, _, others, starts, way, count, rivals = met
        seconds, load, limit = weight
        begins = piece.begins
        if piece.starts > starts:
            starts = piece.starts
        load += piece.load
        if load > FULL and limit is None:
            return False
        total, members = seconds + piece.seconds, 1 + len(piece.members)
        blind = blind or piece.blind
        if piece.measured:
            limit = None
        if piece.widest > width:
            width = piece.widest
        for other in others:
            load += other.load
            total += other.seconds
            members += len(other.members)
            blind = blind or other.blind
            if other.measured:
                limit = None
            width = max(width, other.widest)
            begins = min(begins, other.begins)
            starts = max(starts, other.starts)
        if self._has_given:
            given = _added([given, piece.given, *[other.given for other in others]])
        if load > self._room(limit is None) or (given and _too_many(given)):
            return False
        if limit is not None:
            if rivals > limit:
                return False
        elif starts > begins + AIM:
            return False  # what could begin would wait for what the item reads from elsewhere
        elif not self._pays(total, members, way, count, width, rivals, seconds, blind):
            return False
        piece.load, piece.seconds, piece.blind, piece.widest = load, total, blind, width
        piece.begins, piece.starts, piece.given, piece.measured = begins, starts, given, limit is None
        for other in others:
            piece.swallow(other)
        return True

    def _pays(
        self,
        total: float,
        members: int,
        way: float,
        count: int,
        width: int,
        rivals: int,
        seconds: float,
        blind: bool,
    ) -> bool:
        """Whether one piece of so many members loses nothing against several; the way is that to the item."""
        count += 1
        if members == count and rivals == 1:
            return True  # a chain
        # Bundles enough of this width remain for all threads, and all that want the same value find room.
        share = width / self._shares
        spares = (members <= share * count or members <= count) and (rivals <= share or rivals == 1)
        if spares != blind:
            return spares  # of what may turn out long, both is asked
        # All is done no later than on any number of threads, and the other readers of a value wait for this
        # one no longer than for the value itself. It grows in height before it grows in width: what is a
        # whole level wide leaves nothing for the other threads, which matters unless the turn is short.
        return (
            total <= way + seconds
            and (members <= 2 * count or members * self._threads <= width * count or self._short)
            and (rivals == 1 or rivals * seconds <= LATENCY)
        )

    @cached_property
    def _heirs(self) -> list[int]:
        return heirs(self._needs)

    @cached_property
    def _short(self) -> bool:
        """Whether the turn is all in all not worth a second Dask task that waits for the first."""
        limit = 4 * LATENCY
        seconds = [self._weigh(item.seconds, None)[0] for item in self._items]
        return len(seconds) * TOLL <= limit >= sum(seconds)

    def _share_out(self, pieces: list[_Piece]) -> list[list[int]]:
        """Put pieces of one stage together to bundles of about the same length."""
        if len(pieces) == 1:
            return [sorted(pieces[0].members)]
        seconds = sum([piece.seconds for piece in pieces])
        count = min(len(pieces), self._shares)
        if not any(piece.blind for piece in pieces):
            count = min(count, max(1, int(seconds / LEAST)))
        count = max(count, ceil(sum([piece.load for piece in pieces]) - 1e-9))
        measured = pieces[0].measured
        share, room = seconds / count if measured else seconds, self._room(measured)
        bundles: list[list[int]] = []
        bundle: list[int] = []
        load, done, edge, given = 0.0, 0.0, share, _NONE
        for piece in pieces:
            load += piece.load
            if piece.given:
                given = _added([given, piece.given])
            if bundle and (load > room or done + piece.seconds / 2 > edge or (given and _too_many(given))):
                bundles.append(bundle)
                bundle = []
                load, given = piece.load, piece.given
                edge = share * (len(bundles) + 1)
            bundle.extend(piece.members if len(piece.members) == 1 else sorted(piece.members))
            done += piece.seconds
        bundles.append(bundle)
        return bundles


def _added(tallies: Iterable[_Given]) -> _Given:
    total: _Given = {}
    for tally in tallies:
        for mark, count in tally.items():
            total[mark] = total.get(mark, 0) + count
    return total


def _too_many(given: _Given) -> bool:
    return any(count > most for (_, most), count in given.items())


def _later(starts: float, piece: _Piece | None, others: Iterable[_Piece]) -> float:
    """Return when, by estimate, the values of pieces are there, too."""
    if piece is not None:
        starts = max(starts, piece.starts + piece.seconds + LATENCY)
    for other in others:
        starts = max(starts, other.starts + other.seconds + LATENCY)
    return starts
