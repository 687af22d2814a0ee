"""How reports travel from a worker to the driver: small tuples that msgpack carries. Knows no channel.

Each item begins with its kind and the data key of its attempt. A plain success, by far the most frequent,
is bare facts; all else is a pickled report, with its state in words beside it in case that the driver
cannot open it. A bundle tells of all its attempts in one item, whose columns are arrays.
"""

from __future__ import annotations

import pickle
from array import array
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from prefectlite.errors import OF_USER_CODE, SerializationError, TaskError
from prefectlite.lowering.keys import BundleKey, DataKey
from prefectlite.results.serializers import dumps, dumps_failure
from prefectlite.states.report import Report
from prefectlite.states.state import Failed, Success
from prefectlite.states.surroundings import NO_CONTEXT
from prefectlite.worker.failures import described
from prefectlite.worker.logs import LogLine

#: What travels: the kind, then what the kind says.
Item: TypeAlias = tuple[Any, ...]

#: ``(PLAIN, key, where, facts)``: a plain success.
PLAIN: Final = 0
#: ``(OTHER, key, payload, class name, text, started, ended)``: a pickled report, but for its times.
OTHER: Final = 1
#: ``(HELD, key)``: the attempt stopped before its body.
HELD: Final = 2
#: ``(STARTED, key, where, time)``: the attempt has been running for a while.
STARTED: Final = 3
#: ``(LOGS, payload)``: pickled log lines.
LOGS: Final = 4
#: ``(ERRED, key)``: said by the scheduler; the key erred, whatever its attempt said.
ERRED: Final = 5
#: ``(BUNDLE, key, where, first, started, ended, sizes, blob, others)``: what attempts of a bundle came to, as
#: ``bundle_item`` writes and ``read_bundle`` reads it.
BUNDLE: Final = 6
#: ``(RETURNED, key)``: a bundle ended before it came to the attempt, which has not begun.
RETURNED: Final = 7
#: ``(GOING, key)``: a bundle tells of its attempts while this one still runs; its end will be told later.
GOING: Final = 8

#: ``(ALIKE, count, payload, class name, text)``: so many attempts of a bundle, from this slot on, that said
#: the same; their times stand in the columns.
ALIKE: Final = 9

#: ``(UNPLACED, key, what)``: said by the scheduler; what the Dask task asks for and no worker has, in words;
#: empty when one has it after all.
UNPLACED: Final = 10

#: ``(WORKER, address, came)``: said by the scheduler; whether the worker came or is gone.
WORKER: Final = 11

#: ``(SEALED, key, begun, cause, text)``: said by the scheduler; the Dask task was lost with its worker. Its
#: first ``begun`` slots were told of, the others have not begun, and who waits for it should not. None for
#: ``begun`` when nothing could be told: cause and text stand for each slot.
SEALED: Final = 12
#: What a plain success says beside its times and its value when it has nothing to say.
BARE: Final = (None,) * 6

#: The name of ours among a task's metadata, in messages and in topics.
MARK: Final = "prefectlite"
#: The operation of a worker's own message to the scheduler plugin.
SAY: Final = "prefectlite-say"
#: What the driver asks of the scheduler, and that of a worker: values of a bundle that goes on.
EARLY: Final = "prefectlite_early"


def route_of(key: DataKey | BundleKey) -> str:
    """Return what of a data key names its flow run.

    Parameters
    ----------
    key : tuple
        A data key of ours.

    Returns
    -------
    str
        The first 8 hexadecimal digits of the flow run's identity.
    """
    return key[0][-8:]


def is_of(key: Any, route: str) -> bool:
    """Return whether a Dask task belongs to a flow run.

    Parameters
    ----------
    key : tuple or str
        Its key; it may be anybody's.
    route : str
        Which flow run.

    Returns
    -------
    bool
        False for the tasks of other users.
    """
    return type(key) is tuple and type(key[0]) is str and key[0][-8:] == route


def plain_facts(report: Report) -> Item:
    """Return what a plain success has to say.

    Parameters
    ----------
    report : Report
        With no state.

    Returns
    -------
    tuple
        What ``plain_report`` reads.
    """
    return (
        report.started,
        report.ended,
        report.inline,
        report.nbytes,
        report.length,
        report.flat_length,
        report.unmappable,
        *told_of(report),
    )


