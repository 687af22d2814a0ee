"""Shipments that travel together as one Dask task. Knows keys, needs and sizes; knows neither Dask nor rules.

One Dask task costs 0.2 to 1 ms, whatever its body does. So attempts go together: children of a map as blocks,
other attempts in small connected pieces of the graph. Each keeps its own key, attempt, report and value, which
lies in a slot of the bundle's.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from prefectlite.lowering.berths import Berths, DaskKey
from prefectlite.lowering.envelope import dumps
from prefectlite.lowering.keys import BundleKey, data_key
from prefectlite.lowering.order import AnyShipment, Index, spans_of
from prefectlite.lowering.pace import Pace
from prefectlite.lowering.parts import READ, SELF, WHOLE, Block, Column, Member, Part, Stretch
from prefectlite.lowering.pieces import Item, partition
from prefectlite.lowering.shipment import Blob, BlockShipment, Need, Shipment
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
    """

    key: BundleKey
    shipments: tuple[AnyShipment, ...]
    flow: Blob
    tasks: tuple[Blob, ...]
    needs: tuple[DaskKey, ...]
    payload: bytes
    annotations: Any = None


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
    """

    def __init__(self, pace: Pace, berths: Berths, names: tuple[bytes, ...] = ()) -> None:
        self._pace = pace
        self._berths = berths
        self._names = names
        self._serial = 0

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
        for singles, blocks in _waves(shipments):
            packed += self._pack_singles(singles)
            for group in _aligned(blocks):
                packed += self._pack_group(group)
        return packed

    def new_key(self, like: DaskKey) -> BundleKey:
        """Return a name that no Dask task of the flow run has had.

        Parameters
        ----------
        like : tuple
            A name whose group it shares.

        Returns
        -------
        tuple
            The name.
        """
        self._serial += 1
        return (*like[:5], self._serial)

    def _pack_singles(self, shipments: Sequence[Shipment]) -> list[Shipment | Bundle]:
        if not shipments:
            return []
        pace = self._pace
        if pace.bundle_size == 1:
            pieces = [[place] for place in range(len(shipments))]
        else:
            index = Index(shipments)
            items = [
                Item(
                    [place for span in spans_of(one) for place in index.makers(span)] if one.needs else (),
                    one.task.digest,
                    pace.seconds(one.task.digest),
                    None if one.annotations is None else id(one.annotations),
                    pace.is_large(one.task.digest),
                )
                for one in shipments
            ]
            pieces = partition(items, pace.threads(), pace.bundle_size)
        packed: list[Shipment | Bundle] = []
        for piece in pieces:
            first = shipments[piece[0]]
            if len(piece) > 1:
                packed.append(self._bundle([shipments[place] for place in piece]))
            elif self._is_free(first.needs):
                self._berths.put(first.run, first.submission, first.key)
                packed.append(first)
            else:
                packed.append(self._bundle([first]))
        return packed

    def _is_free(self, needs: Sequence[Need]) -> bool:
        """Return whether nothing that an attempt needs lies in a bundle, so that it may travel alone."""
        for need in needs:
            if len(need) == 3 and any(slot != WHOLE for _, slot, _ in self._berths.stretches(need)):
                return False
        return True

    def _pack_group(self, group: Sequence[BlockShipment]) -> Iterator[Bundle]:
        """Cut blocks, of which each reads the one before child by child, into bundles."""
        width = len(group[0].runs)
        # Those that are still to come count too: the workers will not run out of bundles.
        size = self._pace.size([one.task.digest for one in group], width + group[0].left)
        # Even ones: the last of many should not be a small rest.
        count = -(-width // size)
        for number in range(count):
            start, stop = width * number // count, width * (number + 1) // count
            yield self._bundle([one.part(start, stop) for one in group])

    def _bundle(self, shipments: Sequence[AnyShipment]) -> Bundle:
        first = shipments[0]
        key = self.new_key(_key_of(first))
        slot = 0
        for one in shipments:
            if isinstance(one, Shipment):
                self._berths.put(one.run, one.submission, key, slot)
                slot += 1
            else:
                self._berths.put_row(one.runs, one.submission, key, slot)
                slot += len(one.runs)
        places: dict[DaskKey, int] = {}
        tasks: dict[int, tuple[int, Blob]] = {}
        parts: list[Part] = []
        for one in shipments:
            task, _ = tasks.setdefault(id(one.task), (len(tasks), one.task))
            parts.append(self._part(one, task, key, places))
        has_blocks = any(isinstance(one, BlockShipment) for one in shipments)
        content = tuple(parts)
        # What is the user's is bytes already in a member, and may be a state of the user's class in a block.
        payload = dumps(content, self._names) if has_blocks else pickle.dumps(content, 5)
        return Bundle(
            key,
            tuple(shipments),
            first.flow,
            tuple([blob for _, blob in tasks.values()]),
            tuple(places),
            payload,
            first.annotations,
        )

    def _part(self, one: AnyShipment, task: int, key: BundleKey, places: dict[DaskKey, int]) -> Part:
        reads = tuple([stretch for need in one.needs for stretch in self._stretches(need, key, places)])
        if isinstance(one, Shipment):
            return Member(one.key, task, one.spec, _joined(reads))
        columns: list[Column] = []
        for name, kind, what in one.columns:
            found = tuple(self._stretches(what, key, places)) if kind == READ else what
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
            _joined(reads),
            tuple(columns),
            one.upstreams,
            one.drop_value,
            one.measure,
        )

    def _stretches(self, need: Need, key: BundleKey, places: dict[DaskKey, int]) -> Iterator[Stretch]:
        if len(need) != 3:
            yield places.setdefault(need, len(places)), WHOLE, 1
            return
        for home, slot, count in self._berths.stretches(need):
            yield SELF if home == key else places.setdefault(home, len(places)), slot, count


def _joined(stretches: Sequence[Stretch]) -> tuple[Stretch, ...]:
    """Return stretches with those that go on where the last one ends made one."""
    found: list[Stretch] = []
    for place, slot, count in stretches:
        if found and slot != WHOLE:
            last, start, before = found[-1]
            if last == place and start != WHOLE and start + before == slot:
                found[-1] = place, start, before + count
                continue
        found.append((place, slot, count))
    return tuple(found)


def _key_of(one: AnyShipment) -> Any:
    if isinstance(one, Shipment):
        return one.key
    return data_key(one.prefix, RunKey(one.slug, one.first), one.attempt, one.submission)


def _waves(shipments: Sequence[AnyShipment]) -> list[tuple[list[Shipment], list[BlockShipment]]]:
    """Return what is packed one after the other: in each wave first the attempts by themselves, then the blocks.

    What reads a block, however indirectly, comes a wave later, so that no circle closes through a bundle with
    something that the block reads in it.
    """
    singles = [one for one in shipments if isinstance(one, Shipment)]
    if len(singles) == len(shipments):
        return [(singles, [])]
    waves: list[tuple[list[Shipment], list[BlockShipment]]] = [([], [])]
    index = Index(shipments)
    wave_of: list[int] = []
    for one in shipments:
        is_single = isinstance(one, Shipment)
        wave = 0
        for span in spans_of(one):
            for place in index.makers(span):
                wave = max(wave, wave_of[place] + (is_single and isinstance(shipments[place], BlockShipment)))
        wave_of.append(wave)
        if wave == len(waves):
            waves.append(([], []))
        if isinstance(one, Shipment):
            waves[wave][0].append(one)
        else:
            waves[wave][1].append(one)
    return waves


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
        columns = [what for _, kind, what in one.columns if kind == READ]
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
