"""What stands in for attempts whose worker was lost, so that no body runs twice. Knows Dask's worker.

The scheduler plugin puts these where bodies would run again, and tells the driver by itself what became of
the attempts: a stand-in needs a worker's thread, and may have to wait for one for long. What is left to it
are the values: what had ended is handed over as far as it was kept. It says nothing unless it is asked, or
finds that a value cannot be opened where it is.
"""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable
from functools import cache
from typing import Any, Final, NamedTuple, TypeAlias

from prefectlite.lowering.keys import DataKey, is_bundle, is_part
from prefectlite.lowering.parts import Part
from prefectlite.lowering.wrappers import Done, Held, Hold, Slots, Succeeded
from prefectlite.states.report import Report
from prefectlite.states.state import Crashed
from prefectlite.worker.active import Active
from prefectlite.worker.bundle import tell
from prefectlite.worker.desk import desk_of
from prefectlite.worker.entry import say_end
from prefectlite.worker.exits import Exit, judge_exit
from prefectlite.worker.ledger import Names
from prefectlite.worker.records import Kept, read_record
from prefectlite.worker.revival import Wrapper, revive, said_by
from prefectlite.worker.wire import PLAIN, RETURNED, SEALED, Item, encode, told_singly

#: How long the scheduler may take to say how a worker ended, in seconds.
ASK_TIMEOUT: Final = 5.0
#: Tells why an attempt was lost: cause and text.
Why: TypeAlias = Callable[[], tuple[str, str]]

_NOT_KEPT: Final = (
    "The attempt had succeeded, but its result was too large to be kept beside its worker, and ended with it."
)
_NOT_OPENED: Final = (
    "The attempt had succeeded, but its worker ended, and its result, which was kept, cannot be unpickled on "
    "another."
)


class Loss(NamedTuple):
    """A Dask task of ours that was lost with its worker.

    Parameters
    ----------
    cause : str
        ``"worker-lost"`` or ``"result-lost"``.
    text : str
        What happened.
    ended : float
        When, in seconds since the epoch.
    record : bytes or None
        What was kept of it; None when nothing is known, so that all of it may have run.
    who : str
        The address of the worker that had it, if its nanny may know how it ended.
    running : int
        As of ``judge_exit``.
    """

    cause: str
    text: str
    ended: float
    record: bytes | None = None
    who: str = ""
    running: int = 0

    def judged(self, found: Exit | None) -> tuple[str, str]:
        """Return why what ran there was lost.

        Parameters
        ----------
        found : Exit or None
            How the worker's process ended, if its nanny has told.

        Returns
        -------
        (str, str)
            Cause and text.
        """
        told = None if found is None else judge_exit(found, self.running)
        return told or (self.cause, self.text)


def told_of_loss(key: Any, loss: Loss, found: Exit | None) -> list[Item]:
    """Return what is to be said of a Dask task that was lost; opens nothing of a user's.

    Parameters
    ----------
    key : tuple
        The Dask task.
    loss : Loss
        What was lost.
    found : Exit or None
        How the worker's process ended, if its nanny has told.

    Returns
    -------
    list of tuple
        Items, in order. Of a bundle's slots nothing is said that had not begun.
    """
    cause, text = loss.judged(found)
    ends = _Ends(loss, lambda: (cause, text), loss.who, _unopened)
    if not is_bundle(key):
        _, entry = ends.of(key, 0)
        is_success = isinstance(entry[0], float)
        return [(PLAIN, key, loss.who, entry)] if is_success else [entry, (SEALED, key, 1, cause, text)]
    begun = 1 if ends.begun is None and is_part(key) else ends.begun
    if not begun:
        # Nothing ended there: of a part of a reduce, even a report of no slots would be one of its success.
        return [(SEALED, key, begun, cause, text)]  # where None, the driver knows how many slots there are
    # Their data keys stand in the payload, which may hold what only workers can open.
    entries = [ends.of(None, slot)[1] for slot in range(begun)]
    item = told_singly(key, loss.who, entries)
    if loss.cause == "result-lost" and all(isinstance(entry[0], float) for entry in entries):
        return [item]
    return [item, (SEALED, key, begun, cause, text)]