def told_of(report: Report) -> Item:
    """Return what a plain success has to tell beside its value and times; a part of its facts.

    Parameters
    ----------
    report : Report
        With no state.

    Returns
    -------
    tuple
        What ``noted`` reads.
    """
    state = report.success
    news: bytes | str | None = None
    if state is not None:
        is_text = type(state) is Success and not (state.context or state.has_result)
        news = _sendable(state.message) if is_text else dumps(state)
    told = news, _sendable(report.location), report.forced or None
    return told if report.digest is None else (*told, report.digest)


def noted(report: Report, told: Sequence[Any]) -> Report:
    """Return the report of a plain success that has something to tell.

    Parameters
    ----------
    report : Report
        The rest of it.
    told : sequence
        From ``told_of``.

    Returns
    -------
    Report
        As the worker wrote it; a state that cannot be opened in this process is a ``Success`` that says so.
    """
    news, location, forced, *stored = told
    success: Success | None = None
    if isinstance(news, bytes):
        success = _opened(news)
    elif news:
        success = Success(news, context=NO_CONTEXT)
    digest = stored[0] if stored else None
    return report._replace(success=success, location=location, forced=bool(forced), digest=digest)


def _opened(payload: bytes) -> Success:
    try:
        state = pickle.loads(payload)
        if isinstance(state, Success):
            return state
        reason = f"it is a {type(state).__name__}"
    except OF_USER_CODE as error:
        reason = described(error)
    return Success(
        f"The body ended well, but the state that it asked for cannot be read here: {reason}",
        context=NO_CONTEXT,
    )


def is_bare(facts: Sequence[Any]) -> bool:
    """Return whether a plain success has nothing to say beside its times and its value.

    Parameters
    ----------
    facts : sequence
        From ``plain_facts``.

    Returns
    -------
    bool
        Whether it can be told in columns, if its value is inline.
    """
    return tuple(facts[4:]) == BARE


def told_in(facts: Sequence[Any]) -> Item:
    """Return what a plain success has to tell beside its value and times.

    Parameters
    ----------
    facts : sequence
        From ``plain_facts``.

    Returns
    -------
    tuple
        As of ``told_of``.
    """
    return tuple(facts[7:])


def plain_report(facts: Sequence[Any], where: str) -> Report:
    """Return the report of a plain success.

    Parameters
    ----------
    facts : sequence
        From ``plain_facts``.
    where : str
        The worker's address.

    Returns
    -------
    Report
        As the worker wrote it.
    """
    started, ended, inline, nbytes, length, flat_length, unmappable, *told = facts
    report = Report(
        None,
        started,
        ended,
        inline,
        nbytes,
        length,
        flat_length,
        unmappable,
        where=where,
    )
    return noted(report, told) if any(told) else report


class BundleReport(NamedTuple):
    """What some attempts of a bundle came to, a column for each kind of fact.

    Parameters
    ----------
    key : tuple
        The bundle's.
    where : str
        The worker's address.
    first : int
        The slot that the columns begin with.
    started, ended : array of float, shape (n,)
        Seconds since the epoch; 0.0 where there is nothing to say.
    sizes : array of int, shape (n,)
        The bytes of each plain success's pickled value in ``blob``; -1 for what ``others`` tells of.
    blob : bytes
        Pickled values one behind the other.
    others : sequence of (int, tuple)
        By slot, in order: the facts of a plain success (from ``plain_facts``; they begin with a float), or an
        item (``OTHER``, ``ALIKE``, ``HELD``, ``RETURNED``, ``GOING``).
    """

    key: BundleKey
    where: str
    first: int
    started: array[float]
    ended: array[float]
    sizes: array[int]
    blob: bytes
    others: Sequence[tuple[int, Item]]


def bundle_item(report: BundleReport) -> Item:
    """Return the item of some attempts of a bundle.

    Parameters
    ----------
    report : BundleReport
        What they came to.

    Returns
    -------
    tuple
        A ``BUNDLE`` item.
    """
    key, where, first, started, ended, sizes, blob, others = report
    return BUNDLE, key, where, first, started.tobytes(), ended.tobytes(), sizes.tobytes(), blob, others


