"""What becomes of task runs as lines of text, many at a time. Knows how a line looks; knows no stream.

A record of ``logging`` and its formatting cost more than a tiny task run itself. What differs in nothing but
name and time is made from one template instead, and what stands side by side in one second from one text.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from prefectlite.printable import hanging, label
from prefectlite.states.keys import RunKey

#: What differs from line to line.
_VARYING: Final = frozenset({"asctime", "message", "task_name", "task_slug", "task_run_id", "task_run"})
_FIELD: Final = re.compile(r"%\((\w+)\)([^%a-zA-Z]*[a-zA-Z])|%%")
#: Stands for the map index of children; no text that may be written holds it.
_HOLE: Final = "\0"


class Lines:
    """The lines that tell of one flow run's task runs, at one level.

    Parameters
    ----------
    template : str
        A line, as ``template`` returns it.
    datefmt : str
        A moment, as in ``time.strftime``.
    run_id : str
        The flow run's identity.
    names : mapping of str to str
        What tasks are called, by slug.
    """

    def __init__(self, template: str, datefmt: str, run_id: str, names: Mapping[str, str]) -> None:
        self._template = template
        self._datefmt = datefmt
        self._run_id = run_id
        self._names = names
        # By slug, as they may be written.
        self._tasks: dict[str, tuple[str, str]] = {}
        names_runs = any(f"%({name})s" in template for name in _VARYING - {"asctime", "message"})
        self._is_simple = template.count("%(message)s") == 1 and not names_runs
        # For the second that was told of last: its text, and what surrounds messages if nothing else differs.
        self._second = -1
        self._asctime = self._before = self._behind = ""

    def one(self, key: RunKey, text: str, moment: float) -> str:
        """Return the line of one task run.

        Parameters
        ----------
        key : RunKey
            Its name.
        text : str
            What is told of it, fit to be written.
        moment : float
            When it was, in seconds since the epoch.

        Returns
        -------
        str
            With the line's end.
        """
        run, second = str(key), int(moment)
        message = f"Task run {label(run)}: {text}"
        if self._is_simple and second == self._second:  # as most are, of runs that come one by one
            return f"{self._before}{message}{self._behind}"
        return self._line(key.slug, hanging(run), message, second)

    def each(self, keys: Sequence[RunKey], text: str, moments: Sequence[float]) -> str:
        """Return the lines of task runs of which the same is told.

        Parameters
        ----------
        keys : sequence of RunKey
            Their names.
        text : str
            What is told of each, fit to be written.
        moments : sequence of float
            When it was, for each, in seconds since the epoch.

        Returns
        -------
        str
            In order, each with the line's end.
        """
        return "".join([self.one(key, text, moment) for key, moment in zip(keys, moments, strict=True)])

    def many(self, slug: str, first: int, text: str, moments: Sequence[float]) -> str:
        """Return the lines of children of a map that stand side by side.

        Parameters
        ----------
        slug : str
            The map's slug.
        first : int
            The map index of the first.
        text : str
            What is told of each, fit to be written.
        moments : sequence of float
            When it was, for each, in seconds since the epoch.

        Returns
        -------
        str
            In order, each with the line's end.
        """
        run, message = f"{hanging(slug)}[{_HOLE}]", f"Task run {label(slug)}[{_HOLE}]: {text}"
        told, at = [], first
        for second, same in groupby(map(int, moments)):
            end = at + len(list(same))
            line, indexes = self._line(slug, run, message, second), map(str, range(at, end))
            if line.count(_HOLE) == 1:
                before, behind = line.split(_HOLE)
                told.append(f"{before}{(behind + before).join(indexes)}{behind}")
            else:
                told += [line.replace(_HOLE, index) for index in indexes]
            at = end
        return "".join(told)

    def _line(self, slug: str, run: str, message: str, second: int) -> str:
        if second != self._second:
            asctime = time.strftime(self._datefmt, time.localtime(second))
            self._second, self._asctime = second, hanging(asctime)
            if self._is_simple:
                around = self._template % {"asctime": self._asctime, "message": _HOLE}
                self._before, self._behind = around.split(_HOLE)
        if self._is_simple:
            return f"{self._before}{message}{self._behind}"
        task = self._tasks.get(slug)
        if task is None:
            task = self._tasks[slug] = hanging(slug), hanging(self._names.get(slug, slug))
        return self._template % {
            "asctime": self._asctime,
            "message": message,
            "task_slug": task[0],
            "task_name": task[1],
            "task_run_id": f"{self._run_id}/{run}",
            "task_run": run,
        }


def template(form: str, fixed: Mapping[str, Any]) -> str | None:
    r"""Return a line in which all is filled in but what differs from line to line.

    Parameters
    ----------
    form : str
        A line, as in ``logging``.
    fixed : mapping of str to object
        What is the same in all lines.

    Returns
    -------
    str or None
        With the line's end; None if the form asks for more, or for some of what differs in another form.

    Examples
    --------
    >>> template("%(asctime)s %(levelname)-7s | %(message)s", {"levelname": "INFO"})
    '%(asctime)s INFO    | %(message)s\n'
    >>> template("%(message)-80s", {}) is template("%(msecs)d", {}) is None
    True
    """
    fields = [found.groups() for found in _FIELD.finditer(form) if found[1]]
    if any(name not in fixed and not (name in _VARYING and look == "s") for name, look in fields):
        return None
    return hanging(_FIELD.sub(lambda found: _filled(found, fixed), form)) + "\n"


def _filled(found: re.Match[str], fixed: Mapping[str, Any]) -> str:
    if found[1] is None or found[1] in _VARYING:
        return found[0]
    text: str = f"%{found[2]}" % fixed[found[1]]
    return text.replace("%", "%%")
