"""What the parts of a bundle read, and who must not run because of that. Knows values; makes no argument."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from prefectlite.lowering.parts import READ, SELF, WHOLE, Block, Part, Stretch
from prefectlite.lowering.wrappers import Slots
from prefectlite.worker.inputs import all_plain, is_plain

#: Some places of a part.
Places: TypeAlias = range | frozenset[int]

#: No place, and the only one in a part of one.
NOBODY: Final = range(0)
THE_ONE: Final = range(1)
#: From so many bytes a value on, on average of its bundle's, it is let go of as soon as it is consumed.
WORTH: Final = 1024


def expand(stretches: Sequence[Stretch], values: Sequence[Any], own: Sequence[Any]) -> list[Any]:
    """Return the wrappers that stretches name.

    Parameters
    ----------
    stretches : sequence of Stretch
        What to read.
    values : sequence
        What was passed by position.
    own : sequence
        What stands for the earlier slots of the same bundle.

    Returns
    -------
    list
        In order.
    """
    found: list[Any] = []
    for place, first, count in stretches:
        if place == SELF:
            found.extend(own[first : first + count])
            continue
        value = values[place]
        if first == WHOLE:
            found.append(value)
        elif type(value) is Slots:
            found.extend(value.wrappers[first : first + count])
        else:
            found.extend([value] * count)  # whatever it is, it is no plain success, and is held for
    return found


def held_places(part: Part, values: Sequence[Any], own: Sequence[Any]) -> Places:
    """Return which attempts of a part must not run, since an input was no plain success.

    Parameters
    ----------
    part : Member or Block
        The attempts.
    values : sequence
        What was passed by position.
    own : sequence
        What stands for the earlier slots of the same bundle.

    Returns
    -------
    range or frozenset of int
        Their places in the part.
    """
    reads = expand(part.reads, values, own)
    if isinstance(part, Block):
        return held_children(part, reads, read_by_column(part, values, own))
    return NOBODY if all_plain(reads) else THE_ONE


def read_by_column(block: Block, values: Sequence[Any], own: Sequence[Any]) -> list[Sequence[Any]]:
    """Return what each column gives to the children of a block.

    Parameters
    ----------
    block : Block
        The children.
    values, own : sequence
        As of ``expand``.

    Returns
    -------
    list of sequence
        By column; empty for one that gives nothing that lies on the cluster.
    """
    return [expand(what, values, own) if kind == READ else () for _, kind, what in block.columns]


def held_children(block: Block, values: Sequence[Any], read: Sequence[Sequence[Any]]) -> Places:
    """Return which children of a block must not run, since an input was no plain success.

    Parameters
    ----------
    block : Block
        The children.
    values : sequence
        What they all read.
    read : sequence of sequence
        What each reads for itself, from ``read_by_column``.

    Returns
    -------
    range or frozenset of int
        Their places in the block.
    """
    if not all_plain(values):
        return range(block.count)
    return frozenset(
        place
        for column in read
        if not all_plain(column)
        for place, wrapper in enumerate(column)
        if not is_plain(wrapper)
    )


def lying(stretches: Sequence[Stretch], values: Sequence[Any]) -> list[tuple[Slots, int]]:
    """Return where values lie that stretches name, if they are large enough to be let go of early.

    Parameters
    ----------
    stretches : sequence of Stretch
        What is read.
    values : sequence
        What was passed by position.

    Returns
    -------
    list of (Slots, int)
        In which slots; empty when they are not worth it.
    """
    found: list[tuple[Slots, int]] = []
    for place, first, count in stretches:
        slots = None if place == SELF else values[place]
        if type(slots) is not Slots or (slots.nbytes or 0) < WORTH * len(slots.wrappers):
            return []
        found.extend((slots, slot) for slot in range(first, first + count))
    return found
