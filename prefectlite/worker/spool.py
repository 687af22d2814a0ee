"""Values that outlive their cluster: written by the workers, read by the driver, on one machine's disk."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, TypeAlias

from prefectlite.errors import SerializationError
from prefectlite.lowering.keys import BundleKey, DataKey
from prefectlite.lowering.wrappers import Slots, Succeeded
from prefectlite.masking import KNOWN, secrets_in
from prefectlite.results.serializers import dumps

#: Under which key a value stands on the cluster, and in which slot of a bundle.
Berth: TypeAlias = tuple[DataKey | BundleKey, int]
#: Where a value lies: file, first byte, how many bytes; or the value itself, pickled.
Slot: TypeAlias = tuple[str, int, int] | bytes


def write_spool(directory: str, berths: list[Berth], dask_worker: Any = None) -> dict[Berth, Slot]:
    """Write values that a worker holds to disk; asked by the driver before its cluster closes.

    Parameters
    ----------
    directory : str
        Where to write.
    berths : list of (tuple, int)
        Where the values are, as of ``Packer.berth``; those that are not here are passed over.
    dask_worker : distributed.Worker
        This worker; filled in by Dask.

    Returns
    -------
    dict of tuple to Slot
        Where each lies; what must not stand on a disk, since there is a secret in it, is told itself.
    """
    slots: dict[Berth, Slot] = {}
    name = Path(directory) / f"{dask_worker.id}.pickles"
    with name.open("wb") as file:
        for key, place in berths:
            if key not in dask_worker.data:
                continue
            wrapper = dask_worker.data[key]
            if isinstance(wrapper, Slots):
                wrapper = wrapper.wrappers[place]
            if not isinstance(wrapper, Succeeded):
                continue
            if KNOWN and secrets_in(content := _pickled(wrapper.value)):
                slots[key, place] = content
                continue
            start = file.tell()
            try:
                # To the file at once: a second copy in memory might be one too many.
                pickle.dump(wrapper.value, file, 5)
            except Exception:
                file.seek(start)
                file.truncate()
                try:
                    file.write(dumps(wrapper.value))
                except SerializationError:
                    continue
            slots[key, place] = (str(name), start, file.tell() - start)
    return slots


def _pickled(value: Any) -> bytes:
    """Return a value's bytes; none where it cannot be pickled."""
    try:
        return dumps(value)
    except SerializationError:
        return b""


def read_spool(slot: Slot) -> Any:
    """Read one value.

    Parameters
    ----------
    slot : Slot
        From ``write_spool``.

    Returns
    -------
    object
        The value.
    """
    if isinstance(slot, bytes):
        return pickle.loads(slot)
    name, start, _ = slot
    with Path(name).open("rb") as file:
        file.seek(start)
        return pickle.load(file)