def read_bundle(item: Sequence[Any]) -> BundleReport:
    """Return what a ``BUNDLE`` item tells.

    Parameters
    ----------
    item : sequence
        From ``bundle_item``.

    Returns
    -------
    BundleReport
        As it was written.
    """
    _, key, where, first, started, ended, sizes, blob, others = item
    return BundleReport(
        key, where, first, array("d", started), array("d", ended), array("i", sizes), blob, others
    )


def told_singly(key: BundleKey, where: str, entries: Sequence[Item]) -> Item:
    """Return the item of a bundle's first attempts, each of which is told in full.

    Parameters
    ----------
    key : tuple
        The bundle's.
    where : str
        The worker's address.
    entries : sequence of tuple
        By slot, as of ``BundleReport.others``.

    Returns
    -------
    tuple
        A ``BUNDLE`` item.
    """
    nothing = array("d", bytes(8 * len(entries)))
    sizes = array("i", [-1]) * len(entries)
    return bundle_item(BundleReport(key, where, 0, nothing, nothing, sizes, b"", list(enumerate(entries))))


def like(item: Item, key: DataKey | None, started: float, ended: float) -> Item:
    """Return the item of an attempt that said what another said.

    Parameters
    ----------
    item : tuple
        The other's ``OTHER`` item.
    key : tuple or None
        The attempt's data key, if it is known.
    started, ended : float
        Seconds since the epoch.

    Returns
    -------
    tuple
        An ``OTHER`` item.
    """
    return OTHER, key, *item[2:5], started, ended


def encode(key: DataKey | None, report: Report) -> Item:
    """Return the item of a report that is no plain success.

    Parameters
    ----------
    key : tuple or None
        The attempt's data key; a bundle's goes by its slot as well.
    report : Report
        With a state.

    Returns
    -------
    tuple
        An ``OTHER`` item.
    """
    state = report.state
    text = _sendable(str(getattr(state, "message", None) or ""))
    name = type(state).__name__
    try:
        payload = dumps_failure(report._replace(started=0.0, ended=0.0))
    except SerializationError:
        # What is sent is tested before; a second pickling that fails is possible, and no reason to say
        # nothing.
        payload = b""
    return OTHER, key, payload, name, text, report.started, report.ended


def grouped(others: Iterable[tuple[int, Item]]) -> list[tuple[int, Item]]:
    """Return what slots of a bundle say, with neighbours that were encoded as alike in one item.

    Parameters
    ----------
    others : iterable of (int, tuple)
        By slot, in order.

    Returns
    -------
    list of (int, tuple)
        The same; ``ALIKE`` items stand for several.
    """
    found: list[tuple[int, Item]] = []
    last: Item = (None,)
    for slot, item in others:
        if item[0] == OTHER == last[0] and item[2] is last[2]:
            first, before = found[-1]
            count = before[1] if before[0] == ALIKE else 1
            if first + count == slot:
                found[-1] = first, (ALIKE, count + 1, *item[2:5])
                continue
        last = item
        found.append((slot, item))
    return found


def decode(item: Sequence[Any]) -> Report:
    """Return the report in an ``OTHER`` item.

    Parameters
    ----------
    item : sequence
        From ``encode``; or an ``ALIKE`` item, whose report has no times.

    Returns
    -------
    Report
        As the worker wrote it; where its content cannot be opened in this process, a failure that says so.
    """
    _, _, payload, name, text, *times = item
    started, ended = times or (0.0, 0.0)
    try:
        report = pickle.loads(payload)
        if isinstance(report, Report):
            return report._replace(started=started, ended=ended)
        reason = f"it is a {type(report).__name__}"
    except OF_USER_CODE as error:
        reason = described(error)
    stand_in = TaskError(name, text, "")
    return Report(
        Failed(
            f"The attempt ended as {name} ({text}), but its report cannot be read here: {reason}", stand_in
        ),
        started,
        ended,
    )


def _sendable(text: str | None) -> str | None:
    """Escape lone surrogates, which stand for bytes of file names that are no UTF-8: msgpack takes none."""
    return text and text.encode("utf-8", "backslashreplace").decode()


def encode_logs(lines: Sequence[LogLine]) -> Item:
    """Return the item of some log lines.

    Parameters
    ----------
    lines : sequence of LogLine
        Text and numbers alone.

    Returns
    -------
    tuple
        A ``LOGS`` item.
    """
    return LOGS, pickle.dumps(list(lines), 5)
