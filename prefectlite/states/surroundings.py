"""What a state takes from where it is made, if it is not told: whoever knows the place is asked.

As in Prefect 1, what a user makes has the time, the count of its run and the tags of its task by itself.
Rules say the times that they mean, and who drives a flow run hides from them what is around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NoReturn, Protocol

from prefectlite.states.asked import Asked


class Facts(dict[str, Any]):
    """What the context of a state holds, unchanged; without tags, ``["tags"]`` says that there are none."""

    __slots__ = ()

    def __missing__(self, name: str) -> list[str]:
        """Return no tags, and nothing else that is not there."""
        if name == "tags":
            return []
        raise KeyError(name)

    def _refuse(self, *args: object, **others: object) -> NoReturn:
        """Refuse to be changed: states are values.

        Parameters
        ----------
        *args, **others : object
            What a dict takes there.

        Raises
        ------
        TypeError
            Which says what to do instead.
        """
        raise TypeError(
            "The context of a state cannot be changed; make a copy with state.replace(context={...})."
        )

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy as a dict, which may be changed."""
        return dict, (dict(self),)


#: The context of states that were told to have none.
NO_CONTEXT: Final = Facts()


class Surroundings(Protocol):
    """Knows the place where a state is being made; filled in at assembly."""

    def moment(self) -> datetime:
        """Return what time it is there, with a zone."""
        ...

    def fact(self, name: str) -> Any:
        """Return what the context tells there.

        Parameters
        ----------
        name : str
            The fact's.

        Returns
        -------
        object
            None when it tells nothing of it.
        """
        ...


class _Anywhere:
    """A place of which nothing is known but the time of day."""

    def moment(self) -> datetime:
        return datetime.now(UTC)

    def fact(self, name: str) -> None:
        return None


#: Knows the places where states are made in this process.
HERE: Final[Asked[Surroundings]] = Asked(_Anywhere())


def moment_here() -> datetime:
    """Return what time it is where a state is being made.

    Returns
    -------
    datetime
        With a zone.
    """
    return HERE.who.moment()


def fact_here(name: str) -> Any:
    """Return what the context tells where a state is being made.

    Parameters
    ----------
    name : str
        The fact's.

    Returns
    -------
    object
        None when it tells nothing of it.
    """
    return HERE.who.fact(name)


def settled(facts: Mapping[str, Any]) -> Facts:
    """Return a context to which nothing comes where the state is made.

    Parameters
    ----------
    facts : mapping of str to object
        All that it is to hold.

    Returns
    -------
    Facts
        A copy that cannot be changed.
    """
    return Facts(facts) if facts else NO_CONTEXT
