"""Values that outlive their cluster: written by the workers, read by the driver, on one machine's disk."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, TypeAlias

from prefectlite.errors import SerializationError
from prefectlite.lowering.keys import DataKey
from prefectlite.lowering.wrappers import Succeeded
from prefectlite.results.serializers import dumps

#: Where a value lies: file, first byte, how many bytes.
Slot: TypeAlias = tuple[str, int, int]


def write_spool(directory: str, keys: list[DataKey], dask_worker: Any = None) -> dict[DataKey, Slot]:
    """Write values that a worker holds to disk; asked by the driver before its cluster closes.

    Parameters
    ----------
    directory : str
        Where to write.
    keys : list of tuple
        The values' data keys; those that are not here are passed over.
    dask_worker : distributed.Worker
        This worker; filled in by Dask.

    Returns
    -------
    dict of tuple to (str, int, int)
        Where each lies.
    """
    slots: dict[DataKey, Slot] = {}
    name = Path(directory) / f"{dask_worker.id}.pickles"
    with name.open("wb") as file:
        for key in keys:
            if key not in dask_worker.data:
                continue
            wrapper = dask_worker.data[key]
            if not isinstance(wrapper, Succeeded):
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
            slots[key] = (str(name), start, file.tell() - start)
    return slots


def read_spool(slot: Slot) -> Any:
    """Read one value.

    Parameters
    ----------
    slot : (str, int, int)
        From ``write_spool``.

    Returns
    -------
    object
        The value.
    """
    name, start, _ = slot
    with Path(name).open("rb") as file:
        file.seek(start)
        return pickle.load(file)
