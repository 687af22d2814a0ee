"""How tasks get their slugs: the same ones every time a script builds its flow. Knows names and tags only."""

from __future__ import annotations

from collections.abc import Iterable


class SlugBook:
    """The slugs that a flow has given out, and those that users gave.

    A slug is ``name-<tags>-<n>``, tags sorted and joined by ``-``, with a count per prefix from 1. What
    stands before the last ``-`` tells the prefix, so two made slugs never meet; only users' own can get in
    the way.

    Examples
    --------
    >>> book = SlugBook()
    >>> book.make("load", ()), book.make("load", ()), book.make("load", {"b", "a"})
    ('load-1', 'load-2', 'load-a-b-1')
    """

    __slots__ = ("_counts", "_given")

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._given: set[str] = set()

    def make(self, name: str, tags: Iterable[str]) -> str:
        """Return the next slug for a task.

        Parameters
        ----------
        name : str
            The task's name.
        tags : iterable of str
            The task's tags.

        Returns
        -------
        str
            A slug that was not given out before.
        """
        prefix = "-".join((name, *sorted(tags))) if tags else name
        number = self._counts.get(prefix, 0) + 1
        slug = f"{prefix}-{number}"
        while slug in self._given:
            number += 1
            slug = f"{prefix}-{number}"
        self._counts[prefix] = number
        return slug

    def claim(self, slug: str) -> bool:
        """Take a slug that a user gave.

        Parameters
        ----------
        slug : str
            The slug.

        Returns
        -------
        bool
            Whether it was free.
        """
        prefix, dash, number = slug.rpartition("-")
        made = dash and number.isdecimal() and 1 <= int(number) <= self._counts.get(prefix, 0)
        if slug in self._given or (made and number == str(int(number))):
            return False
        self._given.add(slug)
        return True
