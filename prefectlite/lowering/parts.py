"""What a worker is told of a bundle: its parts, one attempt or many alike ones each. Plain tuples; no Dask.

The attempts of a bundle have slots, numbered through its parts in order. What a part reads is named by
stretches: values that stand side by side in some bundle's slots, this one's earlier slots included.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple, TypeAlias

from prefectlite.lowering.keys import DataKey
from prefectlite.lowering.spec import Recipe, SentSpec, Upstream

#: Values that stand side by side: place among those passed by position, first slot, how many. The place is
#: ``SELF`` for earlier slots of the same bundle; the first slot is ``WHOLE`` for a value that lies in no
#: bundle.
Stretch: TypeAlias = tuple[int, int, int]
SELF: Final = -1
WHOLE: Final = -1

#: An argument that differs by child: its name, a kind, and what the kind says.
Column: TypeAlias = tuple[str, int, Any]

#: A sequence with a plain value for each child.
PLAIN: Final = 0
#: A sequence with a pickled value for each child.
PACKED: Final = 1
#: Stretches that expand to a value for each child.
READ: Final = 2
#: ``(place, first)``: child i takes element ``first + i`` of the value at that place of what the part reads.
ITEM: Final = 3
#: The same after that value was unnested by one level.
FLAT_ITEM: Final = 4

#: In an upstream's fact: ``(OF_COLUMN, k)``, the value that column k gave the child.
OF_COLUMN: Final = "column"


class Member(NamedTuple):
    """One attempt.

    Parameters
    ----------
    key : tuple
        Its data key.
    task : int
        Which of the bundle's tasks it runs.
    spec : tuple or bytes
        Its ``Spec``, as it travels.
    reads : tuple of Stretch
        What its spec finds by position.
    """

    key: DataKey
    task: int
    spec: SentSpec
    reads: tuple[Stretch, ...]


class Block(NamedTuple):
    """Children of one map that stand next to each other and differ in nothing but index and columns.

    Parameters
    ----------
    task : int
        Which of the bundle's tasks they run.
    prefix : str
        From ``key_prefix``; with a child's name, attempt and submission, it makes its data key.
    slug : str
        The map's slug.
    first, count : int
        The index of the first child, and how many there are.
    attempt, submission : int
        Which, for all of them.
    given : dict
        Plain arguments that all share.
    recipes : tuple of (str, tuple)
        The other arguments that all share, and how to make each.
    reads : tuple of Stretch
        What recipes, columns and upstreams find by position.
    columns : tuple of Column
        The arguments that differ.
    upstreams : tuple of Upstream
        What the bodies may read of their direct upstreams.
    drop_value : bool
        Whether nobody reads the values.
    measure : tuple of str
        As in ``Spec``.
    consumes : frozenset of str
        The columns of values of which nobody needs one any more once the child that takes it has succeeded.
    """

    task: int
    prefix: str
    slug: str
    first: int
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody asks a block for
    attempt: int
    submission: int
    given: dict[str, Any]
    recipes: tuple[tuple[str, Recipe], ...]
    reads: tuple[Stretch, ...]
    columns: tuple[Column, ...]
    upstreams: tuple[Upstream, ...]
    drop_value: bool
    measure: tuple[str, ...]
    consumes: frozenset[str] = frozenset()


Part: TypeAlias = Member | Block


class Manifest:
    """A bundle's parts on their way: members are pickled as bare tuples, at a third of the price.

    What unpickles is a tuple of ``Part``.

    Parameters
    ----------
    parts : iterable of (Block or tuple)
        In order of their slots; a tuple has what a ``Member`` has.
    """

    def __init__(self, parts: Iterable[Block | tuple[Any, ...]]) -> None:
        self._parts = tuple(parts)

    def __reduce__(self) -> tuple[Any, ...]:
        return parts_of, (self._parts,)


def parts_of(parts: Iterable[Block | tuple[Any, ...]]) -> tuple[Part, ...]:
    """Return parts that travelled.

    Parameters
    ----------
    parts : iterable of (Block or tuple)
        From a ``Manifest``.

    Returns
    -------
    tuple of Part
        In the same order.
    """
    return tuple([one if isinstance(one, Block) else Member._make(one) for one in parts])
