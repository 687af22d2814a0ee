"""What a Dask worker calls for a bundle: its attempts one after the other, each as if it had come alone.

The loop in ``_run_tightly`` is what a tiny body costs; all that is not needed for each of a thousand plain
successes is made before it, after it, or when somebody asks.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterable, Iterator, Sequence
from contextvars import copy_context
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

from prefectlite.core.layers import enter_layer
from prefectlite.lowering.pace import VALUE_LIMIT
from prefectlite.lowering.parts import Block, Part
from prefectlite.lowering.spec import opened
from prefectlite.lowering.wrappers import Done, Held, Hold, Packed, Slots, Succeeded
from prefectlite.masking import KNOWN, secrets_in
from prefectlite.results.serializers import small_dumps
from prefectlite.states.signals import Signal
from prefectlite.worker.active import LONGEST, Active
from prefectlite.worker.around import Around, Kind, Kinds
from prefectlite.worker.attempt import HELD as HOLDS
from prefectlite.worker.attempt import (
    Interruption,
    Outcome,
    ended_by,
    exception_limit,
    failed,
    perform_at,
    returned,
    unopened,
)
from prefectlite.worker.desk import Desk, desk_of
from prefectlite.worker.entry import open_early
from prefectlite.worker.failures import Look, look_of
from prefectlite.worker.here import Here
from prefectlite.worker.labels import current
from prefectlite.worker.ledger import Ledger, Names
from prefectlite.worker.opened import open_flow, open_task
from prefectlite.worker.pool import staying
from prefectlite.worker.records import AGAIN, DROPPED, VALUE
from prefectlite.worker.revival import keep_said, keep_success
from prefectlite.worker.stretches import expand, held_places
from prefectlite.worker.strips import Row, Single, Strip
from prefectlite.worker.wire import HELD, MARK, Item, encode, is_bare, like, plain_facts, route_of

#: So many bundles of a task go back whole when it has made a value that is too large for a bundle.
GO_BACK: Final = 64
#: The outcome of an attempt that says what the last one said: its report would be the same.
_AGAIN: Final = Outcome(None, is_final=False)


def run_bundle(payload: bytes, count: int, flow: bytes | Packed, *rest: Any) -> Slots:
    """Run the attempts of a bundle where the scheduler listens to reports.

    Parameters
    ----------
    payload : bytes
        The pickled tuple of parts.
    count : int
        How many tasks there are.
    flow : bytes or Packed
        The flow run's facts.
    *rest : object
        The tasks (bytes or ``Packed``), then what lies under the keys that the parts need.

    Returns
    -------
    Slots
        One value for each attempt; ``Held`` where there is no plain success, or none yet.

    Raises
    ------
    Hold
        When the flow run is called off.
    """
    slots = _run(payload, flow, rest[:count], rest[count:], False)
    if slots is None:
        raise Hold  # here and not further in: Dask pickles the frames
    return slots


def run_bundle_by_topic(payload: bytes, count: int, flow: bytes | Packed, *rest: Any) -> Slots:
    """Do what ``run_bundle`` does where the scheduler accepts no plugin.

    Parameters
    ----------
    payload, count, flow, *rest
        As of ``run_bundle``.

    Returns
    -------
    Slots
        As of ``run_bundle``.

    Raises
    ------
    Hold
        As of ``run_bundle``.
    """
    slots = _run(payload, flow, rest[:count], rest[count:], True)
    if slots is None:
        raise Hold
    return slots


def _run(
    payload: bytes,
    flow: bytes | Packed,
    tasks: Sequence[bytes | Packed],
    values: Sequence[Any],
    by_topic: bool,
) -> Slots | None:
    """Run a bundle and tell what came of it; None when it was called off."""
    from distributed.worker import get_worker

    worker = get_worker()
    desk = desk_of(worker)
    parts: tuple[Part, ...] = pickle.loads(payload)
    ledger = Ledger(worker.get_current_task(), desk.address, Names(parts))
    if not _perform(desk, ledger, by_topic, parts, flow, tasks, values):
        return None
    item = ledger.close()
    if item is not None:
        tell(desk, worker, item, by_topic)
    return Slots(ledger.wrappers, ledger.nbytes())


def tell(desk: Desk, worker: Any, item: Item, by_topic: bool) -> None:
    """Send what came of a bundle when it ends.

    Parameters
    ----------
    desk : Desk
        The worker's.
    worker : distributed.Worker
        The worker.
    item : tuple
        A ``BUNDLE`` item.
    by_topic : bool
        Whether it goes through a Dask topic.
    """
    if by_topic:
        desk.say(route_of(item[1]), by_topic, item)
    else:
        worker.state.tasks[item[1]].metadata[MARK] = item


def _perform(
    desk: Desk,
    ledger: Ledger,
    by_topic: bool,
    parts: Sequence[Part],
    flow: bytes | Packed,
    tasks: Sequence[bytes | Packed],
    values: Sequence[Any],
) -> bool:
    """Run the attempts of a bundle; return whether somebody waits for what came of them."""
    is_done = False
    try:
        active = desk.begin(ledger.key, by_topic, ledger)
    except Interruption:
        return False
    try:
        try:
            open_early(flow, *tasks)
            desk.capture(flow)
            active.enter()
            runner = _Runner(desk, active, ledger, flow, tasks, values)
            # A context of its own: each attempt gets a copy of it, in which nothing of ours is left behind.
            copy_context().run(runner.run, parts)
            is_done = not active.is_called_off
        except Interruption:
            pass
        while True:
            try:
                active.leave()
                return is_done and not active.is_called_off
            except Interruption:
                # Sent while the loop ended; there is one at most.
                continue
    finally:
        desk.end(active)


class _Runner:
    """Runs the parts of a bundle."""

    def __init__(
        self,
        desk: Desk,
        active: Active,
        ledger: Ledger,
        flow: bytes | Packed,
        tasks: Sequence[bytes | Packed],
        values: Sequence[Any],
    ) -> None:
        self._active = active
        self._ledger = ledger
        self._here: Here = desk.here(active)
        self._stop_word = desk.stop_word
        self._record = active.record
        self._stay = staying()
        self._flow, self._tasks, self._values = flow, tasks, values
        # Strips that consume what they read, and their first slots.
        self._consuming: list[tuple[int, Strip]] = []
        # By place of its task, once it could be opened.
        self._kinds: dict[int, Kinds] = {}
        # Of the last attempt that was no plain success, where others may say the same.
        self._look: Look | None = None
        self._last: Item | None = None

    def run(self, parts: Sequence[Part]) -> None:
        """Run them in order, until they have taken too long or no slot is left."""
        until = time.time() + LONGEST
        for kind, strips in groupby(self._strips(parts, until), attrgetter("kind")):
            is_tight = kind.apart is None and kind.keeping is None
            if not (self._run_tightly if is_tight else self._run_singly)(kind, strips, until):
                break
        self._let_go()
        self._record.end()

    def _let_go(self) -> None:
        """Drop values that nobody needs any more, since the attempts that took them have succeeded.

        The driver would let go of them when it hears of that, and the scheduler after it: some 15 ms later.
        """
        for first, strip in self._consuming:
            for wrapper, values in zip(self._ledger.wrappers[first:], strip.consumed, strict=False):
                if isinstance(wrapper, Succeeded | Done):
                    for slots, slot in values:
                        slots.spend(slot)

    def _strips(self, parts: Sequence[Part], until: float) -> Iterator[Strip]:
        """Open the parts, each when those before it have ended."""
        for part in parts:
            try:
                strip = self._open(part)
            except Interruption:
                raise
            except BaseException as error:
                if not self._refuse(part, error, until):
                    return
                continue
            if self._goes_back(strip.kind):
                return
            if strip.consumed:
                self._consuming.append((len(self._ledger.wrappers), strip))
            try:
                yield strip
            finally:
                strip.forget()

    def _open(self, part: Part) -> Strip:
        kinds, own = self._kinds.get(part.task), self._ledger.wrappers
        if kinds is None:
            flow, task = open_flow(self._flow), open_task(self._tasks[part.task])
            kinds = self._kinds[part.task] = Kinds(flow, task, self._here)
        if isinstance(part, Block):
            return Row(kinds, part, self._values, own)
        return Single(kinds, opened(part.spec), expand(part.reads, self._values, own))

    def _goes_back(self, kind: Kind) -> bool:
        """Return whether nothing more of a bundle should begin here, since its values are too large for one.

        Who sent it learns the same from the report of such a value, and sends each attempt by itself. Should
        that report never be heard, no more than so many bundles wait for it.
        """
        large = kind.flow.large
        left = large.get(kind.task, 0)
        if not left or len(self._ledger.free) < 2:
            return False
        large[kind.task] = left - 1
        return True

    def _run_tightly(self, kind: Kind, strips: Iterable[Strip], until: float) -> bool:
        """Run the attempts of strips of a kind; return whether to go on with the next."""
        active, ledger, record = self._active, self._ledger, self._record
        limit = -1 if kind.measure else min(kind.inline_limit, VALUE_LIMIT)
        run, attempt, made = kind.run, kind.attempt, VALUE
        wrap: Any = Succeeded
        if kind.drop_value:
            wrap, made = _done, DROPPED
        take, now, speak, stay = ledger.free.popleft, time.time, current.set, self._stay
        stop_word, word, keep = self._stop_word, record.word, record.keep
        book_plain = ledger.book_plain
        for strip in strips:
            first, held, arguments_of = strip.first, strip.held, strip.arguments
            for place in range(strip.count):
                try:
                    slot = take()
                except IndexError:
                    return False
                stay()
                active.started = started = now()
                active.slot = slot
                word[0] = slot + 1
                if active.is_called_off or stop_word[0]:
                    raise Interruption
                if held and place in held:
                    self._book(HOLDS, slot)
                    continue
                around = Around(kind, None if first is None else first + place, strip, started)
                enter_layer(around)
                speak(around)  # a worker always has where to send what is logged
                outcome = None
                try:
                    value = copy_context().run(run, **arguments_of(place))
                except BaseException as error:
                    outcome = self._ended_by(kind, error, started, strip.making)
                ended = now()
                if around.lines is not None:
                    around.leave()
                if outcome is None:
                    inline = small_dumps(value)
                    if inline is not None and len(inline) <= limit and not (KNOWN and secrets_in(inline)):
                        keep(made, started, ended, inline)
                        book_plain(wrap(value, started, ended, attempt), inline, started, ended)
                        if ended > until:
                            return False
                        continue
                    try:
                        outcome = returned(kind, value, None, started, ended)
                    except BaseException as error:
                        outcome = failed(kind, error, started)
                if self._is_large(kind, self._book(outcome, slot, started, ended)) or now() > until:
                    return False
        return True

    def _run_singly(self, kind: Kind, strips: Iterable[Strip], until: float) -> bool:
        """Do the same where each attempt takes its time: apart, or with a look at what is stored."""
        active = self._active
        for strip, place in ((one, place) for one in strips for place in range(one.count)):
            try:
                slot = self._ledger.free.popleft()
            except IndexError:
                return False
            self._stay()
            active.started = time.time()
            active.slot = slot
            self._record.word[0] = slot + 1
            if active.is_called_off or self._stop_word[0]:
                raise Interruption
            if self._is_large(kind, self._book(perform_at(strip, place), slot)) or time.time() > until:
                return False
        return True

    def _is_large(self, kind: Kind, nbytes: int) -> bool:
        """Return whether a value is too large for a bundle, and remember whose it was."""
        if nbytes <= VALUE_LIMIT:
            return False
        kind.flow.large[kind.task] = GO_BACK
        return True

    def _refuse(self, part: Part, error: BaseException, until: float) -> bool:
        """Say of a part's attempts that they cannot be opened; return whether to go on."""
        held = held_places(part, self._values, self._ledger.wrappers)
        for place in range(part.count if isinstance(part, Block) else 1):
            try:
                slot = self._ledger.free.popleft()
            except IndexError:
                return False
            started = time.time()
            self._record.word[0] = slot + 1
            is_held = place in held
            self._book(HOLDS if is_held else unopened(error, started, self._here.where), slot)
        return time.time() <= until

    def _book(self, outcome: Outcome, slot: int, started: float = 0.0, ended: float = 0.0) -> int:
        """Note what became of a slot; return the size of its value."""
        report, wrapper, ledger = outcome.report, outcome.wrapper, self._ledger
        if outcome is _AGAIN:
            assert self._last is not None
            item = like(self._last, ledger.names.key(slot), started, ended)
            self._record.keep(AGAIN, started, ended, b"")
            ledger.book(Held(item), item, started, ended)
            return 0
        if report is None or wrapper is None:
            key = ledger.names.key(slot)
            item = (HELD, key) if report is None else encode(key, report)
            self._look, self._last = (outcome.look if report and report.retryable else None), item
            started, ended = (0.0, 0.0) if report is None else (report.started, report.ended)
            keep_said(self._record, item, started, ended)
            ledger.book(Held(item), item, started, ended)
            return 0
        facts = plain_facts(report)
        keep_success(self._record, wrapper, facts)
        if report.inline is not None and is_bare(facts):
            ledger.book_plain(wrapper, report.inline, report.started, report.ended)
        else:
            # Told in full, for what it says beside its value or for want of it.
            ledger.book(wrapper, facts, report.started, report.ended)
        return report.nbytes

    def _ended_by(self, kind: Kind, error: BaseException, started: float, making: str) -> Outcome:
        """Return the outcome of an attempt whose body raised; a short one if the last said just that."""
        if (
            self._look is not None
            and not making
            and isinstance(error, Exception)
            and not isinstance(error, Signal)
            and kind.task.envelope.retry_on is None
            and look_of(error, exception_limit(kind)) is self._look
        ):
            return _AGAIN
        return ended_by(kind, error, started, making)


def _done(value: Any, started: float, ended: float, attempt: int) -> Done:
    return Done(started, ended, attempt)
