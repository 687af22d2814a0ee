"""Shipments that travel together as one Dask task. Knows keys, needs and sizes; knows neither Dask nor rules.

One Dask task costs 0.2 to 1 ms, whatever its body does. So attempts go together: children of a map as blocks,
other attempts in small connected pieces of the graph. Each keeps its own key, attempt, report and value,
which lies in a slot of the bundle's.
"""

from __future__ import annotations

import pickle
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from prefectlite.lowering.berths import Berthing, Berths, DaskKey
from prefectlite.lowering.envelope import dumps
from prefectlite.lowering.folds import ARITY, ARITY_OF_LARGE, Home, Sums, homes_of, spec_for
from prefectlite.lowering.keys import BundleKey, data_key, held_back
from prefectlite.lowering.order import AnyShipment, Index, spans_of
from prefectlite.lowering.pace import Pace
from prefectlite.lowering.parts import READ, SELF, WHOLE, Block, Column, Manifest, Stretch
from prefectlite.lowering.pieces import Item, partition
from prefectlite.lowering.shipment import Blob, BlockShipment, Need, Shipment, Span
from prefectlite.states.keys import RunKey


class Bundle(NamedTuple):
    """Attempts that travel as one Dask task.

    Parameters
    ----------
    key : tuple
        The name of the bundle's value.
    shipments : tuple of Shipment or BlockShipment
        Its parts; slots are numbered through them in order.
    flow : Blob
        What all of them share.
    tasks : tuple of Blob
        The tasks that they run.
    needs : tuple of tuple
        What stands on the cluster under these keys is passed by position.
    payload : bytes
        The pickled tuple of ``Part``; what is the user's in it are plain values and bytes.
    annotations : mapping or None
        As of each of its shipments.
    covers : tuple of Span
        For a call of a reduce on a part of its list, which is no attempt of its own: whose values came to it,
        be it through other such calls.
    took : tuple of Span
        Those of them that it reads itself.
    """

    key: BundleKey
    shipments: tuple[AnyShipment, ...]
    flow: Blob
    tasks: tuple[Blob, ...]
    needs: tuple[DaskKey, ...]
    payload: bytes
    annotations: Any = None
    covers: tuple[Span, ...] = ()
    took: tuple[Span, ...] = ()