def run_lost(*loss: Any) -> Wrapper:
    """Hand over what an attempt had come to that was lost.

    Parameters
    ----------
    *loss : object
        As of ``Loss``.

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
    ends = _Ends(Loss(*loss), _asking(worker, Loss(*loss)), desk.address, revive)
    wrapper, entry = ends.of(key, 0)
    if isinstance(wrapper, Succeeded | Done):
        return wrapper
    if ends.not_opened:
        say_end(desk, Active(key, False), entry)
    else:
        desk.remember(key, entry)
    raise Hold


def lose_bundle(payload: bytes, *loss: Any) -> Slots:
    """Hand over what a bundle's attempts had come to that was lost.

    Parameters
    ----------
    payload : bytes
        As of ``run_bundle``.
    *loss : object
        As of ``Loss``.

    Returns
    -------
    Slots
        One value for each attempt; ``Held`` for those that did not succeed.
    """
    from distributed.worker import get_worker

    worker = get_worker()
    desk, key = desk_of(worker), worker.get_current_task()
    parts: tuple[Part, ...] = pickle.loads(payload)
    names = Names(parts)
    ends = _Ends(Loss(*loss), _asking(worker, Loss(*loss)), desk.address, revive)
    begun = len(names) if ends.begun is None else ends.begun
    found = [ends.of(names.key(slot), slot) for slot in range(begun)]
    if ends.not_opened:
        tell(desk, worker, told_singly(key, desk.address, [entry for _, entry in found]), False)
    rest = [Held((RETURNED, names.key(slot))) for slot in range(begun, len(names))]
    return Slots([wrapper for wrapper, _ in found] + rest)


def _unopened(kept: Kept, key: DataKey | None) -> tuple[None, Item] | None:
    said = said_by(kept, key)
    return None if said is None else (None, said)


def _asking(worker: Any, loss: Loss) -> Why:
    """Return what tells why an attempt was lost: its worker's nanny, if need be and if it knows."""
    from distributed.utils import sync

    @cache
    def why() -> tuple[str, str]:
        found = None
        if loss.who:
            with contextlib.suppress(Exception):
                ask = worker.scheduler.prefectlite_exit_of
                found = sync(worker.loop, ask, worker=loss.who, callback_timeout=ASK_TIMEOUT)
        return loss.judged(None if found is None else Exit(*found))

    return why


class _Ends:
    """How the attempts of a Dask task ended that was lost.

    Parameters
    ----------
    loss : Loss
        What was lost.
    why : callable
        Tells why, when somebody needs to know.
    where : str
        The worker's address to be told.
    look : callable
        Returns what stands for an attempt of which something was kept, and what it said; None when it cannot.
    """

    def __init__(self, loss: Loss, why: Why, where: str, look: Callable[[Kept, Any], Any]) -> None:
        self._why, self._where, self._look, self._ended = why, where, look, loss.ended
        found = None if loss.record is None else read_record(loss.record)
        #: How many attempts had begun; None when that is not known.
        self.begun = None if found is None else found.begun
        self._kept = [] if found is None else found.kept
        #: How many values were kept and cannot be opened.
        self.not_opened = 0

    def of(self, key: DataKey | None, slot: int) -> tuple[Any, Item]:
        """Return what stands for an attempt that had begun, and what is to be said of it."""
        if slot < len(self._kept):
            kept = self._kept[slot]
            found: tuple[Any, Item] | None = self._look(kept, key)
            if found is not None:
                return found
            cause, text, started, ended = "result-lost", _NOT_KEPT, kept.started, kept.ended
            if said_by(kept, key) is not None:
                self.not_opened += 1
                text = _NOT_OPENED
        else:
            cause, text = self._why()
            started = ended = self._ended
        item = encode(key, Report(Crashed(text, cause=cause), started, ended, where=self._where))
        return Held(item), item
