"""Shipments that travel together as one Dask task. Knows keys, needs and sizes; knows neither Dask nor rules.

One Dask task costs 0.2 to 1 ms, whatever its body does. So attempts of one task that wait for nothing of each
other go as one; each keeps its own key, spec, report and value, which lies in a slot of the bundle's.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from prefectlite.lowering.keys import BundleKey, DataKey
from prefectlite.lowering.shipment import Blob, Shipment

#: Values that stand side by side: place among those passed by position, first slot, how many. The first slot
#: is ``WHOLE`` for a value that lies in no bundle.
Stretch: TypeAlias = tuple[int, int, int]
WHOLE: Final = -1

#: What a worker is told of one attempt in a bundle: its data key, its spec, and where its values are.
Member: TypeAlias = tuple[DataKey, bytes, tuple[Stretch, ...]]


class Bundle(NamedTuple):
    """Attempts of one task that travel as one Dask task.

    Parameters
    ----------
    key : tuple
        The name of the bundle's value.
    shipments : tuple of Shipment
        Its members; the place of each is its slot.
    flow, task : Blob
        What all of them share.
    needs : tuple of tuple
        What stands on the cluster under these keys is passed by position.
    payload : bytes
        The pickled tuple of ``Member``; it holds nothing of the user's but bytes.
    annotations : mapping or None
        As of each of its shipments.
    """

    key: BundleKey
    shipments: tuple[Shipment, ...]
    flow: Blob
    task: Blob
    needs: tuple[DataKey | BundleKey, ...]
    payload: bytes
    annotations: Any = None


class Packer:
    """Puts a flow run's shipments into bundles, and remembers in which slot each value lies.

    Parameters
    ----------
    size_of : callable
        Returns how many attempts should travel together, from the digest of their task and how many there
        are.
    """

    def __init__(self, size_of: Callable[[str, int], int]) -> None:
        self._size_of = size_of
        self._berths: dict[DataKey, tuple[BundleKey, int]] = {}
        self._serial = 0

    def pack(self, shipments: Sequence[Shipment]) -> list[Shipment | Bundle]:
        """Return a turn's shipments, bundled where that pays.

        Parameters
        ----------
        shipments : sequence of Shipment
            Each behind those of the same turn that it needs.

        Returns
        -------
        list of Shipment or Bundle
            No two of them need each other in a circle.
        """
        chunks: list[list[Shipment]] = []
        for group in _groups(shipments):
            size = max(1, self._size_of(group[0].task.digest, len(group)))
            chunks.extend(group[at : at + size] for at in range(0, len(group), size))
        packed: list[Shipment | Bundle] = []
        made: list[tuple[BundleKey, list[Shipment]]] = []
        berths = self._berths
        for chunk in chunks:
            if len(chunk) > 1 or not berths.keys().isdisjoint(chunk[0].needs):
                made.append((self._berth(chunk), chunk))
            else:
                packed.append(chunk[0])
        if not made:
            return packed
        # What came before may need what was bundled since.
        alone, packed = packed, []
        for one in alone:
            if isinstance(one, Shipment) and not berths.keys().isdisjoint(one.needs):
                made.append((self._berth([one]), [one]))
            else:
                packed.append(one)
        packed.extend([self._bundle(key, chunk) for key, chunk in made])
        return packed

    def berth(self, key: DataKey) -> tuple[DataKey | BundleKey, int]:
        """Return under which key a value stands on the cluster, and in which slot.

        Parameters
        ----------
        key : tuple
            The attempt's data key.

        Returns
        -------
        (tuple, int)
            Its own key and ``WHOLE`` for a value that lies in no bundle.
        """
        return self._berths.get(key) or (key, WHOLE)

    def forget(self, key: DataKey) -> None:
        """Let go of the name of a value that was released.

        Parameters
        ----------
        key : tuple
            The attempt's data key.
        """
        self._berths.pop(key, None)

    def _berth(self, chunk: Sequence[Shipment]) -> BundleKey:
        self._serial += 1
        key: BundleKey = (*chunk[0].key, self._serial)
        for slot, shipment in enumerate(chunk):
            self._berths[shipment.key] = key, slot
        return key

    def _bundle(self, key: BundleKey, chunk: Sequence[Shipment]) -> Bundle:
        places: dict[DataKey | BundleKey, int] = {}
        members: list[Member] = [
            (shipment.key, shipment.spec, self._stretches(shipment.needs, places)) for shipment in chunk
        ]
        first = chunk[0]
        payload = pickle.dumps(tuple(members), 5)
        return Bundle(key, tuple(chunk), first.flow, first.task, tuple(places), payload, first.annotations)

    def _stretches(
        self, needs: Sequence[DataKey], places: dict[DataKey | BundleKey, int]
    ) -> tuple[Stretch, ...]:
        found: list[Stretch] = []
        for need in needs:
            key, slot = self._berths.get(need) or (need, WHOLE)
            place = places.setdefault(key, len(places))
            if found and slot != WHOLE:
                last, start, count = found[-1]
                if last == place and start + count == slot:
                    found[-1] = place, start, count + 1
                    continue
            found.append((place, slot, 1))
        return tuple(found)


def _groups(shipments: Sequence[Shipment]) -> list[list[Shipment]]:
    """Sort a turn's shipments by task, by annotations, and by how many others of the turn come before them.

    Those of one depth never need each other, and bundles of one depth only need bundles of a smaller one; so
    no circle can close, within a turn or over several.
    """
    depths: dict[DataKey, int] = {}
    groups: dict[tuple[int, int, int], list[Shipment]] = {}
    for shipment in shipments:
        depth = 0
        for need in shipment.needs:
            above = depths.get(need)
            if above is not None and above >= depth:
                depth = above + 1
        depths[shipment.key] = depth
        groups.setdefault((depth, id(shipment.task), id(shipment.annotations)), []).append(shipment)
    return list(groups.values())
