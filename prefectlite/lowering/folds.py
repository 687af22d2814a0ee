"""An associative reduce as a tree of calls: what of its list goes together. Knows keys; knows no Dask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from prefectlite.engine.inputs import FromValue
from prefectlite.engine.instructions import Submit
from prefectlite.errors import EngineError
from prefectlite.lowering.berths import Berths, DaskKey
from prefectlite.lowering.shipment import Fold, Need, Span
from prefectlite.lowering.spec import ASSEMBLE, NEED, NEEDS, Recipe, Spec

#: From so many Dask tasks a call reads at most, and from so many where values are large: fewer wait for each
#: other there.
ARITY: Final = 8
ARITY_OF_LARGE: Final = 2


class Home(NamedTuple):
    """Values of a list that stand side by side under one key.

    Parameters
    ----------
    key : tuple
        The Dask task.
    stretches : tuple of (int, int)
        First slot and count.
    covers : tuple of Span
        Whose values they are, or came to them.
    is_sum : bool
        Whether they are what came of the reduce on a part of the list.
    """

    key: DaskKey
    stretches: tuple[tuple[int, int], ...]
    covers: tuple[Span, ...]
    is_sum: bool = False


class Sums:
    """The books of what came of reduces in part; while a reduce is not over, that stands for what it read."""

    __slots__ = ("_by_run",)

    def __init__(self) -> None:
        self._by_run: dict[int, dict[DaskKey, tuple[Span, ...]]] = {}

    def put(self, run: int, key: DaskKey, covers: tuple[Span, ...]) -> list[DaskKey]:
        """Note where what came of a part lies.

        Parameters
        ----------
        run : int
            The reduce.
        key : tuple
            The Dask task.
        covers : tuple of Span
            The part.

        Returns
        -------
        list of tuple
            Dask tasks that nobody needs any more, since their parts are in a larger one.
        """
        known = self._by_run.setdefault(run, {})
        known[key] = covers
        mine = set(covers)
        gone = [
            one
            for one, others in known.items()
            if one != key and (mine.issuperset(others) if len(others) <= len(covers) else False)
        ]
        if any(len(others) > len(covers) and mine.issubset(others) for others in known.values()):
            gone = [key]  # its word came late
        for one in gone:
            del known[one]
        return gone

    def of(self, run: int) -> Mapping[DaskKey, tuple[Span, ...]]:
        """Return what is known of a reduce.

        Parameters
        ----------
        run : int
            The reduce.

        Returns
        -------
        mapping of tuple to tuple of Span
            Dask tasks and their parts.
        """
        return dict(self._by_run.get(run, ()))

    def run_of(self, key: DaskKey) -> int | None:
        """Return whose part a Dask task is.

        Parameters
        ----------
        key : tuple
            The Dask task.

        Returns
        -------
        int or None
            None when it is not in the books.
        """
        return next((run for run, known in self._by_run.items() if key in known), None)

    def forget(self, run: int, key: DaskKey) -> None:
        """Forget one part, whose values are read anew then.

        Parameters
        ----------
        run : int
            The reduce.
        key : tuple
            The Dask task.
        """
        del self._by_run[run][key]

    def drop(self, run: int) -> list[DaskKey]:
        """Forget a reduce.

        Parameters
        ----------
        run : int
            The reduce.

        Returns
        -------
        list of tuple
            Dask tasks that nobody needs any more.
        """
        return list(self._by_run.pop(run, ()))

    def clear(self) -> None:
        """Forget all of them."""
        self._by_run.clear()


def fold_of(submit: Submit, spec: Spec, needs: Sequence[Need]) -> Fold | None:
    """Return what it takes to call a reduce on parts of its list, if it can be.

    Parameters
    ----------
    submit : Submit
        The attempt.
    spec : Spec
        What it is told.
    needs : sequence of Need
        What it finds by position.

    Returns
    -------
    Fold or None
        None unless one argument alone comes from other tasks, and is a list of values on the cluster.
    """
    fed = [entry.key for entry in submit.arguments if not isinstance(entry.source, FromValue)]
    if len(fed) != 1 or submit.after:
        return None
    recipe = next((recipe for name, recipe in spec.recipes if name == fed[0]), None)
    places = () if recipe is None else _listed(recipe)
    spans = tuple([need for need in needs if len(need) == 3])
    shared = tuple([need for need in needs if len(need) != 3])
    count = sum(count for _, _, count in spans)
    expected = range(len(shared), len(shared) + count)
    if not count or (places != expected and tuple(places) != tuple(expected)):
        return None
    return Fold(spec, fed[0], shared, spans)


def _listed(recipe: Recipe) -> Sequence[int]:
    """Return the positions of a list's values; none for what is not made from values alone."""
    op, what, item, flat = recipe
    if item is not None or flat:
        return ()
    if op == NEEDS:
        return what  # type: ignore[no-any-return]  # as the recipe says
    if op == ASSEMBLE:
        assembly, members = what
        if assembly.kind == "list" and not assembly.fixed:
            found = [place for op, place, item, flat in members if op == NEED and item is None and not flat]
            return found if len(found) == len(members) else ()
    return ()


