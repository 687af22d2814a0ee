"""The concurrency rule: may one more task run start? Knows numbers; knows neither tasks nor who waits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from prefectlite.rules.verdict import Proceed, Reason, Verdict, Wait


@dataclass(frozen=True, slots=True, eq=False)
class Limit:
    """How many task runs of a kind may run at once; two limits are never the same, whatever they say.

    Parameters
    ----------
    name : str
        Whose task runs, as in ``"task 'load'"``, ``"tag 'db'"`` or ``"flow 'etl'"``.
    most : int
        How many; 1 or more.
    """

    name: str
    most: int


def decide_limit(limit: Limit, running: int) -> Verdict:
    """Say whether a task run may start under a limit.

    Parameters
    ----------
    limit : Limit
        The limit.
    running : int
        How many hold a place under it.

    Returns
    -------
    Verdict
        ``Proceed``, or ``Wait("place")``.

    Examples
    --------
    >>> decide_limit(Limit("tag 'db'", 2), running=2).why.text
    "At most 2 task runs of tag 'db' run at once."
    """
    why = _why(limit.name, limit.most)
    return Proceed(why) if running < limit.most else Wait("place", why)


def after_waiting(why: Reason, waited: Reason) -> Reason:
    """Return why a task run starts that had to wait for a place.

    Parameters
    ----------
    why : Reason
        Why it was let through before that.
    waited : Reason
        What it had to wait for.

    Returns
    -------
    Reason
        Both.
    """
    return Reason(waited.rule, f"A place came free. {waited.text} {why.text}", (*why.read, *waited.read))


@lru_cache(maxsize=256)
def _why(name: str, most: int) -> Reason:
    runs = "task run" if most == 1 else "task runs"
    text = f"At most {most} {runs} of {name} run{'s' if most == 1 else ''} at once."
    return Reason("limit", text, (("limit", f"{name}: {most}"),))
