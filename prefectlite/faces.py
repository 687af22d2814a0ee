"""What containers of ours pass for: Python's own, which ported code asks for. Knows none of them."""

from __future__ import annotations


def passes_for(kind: type) -> property:
    """Return what a class calls ``__class__`` so that its instances are of another kind, too.

    Prefect 1 gave plain lists, sets and dicts where ours read what somebody else holds. Python itself looks
    at the type, so ``set(ours)`` takes the members that ours name, not those of a set that is empty.

    Parameters
    ----------
    kind : type
        What ``isinstance`` says yes to, beside the class itself.

    Returns
    -------
    property
        It answers with that kind.

    Examples
    --------
    >>> class Numbers:
    ...     __class__ = passes_for(list)
    >>> isinstance(Numbers(), list), isinstance(Numbers(), Numbers), type(Numbers()).__name__
    (True, True, 'Numbers')
    """
    return property(lambda ours: kind)
