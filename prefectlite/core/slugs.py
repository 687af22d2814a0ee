"""How tasks get their slugs: the same ones every time a script builds its flow. Knows names and tags only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, Self, TypeVar

T = TypeVar("T")


class SlugBook(Generic[T]):
    """The slugs of a flow, those that it made and those that users gave, and whose they are.

    A slug is ``name-<tags>-<n>``, tags sorted and joined by ``-``, with a count per prefix from 1.

    Examples
    --------
    >>> book = SlugBook()
    >>> book.make("load", (), 1), book.make("load", (), 2), book.make("load", {"b", "a"}, 3)
    ('load-1', 'load-2', 'load-a-b-1')
    >>> book.owner("load-2")
    2
    """

    __slots__ = ("_counts", "_owners")

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._owners: dict[str, T] = {}

    def make(self, name: str, tags: Iterable[str], owner: T) -> str:
        """Return the next slug for a task.

        Parameters
        ----------
        name : str
            The task's name.
        tags : iterable of str
            The task's tags.
        owner : object
            The task.

        Returns
        -------
        str
            A slug that was not given out before.
        """
        prefix = "-".join((name, *sorted(tags))) if tags else name
        number = self._counts.get(prefix, 0) + 1
        slug = f"{prefix}-{number}"
        while slug in self._owners:
            number += 1
            slug = f"{prefix}-{number}"
        self._counts[prefix] = number
        self._owners[slug] = owner
        return slug

    def claim(self, slug: str, owner: T) -> None:
        """Take a slug that a user gave.

        Parameters
        ----------
        slug : str
            A slug that is free.
        owner : object
            The task.
        """
        self._owners[slug] = owner

    def release(self, slug: str) -> None:
        """Let a slug be free again; one that was made is not made once more.

        Parameters
        ----------
        slug : str
            A slug that somebody has.
        """
        del self._owners[slug]

    def owner(self, slug: str) -> T | None:
        """Return whose a slug is.

        Parameters
        ----------
        slug : str
            Any slug.

        Returns
        -------
        object or None
            The task.
        """
        return self._owners.get(slug)

    def copy(self) -> Self:
        """Return a book of its own with the same slugs.

        Returns
        -------
        SlugBook
            The copy.
        """
        new = type(self)()
        new._counts.update(self._counts)
        new._owners.update(self._owners)
        return new
