"""What stands in for attempts whose worker was lost, so that no body runs twice. Knows Dask's worker.

The scheduler plugin puts these where bodies would run again. What had ended is handed over as far as it was
kept, what was running has crashed, and what had not begun goes back.
"""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable
from functools import cache
from typing import Any, Final, TypeAlias

from prefectlite.lowering.keys import DataKey
from prefectlite.lowering.parts import Part
from prefectlite.lowering.wrappers import Held, Hold, Slots
from prefectlite.states.report import Report
from prefectlite.states.state import Crashed
from prefectlite.worker.bundle import tell
from prefectlite.worker.desk import Active, desk_of
from prefectlite.worker.entry import say_end
from prefectlite.worker.exits import Exit, judge_exit
from prefectlite.worker.ledger import Ledger, Names
from prefectlite.worker.records import Found, read_record
from prefectlite.worker.revival import Wrapper, revive
from prefectlite.worker.wire import MARK, Item, encode, is_bare

#: Of a worker of which nothing more can be told: no address, and no number of bodies.
NOBODY: Final = ("", 0)
#: How long the scheduler may take to say how a worker ended, in seconds.
ASK_TIMEOUT: Final = 5.0
#: Tells why an attempt was lost: cause and text.
Why: TypeAlias = Callable[[], tuple[str, str]]

_NOT_KEPT: Final = (
    "The attempt had succeeded, but its result was too large to be kept beside its worker, and ended with it."
)


def run_lost(
    cause: str, text: str, ended: float, record: bytes | None = None, who: str = "", running: int = 0
) -> Wrapper:
    """Say of an attempt that it is lost, or how it had ended.

    Parameters
    ----------
    cause : str
        ``"worker-lost"`` or ``"result-lost"``.
    text : str
        What happened.
    ended : float
        When, in seconds since the epoch.
    record : bytes or None
        What was kept of it.
    who : str
        The address of the worker that had it, if its nanny may know how it ended.
    running : int
        As of ``judge_exit``.

    Returns
    -------
    Succeeded or Done
        What it had come to, if that was a plain success.

    Raises
    ------
    Hold
        When it was not.
    """
    from distributed.worker import get_worker

    worker = get_worker()
    desk, key = desk_of(worker), worker.get_current_task()
    found = None if record is None else read_record(record)
    why = _why(worker, cause, text, who, running)
    wrapper, entry = _end_of(key, found, 0, why, ended, desk.address)
    if not isinstance(wrapper, Held):
        worker.state.tasks[key].metadata[MARK] = entry
        return wrapper
    say_end(desk, Active(key, False), entry)
    raise Hold


def lose_bundle(
    cause: str,
    text: str,
    ended: float,
    payload: bytes,
    record: bytes | None = None,
    who: str = "",
    running: int = 0,
) -> Slots:
    """Say of a bundle's attempts what was lost, and hand over the rest.

    Parameters
    ----------
    cause : str
        ``"worker-lost"`` or ``"result-lost"``.
    text : str
        What happened.
    ended : float
        When, in seconds since the epoch.
    payload : bytes
        As of ``run_bundle``.
    record : bytes or None
        What was kept of it; None when nothing is known, so that all may have run.
    who : str
        The address of the worker that had it, if its nanny may know how it ended.
    running : int
        As of ``judge_exit``.

    Returns
    -------
    Slots
        One value for each attempt; ``Held`` for those that did not succeed.
    """
    from distributed.worker import get_worker

    worker = get_worker()
    desk = desk_of(worker)
    parts: tuple[Part, ...] = pickle.loads(payload)
    names = Names(parts)
    found = None if record is None else read_record(record)
    ledger = Ledger(worker.get_current_task(), desk.address, names)
    why = _why(worker, cause, text, who, running)
    for slot in range(len(names) if found is None else found.begun):
        wrapper, entry = _end_of(names.key(slot), found, slot, why, ended, desk.address)
        if isinstance(wrapper, Held):
            ledger.book(wrapper, entry)
        elif entry[2] is not None and is_bare(entry):
            ledger.book_plain(wrapper, entry[2], entry[0], entry[1])
        else:
            ledger.book(wrapper, entry, entry[0], entry[1])
    item = ledger.close()
    assert item is not None  # nothing was told before
    tell(desk, worker, item, False)
    return Slots(ledger.wrappers, ledger.nbytes())


def _why(worker: Any, cause: str, text: str, who: str, running: int) -> Why:
    """Return what tells why an attempt was lost: its worker's nanny, if need be and if it knows."""
    from distributed.utils import sync

    @cache
    def why() -> tuple[str, str]:
        told = None
        if who:
            with contextlib.suppress(Exception):
                ask = worker.scheduler.prefectlite_exit_of
                found = sync(worker.loop, ask, worker=who, callback_timeout=ASK_TIMEOUT)
                told = None if found is None else judge_exit(Exit(*found), running)
        return told or (cause, text)

    return why


def _end_of(
    key: DataKey, found: Found | None, slot: int, why: Why, ended: float, where: str
) -> tuple[Wrapper, Item]:
    """Return what stands for an attempt that had begun, and what is to be said of it."""
    started = ended
    if found is not None and slot < len(found.kept):
        kept = found.kept[slot]
        revived = revive(kept, key)
        if revived is not None:
            return revived
        cause, text, started, ended = "result-lost", _NOT_KEPT, kept.started, kept.ended
    else:
        cause, text = why()
    item = encode(key, Report(Crashed(text, cause=cause), started, ended, where=where))
    return Held(item), item
