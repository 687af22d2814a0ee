"""What one attempt is told beside its task: name, arguments, upstreams. Plain tuples; knows no Dask."""

from __future__ import annotations

import pickle
from typing import Any, Final, NamedTuple, TypeAlias

#: How a worker makes one argument: ``(op, what, item, flat)``. ``item`` is the element to take or None,
#: ``flat`` whether to unnest by one level first.
Recipe: TypeAlias = tuple[int, Any, int | None, bool]

#: ``what`` is the place of the value among those passed by position.
NEED: Final = 0
#: ``what`` is the value itself.
VALUE: Final = 1
#: ``what`` is the pickled value.
PACKED: Final = 2
#: ``what`` is a sequence of places; the argument is the list of those values.
NEEDS: Final = 3
#: ``what`` is a tuple of recipes; the argument is the list of what they make.
MANY: Final = 4
#: ``what`` is ``(assembly, recipes)``: a list, tuple, set, dict or dataclass of what the recipes make.
ASSEMBLE: Final = 5

#: What is known of one upstream: ``(slug, argument or None, fact)``. The fact is None for a plain success; an
#: int, the place of its value among those passed by position, for one whose times that value knows; a dict,
#: how many of a map's children ended in a state of which class; or the ``State`` that the driver knows,
#: without its result.
Upstream: TypeAlias = tuple[str, str | None, Any]


#: A ``Spec`` on its way: as a bare tuple where it holds nothing of the user's but plain values and bytes, or
#: pickled, so that one which cannot be unpickled over there fails its own attempt.
SentSpec: TypeAlias = tuple[Any, ...] | bytes


class Spec(NamedTuple):
    """One attempt's own part of a shipment.

    Parameters
    ----------
    slug : str
        The task's slug.
    map_index : int or None
        The child's place in its map.
    loop : int
        The iteration, counted from 1.
    attempt : int
        Counted from 1.
    given : dict
        Arguments whose values are small and plain.
    recipes : tuple of (str, tuple)
        The other arguments and how to make each.
    upstreams : tuple of tuple
        What the body may read of its direct upstreams.
    drop_value : bool
        Whether nobody reads the value.
    measure : tuple of str
        ``"length"``, ``"flat"``: what a map downstream must know of the value.
    beside : tuple of (str, tuple)
        What the context holds that other attempts do not see, and how to make each.
    """

    slug: str
    map_index: int | None
    loop: int
    attempt: int
    given: dict[str, Any]
    recipes: tuple[tuple[str, Recipe], ...]
    upstreams: tuple[Upstream, ...]
    drop_value: bool
    measure: tuple[str, ...]
    beside: tuple[tuple[str, Recipe], ...] = ()


def opened(told: SentSpec) -> Any:
    """Return what a spec holds that travelled.

    Parameters
    ----------
    told : tuple or bytes
        Its form on the way.

    Returns
    -------
    tuple
        As a ``Spec`` has it.
    """
    return pickle.loads(told) if isinstance(told, bytes) else told