class Packer:
    """Puts a flow run's shipments into bundles, and notes in which slot each value is going to lie.

    Parameters
    ----------
    pace : Pace
        What is known of how long the tasks take.
    berths : Berths
        The books of where values lie.
    names : tuple of bytes
        From ``by_value_names``.
    sums : Sums or None
        The books of what came of reduces in part.
    """

    def __init__(
        self, pace: Pace, berths: Berths, names: tuple[bytes, ...] = (), sums: Sums | None = None
    ) -> None:
        self._pace = pace
        self._berths = berths
        self._names = names
        self._sums = Sums() if sums is None else sums
        self._notes: dict[int, tuple[Mapping[str, Any], Mapping[str, Any] | None]] = {}
        self._serial = 0
        #: By its first child's run, which task a map runs.
        self._maps: list[tuple[int, str]] = []
        self._after_large: set[str] = set()
        self._keeps_step = False
        #: Tasks of which some went ahead, to see how large their values are.
        self._tried: set[str] = set()

    def pack(self, shipments: Sequence[AnyShipment]) -> list[Shipment | Bundle]:
        """Return a turn's shipments, bundled where that pays.

        Parameters
        ----------
        shipments : sequence of Shipment or BlockShipment
            Each behind those of the same turn that it needs.

        Returns
        -------
        list of Shipment or Bundle
            No two of them need each other in a circle.
        """
        packed: list[Shipment | Bundle] = []
        self._keeps_step = any(isinstance(one, BlockShipment) and one.keeps_step for one in shipments)
        for singles, blocks in _waves(shipments):
            for one in singles:
                if one.fold is not None:
                    packed += self._pack_fold(one)
            packed += self._pack_singles([one for one in singles if one.fold is None])
            for block in blocks:
                # The children of a map stand side by side, so the run of the first tells maps apart.
                mark = (block.runs.start - block.first, block.task.digest)
                at = bisect_left(self._maps, mark)
                if at == len(self._maps) or self._maps[at] != mark:
                    self._maps.insert(at, mark)
            for group in _aligned(blocks):
                for some, reads_large in self._apart(group):
                    if reads_large:
                        self._after_large.update(one.task.digest for one in some)
                    packed += self._pack_group(some, alone=reads_large)
        return packed

    def new_key(self, like: DaskKey, *, is_part: bool = False) -> BundleKey:
        """Return a name that no Dask task of the flow run has had.

        Parameters
        ----------
        like : tuple
            A name whose group it shares.
        is_part : bool
            Whether it is for a call of a reduce on a part of its list.

        Returns
        -------
        tuple
            The name.
        """
        self._serial += 1
        return (*like[:5], -self._serial if is_part else self._serial)

    def _pack_singles(self, shipments: Sequence[Shipment]) -> list[Shipment | Bundle]:
        if not shipments:
            return []
        pace = self._pace
        if pace.bundle_size == 1:
            pieces = [[place] for place in range(len(shipments))]
        else:
            index = Index(shipments)
            digests = {one.task.digest for one in shipments}
            known = {digest: (pace.seconds(digest), pace.is_large(digest)) for digest in digests}
            items = []
            for one in shipments:
                digest, notes = one.task.digest, one.annotations
                seconds, is_large = known[digest]
                needs = index.read_by(one) if one.needs else ()
                items.append(
                    Item(needs, digest, seconds, None if notes is None else id(notes), is_large, one.most)
                )
            pieces = partition(items, pace.threads(), pace.bundle_size)
        packed: list[Shipment | Bundle] = []
        for piece in pieces:
            first = shipments[piece[0]]
            back = self._pace.is_long([first.task.digest])
            if len(piece) > 1 or not self._is_free(first.needs):
                packed.append(self._bundle([shipments[place] for place in piece], back=back))
                continue
            one = first._replace(key=_back(first.key)) if back else first
            self._berths.put(one.run, one.submission, one.key)
            packed.append(one)
        return packed

    def _pack_fold(self, one: Shipment) -> Iterator[Bundle]:
        """Turn a reduce into a tree of calls, each on what lies under few keys; the last is the attempt."""
        assert one.fold is not None
        homes = homes_of(one.fold, self._berths, self._sums.of(one.run))
        arity = ARITY_OF_LARGE if self._is_large(one.fold.spans[0][0]) else ARITY
        while len(homes) > arity:
            count = -(-len(homes) // arity)
            level: list[Home] = []
            for number in range(count):
                some = homes[len(homes) * number // count : len(homes) * (number + 1) // count]
                if len(some) == 1:
                    level += some
                    continue
                covers = tuple([span for home in some for span in home.covers])
                took = tuple([span for home in some if not home.is_sum for span in home.covers])
                part = self._call(one, some, covers, took)
                yield part
                level.append(Home(part.key, ((0, 1),), covers, True))
            homes = level
        last = self._call(one, homes)
        self._berths.put(one.run, one.submission, last.key, 0)
        yield last

    def _call(
        self, one: Shipment, homes: Sequence[Home], covers: tuple[Span, ...] = (), took: tuple[Span, ...] = ()
    ) -> Bundle:
        assert one.fold is not None
        places: dict[DaskKey, int] = {}
        lying = [(home.key, slot, count) for home in homes for slot, count in home.stretches]
        reads = _reads([*[(key, WHOLE, 1) for key in one.fold.shared], *lying], places)
        spec = spec_for(one.fold, sum([count for _, _, count in lying]), is_last=not covers)
        member = one.key, 0, dumps(tuple(spec), self._names), reads
        payload = pickle.dumps(Manifest([member]), 5)
        key = self.new_key(one.key, is_part=bool(covers))
        notes = self._first(one.annotations) if covers else one.annotations
        return Bundle(key, (one,), one.flow, (one.task,), tuple(places), payload, notes, covers, took)

    def _first(self, annotations: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """Return annotations by which a task goes before others of its kind, and so frees what it reads."""
        mark = id(annotations)
        found = self._notes.get(mark)
        if found is None:
            known = annotations or {}
            # With the old ones, whose identity must not pass to others.
            found = self._notes[mark] = {**known, "priority": known.get("priority", 0) + 1}, annotations
        return found[0]

    def _apart(self, group: Sequence[BlockShipment]) -> Iterator[tuple[Sequence[BlockShipment], bool]]:
        """Cut a group where children travel alone, or make values that should not share a bundle with others.

        Each piece comes with the word whether it reads such values: many of its children together would wait
        for as many of them.
        """
        start, reads_large = 0, self._reads_large(group[0])
        for at in range(1, len(group)):
            above, below = group[at - 1], group[at]
            is_large = self._pace.is_large(above.task.digest)
            if (
                is_large
                or self._is_single(above)
                or self._is_single(below)
                or _is_full(group[start:at], below.task.digest)
            ):
                yield group[start:at], reads_large
                start, reads_large = at, is_large
        yield group[start:], reads_large

    def _reads_large(self, one: BlockShipment) -> bool:
        """Return whether children read, one each, what a map made whose values travel alone."""
        return any(kind == READ and self._is_large(what[0]) for _, kind, what in one.columns)

    def _is_large(self, run: int) -> bool:
        """Return whether a child of a map makes a value that should not share a bundle with others.

        What is made from such a value is taken for another one until one is known.
        """
        at = bisect_right(self._maps, (run, chr(0x10FFFF))) - 1
        if at < 0:
            return False
        task = self._maps[at][1]
        return self._pace.is_large(task) or (task in self._after_large and self._pace.seconds(task) is None)

    def _is_single(self, one: AnyShipment) -> bool:
        """Return whether attempts travel alone because the executor or their task says so."""
        return self._pace.bundle_size == 1 or one.most == 1

    def _is_free(self, needs: Sequence[Need]) -> bool:
        """Return whether nothing that an attempt needs lies in a bundle, so that it may travel alone."""
        return all(slot == WHOLE for _, slot, _ in self._berths.of(needs))

    def _pack_group(self, group: Sequence[BlockShipment], *, alone: bool = False) -> Iterator[Bundle]:
        """Cut blocks, of which each reads the one before child by child, into bundles."""
        width = len(group[0].runs)
        # Those that are still to come count too: the workers will not run out of bundles.
        tasks = [one.task.digest for one in group]
        mosts = [one.most for one in group]
        size = 1 if alone else self._pace.size(tasks, width + group[0].left, mosts)
        # Dask holds back what begins a graph and has a large group, so that workers keep step, and none has a
        # queue while another idles.
        back = (
            self._pace.is_large(tasks[0])
            or (self._keeps_step and self._is_single(group[0]))
            or self._pace.is_long(tasks)
        )
        is_free = self._pace.bundle_size is None and not any(mosts)
        rest = width
        if self._keeps_step and is_free and size > 1 and self._is_new(tasks[0]):
            # What they make may be large, and what a first wave makes here and there waits for neighbours. So
            # a few of them, side by side, go first and alone; if it is large, the workers send others back.
            self._tried.add(tasks[0])
            rest -= min(self._pace.threads(), width)
        # Even ones: the last of many should not be a small rest.
        count = -(-rest // size)
        for number in range(count):
            start, stop = rest * number // count, rest * (number + 1) // count
            yield self._bundle([one.part(start, stop) for one in group], back=back)
        for at in range(rest, width):
            yield self._bundle([one.part(at, at + 1) for one in group], back=back, ahead=True)

    def _is_new(self, task: str) -> bool:
        """Return whether nothing is known of a task, and nothing was sent to find out."""
        return self._pace.seconds(task) is None and task not in self._tried

    def _bundle(self, shipments: Sequence[AnyShipment], *, back: bool = False, ahead: bool = False) -> Bundle:
        first = shipments[0]
        key = self.new_key(_back(_key_of(first)) if back else _key_of(first))
        berths = self._berths
        places: dict[DaskKey, int] = {}
        tasks: dict[int, tuple[int, Blob]] = {}
        parts: list[Block | tuple[Any, ...]] = []
        # A member has nothing of the user's but as bytes; a block may have a state of the user's class.
        is_plain = True
        slot = task = 0
        last: Blob | None = None
        for one in shipments:
            if one.task is not last:
                last = one.task
                task, _ = tasks.setdefault(id(last), (len(tasks), last))
            reads = _reads(berths.of(one.needs), places, key) if one.needs else ()
            if isinstance(one, Shipment):
                parts.append((one.key, task, one.told, reads))
                berths.put(one.run, one.submission, key, slot)
                slot += 1
            else:
                parts.append(self._block(one, task, reads, places, key))
                berths.put_row(one.runs, one.submission, key, slot)
                slot += len(one.runs)
                is_plain = False
        manifest = Manifest(parts)
        return Bundle(
            key,
            tuple(shipments),
            first.flow,
            tuple([blob for _, blob in tasks.values()]),
            tuple(places),
            pickle.dumps(manifest, 5) if is_plain else dumps(manifest, self._names),
            self._first(first.annotations) if ahead else first.annotations,
        )

    def _block(
        self,
        one: BlockShipment,
        task: int,
        reads: tuple[Stretch, ...],
        places: dict[DaskKey, int],
        key: BundleKey,
    ) -> Block:
        columns: list[Column] = []
        for name, kind, what in one.columns:
            found = _reads(self._berths.of([what]), places, key) if kind == READ else what
            columns.append((name, kind, found))
        return Block(
            task,
            one.prefix,
            one.slug,
            one.first,
            len(one.runs),
            one.attempt,
            one.submission,
            one.given,
            one.recipes,
            reads,
            tuple(columns),
            one.upstreams,
            one.drop_value,
            one.measure,
            one.consumes,
        )


def _is_full(some: Sequence[BlockShipment], task: str) -> bool:
    """Return whether blocks run a task so often for each child that no bundle may run it once more."""
    mosts = [one.most for one in some if one.task.digest == task and one.most is not None]
    return bool(mosts) and len(mosts) >= min(mosts)


def _reads(
    lying: Sequence[Berthing], places: dict[DaskKey, int], own: DaskKey | None = None
) -> tuple[Stretch, ...]:
    """Return where a bundle finds values, those that lie side by side together.

    The other Dask tasks that it needs for that get places, unless they have one.
    """
    found: list[Stretch] = []
    last: DaskKey | None = None
    behind = 0
    for home, slot, count in lying:
        if home is last and slot == behind:
            place, start, before = found[-1]
            found[-1] = place, start, before + count
        else:
            found.append((SELF if home is own else places.setdefault(home, len(places)), slot, count))
            last = home
        behind = slot + count
    return tuple(found)


def _back(key: Any) -> Any:
    return (held_back(key[0]), *key[1:])


def _key_of(one: AnyShipment) -> Any:
    if isinstance(one, Shipment):
        return one.key
    return data_key(one.prefix, RunKey(one.slug, one.first), one.attempt, one.submission)


def _waves(shipments: Sequence[AnyShipment]) -> list[tuple[list[Shipment], list[BlockShipment]]]:
    """Return what is packed one after the other: in each wave the attempts by themselves, then the blocks.

    What reads a block, however indirectly, comes a wave later, so that no circle closes through a bundle with
    something that the block reads in it. So does a reduce that goes as a tree, and what reads it.
    """
    singles = [one for one in shipments if isinstance(one, Shipment)]
    if len(singles) == len(shipments) and all(one.fold is None for one in singles):
        return [(singles, [])]
    waves: list[tuple[list[Shipment], list[BlockShipment]]] = [([], [])]
    index = Index(shipments)
    wave_of: list[int] = []
    for one in shipments:
        is_single = isinstance(one, Shipment)
        wave = 0
        for place in index.read_by(one):
            maker = shipments[place]
            is_later = is_single and isinstance(maker, BlockShipment)
            wave = max(wave, wave_of[place] + (is_later or _is_fold(one) or _is_fold(maker)))
        wave_of.append(wave)
        if wave == len(waves):
            waves.append(([], []))
        if isinstance(one, Shipment):
            waves[wave][0].append(one)
        else:
            waves[wave][1].append(one)
    return waves


def _is_fold(one: AnyShipment) -> bool:
    return isinstance(one, Shipment) and one.fold is not None


def _meet(first: int, submission: int, count: int, runs: range, made: int) -> bool:
    return submission == made and first < runs.stop and first + count > runs.start


def _aligned(blocks: Sequence[BlockShipment]) -> list[list[BlockShipment]]:
    """Put blocks together of which each reads the one before, child by child, and no other of the turn."""
    groups: list[list[BlockShipment]] = []
    homes: list[tuple[range, int, int]] = []
    for one in blocks:
        width = len(one.runs)
        met: set[int] = set()
        is_aligned = True
        # What each child reads as a whole, too, has to be there before any of them begins.
        columns = {what for _, kind, what in one.columns if kind == READ}.difference(one.needs)
        for span in spans_of(one):
            first, submission, count = span
            for runs, made, number in homes:
                if _meet(first, submission, count, runs, made):
                    met.add(number)
                    is_aligned &= span in columns and first == runs.start and count == width == len(runs)
        if len(met) == 1 and is_aligned:
            number = met.pop()
            if groups[number][0].annotations is one.annotations:
                groups[number].append(one)
                homes.append((one.runs, one.submission, number))
                continue
        groups.append([one])
        homes.append((one.runs, one.submission, len(groups) - 1))
    return groups