def spec_for(fold: Fold, count: int, *, is_last: bool) -> Spec:
    """Return what a call on a part of the list is told.

    Parameters
    ----------
    fold : Fold
        The reduce.
    count : int
        How many values it is given.
    is_last : bool
        Whether its value is the reduce's.

    Returns
    -------
    Spec
        The attempt's, with another list.
    """
    start = len(fold.shared)
    recipe: Recipe = (NEEDS, range(start, start + count), None, False)
    spec = fold.spec._replace(
        recipes=tuple([(name, recipe if name == fold.argument else one) for name, one in fold.spec.recipes])
    )
    return spec if is_last else spec._replace(drop_value=False, measure=())


def homes_of(fold: Fold, berths: Berths, sums: Mapping[DaskKey, tuple[Span, ...]]) -> list[Home]:
    """Return where the values of a reduce's list lie, or what came of them.

    Parameters
    ----------
    fold : Fold
        The reduce.
    berths : Berths
        The books of where values lie.
    sums : mapping of tuple to tuple of Span
        From ``Sums.of``.

    Returns
    -------
    list of Home
        In the order of the list.

    Raises
    ------
    EngineError
        When a value lies nowhere.
    """
    found: list[Home] = []
    for home in _with_sums(fold, berths, sums) if sums else _as_they_lie(fold, berths):
        last = found[-1] if found else None
        if last is not None and last.key == home.key:
            found[-1] = Home(home.key, last.stretches + home.stretches, last.covers + home.covers)
        else:
            found.append(home)
    return found


def _as_they_lie(fold: Fold, berths: Berths) -> Iterator[Home]:
    for span in fold.spans:
        run, submission, _ = span
        for key, slot, count in berths.stretches(span):
            yield Home(key, ((slot, count),), ((run, submission, count),))
            run += count


def _with_sums(fold: Fold, berths: Berths, sums: Mapping[DaskKey, tuple[Span, ...]]) -> Iterator[Home]:
    values = [value for span in fold.spans for value in _singly(span)]
    starts: dict[tuple[int, int], tuple[DaskKey, tuple[Span, ...]]] = {}
    for key, covers in sums.items():
        starts[covers[0][:2]] = key, covers
    at = 0
    while at < len(values):
        start = starts.get(values[at])
        if start is not None:
            key, covers = start
            part = [value for span in covers for value in _singly(span)]
            if values[at : at + len(part)] == part:
                yield Home(key, ((0, 1),), covers, True)
                at += len(part)
                continue
        run, submission = values[at]
        berth = berths.find(run, submission)
        if berth is None:
            raise EngineError(f"The value of submission {submission} of run {run} is read, but lies nowhere.")
        yield Home(berth[0], ((berth[1], 1),), ((run, submission, 1),))
        at += 1


def _singly(span: Span) -> Iterator[tuple[int, int]]:
    first, submission, count = span
    return ((run, submission) for run in range(first, first + count))
