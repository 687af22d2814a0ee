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
    Exception
        What pickle or the object raises when it cannot be pickled, if ``raise_on_error`` asks for that.
    subprocess.CalledProcessError
        When it cannot be opened there, if ``raise_on_error`` asks for that; a note says why.

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
        if not raise_on_error:
            return False
        refusal = error.__cause__
        assert refusal is not None  # it is what the text of the error is of
        refusal.add_note(f"This {kind} cannot be pickled; make what it refuses in the task that needs it.")
        raise refusal from None
    opened = subprocess.run(
        [sys.executable, "-c", _OPEN],
        input=pickle.dumps((sys.path, payload)),
        capture_output=True,
        check=False,
    )
    if opened.returncode and raise_on_error:
        lines = opened.stderr.decode(errors="replace").strip().splitlines()
        said = lines[-1] if lines else f"exit status {opened.returncode}"
        failure = subprocess.CalledProcessError(opened.returncode, opened.args, opened.stdout, opened.stderr)
        failure.add_note(
            f"This {kind} can be pickled, but not opened in another process ({said}); install what it "
            "needs where the workers run, and look at its __reduce__ and __setstate__."
        )
        raise failure
    return not opened.returncode
