"""How a worker process ended, and what that means for a body that ran in it. Knows exit codes and signals."""

from __future__ import annotations

import signal
from typing import Final, NamedTuple

#: The signals by which a process is ended for what it does itself.
OF_ITS_OWN: Final = frozenset(
    {
        signal.SIGABRT,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGILL,
        signal.SIGSEGV,
        signal.SIGSYS,
        signal.SIGTRAP,
    }
)
#: What Dask says of a process whose end somebody else has looked at; it may be a status as well.
UNKNOWN: Final = 255


class Exit(NamedTuple):
    """The end of a worker process, as its nanny tells it.

    Parameters
    ----------
    code : int
        The exit status, or a signal's number below zero.
    over_limit : bool
        Whether the nanny ended it because it held too much memory.
    told : str
        Why prefectlite ended it, which took it for dead, or why it closed; empty when neither is known.
    """

    code: int
    over_limit: bool
    told: str = ""


def judge_exit(found: Exit, running: int) -> tuple[str, str] | None:
    """Return what the end of a worker process means for a body that ran in it.

    Parameters
    ----------
    found : Exit
        The end.
    running : int
        How many bodies ran there, this one included; 0 when that is not known.

    Returns
    -------
    (str, str) or None
        Cause and text, as of ``Crashed``; None when nothing can be concluded.

    Examples
    --------
    >>> judge_exit(Exit(3, False), 1)
    ('exited', 'The body ended its worker process, with exit status 3.')
    """
    code = found.code
    if found.over_limit:
        text = (
            "The worker process that had the attempt held more memory than its limit allows, so its nanny "
            "ended it. Give the workers more (memory_limit), or let the body hold less at once."
        )
        return "out-of-memory", text
    if found.told:
        return "worker-lost", found.told
    if code == UNKNOWN:
        return None
    if code >= 0:
        how = f"with exit status {code}"
    elif -code in OF_ITS_OWN:
        how = f"by the signal {_name(code)} (a crash in C code)"
    else:
        text = (
            f"The worker process that had the attempt was ended by the signal {_name(code)}, which came from "
            "outside: somebody sent it, or the system did, for example because memory ran out."
        )
        return "worker-lost", text
    if running == 1:
        return "exited", f"The body ended its worker process, {how}."
    who = f"which of the {running} bodies in it did that" if running else "whether this body did that"
    return (
        "worker-lost",
        f"The worker process that had the attempt ended by itself, {how}; {who} is not known.",
    )


def _name(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return str(-code)
