"""How a task run is named: slug, map index, loop count. Knows no object identity."""

from __future__ import annotations

import re
from typing import NamedTuple

# Just the numbers that ``str`` writes: no sign, no leading zero, no first loop.
_TEXT = re.compile(
    r"(?P<slug>.*?)(?:\[(?P<index>0|[1-9][0-9]*)\])?(?:@(?P<loop>[2-9]|[1-9][0-9]+))?", re.DOTALL
)


class RunKey(NamedTuple):
    """The name of one task run, the same in every run of the same script.

    Parameters
    ----------
    slug : str
        The task's slug in its flow; one that itself ends like ``[3]`` or ``@2`` is not told from its text.
    index : int or None
        The child's place in its map, counted from 0; None for a run that is not a child.
    loop : int
        The iteration of a looping task, counted from 1.

    Examples
    --------
    >>> str(RunKey("double-1", 3))
    'double-1[3]'
    >>> RunKey.parse("double-1[3]@2")
    RunKey(slug='double-1', index=3, loop=2)
    """

    slug: str
    index: int | None = None  # type: ignore[assignment]  # hides tuple.index, which nobody asks a key for
    loop: int = 1

    def __str__(self) -> str:
        """Return ``slug``, ``slug[index]`` or ``slug[index]@loop``."""
        text = self.slug if self.index is None else f"{self.slug}[{self.index}]"
        return text if self.loop == 1 else f"{text}@{self.loop}"

    @classmethod
    def parse(cls, text: str) -> RunKey:
        """Read back what ``str`` wrote.

        Parameters
        ----------
        text : str
            ``slug``, ``slug[index]`` or ``slug[index]@loop``.

        Returns
        -------
        RunKey
            The key with that text.
        """
        found = _TEXT.fullmatch(text)
        assert found is not None  # the pattern matches every text
        index = found["index"]
        return cls(found["slug"], None if index is None else int(index), int(found["loop"] or 1))
