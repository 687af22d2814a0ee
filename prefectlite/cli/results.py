"""Prints what a flow is about: the results of its reference tasks. Knows states; fetches nothing large."""

from __future__ import annotations

import pprint
from collections.abc import Iterable
from typing import Any, Final

from prefectlite.masking import mask
from prefectlite.states.state import Mapped, Skipped, State, Success
from prefectlite.views.printable import label, printable

_LIMIT: Final = 2_000  # characters of a value that is no text
_FETCHED: Final = 65_536  # bytes; larger values stay where they are


def results_text(tasks: Iterable[tuple[str, State]]) -> str:
    """Return the results that are at hand, as a text to be printed.

    Parameters
    ----------
    tasks : iterable of (str, State)
        Slugs and states of the reference tasks.

    Returns
    -------
    str
        A text as it is, another value as Python writes it, with the task's slug where there are several;
        a large value that lies on a worker is only named. Empty if there is nothing to show.
    """
    found = [(slug, _shown(state)) for slug, state in tasks if _has_value(state)]
    shown = [(slug, text) for slug, text in found if text]
    if len(shown) == 1:
        return shown[0][1] + "\n"
    return "".join(f"{label(slug)}:\n{text}\n" for slug, text in shown)


def _has_value(state: State) -> bool:
    return isinstance(state, Success) and not isinstance(state, Mapped | Skipped) and state.has_result


def _shown(state: State) -> str:
    ref = state.result_ref
    if ref is not None and ref.inline is None and ref.nbytes > _FETCHED:
        return f"(a value of {ref.nbytes:,} bytes, which stays on its worker)"
    value: Any
    try:
        value = state.result
        if value is None:
            return ""
        text = value if isinstance(value, str) else pprint.pformat(value, width=100)
    except Exception as error:  # it may be gone; unpickling and repr run the user's code
        return label(f"(a value that cannot be shown: {type(error).__name__}: {mask(str(error))})")
    if not isinstance(value, str) and len(text) > _LIMIT:
        text = text[:_LIMIT] + " ..."
    return printable(mask(text))
