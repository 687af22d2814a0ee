"""Who approves paused task runs: whoever sits at the terminal or notebook. Knows names and states only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, TypeAlias

from prefectlite.printable import hanging, label
from prefectlite.states.keys import RunKey
from prefectlite.states.state import State

#: Moves aside what else shows at the terminal.
Aside: TypeAlias = Callable[[], AbstractContextManager[Any]]


class Approver(Protocol):
    """Somebody who is asked once nothing else of a flow run can go on."""

    def __call__(self, flow_name: str, paused: Mapping[RunKey, State]) -> Collection[RunKey]:
        """Return which of the paused task runs go on; none: the flow run is left as it is.

        Parameters
        ----------
        flow_name : str
            The flow.
        paused : mapping of RunKey to State
            Its paused task runs.

        Returns
        -------
        collection of RunKey
            Some of them.
        """
        ...


def is_notebook() -> bool:
    """Return whether this code runs in a notebook's kernel.

    Returns
    -------
    bool
        False in a terminal's IPython.
    """
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


def is_attended() -> bool:
    """Return whether somebody sits at a terminal or notebook who could approve a paused task run.

    Returns
    -------
    bool
        False for a batch job, whose standard input is no terminal.
    """
    if is_notebook():
        return True
    try:
        return sys.stdin is not None and sys.stdin.isatty()
    except ValueError:  # it is closed
        return False


class Prompt:
    """Asks at the terminal, or in the notebook's cell, about one paused task run after the other.

    Parameters
    ----------
    read : callable
        Shows a question and returns the line that was typed.
    aside : callable
        Returns a context manager; what else shows at the terminal is out of the way inside it.
    """

    def __init__(self, read: Callable[[str], str] = input, aside: Aside = nullcontext) -> None:
        self._read = read
        self._aside = aside

    def __call__(self, flow_name: str, paused: Mapping[RunKey, State]) -> Collection[RunKey]:
        """Ask; whoever answers with neither yes nor all, or not at all, leaves the task run paused.

        Parameters
        ----------
        flow_name : str
            The flow.
        paused : mapping of RunKey to State
            Its paused task runs.

        Returns
        -------
        list of RunKey
            Those that were approved.
        """
        with self._aside():
            return self._ask(flow_name, paused)

    def _ask(self, flow_name: str, paused: Mapping[RunKey, State]) -> list[RunKey]:
        approved: list[RunKey] = []
        keys = list(paused)
        for place, key in enumerate(keys):
            message = paused[key].message
            said = f": {hanging(message)}" if message else "."
            rest = f", [a]ll {len(keys) - place}" if len(keys) - place > 1 else ""
            try:
                answer = self._read(
                    f"Flow {flow_name!r}: {label(str(key))} is paused{said} Resume it? [y]es{rest}, [n]o: "
                )
            except (EOFError, OSError, NotImplementedError):  # nobody is there after all
                return approved
            word = answer.strip().lower()
            if rest and word in ("a", "all"):
                return [*approved, *keys[place:]]
            if word in ("y", "yes"):
                approved.append(key)
        return approved
