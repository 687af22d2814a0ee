"""Which number a task run has, by its name: while the engine lives, and after it. Keeps no engine alive.

States hold references to their values, and so what finds those: it must not hold the engine, which holds the
states.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping

from prefectlite.engine.engine import Engine
from prefectlite.engine.numbers import number_of
from prefectlite.lowering.compile import Compiled
from prefectlite.states.keys import RunKey


class Numbers:
    """Run numbers of a flow run that is over, by run key; refers to nothing else.

    Parameters
    ----------
    nodes : mapping of str to int
        The number of each slug's run.
    families : mapping of int to range
        The numbers of each map's children.
    """

    def __init__(self, nodes: Mapping[str, int], families: Mapping[int, range]) -> None:
        self._nodes = nodes
        self._families = families

    def __call__(self, key: RunKey) -> int | None:
        """Return the number of a run.

        Parameters
        ----------
        key : RunKey
            Its name.

        Returns
        -------
        int or None
            None when there was no such run.
        """
        return number_of(key, self._nodes, self._children)

    def _children(self, node: int) -> range:
        return self._families.get(node, range(0))


def live_numbers(engine: Engine) -> Callable[[RunKey], int | None]:
    """Return what finds numbers while an engine lives.

    Parameters
    ----------
    engine : Engine
        Who gives them.

    Returns
    -------
    callable
        Takes a run's name; returns its number, or None when there is no such run, or no engine any more.
    """
    known = weakref.ref(engine)

    def number_of(key: RunKey) -> int | None:
        engine = known()
        return None if engine is None else engine.run_of(key)

    return number_of


def numbers_of(compiled: Compiled, engine: Engine) -> Numbers:
    """Return what finds numbers once a flow run is over.

    Parameters
    ----------
    compiled : Compiled
        The flow.
    engine : Engine
        Who gave them.

    Returns
    -------
    Numbers
        As they are now.
    """
    nodes = compiled.plan.nodes
    families = {number: engine.children(number) for number, node in enumerate(nodes) if node.is_mapped}
    numbers = {node.slug: number for number, node in enumerate(nodes)}
    return Numbers(numbers, {number: family for number, family in families.items() if family})
