"""Whether an object arrives in another process. Knows envelopes; knows no cluster."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any, Final

from prefectlite.errors import SerializationError
from prefectlite.lowering.envelope import by_value_names, dumps

# Run in a process that has imported nothing of the user's yet.
_OPEN: Final = """
import pickle, sys
path, payload = pickle.load(sys.stdin.buffer)
sys.path[:] = path
pickle.loads(payload)
"""


def is_serializable(obj: Any, raise_on_error: bool = False) -> bool:
    """Return whether an object can travel to a worker: it is pickled here, and opened in a new process.

    Parameters
    ----------
    obj : object
        A task, a flow, an argument, a result.
    raise_on_error : bool
        Whether to raise what goes wrong instead of returning False.

    Returns
    -------
    bool
        Whether it arrives.

    Raises
    ------
    SerializationError
        When it does not, if ``raise_on_error`` asks for that; the text says why.

    Examples
    --------
    >>> is_serializable(open)
    True
    >>> import threading
    >>> is_serializable(threading.Lock())
    False
    """
    kind = type(obj).__name__
    try:
        payload = dumps(obj, by_value_names())
    except SerializationError as error:
        if raise_on_error:
            raise SerializationError(
                f"This {kind} cannot be pickled ({error}); make what it refuses in the task that needs it."
            ) from error
        return False
    opened = subprocess.run(
        [sys.executable, "-c", _OPEN],
        input=pickle.dumps((sys.path, payload)),
        capture_output=True,
        check=False,
    )
    if opened.returncode and raise_on_error:
        lines = opened.stderr.decode(errors="replace").strip().splitlines()
        said = lines[-1] if lines else f"exit status {opened.returncode}"
        raise SerializationError(
            f"This {kind} can be pickled, but not opened in another process ({said}); install what it "
            "needs where the workers run, and look at its __reduce__ and __setstate__."
        )
    return not opened.returncode
